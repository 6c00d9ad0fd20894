"""Read everything in a cache and say what is wrong, by clip and feature or by file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from commandline.terminal import counted
from features_cache import hdf5
from features_cache.hdf5 import DamagedFile
from features_cache.index import INDEX, feature_files, read_index, stored_ids
from features_cache.layout import clip_keys, clip_status, feature_key, fingerprints, read_header


@dataclass(frozen=True)
class Verdict:
    """On one file: where `error` is empty, how many clips of the index it holds."""

    name: str
    error: str = ""
    done: int = 0
    missing: tuple[str, ...] = ()
    """Ids of clips with state 0, or without a row."""
    outdated: tuple[str, ...] = ()
    """Not made from what the index describes: other audio, another cache, or a damaged state word."""
    damaged: tuple[str, ...] = ()
    """The CRC of the bytes is not that of the state word."""

    @property
    def intact(self) -> bool:
        """Whether nothing is damaged or outdated; clips may be missing."""
        return not (self.error or self.outdated or self.damaged)

    def __str__(self) -> str:
        if self.error:
            return self.error
        lines = [f"{self.name}: {counted(self.done, 'clip')} intact"]
        lines[0] += f", {len(self.missing)} not done" if self.missing else ""
        for clips, what in (
            (self.damaged, "damaged"),
            (self.outdated, "not what the index describes, not done"),
        ):
            lines += [f"{self.name}: {clip} {what}" for clip in clips]
        return "\n".join(lines)


def verify_cache(folder: Path, features: Sequence[str] | None = None) -> list[Verdict]:
    """A verdict on the index, then one a feature file (all by default)."""
    try:
        clips, settings = read_index(folder)
        _read_rest(folder / INDEX)
    except DamagedFile as damage:
        return [Verdict(INDEX, error=damage.reason)]
    ids, keys = stored_ids(clips), clip_keys(clips)
    chosen = [path for path in feature_files(folder) if features is None or path.stem in features]
    return [Verdict(INDEX, done=len(ids)), *(verify_file(path, ids, keys, settings) for path in chosen)]


def verify_file(
    path: Path, ids: NDArray[np.bytes_], keys: NDArray[np.uint64], settings: dict[str, object]
) -> Verdict:
    """Every clip of one file, against the clips and the audio settings of the index."""
    try:
        file = read_header(path)
        row_of = file.rows_of(ids)
        _read_rest(path)
    except DamagedFile as damage:
        return Verdict(path.stem, error=damage.reason)
    if not (row_of >= 0).any():
        return Verdict(path.stem, error=f"{path.name} holds no clip of this cache: a file of another one")
    expected = fingerprints(keys, feature_key(file.attributes, settings))
    status = clip_status(file.map(state=True), row_of, expected, file.map())

    def named(mask: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(clip.decode() for clip in ids[mask])

    return Verdict(
        path.stem,
        done=int(status.done.sum()),
        missing=named(status.missing),
        outdated=named(status.outdated),
        damaged=named(status.damaged),
    )


def _read_rest(path: Path) -> None:
    """Read what no one else does, for its checksums: small datasets, attributes, links."""

    def read(name: str, found: h5py.Dataset | h5py.Group) -> None:
        hdf5.read_attributes(found)
        if isinstance(found, h5py.Dataset) and found.chunks:
            hdf5.read_column(found.parent, name.rpartition("/")[2])

    with hdf5.opened(path) as file:
        file.visititems(read)
        for name in file:
            link = file.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink) and (link.filename, link.path) != (
                f"{name}.h5",
                "/values",
            ):
                raise DamagedFile(f"{path.name} cannot be read: {name} links to {link.filename}")
