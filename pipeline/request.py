"""What a run was asked for: clips with their sources, features with their files, and which part of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError
from features_cache import cache_folder
from features_cache.hdf5 import DamagedFile
from features_cache.index import read_index, stored_ids
from features_cache.layout import FeatureSpec
from features_cache.state import clip_keys
from features_cache.table import CLIP_COLUMNS, with_sources
from pipeline.changes import changes
from pipeline.datasets import Dataset
from pipeline.datasets.copies import kept_copies
from pipeline.datasets.source import load_for
from pipeline.options import ExtractOptions
from pipeline.sources import hashed
from pipeline.specs import Wanted, spec_of, wanted


@dataclass(frozen=True)
class Request:
    """What was asked for: clips with their sources, features with their files."""

    dataset: Dataset
    folder: Path
    clips: pd.DataFrame  # N rows, columns of the index
    part: slice  # of the rows: those that this run does
    wanted: Wanted
    specs: tuple[FeatureSpec, ...]  # F
    changes: tuple[str, ...] = ()  # since the cache's last run, in a line each

    @cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as they stand in a file."""
        return stored_ids(self.clips)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) of which fingerprints are made."""
        return clip_keys(self.clips)

    @property
    def settings(self) -> dict[str, str | int]:
        """Attributes of the index."""
        return {
            "dataset": self.dataset.name,
            "source": self.dataset.source,
            "synthetic": int(self.dataset.synthetic),
            "sample_rate": self.dataset.sample_rate,
            "samples": self.dataset.samples,
        }


def request(options: ExtractOptions, part: str | None = None) -> Request:
    """Load the dataset, resolve the features, look which audio changed."""
    folder = cache_folder(options.dataset, options.data, options.name)
    return of_dataset(load_for(options), folder, options, part)


def of_dataset(dataset: Dataset, folder: Path, options: ExtractOptions, part: str | None = None) -> Request:
    """The request of a dataset that is loaded."""
    before = _known(folder, dataset)
    table = dataset.table
    if options.copies is None and before is not None and not (table["copy_of"] != "").any():
        table = kept_copies(table, before[list(CLIP_COLUMNS)])
    if not (table["path"] != "").any():
        raise RequestError(f"{folder} has no audio to compute features from; it is used as it is")
    asked = wanted(options.features, dataset)
    rows = part_of(part, len(table))
    clips = hashed(with_sources(table, before), rows)
    specs = tuple(spec_of(variant, dataset, options.dtype) for variant in asked.variants.values())
    changed = () if before is None else changes(before, clips, rows)
    return Request(dataset, folder, clips, rows, asked, specs, changed)


def part_of(part: str | None, count: int) -> slice:
    """`3/16` as the third sixteenth of `count` rows; all of them without a part."""
    if part is None:
        return slice(0, count)
    number, _, total = part.partition("/")
    if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise RequestError(f"PART={part}: expected which part of how many, such as 3/16")
    return slice(count * (int(number) - 1) // int(total), count * int(number) // int(total))


def _known(folder: Path, dataset: Dataset) -> pd.DataFrame | None:
    """The clips that the index knows; RequestError where it is that of another source."""
    try:
        before, settings = read_index(folder)
    except (FileNotFoundError, DamagedFile):
        return None  # a damaged index is made again; hashing tells what still holds
    if settings["source"] != dataset.source:
        raise RequestError(
            f"{folder} holds features of {settings['source']}, not of {dataset.source}; "
            f"give this dataset another name: NAME={dataset.name}2"
        )
    return before
