"""Is it the same dataset? One identity, whatever names its folders have.

An identity is the place of the sounds and the digest of their content. Equal content at
another place, a moved or copied folder or a link, is the same dataset. Other content at
another place is another one, however equal names, sizes and times are. At the same
place it is the same dataset, which may have changed.

    cache.identity.is_same(of_files(Path("birds"), files))
    Identity.parse(str(cache.identity))  # as a record keeps it in a line of text
"""

import functools
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from featurestack.base import NAMED
from featurestack.base.files import content_hash, hash_of, is_folder, version_of
from featurestack.features_cache.datasets import EXTERNAL

THREADS = 8  # to wait for the disk; hashing releases the interpreter's lock


@dataclass(frozen=True)
class Identity:
    """A dataset, or a folder of sounds.

    place    the resolved path of its folder, table or cache, or one of NAMED; '' if it
             is unknown, as in a bundle from elsewhere
    content  the digest of its sounds, 32 hexadecimal digits; '' if it is unknown
    """

    place: str
    content: str = ""

    def __str__(self) -> str:
        return f"{self.content} {self.place}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identity whose text this is."""
        content, _, place = text.partition(" ")
        return cls(place, content)

    def is_same(self, other: "Identity") -> bool:
        """Whether both are the same dataset."""
        same_place = self.place != "" and self.place == other.place
        return same_place or (self.content != "" and self.content == other.content)


def digest_of_sounds(hashes: Iterable[str]) -> str:
    """The digest of sounds by the hashes of their files, in any order; '' for none."""
    known = sorted(filter(None, hashes))
    return hash_of("\n".join(known).encode()) if known else ""


@functools.lru_cache(maxsize=1 << 16)
def _hash(path: Path, version: tuple[int, ...]) -> str:
    try:
        return content_hash(path)
    except OSError:
        return ""


def hash_or_blank(path: str | Path) -> str:
    """The hash of a file's content, '' if it cannot be read. A process reads a file
    again only if it has changed.
    """
    return _hash(Path(path), version_of(path))


def hashes_of(files: Iterable[Path | str]) -> list[str]:
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(hash_or_blank, files))


def place_of(dataset: Path | str) -> str:
    """The place of an identity: one of NAMED, the resolved path of a folder, or of the
    folder in which a table lies, with the table's name.
    """
    if dataset in NAMED:
        return str(dataset)
    path = Path(dataset)
    whole = is_folder(path) or path.name in ("", "..")
    return str(path.resolve() if whole else path.parent.resolve() / path.name)


def of_files(dataset: Path | str, files: Iterable[Path | str]) -> Identity:
    """The identity of a folder or table with these audio files, which are read, or of
    one of NAMED.
    """
    hashes = hashes_of(dict.fromkeys(files))
    return Identity(place_of(dataset), digest_of_sounds(hashes))


def of_cache(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, Any]
) -> Identity:
    """The identity of a cache by its index, without reading any sound. Clips without
    sounds are known by their ids and labels.
    """
    if settings["source"] != EXTERNAL:
        files = clips.drop_duplicates("path")  # windows share a recording
        return Identity(settings["source"], digest_of_sounds(files["source_hash"]))
    named = clips[["clip_id", "label"]].itertuples(index=False)
    lines = (hash_of(f"{clip}\0{label}".encode()) for clip, label in named)
    return Identity(str(folder.resolve()), digest_of_sounds(lines))
