"""`python -m train export`: a trained run as one ONNX file, for programs without torch and this project.

The file holds the networks of all finished folds with what stands before them: standardisation, resizing,
rounding to float16, and the average over views and folds behind them.

    inputs   one a channel, called by the feature's stored name, (B, rows, frames) float32, as in a cache;
             of a run without padding (metadata: padding) a clip's own frames alone, two at least
    outputs  probabilities (B, K), the mean over the folds, each scaled by the run's temperature; by_fold
             (B, F, K), as predictions.csv has them
    metadata classes, folds, sample_rate, duration and channels (names, parameters, rows of features) as JSON

Features are not part of it: docs/howto/predicting.md says how they are computed beside it. The file is
checked by onnxruntime before it is written: against predictions.csv where the cache is there, else on values
drawn from the statistics against the networks themselves.
"""

import copy
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from commandline.registry import RequestError
from commandline.terminal import size
from features_cache import Cache, cache_folder
from features_cache.cache import is_cache
from features_cache.names import parse_set
from features_cache.storage import refuse_special
from results import run_folder
from results.run_folder import RunFolder, replace_file
from results.scores import SMALLEST_PROBABILITY
from train.augment import views
from train.bundle import AGREES, BATCH, TrainedModel, Values, bundle_of_run
from train.data import LARGEST, Shape, Statistics, own_frames, resize
from train.models.texture import TextureNet, TextureStatistics
from train.options import ExportOptions

if TYPE_CHECKING:
    import onnx

OPSET = 18
CHECKED = 64  # clips of each fold
EXTRAS = "pip install -r requirements-extras.txt"


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
        self.register_buffer("rows", _axis(shape[0], grid[0]))  # (H, rows)
        self.register_buffer("frames", _axis(shape[1], grid[1]).T.contiguous())  # (frames, W)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        frames = _triangles(values.shape[2], self.width) if self.any_length else self.frames
        return self.rows @ values @ frames


def _axis(length: int, wanted: int) -> torch.Tensor:
    """(wanted, length): what resizing makes of each unit vector."""
    return resize(torch.eye(length)[None], (wanted, length))[0]


def _triangles(length: int, wanted: int) -> torch.Tensor:
    """(length, wanted): the transpose of `_axis` by its formula, which takes a length known at run time."""
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
        by_fold = [self._fold(number, values) for number in range(len(self.networks))]
        together = torch.stack(by_fold, dim=1)  # (B, F, K)
        logits = together.clamp_min(SMALLEST_PROBABILITY).log() / self.model.temperature
        return logits.softmax(2).mean(1), together

    def _fold(self, number: int, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, K) by the model of one fold."""
        network = self.networks[number]
        if self.kind == "linear":
            parts = [torch.cat([one.mean(2), one.std(2, unbiased=False)], dim=1) for one in values]
            return network(torch.cat(parts, dim=1)).softmax(1)
        standardised = list(self.standardised.children())[number]
        standard = [layer(one) for layer, one in zip(standardised.children(), values)]
        if self.kind == "vector":
            parts = [
                one[:, :, 0] if one.shape[2] == 1 else torch.cat([one.mean(2), one.std(2, unbiased=False)], 1)
                for one in standard
            ]
            return network(_rounded(torch.cat(parts, dim=1))[..., None, None]).softmax(1)
        x = _rounded(torch.stack([layer(one) for layer, one in zip(self.resized, standard)], dim=1))
        seen = views(x, self.model.augmenter, self.model.config["options"]["tta"])
        return torch.stack([network(view).softmax(1) for view in seen]).mean(0)


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
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise RequestError(f"FORMAT=onnx needs onnx and onnxruntime: {EXTRAS}") from None
    selection = run.selection(options.selection)
    model = TrainedModel(bundle_of_run(run, selection))
    folder = cache_folder(run.dataset, options.data, run.dataset)
    cache = Cache(folder) if is_cache(folder) else None
    shapes = channel_shapes(model, cache)
    content = onnx_bytes(model, shapes)
    largest, of = check_against_run(content, model, run, cache, selection, shapes)
    if largest > AGREES:
        raise RequestError(f"{file} is not written: its probabilities differ from {of} by {largest:.1e}")
    replace_file(file, content)
    folds = f"{len(model.folds)} of {len(run.folds)} folds"
    print(f"{file}: {folds}, {size(len(content))}; probabilities differ from {of} by {largest:.1e} at most")
    return 0


def channel_shapes(model: TrainedModel, cache: Cache | None) -> list[Shape]:
    """Rows and frames of each channel, from the cache or by computing the features of silence."""
    channels = parse_set(model.config["features"])
    if cache and all(channel in cache for channel in channels):
        read = (cache.read(channel, np.arange(0)).shape for channel in channels)
    else:
        from train.predict import FeatureExtractor

        extractor = FeatureExtractor(model.config)
        silence = np.zeros(extractor.samples, np.float32)
        read = ((0, *values.shape) for values in extractor(silence))
    return [(rows, frames) for _, rows, frames in read]


def input_names(config: dict[str, Any]) -> list[str]:
    """One a channel, a second one of the same name numbered: mel, mel_2."""
    names: list[str] = []
    for channel in map(str, parse_set(config["features"])):
        again = names.count(channel) + sum(one.startswith(f"{channel}_") for one in names)
        names.append(f"{channel}_{again + 1}" if again else channel)
    return names


def onnx_bytes(model: TrainedModel, shapes: Sequence[Shape]) -> bytes:
    """The file: torch's TorchScript exporter, which needs no further package; metadata beside the network."""
    import onnx

    names = input_names(model.config)
    exported = ExportedRun(model, shapes).eval()
    example = tuple(torch.zeros(2, *shape) for shape in shapes)
    axes = {name: {0: "clips"} for name in (*names, "probabilities", "by_fold")}
    for name, (_, frames) in zip(names, shapes):
        if model.drops_padding and frames > 1:
            axes[name][2] = f"{name}_frames"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that it is not the newest exporter; what it wrote is checked
        torch.onnx.export(
            exported,
            example,
            file := f"{folder}/model.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["probabilities", "by_fold"],
            dynamic_axes=axes,
        )
        proto = onnx.load(file)
    _describe(proto, model)
    return proto.SerializeToString()


def _describe(proto: "onnx.ModelProto", model: TrainedModel) -> None:
    config = model.config
    described = {
        "classes": model.classes,
        "folds": list(model.folds),
        "features": config["features"],
        "channels": config["channels"],
        "sample_rate": config["sample_rate"],
        "duration": config["duration"],
        "padding": "drop" if model.drops_padding else "keep",
    }
    for key, value in described.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))


def check_against_run(
    content: bytes,
    model: TrainedModel,
    run: RunFolder,
    cache: Cache | None,
    selection: str,
    shapes: Sequence[Shape],
) -> tuple[float, str]:
    """The largest difference of a probability by onnxruntime, and what it was compared with."""
    names = input_names(model.config)
    session = open_session(content)

    def by_fold(values: Values) -> np.ndarray:
        fed = {name: one.astype(np.float32) for name, one in zip(names, values)}
        return session.run(["by_fold"], fed)[0]

    largest = 0.0
    if cache is None:
        rng = np.random.default_rng(0)
        values = [_drawn(rng, how, shape) for how, shape in zip(_statistics(model, shapes), shapes)]
        whole = np.ones(len(values[0]))
        each = np.stack([model.probabilities(values, fold, whole) for fold in model.folds], axis=1)
        return float(np.abs(by_fold(values) - each).max()), "the networks"
    channels = parse_set(model.config["features"])
    for number, fold in enumerate(model.folds):
        rows = run.predictions(fold)
        rows = rows[(rows["split"] == run.scored_split) & (rows["selection"] == selection)][:CHECKED]
        at_once = 1 if model.drops_padding else BATCH  # own frames differ from clip to clip
        for start in range(0, len(rows), at_once):
            chunk = rows[start : start + at_once]
            ids = chunk["clip_id"].tolist()
            values = cache.batch(channels, ids)
            if model.drops_padding:
                filled = cache.filled[cache.positions(ids)]
                values = [one[:, :, : int(own_frames(one.shape[2], filled)[0])] for one in values]
            found = by_fold(values)[:, number]
            largest = max(largest, float(np.abs(found - chunk[model.classes].to_numpy()).max()))
    return largest, "predictions.csv"


def open_session(content: bytes) -> Any:
    """onnxruntime on one core, silent."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])


def _statistics(model: TrainedModel, shapes: Sequence[Shape]) -> list[Statistics]:
    """Of the first fold; of a linear model, which keeps its own, standard ones."""
    standard = Statistics("feature", np.zeros(1, np.float32), np.ones(1, np.float32))
    return next(iter(model.folds.values())).statistics or [standard for _ in shapes]


def _drawn(rng: np.random.Generator, statistics: Statistics, shape: Shape) -> np.ndarray:
    """Some clips of one channel with these statistics, (B, rows, frames)."""
    noise = rng.normal(size=(4, *shape)).astype(np.float32)
    return noise * statistics.scale[:, None] + statistics.centre[:, None]
