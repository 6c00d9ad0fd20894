"""`make show`: list all features, print cards, or describe a cache and its faults.

A card begins with the docstring of the feature's function: a summary, the formula, what
the feature changes with, what it ignores and how to read its feature map.
"""

import re
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.base.errors import DamagedFile, RequestError, make_command
from featurestack.base.quantities import counted, size
from featurestack.base.terminal import text_table
from featurestack.features_cache import hdf5
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.datasets import INDEX
from featurestack.features_cache.feature_names import Channel, parse_channel
from featurestack.features_cache.index import (
    FAILURES,
    WHOLE,
    failed_clips,
    forget_verified,
)
from featurestack.features_cache.table import originals
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
    """The card of a feature or a variant: heading -> text, in the order shown."""
    variant = resolve_feature(parse_channel(name), TYPICAL[0])
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
    shape = f"{rows} {'row' if rows == 1 else 'rows'}{ranges}, {frames} {columns}"
    settings = []
    for key, value in variant.parameters.items():
        shown = f"{value:g}" if isinstance(value, float) else value
        settings.append(f"{key}={'none' if value is None else shown}")
    lines = {
        "What it is": summary,
        **dict(zip(texts[::2], texts[1::2])),
        "Values": f"{feature.units}; {shape}",
        "Parameters": ", ".join(settings) or "none",
    }
    if name in measured.index:
        best, worst = measured.loc[name, ["best", "worst"]]
        lines["Separates"] = f"best {best}; worst {worst} (chance: 50 % for a pair)"
    return {heading: " ".join(text.split()) for heading, text in lines.items()}


def feature_table(sample_rate: int, seconds: float) -> str:
    """All features at this rate and duration, with their sizes for one clip."""
    lines = list[tuple[object, ...]]()
    remarks = []
    samples = round(seconds * sample_rate)
    whole = 0.0
    for name, feature in FEATURES.complete().items():
        variant = resolve_feature(Channel(name), sample_rate)
        try:
            rows, frames = variant.shape(sample_rate, samples)
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


HEADER = ("feature", "rows", "frames", "clips done", "megabytes", "dtype", "units")


def describe_cache(cache: Cache) -> str:
    """The content of a cache in several lines, one of them for each unreadable file."""
    only_trained = len(cache.clips) - len(originals(cache.clips))
    first = (
        f"{cache.settings['dataset']}: {counted(len(cache.clips), 'clip')}"
        f"{f', {only_trained:,} of them only trained on' if only_trained else ''},"
        f" source {cache.source}, {cache.sample_rate} Hz, {cache.duration:g} s"
        f"{f', channel {cache.audio_channel}' if cache.audio_channel else ''}"
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
    return "\n".join([first, text_table(rows, HEADER), last, *notes])


def verify_cache(cache: Cache, features: str = "all") -> dict[str, tuple[str, bool]]:
    """index.h5 and each feature -> what is damaged, outdated or not done, and whether
    nothing is damaged or outdated.
    """
    try:
        clips = counted(len(cache.clips), "clip")
        with hdf5.opened(cache.folder / INDEX) as file:
            # opening a member checks its structure
            file.visititems(lambda *member: None)
    except DamagedFile as damage:
        return {INDEX: (damage.reason, False)}
    verdicts = {INDEX: (f"{INDEX}: {clips} intact", True)}
    ids = cache.clips["clip_id"].to_numpy()
    for name in cache.features if features == "all" else cache.named(features):
        try:
            feature = cache[name]
            with hdf5.opened(feature.path) as file:
                file.visititems(lambda *member: None)
            if not (feature.row_of >= 0).any():
                raise DamagedFile(
                    f"{name}.h5 holds no clip of this cache: it is from another one"
                )
        except RequestError as error:
            reason = error.reason if isinstance(error, DamagedFile) else str(error)
            verdicts[name] = reason, False
            continue
        status = feature.status_of(np.arange(len(ids)))
        if status.damaged.any():
            forget_verified(feature.path.parent)
        missing = f", {status.missing.sum()} not done" if status.missing.any() else ""
        lines = [f"{counted(int(status.done.sum()), 'clip')} intact{missing}"]
        lines += [f"{clip} damaged" for clip in ids[status.damaged]]
        outdated = ids[status.outdated]
        lines += [f"{clip} outdated: it counts as not done" for clip in outdated]
        text = "\n".join(f"{name}: {line}" for line in lines)
        verdicts[name] = text, len(lines) == 1
    return verdicts
