"""Figures of single clips for notebooks: features, and predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from featurestack.analysis.clips import read_batches, shrink
from featurestack.analysis.error_browser import TOP
from featurestack.analysis.figures.drawing import (
    INK,
    SERIES,
    SPECTRUM,
    VISIBLE,
    figure,
    panels,
    row_height,
    shorten,
)
from featurestack.analysis.runs import Run
from featurestack.commandline.quantities import percent
from featurestack.features_cache import Cache
from featurestack.scores.metrics import largest_first

GALLERY_COLUMNS = 3
SHARP = 64  # rows that an image has at least: few would blur into each other
SAMPLES_A_ROW = 4
SAMPLES_EACH = 4
SAMPLE_SIZE = 112, 288  # largest height and width in pixels


@dataclass(frozen=True)
class FeatureMap:
    """A feature of one clip: `values` (rows, frames), both axes, and the units that the
    cache records.

    `seconds` has the time of each frame, or its position in `frame_unit` if columns are
    not time.
    """

    name: str
    values: np.ndarray
    rows: np.ndarray
    row_unit: str
    seconds: np.ndarray
    units: str = ""
    frame_unit: str = "s"

    def __repr__(self) -> str:
        rows, frames = self.values.shape
        return (
            f"FeatureMap({self.name}, {rows} rows x {frames} frames,"
            f" {self.units or 'no unit'})"
        )


@figure(
    "All cached features of one clip",
    row_height("features", 0.5, 1.35, GALLERY_COLUMNS),
    pixels=True,
)
def draw_gallery(ax: Axes, *, features: Sequence[FeatureMap], title: str = "") -> Axes:
    """Draw a panel for each feature: an image, or a line of one row."""
    drawn = panels(ax, len(features), GALLERY_COLUMNS, wide=0.42, high=0.75)
    for panel, feature in zip(drawn, features):
        end = float(feature.seconds[-1]) or 1.0  # 1.0 if a single frame has no extent
        if len(feature.values) == 1:
            panel.plot(
                feature.seconds, feature.values[0], color=SERIES[0], linewidth=0.6
            )
            panel.set_ylabel(feature.units, labelpad=1)
        else:
            feature_map_image(panel, feature.values, end)
            panel.set_yticks(*named_places(feature.rows))
            panel.set_ylabel(feature.row_unit, labelpad=1)
            if feature.frame_unit != "s":  # its frames need not be equally far apart
                places, names = named_places(feature.seconds)
                panel.set_xticks((places + 0.5) * end / len(feature.seconds), names)
        panel.set_xlim(0, end)
        panel.set_title(shorten(feature.name, 22), pad=3)
        panel.set_xlabel(feature.frame_unit, labelpad=0.5)
        panel.tick_params(length=1.5, pad=1.5)
    ax.set_title(title, pad=16)
    return ax


def format_plain(value: float) -> str:
    """A number with three significant digits, whole from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def named_places(axis: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Up to four rows or frames, about equally far apart, and their values."""
    spaced = np.linspace(0, len(axis) - 1, 4)
    places = np.unique(spaced.round().astype(int))
    names = [format_plain(float(axis[place])) for place in places]
    return places, names


@dataclass(frozen=True)
class SamplePrediction:
    """A clip's feature map (rows, frames), true class, and likeliest classes."""

    outcome: str  # correct | wrong | uncertain
    clip_id: str
    feature_map: np.ndarray
    seconds: float
    true_class: str
    top: tuple[tuple[str, float], ...]


@figure(
    "Correct, wrong and uncertain predictions, with the three most probable classes",
    row_height("samples", 0.3, 1.75, SAMPLES_A_ROW),
    pixels=True,
)
def draw_sample_predictions(ax: Axes, *, samples: Sequence[SamplePrediction]) -> Axes:
    """Draw each clip's feature map, true class and likeliest classes."""
    for panel, sample in zip(
        panels(ax, len(samples), SAMPLES_A_ROW, wide=0.1, high=1.35), samples
    ):
        feature_map_image(panel, sample.feature_map, sample.seconds)
        panel.set(xticks=[], yticks=[])
        clip = shorten(sample.clip_id, 20 - len(sample.outcome))
        panel.set_title(f"{sample.outcome} · {clip}", weight="normal", pad=3)
        lines = [(f"true: {shorten(sample.true_class, 17)}", False)]
        for name, probability in sample.top:
            hit = name == sample.true_class
            mark = " ✓" if hit else ""
            text = f"{percent(probability, 0):>3} %  {shorten(name, 14)}{mark}"
            lines.append((text, hit))
        for line, (text, hit) in enumerate(lines):
            panel.text(
                0,
                -0.06 - 0.22 * line,
                text,
                transform=panel.transAxes,
                va="top",
                color=SERIES[0] if hit else INK,
                weight="bold" if hit else "normal",
            )
    return ax


def feature_map_image(panel: Axes, values: np.ndarray, seconds: float) -> None:
    """Draw (rows, frames), low rows at the bottom; VISIBLE values have colours."""
    values = np.asarray(values, np.float32)
    low, high = np.percentile(values, VISIBLE)
    panel.imshow(
        np.repeat(values, -(-SHARP // len(values)), axis=0),
        origin="lower",
        aspect="auto",
        cmap=SPECTRUM,
        vmin=low,
        vmax=high,
        extent=(0, seconds, -0.5, len(values) - 0.5),
        interpolation="antialiased",
    )


def choose_samples(
    run: Run, cache: Cache, feature: str, rng: np.random.Generator
) -> list[SamplePrediction]:
    """Up to SAMPLES_EACH correct, wrong and uncertain clips, if their feature maps can
    be read.

    A clip counts as correct or as wrong if it is so for all seeds; `rng` draws among
    these clips. Uncertain clips have the smallest margins between the two likeliest
    classes. Probabilities are means over the seeds.
    """
    probabilities = run.probabilities.mean(axis=0)
    order = largest_first(probabilities)[:, :TOP]
    two_largest = np.sort(probabilities, axis=1)[:, -2:]
    margin = np.diff(two_largest, axis=1).sum(axis=1)
    chosen = {
        "correct": rng.permutation(np.flatnonzero(run.correct == 1)),
        "wrong": rng.permutation(np.flatnonzero(run.correct == 0)),
        "uncertain": np.argsort(margin, kind="stable"),
    }
    samples = []
    for outcome, rows in chosen.items():
        row_of = {str(run.clip_ids[row]): row for row in rows[:SAMPLES_EACH]}
        for ids, values in read_batches(cache, feature, list(row_of)):
            for clip, value in zip(ids, values):
                row = row_of[clip]
                true = run.classes[run.target[row]]
                top = tuple(
                    (run.classes[place], float(probabilities[row, place]))
                    for place in order[row]
                )
                shown = shrink(value, SAMPLE_SIZE), cache.duration or 1.0
                samples.append(SamplePrediction(outcome, clip, *shown, true, top))
    return samples
