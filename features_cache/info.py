"""What a cache holds: features, clips done, megabytes, types and their rounding, parameters, versions."""

import numpy as np

from commandline.registry import RequestError
from commandline.terminal import counted, size, text_table
from features_cache.cache import EXTERNAL, Cache, StoredFeature
from features_cache.index import FAILURES, WHOLE, failed_clips

HEADER = ("feature", "rows", "frames", "clips done", "megabytes", "dtype", "rounding", "units", "made")
SAMPLED_CLIPS = 16  # whose values give the rounding


def describe_cache(cache: Cache) -> str:
    """Several lines; a file that cannot be read is named in its own."""
    settings, clips = cache.settings, cache.clips
    source = "without audio" if settings["source"] == EXTERNAL else f"of {settings['source']}"
    copies = int((clips["copy_of"] != "").sum())
    originals, altered = counted(len(clips) - copies, "clip"), "copy" if copies == 1 else "copies"
    lines = [
        f"{settings['dataset']}: {originals} and {copies:,} altered {altered} "
        f"{source}, {cache.sample_rate} Hz, {cache.duration:g} s"
        + (", synthetic" if cache.synthetic else ""),
    ]
    rows, notes = [], []
    versions: dict[str, int] = {}
    for name in cache.features:
        try:
            feature = cache[name]
            rows.append(_row(cache, feature))
            notes += _notes(feature)
            made_by = feature.attributes["libraries"] or "others"
            versions[made_by] = versions.get(made_by, 0) + 1
        except RequestError as damage:
            notes.append(str(damage))
    notes += [f"{counted(count, 'feature')} made by {libraries}" for libraries, count in versions.items()]
    notes += _failed(cache)
    total = sum((cache.folder / f"{name}.h5").stat().st_size for name in cache.features)
    return "\n".join(
        [*lines, text_table(rows, HEADER), f"{counted(len(rows), 'feature')}, {size(total)}", *notes]
    )


def _failed(cache: Cache) -> list[str]:
    """A line on the clips that could not be done, and one on those that lack single features."""
    failed = failed_clips(cache.folder)
    whole = len(failed.pop(WHOLE, ()))
    single = [f"{name} of {counted(len(failed[name]), 'clip')}" for name in cache.features if name in failed]
    parts = [counted(whole, "clip")] * bool(whole) + [", ".join(single)] * bool(single)
    return [f"{part} could not be done, see {cache.folder / FAILURES}" for part in parts]


def _row(cache: Cache, feature: StoredFeature) -> tuple[object, ...]:
    stored = (cache.folder / f"{feature.stored}.h5").stat().st_size
    attributes = feature.attributes
    return (
        feature.stored,
        feature.rows,
        feature.frames,
        f"{int(feature.done().sum()):,}",
        f"{stored / 1e6:.1f}",
        feature.dtype,
        _rounding(feature),
        attributes["units"] or "-",
        attributes["created"],
    )


def _rounding(feature: StoredFeature) -> str:
    """The largest error of the stored type in some clips: half the distance to the neighbouring number."""
    done = np.flatnonzero(feature.done())[:SAMPLED_CLIPS]
    if not len(done):
        return "-"
    values = np.abs(feature.file.map()[feature.row_of[done]])
    return f"{float(np.spacing(values.max())) / 2:.1g}"


def _notes(feature: StoredFeature) -> list[str]:
    """Parameters and code version, and rows that belong to no clip of the index any more."""
    attributes = feature.attributes
    parameters = ", ".join(f"{key}={value}" for key, value in attributes["parameters"].items())
    notes = [f"{feature.stored}: {parameters or 'no parameters'}; code {attributes['code_version']}"]
    strangers = len(feature.file.clip_ids) - int((feature.row_of >= 0).sum())
    if strangers:
        notes.append(f"{feature.stored}: {strangers} rows of clips that the index no longer has")
    return notes
