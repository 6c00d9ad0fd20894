"""index.h5: the clip table, the audio's source, and a link to the values of every
feature.

All but that of a cache without audio can be made again. It is replaced whole, by
rename, under a lock, so that a reader sees the old file or the new one.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache import hdf5
from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.location import INDEX, cache_folders
from featurestack.features_cache.names import CHANNEL, NO_FEATURE_NAMES
from featurestack.features_cache.table import INDEX_COLUMNS

CLIPS = "clips"  # the table's group; every other name is a feature's link


def can_hold_feature(path: Path) -> bool:
    """Whether a file has a feature file's name; a copy as mel-old.h5 has not."""
    return (
        path.suffix == ".h5"
        and path.stem not in NO_FEATURE_NAMES
        and bool(CHANNEL.fullmatch(path.stem))
    )


def feature_names(folder: Path) -> list[str]:
    """Stored names of the feature files that are there."""
    return [path.stem for path in sorted(filter(can_hold_feature, folder.glob("*.h5")))]


def read_index(folder: Path) -> tuple[pd.DataFrame, Attributes]:
    """(clips, attributes), perhaps of the joined cache; as `opened` if that fails."""
    with hdf5.opened(cache_folders(folder)[-1] / INDEX) as file:
        group = hdf5.read_member(file, CLIPS)
        columns = {
            name: hdf5.decoded(hdf5.read_column(group, name)) for name in INDEX_COLUMNS
        }
        return pd.DataFrame(columns), hdf5.read_attributes(file)


def stored_ids(clips: pd.DataFrame) -> NDArray[np.bytes_]:
    """(N,) clip ids as stored in a file."""
    return hdf5.as_stored(clips["clip_id"].to_numpy())
