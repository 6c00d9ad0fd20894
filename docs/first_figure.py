"""The figure at the head of the README: one clip's features beside the accuracy of
feature sets.

    PYTHONPATH=. python docs/first_figure.py CLIP docs/first.png

CLIP is ESC-10's audio/1-187207-A-20.ogg. The accuracies and their intervals are those
of docs/tables/esc10.csv, for the model MODEL.
"""

import io
import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

import featurestack as fs
from docs import tables
from featurestack.pipeline.clip_spectra import Clip

MODEL = "texturenet"
SHOWN = {"mel": "band", "mfcc": "coefficient", "chroma": "pitch class"}  # axes
SETS = ("mel+mfcc+chroma", "mel+mfcc", "mel+mel+mel", "mel", "cqt", "mfcc", "chroma")
BLUE, GREY = "#0072b2", "#7f8c99"


def draw_waveform(ax: Axes, clip: Clip) -> None:
    ax.plot(
        np.arange(len(clip.y)) / clip.sample_rate, clip.y, color=GREY, linewidth=0.4
    )
    ax.set_title("one clip: waveform", loc="left")
    ax.set_ylabel("amplitude")
    ax.set_yticks([])


def draw_feature(ax: Axes, clip: Clip, name: str) -> None:
    shown = fs.compute(clip, name)
    values = shown.values[1:] if name == "mfcc" else shown.values  # row 0 is the level
    low, high = np.percentile(values, [2, 99.5])
    seconds = len(clip.y) / clip.sample_rate
    ax.imshow(values, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
    ax.images[0].set_extent((0, seconds, 0, len(values)))
    ax.set_title(f"{name}, {len(shown.values)} rows", loc="left")
    ax.set_ylabel(SHOWN[name])
    ax.set_yticks([])


def draw_forest(ax: Axes) -> None:
    rows = tables.read("esc10")
    for place, name in enumerate(reversed(SETS)):
        row = rows[name]
        accuracy = row[MODEL]
        interval = [row[f"{MODEL}_low"], row[f"{MODEL}_high"]]
        ax.plot(interval, [place, place], color=BLUE, linewidth=2.5)
        ax.plot(accuracy, place, "o", color=BLUE, markersize=8)
        ax.annotate(
            f"{accuracy:.1f}",
            (accuracy, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            color=BLUE,
        )
    ax.set_yticks(
        range(len(SETS)), [name.replace("+", " + ") for name in reversed(SETS)]
    )
    ax.set_ylim(-0.5, len(SETS) - 0.3)
    ax.set_xlabel(f"accuracy of {MODEL} in %, with 95 % interval")
    ax.set_title("seven feature sets on ESC-10", loc="left")


def main(clip: str, out: str) -> None:
    """Draw the figure; `clip` is an audio file, `out` a PNG file."""
    read = fs.read(clip, seconds=5.0)
    plt.rcParams.update(
        {
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    figure = plt.figure(figsize=(10, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    axes = left.subplots(1 + len(SHOWN), 1, sharex=True, height_ratios=(0.6, 1, 1, 1))
    draw_waveform(axes[0], read)
    for ax, name in zip(axes[1:], SHOWN, strict=True):
        draw_feature(ax, read, name)
    axes[-1].set_xlabel("seconds")
    draw_forest(right.subplots())
    figure.align_labels()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150)
    Image.open(drawn).convert("RGB").quantize(128).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
