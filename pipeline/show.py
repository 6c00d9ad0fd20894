"""`python -m pipeline show FILE FEATURES="mel mfcc"`: features of an audio file, drawn
to a PNG.
"""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.names import parse_list
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import ShowCommand

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = TypeVar("Drawing", bound="Figure")
WIDTH, HEIGHT = 8.0, 2.2  # inches; the height is that of one feature


def run(options: ShowCommand) -> int:
    """The command `show`: draw the features of a file, and print the PNG's path."""
    from matplotlib.figure import Figure

    try:
        y = audio.decode(options.audio, options.sample_rate)
    except audio.AudioError as error:
        raise RequestError(f"{options.audio}: {error}") from None
    path = options.out or Path(f"{options.audio.stem}.png")
    figure = draw(
        Figure(layout="constrained"), Clip(y, options.sample_rate), options.features
    )
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise RequestError(f"OUT={path}: {error}") from None
    print(path)
    return 0


def draw(figure: "Drawing", clip: Clip, features: str) -> "Drawing":
    """Draw the features below each other: rows upwards, frames to the right; a single
    row is a curve.

    RequestError for an unknown feature, or one that cannot exist for this clip.

    draw(Figure(layout="constrained"), clip, "mel mfcc").savefig("clip.png")
    """
    sets = parse_list(features, list(FEATURES))
    names = list(dict.fromkeys(itertools.chain(*sets)))
    figure.set_size_inches(WIDTH, HEIGHT * len(names))
    axes = np.atleast_1d(figure.subplots(len(names)))
    for name, ax in zip(names, axes):
        variant = resolve_feature(name)
        values = variant.compute(clip)
        kept = name.kept_rows(len(values))
        values = values[kept]
        rows = variant.row_axis(clip.sample_rate)[kept]
        frames = variant.frame_axis(clip.sample_rate, len(clip.y))
        feature = variant.feature
        if len(values) == 1:
            ax.plot(frames, values[0], linewidth=0.8)
            ax.set_ylabel(feature.units)
        else:
            drawn = ax.pcolormesh(
                np.arange(len(frames)),
                np.arange(len(rows)),
                values,
                rasterized=True,
            )
            for axis, positions in ((ax.xaxis, frames), (ax.yaxis, rows)):
                count = len(positions)
                spaced = np.linspace(0, count - 1, min(6, count))
                ticks = spaced.round().astype(int)
                three_digits = [float(f"{positions[tick]:.3g}") for tick in ticks]
                axis.set_ticks(ticks, [f"{number:g}" for number in three_digits])
            ax.set_ylabel(feature.row_unit)
            figure.colorbar(drawn, ax=ax, label=feature.units)
        ax.set_xlabel(feature.frame_unit)
        ax.set_title(str(name), loc="left")
    return figure
