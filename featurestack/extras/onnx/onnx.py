"""`make export`: a trained run as one ONNX file, for programs without torch
or this project.

The file holds the networks of all finished folds, the steps before them
(standardisation, resizing, rounding to float16) and the average over folds.

    inputs   one for each channel, with its name (mfcc:1-19; a second mel is mel_2): (B,
             rows, frames) float32, as in a cache; if the run drops padding (metadata:
             padding), frames of time are only a clip's own, at least two
    outputs  probabilities (B, K), the mean over the folds, each scaled by the run's
             temperature (not with tags); by_fold (B, F, K), unscaled as in
             predictions.csv
    metadata features, channels (names, parameters, rows), sample_rate, duration,
             classes, folds, padding; config, the run's whole configuration

Before the file is written, onnxruntime's by_fold is compared with the networks.
"""

import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

import onnx
from featurestack.base.decoder_messages import no_output_of_c
from featurestack.base.errors import RequestError, one_line
from featurestack.base.json_content import as_dataclass
from featurestack.base.own_files import own_file
from featurestack.base.quantities import size
from featurestack.base.shell import make_command
from featurestack.comparison.metrics import SMALLEST_PROBABILITY, Floats
from featurestack.extras.onnx import ExportOptions
from featurestack.features_cache.feature_names import parse_set
from featurestack.predict import bundle
from featurestack.results.config import RunConfig, content_of
from featurestack.results.dataset_folders import named_dataset
from featurestack.results.run_list import select_one
from featurestack.train.network_input import Statistics, filled_frames

CONFIG = "config"  # key of the metadata: run.json, as a bundle has it
AGAIN = "export it again from its run"


class ExportedModel(bundle.FoldModels):
    """The networks of an ONNX file that `export` wrote. Their code is not needed."""

    def __init__(self, file: Path) -> None:
        try:
            self.session = open_session(file.read_bytes())
            metadata = self.session.get_modelmeta().custom_metadata_map
            content, folds = (json.loads(metadata[key]) for key in (CONFIG, "folds"))
        except Exception as error:  # onnxruntime's errors have no common class
            raise RequestError(
                f"{file} is not an ONNX file of this project's runs ({one_line(error)})"
            ) from None
        config = as_dataclass(content, RunConfig, str(file), AGAIN)
        bundle.require_folds(config, folds, file)
        super().__init__(config, folds)

    def by_fold(
        self, values: bundle.Values, filled: Floats
    ) -> list[bundle.ClassProbabilities]:
        """(B, K) of each fold's model.

        Clips without padding have lengths of their own and are given one by one.
        """
        if self.config.options.padding != "drop":
            return list(np.moveaxis(run_session(self.session, values), 1, 0))
        probabilities = []
        for clip in range(len(filled)):
            one = slice(clip, clip + 1)
            frames = [
                filled_frames(channel, filled[one])[0]
                for channel in self.config.channels
            ]
            cut = [stored[one, :, :end] for stored, end in zip(values, frames)]
            probabilities.append(run_session(self.session, cut))
        return list(np.moveaxis(np.concatenate(probabilities), 1, 0))


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """A silent session of onnxruntime on one thread."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(
        content, settings, providers=["CPUExecutionProvider"]
    )


def run_session(
    session: onnxruntime.InferenceSession, values: bundle.Values
) -> bundle.ClassProbabilities:
    """(B, F, K) for clips of one length."""
    fed = {}
    for given, channel in zip(session.get_inputs(), values, strict=True):
        fed[given.name] = channel.astype(np.float32)
    (by_fold,) = session.run(["by_fold"], fed)
    return by_fold


OPSET = 18
LENGTH_SHARES = (0.3, 1.0)  # shares of a clip's duration that compared clips fill
# number of the exported fold, one clip's stored features, that fold's probabilities
Example = tuple[int, bundle.Values, bundle.ClassProbabilities]
EXPORT_RECORD = ".export.json"


class ExportedRun(nn.Module):
    """All folds of a trained model, from stored features to probabilities."""

    def __init__(self, model: bundle.RunModel) -> None:
        super().__init__()
        self.model = model
        self.networks = nn.ModuleList(model.networks.values())

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        by_fold = []
        for network, statistics in zip(self.networks, self.model.statistics.values()):
            outputs = network(self.input(values, statistics))
            by_fold.append(self.model.task.activation(outputs))
        together = torch.stack(by_fold, dim=1)  # (B, F, K)
        if self.model.temperature == 1:
            return together.mean(1), together
        logits = together.clamp_min(SMALLEST_PROBABILITY).log() / self.model.temperature
        return logits.softmax(2).mean(1), together

    def input(
        self, values: Sequence[torch.Tensor], statistics: Sequence[Statistics]
    ) -> torch.Tensor:
        """`InputSpec.prepare` for clips of one length."""
        spec = self.model.input
        parts = map(spec.prepare_channel, spec.channels, statistics, values)
        return torch.cat(list(parts), dim=1).float()


def export_run(options: ExportOptions) -> Path:
    """Write the run's ONNX file to `out` or <run>.onnx; print how exact it is."""
    dataset = named_dataset(options.dataset, options.data, options.name)
    run = select_one(options.runs, options.run, *dataset, data=options.data)
    file = options.out or Path(f"{run.name}.onnx")
    if file.suffix != ".onnx":
        raise RequestError(f"OUT={file}: expected a name that ends in .onnx")
    own_files = own_file(file, EXPORT_RECORD, "OUT=")
    model = bundle.RunModel(*bundle.bundle_of_run(run))
    channels = parse_set(run.config.features)
    texts = list(map(str, channels))
    # a second channel of the same name is numbered: mel, mel_2
    again = [texts[:place].count(text) for place, text in enumerate(texts)]
    names = [
        f"{text}_{times + 1}" if times else text for text, times in zip(texts, again)
    ]
    content = onnx_bytes(model, names, run.name)
    session = open_session(content)
    largest = 0.0
    for number, values, expected in example_clips(model):
        differences = np.abs(run_session(session, values)[0, number] - expected)
        largest = max(largest, float(differences.max()))
    if largest > bundle.AGREES:
        raise RequestError(
            f"{file} is not written: its probabilities differ from the networks' by"
            f" {largest:.1e}"
        )
    own_files.write({file.name: content})
    print(
        f"{file}: {len(model.networks)} of {len(run.folds)} folds,"
        f" {size(len(content))}; probabilities differ from the networks' by"
        f" {largest:.1e} at most"
    )
    return file


def example_clips(model: bundle.RunModel) -> Iterator[Example]:
    """Noise like each fold's channels, short and whole, and the networks' output."""
    noise = np.random.default_rng(0)
    spec = model.input
    for number, (fold, statistics) in enumerate(model.statistics.items()):
        for share in LENGTH_SHARES:
            filled = np.array([share])
            values: bundle.Values = []
            for channel, standard in zip(spec.channels, statistics):
                drawn = noise.normal(size=(1, channel.rows, channel.frames))
                values.append(
                    standard.centre[:, None] + standard.scale[:, None] * drawn
                )
            frames = [spec.own_frames(channel, filled)[0] for channel in spec.channels]
            cut = [stored[:, :, :end] for stored, end in zip(values, frames)]
            yield number, cut, model.probabilities(fold, values, filled)[0]


@contextmanager
def one_sentence(model: bundle.RunModel, run: str) -> Iterator[None]:
    """Torch's error for a layer that ONNX lacks, without its graph and traceback."""
    try:
        with no_output_of_c():
            yield
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).partition(". ")[0]  # advice and the graph follow
        raise RequestError(
            f"{model.config.model} cannot be exported ({reason}). A bundle needs no"
            f" change: {make_command('bundle', f'RUN={run}')}"
        ) from None


def onnx_bytes(model: bundle.RunModel, names: list[str], run: str) -> bytes:
    """The file's content with metadata, by torch's TorchScript exporter."""
    axes = {name: {0: "clips"} for name in (*names, "probabilities", "by_fold")}
    spec = model.input
    for name, channel in zip(names, spec.channels):
        # clips differ in length
        if spec.drop_padding and channel.timed and channel.frames > 1:
            axes[name][2] = f"{name}_frames"
    with (
        one_sentence(model, run),
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        torch.inference_mode(),
    ):
        # torch warns that a newer exporter exists; the file is checked
        warnings.simplefilter("ignore")
        torch.onnx.export(
            ExportedRun(model).eval(),
            tuple(
                torch.zeros(2, channel.rows, channel.frames)
                for channel in spec.channels
            ),
            file := f"{folder}/model.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["probabilities", "by_fold"],
            dynamic_axes=axes,
        )
        proto = onnx.load(file)
    config = content_of(model.config)
    metadata: dict[str, object] = {"features": model.config.features}
    metadata |= {key: config[key] for key in ("channels", "sample_rate", "duration")}
    metadata |= {"classes": model.classes, "folds": list(model.networks)}
    metadata |= {"padding": "drop" if spec.drop_padding else "keep", CONFIG: config}
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))
    return proto.SerializeToString()
