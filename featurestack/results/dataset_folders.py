"""The folders of a dataset among those of its name: whose runs, answer or report is it?

A name leads to folders of every dataset that had this name. What a command wrote there
records the identity of its dataset (features_cache/identity.py), by which it is found;
what another dataset wrote stays as it is.
"""

import glob
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from featurestack.base import NAMED
from featurestack.base.errors import RequestError
from featurestack.base.files import exists, hash_of
from featurestack.base.own_files import RECORD, OwnFiles, Taken
from featurestack.features_cache.cache import Cache, find_cache
from featurestack.features_cache.datasets import unknown_dataset
from featurestack.features_cache.identity import Identity, of_place
from featurestack.results.run_folder import RunFolder, of_identity

NAMED_BY = 4  # digits in the name of a folder next to another dataset's, at least


def named_dataset(
    dataset: str, data: Path, name: str = ""
) -> tuple[str, Identity | None]:
    """The name of the dataset that DATASET= and NAME= name, and its identity; None for
    all datasets, or if nothing is there but the name. Without a cache, the sounds that
    lie there are read.
    """
    called, cache = find_cache(dataset, data, name)
    if cache:
        return called, cache.identity
    if dataset in NAMED:
        return called, Identity(dataset)
    if dataset and exists(dataset):
        return called, of_place(dataset)
    if Path(dataset).name != dataset:
        raise unknown_dataset(dataset, data)
    return called, None


def folder_of(folder: Path, dataset: Identity, record: str = RECORD) -> Path:
    """The folder of this name that belongs to a dataset by this record: `folder` or, if
    that is another dataset's, NAME-<digits> next to it; one that is not there if the
    dataset has none yet.
    """

    def owner(place: Path) -> str:
        return OwnFiles(place, record).identity

    digits = hash_of(str(dataset).encode())
    beside = folder.parent.glob(f"{glob.escape(folder.name)}-*/")
    named = re.compile(f"{re.escape(folder.name)}-[0-9a-f]{{{NAMED_BY},{len(digits)}}}")
    former = [place for place in sorted(beside) if named.fullmatch(place.name)]
    for place in (folder, *former):
        if (text := owner(place)) and dataset.has_made(Identity.parse(text)):
            return place
    new = (
        folder.with_name(f"{folder.name}-{digits[:count]}")
        for count in range(NAMED_BY, len(digits) + 1)
    )
    return next(place for place in (folder, *new) if not owner(place))


def register(own_files: OwnFiles, dataset: Identity) -> None:
    """Let a folder belong to a dataset; Taken if it belongs to another one."""
    own_files.register(
        (),
        "",
        identity=str(dataset),
        is_other=lambda text: not dataset.has_made(Identity.parse(text)),
    )


def register_folder(folder: Path, dataset: Identity, record: str = RECORD) -> OwnFiles:
    """The record of the folder of `folder_of`, which then belongs to the dataset."""
    while True:
        own_files = OwnFiles(folder_of(folder, dataset, record), record)
        with suppress(Taken):  # by a command that began meanwhile
            register(own_files, dataset)
            return own_files


def by_dataset(
    runs: Sequence[RunFolder], cache: Path | None
) -> list[tuple[Identity | None, list[RunFolder]]]:
    """The runs of one name, those of each dataset together, with its identity; first
    those of the cache, if there is one.
    """
    identities: list[Identity] = []
    with suppress(RequestError):  # a damaged cache is reported later
        identities += [Cache(cache).identity] if cache else []
    for run in runs:
        with suppress(RequestError, OSError):  # whoever reads it names the damage
            identities += [run.config.dataset_identity] if run.config.identity else []
    parts: list[tuple[Identity | None, list[RunFolder]]] = []
    left = [*runs]
    for identity in identities:
        same = of_identity(left, identity)
        if same or not parts:
            parts.append((identity, same))
        left = [run for run in left if run not in same]
    return parts or [(None, left)]
