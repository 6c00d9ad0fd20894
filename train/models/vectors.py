"""Networks on vectors (B, D, 1, 1), the inputs of the kinds `vector` and `linear` in
train/network_input.py. A feature of several frames enters as the numbers of
`over_columns`, so that `mel+embedding` is one input.

`mlp` has two linear layers and dropout. `linear` is scikit-learn's logistic regression,
`ridge` is kernel ridge regression; both are solved exactly, in seconds on a CPU. They
are networks too, so that they save weights and predictions as any other model does.

`texturenet` averages several networks on texture statistics of each channel, which do
not depend on the order of events (McDermott and Simoncelli 2011,
doi:10.1016/j.neuron.2011.06.032). Its patterns along frequency and their modulation in
time follow joint time-frequency scattering (Andén, Lostanlen and Mallat 2019,
doi:10.1109/TSP.2019.2918992), with cosines instead of wavelets.
"""

import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn

from featurestack import ridge
from featurestack.base.terminal import tell_once
from featurestack.comparison.metrics import Floats
from featurestack.results.training_options import STRENGTH
from featurestack.ridge import ABSENT, means_and_deviations
from featurestack.train.network_input import ChannelSize, Planes

MODULATION_BANDS = 32  # groups of rows that are averaged for modulation spectra
# largest number of ranges of modulation frequency; the lowest begins at one period per
# clip
RANGES = 8
DROPOUT = 0.5
# added to the modulation spectrum before the logarithm, in standard deviations of the
# input
MODULATION_FLOOR = 0.05
SPECTRUM_ROWS = 64  # a channel with fewer rows gets no patterns along frequency
# windows along frequency: rows divided by a window's length -> cosines in a window
COSINE_WINDOWS = {4: 6, 2: 8}

# A wider feature of a set has no more weight than one of so many numbers (stft, the
# widest made by hand), since a vector of 8,192 numbers would drown out one of 1,024.
# This limit raises YAMNet from 80.8 % to 85.2 %, on folds 1 to 3 of ESC-50, each tested
# by the model of the other two.
WIDEST = 2050
# Tolerance of Newton's method with conjugate gradients: probabilities are within 1e-4
# of those at the minimum. L-BFGS needs thousands of steps, since features correlate.
SOLVER_TOLERANCE = 1e-6
PART = 64  # support clips that are squared at once
MOST_STEPS = 200  # ESC-50 needs 15


class VectorNet(nn.Module):
    """Standardisation, a hidden and a linear layer: (B, D, 1, 1) to (B, classes)."""

    def __init__(
        self, dimensions: int, classes: int, width: int, dropouts: tuple[float, float]
    ) -> None:
        """`dropouts` apply before the hidden layer and before the last layer."""
        super().__init__()
        before_hidden, before_head = dropouts
        self.norm = nn.BatchNorm1d(dimensions, affine=False)
        self.hidden = nn.Sequential(
            nn.Dropout(before_hidden),
            nn.Linear(dimensions, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(before_head), nn.Linear(width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x.flatten(1))
        x = self.hidden(x)  # (B, width)
        return self.head(x)


@dataclass(frozen=True)
class TrainingClips:
    """The clips that an exact model is fitted to.

    x              (N, D), which a fit may overwrite
    y              (N,) class numbers, or (N, K) labels
    groups         (N,) source recordings
    originals      (N,) whether a clip counts for means, deviations and choices
    widths         the number of values of each feature
    blocks         the number of values of each feature, or of each of its layers
    class_weights  (K,) weights by BALANCE=loss
    """

    x: NDArray[np.float32]
    y: NDArray[np.integer]
    groups: NDArray[np.generic]
    originals: NDArray[np.bool_]
    widths: Sequence[int]
    blocks: Sequence[int]
    class_weights: NDArray[np.float32] | None = None


class ExactNet(nn.Module):
    """Standardisation and a linear layer: (B, D, 1, 1) to logits (B, classes)."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dimensions: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("scale", torch.ones(dimensions))
        self.head = nn.Linear(dimensions, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.standardised(x))

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) - self.mean) / self.scale

    def fit(self, training: TrainingClips) -> None:
        """Set the weights to the solution for these clips."""
        raise NotImplementedError

    @torch.no_grad()
    def set(self, **values: NDArray[np.floating]) -> None:
        """Copy these values into the buffers and parameters of the same names."""
        tensors = {**dict(self.head.named_parameters()), **dict(self.named_buffers())}
        for name, array in values.items():
            tensors[name].copy_(torch.from_numpy(array))


class LinearNet(ExactNet):
    """Logistic regression."""

    def __init__(self, dimensions: int, classes: int, strength: float) -> None:
        super().__init__(dimensions, classes)
        self.strength = strength

    def fit(self, training: TrainingClips) -> None:
        counted = training.class_weights
        if counted is None:
            counted = np.ones(self.head.out_features, np.float32)
        strengths = strengths_of(training.widths, self.strength)
        x = training.x.astype(np.float64)
        mean, scale = means_and_deviations(x[training.originals])
        x -= mean
        x /= scale
        root = np.sqrt(strengths / self.strength)
        x *= root  # a number with a larger C has a smaller penalty
        weight, bias = logistic_regression(x, training.y, counted, self.strength)
        self.set(mean=mean, scale=scale, weight=weight * root, bias=bias)


def strengths_of(widths: Sequence[int], strength: float) -> Floats:
    """(D,) the C of each number of a feature set, from the widths (F,) of its features:
    smaller in features wider than WIDEST, with the mean `strength` over all.
    """
    sizes = np.array(widths, float)
    counted = np.minimum(sizes, WIDEST)
    shares = counted / sizes * (sizes.sum() / counted.sum())
    return np.repeat(strength * shares, widths)


def logistic_regression(
    z: Floats,
    y: NDArray[np.integer] | NDArray[np.bool_],
    counted: NDArray[np.floating],
    strength: float = STRENGTH,
) -> tuple[Floats, Floats]:
    """Weights (K, D) and biases (K,) fitted to standardised clips z (N, D) and class
    numbers y (N,), or to labels y (N, K), each against the rest. A class without clips
    is never predicted.

    counted  (K,) the weight of a clip of each class, or with the label
    """
    from sklearn.linear_model import LogisticRegression

    classes, (clips, numbers) = len(counted), z.shape
    weight, bias = np.zeros((classes, numbers)), np.full(classes, ABSENT)
    basis = None
    if clips < numbers:
        # the penalty keeps the weights within the span of the clips
        values, vectors = np.linalg.eigh(z @ z.T)
        kept = values > values[-1] * clips * np.finfo(float).eps
        root = np.sqrt(values[kept])
        z, basis = vectors[:, kept] * root, (vectors[:, kept] / root).T @ z

    def solve(target: NDArray[Any], counts: NDArray[np.floating]) -> tuple[Any, Any]:
        model = LogisticRegression(
            C=strength, solver="newton-cg", tol=SOLVER_TOLERANCE, max_iter=MOST_STEPS
        )
        with warnings.catch_warnings(action="ignore"), threadpool_limits(1):
            model.fit(z, target, counts)
        if model.n_iter_.max() >= MOST_STEPS:
            tell_once(
                f"a linear model was not at its minimum after {MOST_STEPS:,} steps: its"
                " probabilities are approximate; a stronger penalty converges sooner,"
                " as in MODEL=linear@C=0.01"
            )
        weights = model.coef_ if basis is None else model.coef_ @ basis
        return weights, model.intercept_

    if y.ndim == 2:
        for label, has in enumerate(y.T > 0):
            if has.all():
                bias[label] = -ABSENT
            elif has.any():
                of_label = solve(has, np.where(has, counted[label], 1.0))
                weight[label], bias[label] = of_label[0][0], of_label[1][0]
        return weight, bias
    fitted = np.unique(y)
    bias[fitted] = 0
    if len(fitted) > 1:
        # of two classes one row, the log odds of the second
        rows = fitted[1:] if len(fitted) == 2 else fitted
        weight[rows], bias[rows] = solve(y, counted[y])
    return weight, bias


class RidgeNet(ExactNet):
    """Kernel ridge regression: a linear layer, plus one on similarities to the support
    clips if there are any. Standardised values are clamped to `bound`.
    """

    bound: torch.Tensor
    support: torch.Tensor  # (M, D) standardised
    dual: torch.Tensor  # (classes, M)
    foreign: torch.Tensor  # (classes, classes) of ridge.RidgeModel

    def __init__(self, dimensions: int, classes: int) -> None:
        super().__init__(dimensions, classes)
        self.register_buffer("bound", torch.ones(dimensions))
        self.register_buffer("support", torch.zeros(0, dimensions))
        self.register_buffer("dual", torch.zeros(classes, 0))
        self.register_buffer("foreign", torch.zeros(0, 0))

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        return super().standardised(x).clamp(-self.bound, self.bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.standardised(x)
        logits = self.head(z)
        if not len(self.support):
            return logits
        # part by part, so that no second support is in memory
        support = torch.cat([(part**2).sum(1) for part in self.support.split(PART)])
        squares = (z**2).sum(1, keepdim=True) + support
        distances = squares - 2 * z @ self.support.T
        return logits + torch.exp(-distances.clamp(min=0)) @ self.dual.T

    def fit(self, training: TrainingClips) -> None:
        fitted = ridge.fit(
            training.x,
            training.y,
            self.head.out_features,
            training.blocks,
            training.groups,
            training.originals,
            training.class_weights,
            overwrite=True,
            foreign=True,
        )
        weights = {"weight": fitted.weight, "bias": fitted.bias}
        self.set(**weights, **fitted.standard._asdict())
        self.support = torch.from_numpy(fitted.support).float()
        self.dual = torch.from_numpy(fitted.dual).float()
        self.foreign = torch.from_numpy(fitted.foreign).float()

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *details: Any
    ) -> None:
        # only a fit knows the number of support clips, and whether classes are left out
        for name in ("support", "dual", "foreign"):
            if (stored := state_dict.get(f"{prefix}{name}")) is not None:
                setattr(self, name, torch.zeros_like(stored))
        super()._load_from_state_dict(state_dict, prefix, *details)


# ---- texture statistics


class TextureStatistics(nn.Module):
    """Feature maps (B, C, H, W) to statistics (B, the sum of `sizes`), without weights.

    The statistics of a channel in time are the mean, deviation and maximum of each row,
    and the logarithm of the modulation spectrum (magnitudes of the Fourier transform
    along time) of each band, in ranges of equal ratio. With SPECTRUM_ROWS rows or more,
    each of `patterns` along the rows gives a mean, a deviation and such a spectrum too.
    Rows that the grid repeats are averaged back, to at least MODULATION_BANDS rows:
    single values would rarely survive the dropout. Any other channel gives all its
    values.

    `frames` is W; few frames give fewer ranges. A circular shift in time changes no
    statistic.
    """

    def __init__(self, planes: Planes, frames: int) -> None:
        super().__init__()
        self.planes = planes
        self.edges = range_edges(frames // 2)
        maps = (torch.zeros(1, plane.rows, frames, device="cpu") for plane in planes)
        # the number of statistics of each channel
        self.sizes = [len(self.of_channel(*each)[0]) for each in zip(maps, planes)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        planes = enumerate(self.planes)
        statistics = [self.of_channel(x[:, number], plane) for number, plane in planes]
        return torch.cat(statistics, dim=1)

    def of_channel(self, x: torch.Tensor, plane: ChannelSize) -> torch.Tensor:
        """One channel (B, H, W) to its statistics (B, size)."""
        if not plane.timed:
            return pool(x, plane.rows, plane.columns).flatten(1)
        frames = x.shape[2]
        rows = pool(x, max(MODULATION_BANDS, plane.rows), frames)
        bands = pool(x, MODULATION_BANDS, frames)
        statistics = [rows.mean(2), rows.std(2), rows.amax(2), self.modulation(bands)]
        if plane.rows >= SPECTRUM_ROWS:
            cosines = torch.from_numpy(patterns(plane.rows)).to(x.device)
            along_rows = cosines @ rows
            statistics += [
                along_rows.mean(2),
                along_rows.std(2),
                self.modulation(along_rows),
            ]
        return torch.cat(statistics, dim=1)

    def modulation(self, x: torch.Tensor) -> torch.Tensor:
        """(B, rows, W) to logarithms of modulation spectra, (B, rows * ranges)."""
        centred = x - x.mean(2, keepdim=True)
        spectrum = magnitudes(centred)[..., 1:]  # (B, rows, W // 2)
        edges = zip(self.edges, self.edges[1:])
        ranges = [spectrum[..., low:high].mean(2) for low, high in edges]
        modulation = torch.stack(ranges, dim=2) + MODULATION_FLOOR
        return modulation.log().flatten(1)


@functools.cache
def patterns(rows: int) -> NDArray[np.float32]:
    """(patterns, rows): cosines in windows of a quarter and of half the rows."""
    every = []
    for parts, cosines in COSINE_WINDOWS.items():
        length = rows // parts
        taper = np.hanning(length + 2)[1:-1]
        places = (np.arange(length) + 0.5) / length
        hop = length // 2
        for start in range(0, rows - length + 1, hop):
            end = start + length
            for order in range(1, cosines + 1):
                cosine = np.sqrt(2 / length) * np.cos(np.pi * order * places)
                pattern = np.zeros(rows, np.float32)
                pattern[start:end] = taper * cosine
                every.append(pattern)
    return np.stack(every)


# The export has no adaptive pooling and no Fourier transform, so an exported network
# multiplies by matrices instead.


def pool(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Averages over groups of rows and columns: (..., H, W) to (..., rows, columns)."""
    if torch.onnx.is_in_onnx_export():
        over_rows = averaging(x.shape[-2], rows)
        over_columns = averaging(x.shape[-1], columns)
        return over_rows.T @ x @ over_columns
    return nn.functional.adaptive_avg_pool2d(x, (rows, columns))


def averaging(length: int, groups: int) -> torch.Tensor:
    """(length, groups): the weight of each value in each group's average."""
    edges = np.arange(groups + 1) * int(length) / int(groups)
    place = np.arange(int(length))[:, None]
    begin = np.floor(edges[:-1])
    end = np.ceil(edges[1:])
    inside = (place >= begin) & (place < end)
    weights = inside / inside.sum(axis=0)
    return torch.from_numpy(weights.astype(np.float32))


def magnitudes(x: torch.Tensor) -> torch.Tensor:
    """Magnitudes of the Fourier transform: (..., W) to (..., 1 + W // 2)."""
    if torch.onnx.is_in_onnx_export():
        impulses = np.eye(int(x.shape[-1]))
        transform = np.fft.rfft(impulses).astype(np.complex64)
        waves = torch.from_numpy(transform)
        real = x @ waves.real
        imaginary = x @ waves.imag
        return (real.square() + imaginary.square()).sqrt()
    spectrum = torch.fft.rfft(x, dim=-1)
    return spectrum.abs()


def range_edges(bins: int) -> list[int]:
    """The edges of up to RANGES ranges of 0..bins in equal ratios, each of at least one
    bin.

    >>> range_edges(108)
    [0, 2, 3, 6, 10, 19, 34, 60, 108]
    """
    edges = {round(bins ** (step / RANGES)) for step in range(1, RANGES + 1)}
    return sorted({0, *edges})


class TextureNet(nn.Module):
    """Texture statistics, then several networks on vectors, whose logits are averaged:
    (B, C, H, W) to (B, classes), in training (B, members, classes).
    """

    def __init__(
        self, planes: Planes, classes: int, frames: int, width: int, members: int
    ) -> None:
        super().__init__()
        # has no weights, so it runs only once if augmentations only shift
        self.shift_invariant = TextureStatistics(planes, frames)
        numbers = sum(self.shift_invariant.sizes)
        networks = [
            VectorNet(numbers, classes, width, (DROPOUT, DROPOUT))
            for _ in range(members)
        ]
        self.members = nn.ModuleList(networks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (B, C, H, W), or their statistics as (B, numbers, 1, 1)."""
        # a spectrum needs more than bf16's eight bits
        with torch.autocast(x.device.type, enabled=False):
            statistics = x.float()
            if x.shape[2:] != (1, 1):
                statistics = self.shift_invariant(statistics)
            by_member = [member(statistics) for member in self.members]
            logits = torch.stack(by_member, dim=1)
        return logits if self.training else logits.mean(1)
