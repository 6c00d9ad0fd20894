"""The feature cache: a folder of ordinary HDF5 files, one a feature, that survives kills and tells damage.

    index.h5      the clip table and links to the features
    mel.h5        values, state words, clip ids, axes
    locks/        one lock a feature; one claim a run
    failures.csv  clips that could not be done
    costs.csv     what computing each feature took

The protocol, in the order in which it reads best; docs/formats.md tells it on one page:

    writer.py       who writes what in which order, and why a kill between any two lines is harmless
    state.py        the word beside each clip that says done, and of what; fingerprint.py: of what exactly
    claims.py       which run may write which clips, and that nobody writes for a run that is gone
    layout.py       a feature's file; hdf5.py: how HDF5 is used so that nothing is without a checksum
    index.py        the clip table and the links, replaced whole
    checks.py       what of a file still holds
    reader.py       what is missing, damaged or out of date is never returned
    locks.py, storage.py   what is asked of the operating system

What it speaks of: names.py, the grammar of FEATURES; table.py, the clips; parts.py, a fold's parts without a
leak; location.py, the way from DATASET to its folder. What it is used through: cache.py for reading,
bring.py for features from elsewhere, tools/ for the rest.
"""

from features_cache.cache import Cache
from features_cache.location import cache_folder, dataset_name
from features_cache.names import Channel, parse_list, parse_set
from features_cache.reader import StoredFeature, UnreadableClips

__all__ = [
    "Cache",
    "Channel",
    "StoredFeature",
    "UnreadableClips",
    "cache_folder",
    "dataset_name",
    "parse_list",
    "parse_set",
]
