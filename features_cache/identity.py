"""Is it the same dataset? One identity, whatever names its folders have.

An identity is the place of the sounds and the digest of their content. Equal content at
another place, a moved or copied folder or a link, is the same dataset. Other content at
another place is another one, however equal names, sizes and times are. At the same
place it is the same dataset, which may have changed.

    cache.identity.is_same(of_files(Path("birds"), files))
    Identity.parse(str(cache.identity))  # as a record keeps it in a line of text

What was made of a dataset, a run or a report, is the dataset's if it `has_made` it: it
is the same dataset, and the two share a sound. Two cards at one mount point do not.
"""

import functools
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from featurestack.base import NAMED
from featurestack.base.errors import RequestError
from featurestack.base.files import (
    content_hash,
    hash_of,
    is_file,
    is_folder,
    version_of,
)
from featurestack.base.own_files import NO_DATA, RECORD
from featurestack.base.table_files import file_column, read_table
from featurestack.features_cache.datasets import EXTERNAL

DIGITS = 12  # of a sound's hash: two of a million sounds are alike once in 500 times
SAMPLE = 256  # sounds in a line of text; 3 kB
HASHING_THREADS = 8  # to wait for the disk; hashing releases the interpreter's lock


@dataclass(frozen=True)
class Identity:
    """A dataset, or a folder of sounds.

    place    the resolved path of its folder, table or cache, or one of NAMED; '' if it
             is unknown, as in a bundle from elsewhere
    content  the digest of its sounds, 32 hexadecimal digits; '' if it is unknown
    sounds   the first DIGITS of the hash of each sound, or of some; none if unknown
    """

    place: str
    content: str = ""
    sounds: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __str__(self) -> str:
        some = "".join(sorted(self.sounds)[:SAMPLE])
        return f"{self.content}:{some} {self.place}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identity whose text this is, with some of its sounds."""
        content, _, place = text.partition(" ")
        content, _, some = content.partition(":")
        return cls(place, content, frozenset(pieces(some)))

    def is_same(self, other: "Identity") -> bool:
        """Whether both are the same dataset."""
        same_place = self.place != "" and self.place == other.place
        return same_place or (self.content != "" and self.content == other.content)

    def has_made(self, made: "Identity") -> bool:
        """Whether what records the identity `made` was made of this dataset."""
        if self.place == made.place != "":
            known = self.sounds and made.sounds
            return not known or not self.sounds.isdisjoint(made.sounds)
        if self.content:
            return self.content == made.content
        # the files of a folder: which of them a dataset would have is not known
        return bool(made.sounds) and made.sounds <= self.sounds


def pieces(text: str) -> list[str]:
    """The pieces of DIGITS of a text.

    >>> pieces("0123456789abba9876543210")
    ['0123456789ab', 'ba9876543210']
    """
    return [text[place : place + DIGITS] for place in range(0, len(text), DIGITS)]


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
    with ThreadPoolExecutor(HASHING_THREADS) as threads:
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
    return Identity(place_of(dataset), digest_of_sounds(hashes), some_of(hashes))


def of_place(dataset: Path | str) -> Identity:
    """The identity of a folder or table without a cache: its place, and the sounds of
    all files that may be the dataset's, which are read.
    """
    place = Path(dataset)
    files: list[Path] = []
    if place.is_dir():
        for root, folders, names in os.walk(place):
            # no hidden folders, and none that this program has made
            folders[:] = [name for name in folders if is_users(Path(root, name))]
            files += [Path(root, name) for name in names if name[0] != "."]
    elif place.is_file():
        with suppress(RequestError):
            table = read_table(place)
            named = table.get(file_column([*table]), ())
            files += [place.parent / name for name in named]
    return replace(of_files(dataset, files), content="")


def is_users(folder: Path) -> bool:
    """Whether a folder may hold a user's sounds."""
    records = (folder / RECORD, folder / NO_DATA)
    return not folder.name.startswith(".") and not any(map(is_file, records))


def some_of(hashes: Iterable[str]) -> frozenset[str]:
    return frozenset(content[:DIGITS] for content in hashes if content)


def sounds_of(clips: pd.DataFrame) -> "pd.Series[str]":
    """What stands for each clip's sound in a record: the first DIGITS of the hash of
    its file or, without a file, of its id.
    """
    pairs = zip(clips["clip_id"], clips["source_hash"])
    known = [content or hash_of(clip.encode()) for clip, content in pairs]
    return pd.Series([content[:DIGITS] for content in known], clips.index, dtype=str)


def of_cache(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, Any]
) -> Identity:
    """The identity of a cache by its index, without reading any sound. Clips without
    sounds are known by their ids and labels.
    """
    sounds = frozenset(sounds_of(clips))
    if settings["source"] != EXTERNAL:
        files = clips.drop_duplicates("path")  # windows share a recording
        return Identity(
            settings["source"], digest_of_sounds(files["source_hash"]), sounds
        )
    named = clips[["clip_id", "label"]].itertuples(index=False)
    lines = (hash_of(f"{clip}\0{label}".encode()) for clip, label in named)
    return Identity(str(folder.resolve()), digest_of_sounds(lines), sounds)
