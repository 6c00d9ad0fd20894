"""`make show`: the features that there are, their cards, a figure of those of an audio
file, or those in a cache.

A card begins with the docstring of the feature's function: a summary, then the formula,
what changes the feature, what it ignores and how to read its feature map.
"""

import io
import itertools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.tables import text_table
from featurestack.features_cache.names import Channel, parse_channel, parse_list
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, Impossible, resolve_feature
from featurestack.pipeline.options import ShowOptions
from featurestack.storage.own_files import OwnFiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = TypeVar("Drawing", bound="Figure")
MEASURED = Path(__file__).with_name("class_pairs.csv")  # written by docs/cards.py
HEADINGS = ("Formula", "Changes with", "Ignores", "Feature map")
TYPICAL_RATE = 44100  # Hz
# Hz and samples of the clips that a card describes
TYPICAL = TYPICAL_RATE, 5 * TYPICAL_RATE
STORED_BYTES = 2  # bytes of a float16
LINE, INDENT = 100, 15  # characters of a card
WIDTH, HEIGHT = 8.0, 2.2  # inches; the height is that of one feature
DRAWN = "mel mfcc chroma"  # by default
TICKS = 6  # on an axis, about
CEPSTRUM = "dB, cepstrum"  # row 0, the level, is far larger than the others
RECORD = ".show.json"

Numbers = NDArray[np.number]


def list_features(options: ShowOptions) -> None:
    """Print the table, or the cards of some features."""
    if not options.features:
        print(feature_table(options.sample_rate or TYPICAL_RATE, options.duration))
        return
    print("\n\n".join(map(printed_card, options.features.split())))


def printed_card(name: str) -> str:
    """The card of a feature, a heading and its text below the other."""
    blanks = " " * INDENT
    lines = [name, ""]
    for heading, text in card(name).items():
        first = f"{heading + ':':{INDENT}}"
        lines.append(
            textwrap.fill(text, LINE, initial_indent=first, subsequent_indent=blanks)
        )
    return "\n".join(lines)


def card(name: str) -> dict[str, str]:
    """The card of a feature or a variant: heading -> text, in the order shown."""
    variant = resolve_feature(parse_channel(name))
    rows, frames = variant.shape(*TYPICAL)
    axis = variant.row_axis(TYPICAL[0])
    feature = variant.feature
    measured = pd.read_csv(MEASURED, index_col=0)
    summary, *texts = re.split(
        rf"^ *({'|'.join(HEADINGS)}):", feature.function.__doc__ or "", flags=re.M
    )
    ranges = (
        f" ({feature.row_unit} {axis[0]:.4g} to {axis[-1]:.4g})" if rows > 1 else ""
    )
    ends = variant.frame_axis(*TYPICAL)[[0, -1]]
    columns = f"columns ({feature.frame_unit} {ends[0]:.4g} to {ends[1]:.4g})"
    columns = "frames for 5 s" if feature.frame_unit == "s" else columns
    settings = []
    for key, value in variant.parameters.items():
        shown = f"{value:g}" if isinstance(value, float) else value
        settings.append(f"{key}={'none' if value is None else shown}")
    lines = {
        "What it is": summary,
        **dict(zip(texts[::2], texts[1::2])),
        "Values": (
            f"{feature.units}; {rows} {'row' if rows == 1 else 'rows'}{ranges},"
            f" {frames} {columns}"
        ),
        "Parameters": ", ".join(settings) or "none",
    }
    if name in measured.index:
        best, worst = measured.loc[name, ["best", "worst"]]
        lines["Separates"] = f"best {best}; worst {worst} (chance: 50 % for a pair)"
    return {heading: " ".join(text.split()) for heading, text in lines.items()}


def feature_table(sample_rate: int, seconds: float) -> str:
    """Every feature at this rate and duration, with its size for one clip."""
    lines = list[tuple[object, ...]]()
    remarks = []
    samples = round(seconds * sample_rate)
    whole = 0.0
    for name, feature in FEATURES.everything().items():
        variant = resolve_feature(Channel(name))
        try:
            rows, frames = variant.shape(sample_rate, samples)
        except Impossible as reason:
            remarks.append(str(reason))
            continue
        megabytes = rows * frames * STORED_BYTES / 1e6
        whole += megabytes
        lines.append((name, rows, frames, f"{megabytes:.3f}", feature.units))
    lines.append(("all", "", "", f"{whole:.3f}", ""))
    for of_room in rooms.loaded("list_remarks", only=[*rooms.names("list_remarks")]):
        remarks += of_room()
    remarks.append(
        f"For a clip of {seconds:g} s at {sample_rate} Hz: MB stored as float16."
        f" {make_command('bench')} measures time.\n"
        f"{make_command('show', 'FEATURES=mel')} shows what a feature is and what it"
        " is good for."
    )
    table = text_table(lines, ("name", "rows", "frames", "MB", "units"))
    return "\n".join([table, "", *remarks])


def panels(names: list[Channel], sample_rate: int) -> Iterator[Channel]:
    """The features, each cepstrum without its row 0, the level, which is apart."""
    for name in names:
        variant = resolve_feature(name)
        first, last = name.rows or (0, len(variant.row_axis(sample_rate)) - 1)
        if variant.feature.units == CEPSTRUM and first == 0 < last:
            yield replace(name, rows=(0, 0))
            yield replace(name, rows=(1, last))
        else:
            yield name


def round_ticks(positions: Numbers) -> tuple[Numbers, list[str]]:
    """Places on an axis of these positions, and round numbers for them; evenly spaced
    positions if they do not increase.

    >>> round_ticks(np.linspace(0, 5, 431))[1]
    ['0', '1', '2', '3', '4', '5']
    >>> round_ticks(np.geomspace(32, 8000, 84))[1]
    ['50', '100', '200', '500', '1000', '2000', '5000']
    """
    from matplotlib.ticker import MaxNLocator

    places = np.arange(len(positions))
    steps = np.diff(positions)
    if len(steps) == 0 or (steps <= 0).any():
        chosen = np.unique(np.linspace(0, len(places) - 1, TICKS).round().astype(int))
        return places[chosen], [f"{positions[place]:.3g}" for place in chosen]
    low, high = positions[0], positions[-1]
    if steps[-1] > 2 * steps[0]:  # a scale of frequencies
        decades = 10.0 ** np.arange(6)
        values = np.outer(decades, [1.0, 2.0, 5.0]).ravel()
    else:
        locator = MaxNLocator(TICKS, steps=[1, 2, 5, 10])
        values = np.array(locator.tick_values(low, high), float)
    values = values[(values >= low) & (values <= high)]
    ticks = np.interp(values, np.array(positions, float), places)
    apart = len(places) / (2 * TICKS)
    kept = np.flatnonzero(np.diff(ticks, append=np.inf) >= apart)
    return ticks[kept], [f"{values[place]:g}" for place in kept]


def draw(figure: "Drawing", clip: Clip, features: str) -> "Drawing":
    """Draw features below each other, frames to the right; a single row is a curve."""
    sets = parse_list(features, list(FEATURES.everything()))
    distinct = list(dict.fromkeys(itertools.chain(*sets)))
    names = list(panels(distinct, clip.sample_rate))
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
                np.arange(len(frames)), np.arange(len(rows)), values, rasterized=True
            )
            for axis, positions in ((ax.xaxis, frames), (ax.yaxis, rows)):
                axis.set_ticks(*round_ticks(positions))
            ax.set_ylabel(feature.row_unit)
            figure.colorbar(drawn, ax=ax, label=feature.units)
        ax.set_xlabel(feature.frame_unit)
        ax.set_title(str(name), loc="left")
    return figure


def draw_file(options: ShowOptions, file: Path) -> None:
    """Draw the features of a file, and print the PNG's path."""
    from matplotlib.figure import Figure

    path = options.reports / "show" / f"{file.stem}.png"
    own = OwnFiles(path.parent, RECORD)
    own.require(path.name, "REPORTS")
    try:
        rate = options.sample_rate or audio.file_info(file).sample_rate
        y = audio.decode(file, rate, channel=options.channel)
    except audio.AudioError as error:
        raise RequestError(f"{file}: {error}") from None
    figure = Figure(layout="constrained")
    draw(figure, Clip(y, rate), options.features or DRAWN)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    own.write({path.name: content.getvalue()})
    print(path)


def show(options: ShowOptions) -> int:
    """The command `show`."""
    if options.audio:
        draw_file(options, options.audio)
    elif options.dataset:
        from featurestack.features_cache.cache import cache_of
        from featurestack.features_cache.contents import describe_cache

        print(describe_cache(cache_of(options)))
    else:
        list_features(options)
    return 0
