"""What a cache holds, for `make show DATASET=`, and whether it is intact, for
`make verify`.
"""

import numpy as np

from featurestack.base.errors import DamagedFile, RequestError
from featurestack.base.quantities import counted, size
from featurestack.base.terminal import text_table
from featurestack.features_cache import hdf5
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.datasets import INDEX
from featurestack.features_cache.index_file import (
    FAILURES,
    WHOLE,
    failed_clips,
    forget_verified,
)

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
