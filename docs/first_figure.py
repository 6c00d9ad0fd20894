"""The figure at the head of the README: one clip's features beside the accuracy of
feature sets.

    PYTHONPATH=. python docs/first_figure.py CLIP reports/esc10 docs/first.png

CLIP is ESC-10's audio/1-187207-A-20.ogg.

The accuracies and their intervals come from the report's comparison.csv, for the model
MODEL.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import featurestack as fs
from featurestack.commandline.quantities import percent
from featurestack.pipeline.clip_spectra import Clip

MODEL = "texture"
SHOWN = ("mel", "mfcc", "chroma")
SETS = ("mel+mfcc", "mel+mfcc+chroma", "mel+mel+mel", "mel", "cqt", "mfcc", "chroma")
LEAD, OTHER = "#0072b2", "#7f8c99"


def draw_waveform(ax: Axes, clip: Clip) -> None:
    ax.plot(
        np.arange(len(clip.y)) / clip.sample_rate, clip.y, color=OTHER, linewidth=0.4
    )
    ax.set_title("one clip: waveform", loc="left")
    ax.set_yticks([])


def draw_feature(ax: Axes, clip: Clip, name: str) -> None:
    shown = fs.compute(clip, name)
    values = shown.values[1:] if name == "mfcc" else shown.values  # row 0 is the level
    low, high = np.percentile(values, [2, 99.5])
    seconds = len(clip.y) / clip.sample_rate
    ax.imshow(values, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
    ax.images[0].set_extent((0, seconds, 0, len(values)))
    ax.set_title(f"{name}, {len(shown.values)} rows", loc="left")
    ax.set_yticks([])


def draw_forest(ax: Axes, report: Path) -> None:
    table = pd.read_csv(report / "tables" / "comparison.csv")
    # ranked runs
    table = table[(table.model == MODEL) & table.reason.isna()].set_index("features")
    for place, name in enumerate(reversed(SETS)):
        row = table.loc[name]
        color = LEAD if "+" in name else OTHER
        ax.plot(
            [100 * row.accuracy_low, 100 * row.accuracy_high],
            [place, place],
            color=color,
            linewidth=2.5,
        )
        ax.plot(100 * row.accuracy, place, "o", color=color, markersize=8)
        ax.annotate(
            percent(row.accuracy),
            (100 * row.accuracy, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            color=color,
        )
    ax.set_yticks(
        range(len(SETS)), [name.replace("+", " + ") for name in reversed(SETS)]
    )
    ax.set_ylim(-0.5, len(SETS) - 0.3)
    ax.set_xlabel("accuracy in %, with 95 % interval")
    ax.set_title(
        "what each set of features is worth (ESC-10, 5 folds, 3 seeds)", loc="left"
    )


def main(clip: str, report: str, out: str) -> None:
    """Draw the figure; `clip` is an audio file, `report` the folder of a report, `out`
    a PNG file.
    """
    read = fs.read(clip, seconds=5.0)
    plt.rcParams.update(
        {
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    figure = plt.figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    axes = left.subplots(1 + len(SHOWN), 1, sharex=True, height_ratios=(0.6, 1, 1, 1))
    draw_waveform(axes[0], read)
    for ax, name in zip(axes[1:], SHOWN, strict=True):
        draw_feature(ax, read, name)
    axes[-1].set_xlabel("seconds")
    draw_forest(right.subplots(), Path(report))
    figure.savefig(out, dpi=160)


if __name__ == "__main__":
    main(*sys.argv[1:])
