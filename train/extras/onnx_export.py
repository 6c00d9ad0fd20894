"""`python -m train export`: a trained run as one ONNX file, for programs without torch and this project.

The file holds the networks of all finished folds with what stands before them: standardisation, resizing,
rounding to float16, and the average over views and folds behind them.

    inputs   one a channel, called by the feature's stored name, (B, rows, frames) float32, as in a cache;
             of a run without padding (metadata: padding) a clip's own frames alone, two at least
    outputs  probabilities (B, K), the mean over the folds, each scaled by the run's temperature; by_fold
             (B, F, K), as predictions.csv has them
    metadata classes, folds, sample_rate, duration and channels (names, parameters, rows of features) as JSON

Features are not part of it: docs/howto/predicting.md says how they are computed beside it. The file is
checked by onnxruntime before it is written: against predictions.csv if the cache is there, else against the
networks themselves on features of noise.
"""

import copy
import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from commandline.files import refuse_special, replace_file
from commandline.registry import RequestError
from commandline.terminal import size
from features_cache import Cache, cache_folder
from features_cache.location import is_cache
from features_cache.names import parse_set
from results import run_folder
from results.run_folder import RunFolder
from results.scores import SMALLEST_PROBABILITY
from train.bundle import AGREES, BATCH, Probabilities, TrainedModel, Values, bundle_of_run
from train.data import LARGEST, Statistics, own_frames, resize
from train.models.texture import TextureNet, TextureStatistics
from train.options import ExportOptions
from train.plan import Shape

OPSET = 18
CHECKED = 64  # clips of each fold
NOISES = 4  # clips, if there is no cache


class Standardised(nn.Module):
    """`Statistics.apply` of one channel as a layer: (B, rows, frames) to the same."""

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.norm = statistics.norm
        self.register_buffer("centre", torch.from_numpy(statistics.centre)[:, None])
        self.register_buffer("scale", torch.from_numpy(statistics.scale)[:, None])

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.norm == "none":
            return values
        if self.norm == "clip":
            centre = values.mean(dim=(1, 2), keepdim=True)
            spread = (values - centre).square().mean(dim=(1, 2), keepdim=True).sqrt()
            return (values - centre) / torch.maximum(spread, self.scale)
        return (values - self.centre) / self.scale


class Resized(nn.Module):
    """`resize`, linear in each axis, as two products with matrices: few runtimes have an averaging one.

    With `any_length` the number of frames is that of what comes in, instead of `shape`'s.
    """

    rows: torch.Tensor
    frames: torch.Tensor

    def __init__(self, shape: Shape, grid: Shape, any_length: bool) -> None:
        super().__init__()
        self.width, self.any_length = grid[1], any_length
        rows, frames = (  # what resizing makes of each unit vector: (wanted, length)
            resize(torch.eye(length)[None], (wanted, length))[0] for length, wanted in zip(shape, grid)
        )
        self.register_buffer("rows", rows)  # (H, rows)
        self.register_buffer("frames", frames.T.contiguous())  # (frames, W)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        frames = _triangles(values.shape[2], self.width) if self.any_length else self.frames
        return self.rows @ values @ frames


def _triangles(length: int, wanted: int) -> torch.Tensor:
    """(length, wanted): how `resize` weighs an axis whose length is known at run time only."""
    places = torch.arange(length, dtype=torch.float32) + 0.5
    step = (places[-1] + 0.5) / wanted
    centres = (torch.arange(wanted, dtype=torch.float32) + 0.5) * step
    weights = (1 - (places[:, None] - centres).abs() / step.clamp(min=1)).clamp(min=0)
    return weights / weights.sum(0)


class PlainSpectrum(nn.Module):
    """The texture statistics' bands and Fourier transform as products with matrices."""

    bands: torch.Tensor
    waves: torch.Tensor

    def __init__(self, statistics: TextureStatistics, shape: Shape) -> None:
        super().__init__()
        self.statistics = statistics
        rows, frames = shape
        identity = torch.eye(rows)[None, None]
        self.register_buffer("bands", statistics.bands(identity)[0, 0])  # (bands, rows)
        self.register_buffer("waves", torch.view_as_real(torch.fft.rfft(torch.eye(frames))).permute(2, 0, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bands = self.bands @ x
        centred = bands - bands.mean(3, keepdim=True)
        real, imaginary = centred @ self.waves[0], centred @ self.waves[1]
        return self.statistics.summarise(bands, centred, (real.square() + imaginary.square()).sqrt()[..., 1:])


class ExportedRun(nn.Module):
    """All folds of a trained model, from stored features to probabilities; what the file holds."""

    def __init__(self, model: TrainedModel, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.model, self.kind = model, model.kind
        self.networks = nn.ModuleList(copy.deepcopy(one.network) for one in model.folds.values())
        self.standardised = nn.ModuleList(
            nn.ModuleList(Standardised(one) for one in fold.statistics) for fold in model.folds.values()
        )
        self.resized = nn.ModuleList(Resized(shape, model.grid, model.drops_padding) for shape in shapes)
        for network in self.networks:
            for layer in network.modules():
                if isinstance(layer, TextureNet):
                    layer.texture = PlainSpectrum(layer.texture, model.trained_shape)  # type: ignore[assignment]

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        by_fold = [self.fold(number, values) for number in range(len(self.networks))]
        together = torch.stack(by_fold, dim=1)  # (B, F, K)
        logits = together.clamp_min(SMALLEST_PROBABILITY).log() / self.model.temperature
        return logits.softmax(2).mean(1), together

    def fold(self, number: int, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, K) by the model of one fold; the same steps as train.data.network_input."""
        network = self.networks[number]
        if self.kind == "linear":
            return network(torch.cat([_over_time(channel) for channel in values], dim=1)).softmax(1)
        layers = list(self.standardised.children())[number].children()
        standard = [layer(channel) for layer, channel in zip(layers, values)]
        if self.kind == "vector":
            parts = [part[:, :, 0] if part.shape[2] == 1 else _over_time(part) for part in standard]
            return network(_rounded(torch.cat(parts, dim=1))[..., None, None]).softmax(1)
        x = _rounded(torch.stack([layer(part) for layer, part in zip(self.resized, standard)], dim=1))
        answers = [network(view).softmax(1) for view in self.model.views(x)]
        return torch.stack(answers).mean(0)


def _over_time(channel: torch.Tensor) -> torch.Tensor:
    """(B, rows, frames) to (B, 2 * rows): mean and deviation of each row."""
    return torch.cat([channel.mean(2), channel.std(2, unbiased=False)], dim=1)


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(-LARGEST, LARGEST).half().float()


def export_run(options: ExportOptions) -> int:
    """Write the run's ONNX file, to `out` or <run>.onnx, and say how far it agrees; the exit status.

    export_run(ExportOptions(run="last", out=Path("model.onnx")))
    """
    run = run_folder.select_one(options.runs, options.run)
    file = options.out or Path(f"{run.name}.onnx")
    if not file.parent.is_dir():
        raise RequestError(f"OUT={file}: there is no folder {file.parent}")
    refuse_special(file)
    selection = run.selection(options.selection)
    model = TrainedModel(bundle_of_run(run, selection))
    folder, channels = cache_folder(run.dataset, options.data, run.dataset), parse_set(run.config["features"])
    cache = Cache(folder) if is_cache(folder) else None
    if cache and all(channel in cache for channel in channels):
        examples, source = _test_clips(model, run, cache, selection), "predictions.csv"
        values: Values = [cache.read(channel, np.arange(0)) for channel in channels]
    else:
        from train.predict import FeatureExtractor

        extractor, rng = FeatureExtractor(model.config), np.random.default_rng(0)
        noise = rng.normal(0, 0.1, (NOISES, extractor.samples)).astype(np.float32)
        values = [np.stack(channel) for channel in zip(*map(extractor, noise))]
        source, whole = "the networks", np.ones(NOISES)
        examples = ((n, values, model.probabilities(values, f, whole)) for n, f in enumerate(model.folds))
    content = onnx_bytes(model, [(channel.shape[1], channel.shape[2]) for channel in values])
    session, names, largest = open_session(content), input_names(model.config), 0.0
    for number, values, expected in examples:
        fed = {name: channel.astype(np.float32) for name, channel in zip(names, values)}
        answer = session.run(["by_fold"], fed)[0][:, number]
        largest = max(largest, float(np.abs(answer - expected).max()))
    if largest > AGREES:
        raise RequestError(f"{file} is not written: its probabilities differ from {source} by {largest:.1e}")
    replace_file(file, content)
    folds = f"{len(model.folds)} of {len(run.folds)} folds"
    print(
        f"{file}: {folds}, {size(len(content))}; probabilities differ from {source} by {largest:.1e} at most"
    )
    return 0


# A fold's place among the folds, stored features, and the probabilities (B, K) that this fold's model gives.
Example = tuple[int, Values, Probabilities]


def _test_clips(model: TrainedModel, run: RunFolder, cache: Cache, selection: str) -> Iterator[Example]:
    """Some clips of each fold, as predictions.csv has them."""
    channels = parse_set(model.config["features"])
    for number, fold in enumerate(model.folds):
        rows = run.scored(fold, run.scored_split, selection)[:CHECKED]
        at_once = 1 if model.drops_padding else BATCH  # own frames differ from clip to clip
        for start in range(0, len(rows), at_once):
            chunk = rows[start : start + at_once]
            ids = chunk["clip_id"].tolist()
            values = cache.batch(channels, ids)
            if model.drops_padding:
                filled = cache.filled[cache.positions(ids)]
                values = [part[:, :, : int(own_frames(part.shape[2], filled)[0])] for part in values]
            yield number, values, chunk[model.classes].to_numpy()


def input_names(config: dict[str, Any]) -> list[str]:
    """One a channel, a second one of the same name numbered: mel, mel_2."""
    names: list[str] = []
    for channel in map(str, parse_set(config["features"])):
        again = names.count(channel) + sum(name.startswith(f"{channel}_") for name in names)
        names.append(f"{channel}_{again + 1}" if again else channel)
    return names


def onnx_bytes(model: TrainedModel, shapes: Sequence[Shape]) -> bytes:
    """The file: torch's TorchScript exporter, which needs no further package; metadata beside the network."""
    config, names = model.config, input_names(model.config)
    axes = {name: {0: "clips"} for name in (*names, "probabilities", "by_fold")}
    for name, (_, frames) in zip(names, shapes):
        if model.drops_padding and frames > 1:
            axes[name][2] = f"{name}_frames"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that it is not the newest exporter; what it wrote is checked
        torch.onnx.export(
            ExportedRun(model, shapes).eval(),
            tuple(torch.zeros(2, *shape) for shape in shapes),
            file := f"{folder}/model.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["probabilities", "by_fold"],
            dynamic_axes=axes,
        )
        proto = onnx.load(file)
    metadata = {key: config[key] for key in ("features", "channels", "sample_rate", "duration")}
    metadata |= {"classes": model.classes, "folds": list(model.folds)}
    metadata |= {"padding": "drop" if model.drops_padding else "keep"}
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))
    return proto.SerializeToString()


def open_session(content: bytes) -> Any:
    """onnxruntime on one core, silent."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
