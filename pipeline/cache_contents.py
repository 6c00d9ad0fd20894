"""The content of a cache, and its faults by clip and feature or by file."""

from typing import NamedTuple

import numpy as np

from featurestack.commandline.errors import DamagedFile, RequestError
from featurestack.commandline.quantities import counted, size
from featurestack.commandline.terminal import text_table
from featurestack.features_cache import hdf5
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import INDEX
from featurestack.features_cache.side_files import (
    FAILURES,
    WHOLE,
    failed_clips,
    forget_verified,
)
from featurestack.features_cache.table import originals

HEADER = (
    "feature",
    "rows",
    "frames",
    "clips done",
    "megabytes",
    "dtype",
    "units",
)


def describe_cache(cache: Cache) -> str:
    """The content of a cache in several lines; one for each unreadable file."""
    settings = cache.settings
    only_trained = len(cache.clips) - len(originals(cache.clips))
    first = (
        f"{settings['dataset']}: {counted(len(cache.clips), 'clip')}"
        f"{f', {only_trained:,} of them only trained on' if only_trained else ''},"
        f" source {settings['source']}, {cache.sample_rate} Hz, {cache.duration:g} s"
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
        parameters = ", ".join(
            f"{key}={value}" for key, value in feature.parameters.items()
        )
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


class Verdict(NamedTuple):
    """The findings of `verify` in one file."""

    name: str  # the feature, or index.h5
    # why it cannot be read, or the clips that are intact, damaged, outdated
    text: str
    intact: bool  # true also if clips are missing


def verify_cache(cache: Cache, features: str = "all") -> list[Verdict]:
    """Verdicts on the index and each file of a list of features."""
    try:
        verdicts = [
            Verdict(INDEX, f"{INDEX}: {counted(len(cache.clips), 'clip')} intact", True)
        ]
        with hdf5.opened(cache.folder / INDEX) as file:
            # opening a member checks its structure
            file.visititems(lambda *member: None)
    except DamagedFile as damage:
        return [Verdict(INDEX, damage.reason, False)]
    ids = cache.clips["clip_id"].to_numpy()
    for name in cache.features if features == "all" else cache.named(features):
        try:
            feature = cache[name]
            with hdf5.opened(feature.path) as file:
                file.visititems(lambda *member: None)
            if not (feature.row_of >= 0).any():
                raise DamagedFile(
                    f"{name}.h5 holds no clip of this cache: a file of another one"
                )
        except RequestError as error:
            reason = error.reason if isinstance(error, DamagedFile) else str(error)
            verdicts.append(Verdict(name, reason, False))
            continue
        status = feature.status_of(np.arange(len(ids)))
        if status.damaged.any():
            forget_verified(feature.path.parent)
        missing = f", {status.missing.sum()} not done" if status.missing.any() else ""
        lines = [f"{name}: {counted(int(status.done.sum()), 'clip')} intact{missing}"]
        lines += [f"{name}: {clip} damaged" for clip in ids[status.damaged]]
        lines += [
            f"{name}: {clip} outdated, it counts as not done"
            for clip in ids[status.outdated]
        ]
        verdicts.append(Verdict(name, "\n".join(lines), len(lines) == 1))
    return verdicts
