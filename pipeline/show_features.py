"""`make show`: list all features, print cards of some, or describe a cache.

A card begins with the docstring of the feature's function: a summary, the formula, what
the feature changes with, what it ignores and how to read its feature map.
"""

import re
import textwrap
from pathlib import Path

import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.quantities import counted, size
from featurestack.base.shell import make_command
from featurestack.base.terminal import text_table
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.feature_names import FeatureName, parse_feature_name
from featurestack.features_cache.index_file import FAILURES, WHOLE, failed_clips
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import ShowOptions
from featurestack.pipeline.parameters import Impossible

MEASURED = Path(__file__).with_name("class_pairs.csv")  # written by docs/cards.py
HEADINGS = ("Formula", "Changes with", "Ignores", "Feature map")
TYPICAL_RATE = 44100  # Hz
# Hz and samples of the clips that a card describes
TYPICAL = TYPICAL_RATE, 5 * TYPICAL_RATE
STORED_BYTES = 2  # bytes of a float16
LINE, INDENT = 100, 15  # characters of a card


def card(name: str) -> dict[str, str]:
    """The card of a feature such as mel@n_mels=64: heading -> text, in order."""
    feature = resolve_feature(parse_feature_name(name), TYPICAL[0])
    rows, frames = feature.shape(*TYPICAL)
    axis = feature.row_axis(TYPICAL[0])
    measured = pd.read_csv(MEASURED, index_col=0)
    summary, *texts = re.split(
        rf"^ *({'|'.join(HEADINGS)}):", feature.function.__doc__ or "", flags=re.M
    )
    limits = [f"{end:,.0f}" if end >= 1000 else f"{end:.4g}" for end in axis[[0, -1]]]
    ranges = f" ({feature.row_unit} {limits[0]} to {limits[1]})" if rows > 1 else ""
    ends = feature.frame_axis(*TYPICAL)[[0, -1]]
    columns = f"columns ({feature.frame_unit} {ends[0]:.4g} to {ends[1]:.4g})"
    columns = "frames for 5 s" if feature.frame_unit == "s" else columns
    shape = f"{rows} {'row' if rows == 1 else 'rows'}{ranges}, {frames} {columns}"
    settings = []
    for key, value in feature.parameters.items():
        shown = f"{value:g}" if isinstance(value, float) else value
        settings.append(f"{key}={'none' if value is None else shown}")
    estimated = "; follows an estimated tuning or tempo" if feature.estimated else ""
    lines = {
        "What it is": summary,
        **dict(zip(texts[::2], texts[1::2])),
        "Values": f"{feature.units}; {shape}{estimated}",
        "Parameters": ", ".join(settings) or "none",
    }
    if name in measured.index:
        best, worst = measured.loc[name, ["best", "worst"]].str.replace("%", " %")
        lines["Separates"] = f"best {best}; worst {worst} (chance: 50 % for a pair)"
    return {heading: " ".join(text.split()) for heading, text in lines.items()}


def feature_table(sample_rate: int, seconds: float) -> str:
    """All features at this rate and duration, with their sizes for one clip."""
    lines = list[tuple[object, ...]]()
    remarks = []
    samples = round(seconds * sample_rate)
    whole = 0.0
    for name, feature in FEATURES.complete().items():
        resolved = resolve_feature(FeatureName(name), sample_rate)
        try:
            rows, frames = resolved.shape(sample_rate, samples)
        except Impossible as reason:
            remarks.append(str(reason))
            continue
        megabytes = rows * frames * STORED_BYTES / 1e6
        whole += megabytes
        lines.append((name, rows, frames, f"{megabytes:.3f}", feature.units))
    lines.append(("all", "", "", f"{whole:.3f}", ""))
    networks = f"embedding@model=NAME and imagenet@of=mel: {make_command('network')}"
    remarks += [
        f"Pretrained networks are features too, as {networks} lists them.",
        f"For a clip of {seconds:g} s at {sample_rate} Hz; MB as stored, in float16.",
        f"{make_command('show', 'FEATURES=mel')} shows what a feature is good for.",
    ]
    table = text_table(lines, ("name", "rows", "frames", "MB", "units"))
    return "\n".join([table, "", *remarks])


CACHED = ("feature", "rows", "frames", "clips done", "megabytes", "dtype", "units")


def describe_cache(cache: Cache) -> str:
    """The content of a cache in several lines, one of them for each unreadable file."""
    only_trained = len(cache.clips) - len(originals(cache.clips))
    first = (
        f"{cache.settings['dataset']}: {counted(len(cache.clips), 'clip')}"
        f"{f', {only_trained:,} used only for training' if only_trained else ''},"
        f" source {cache.source}, {cache.sample_rate} Hz, {cache.duration:g} s"
        f"{', synthetic' if cache.synthetic else ''}"
    )
    rows = []
    notes = []
    total = 0
    for name in cache.features:
        try:
            feature = cache[name]
            stored = feature.path.stat().st_size
        except RequestError as damage:
            notes.append(str(damage))
            continue
        total += stored
        done = f"{int(feature.done().sum()):,}"
        shape = feature.rows, feature.frames, done, f"{stored / 1e6:.1f}"
        rows.append((name, *shape, feature.dtype, feature.units or "-"))
        pairs = feature.parameters.items()
        parameters = ", ".join(f"{key}={value}" for key, value in pairs)
        notes.append(
            f"{feature.stored}: {parameters or 'no parameters'}; code"
            f" {feature.code_version}; made {feature.created} by"
            f" {feature.libraries or 'others'}"
        )
    for name, ids in failed_clips(cache.folder).items():
        what = "" if name == WHOLE else f"{name}: "
        notes.append(
            f"{what}{counted(len(ids), 'clip')} failed, see {cache.folder / FAILURES}"
        )
    last = f"{counted(len(rows), 'feature')}, {size(total)}"
    return "\n".join([first, text_table(rows, CACHED), last, *notes])


def show(options: ShowOptions) -> int:
    """The command `show` without a file: a cache, cards of features, or the list."""
    if options.dataset:
        print(describe_cache(cache_of(options.dataset, options.data, options.name)))
        return 0
    if not options.features:
        print(feature_table(options.sample_rate or TYPICAL_RATE, options.duration))
        return 0
    cards = []
    for name in options.features.split():
        lines = [name, ""]
        for heading, text in card(name).items():
            line = f"{heading + ':':{INDENT}}{text}"
            lines.append(textwrap.fill(line, LINE, subsequent_indent=" " * INDENT))
        cards.append("\n".join(lines))
    print("\n\n".join(cards))
    return 0
