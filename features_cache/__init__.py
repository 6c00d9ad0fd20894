"""The feature cache: a folder of ordinary HDF5 files, one a feature, that survives kills and tells damage.

    index.h5      the clip table and links to the features      (index.py, table.py)
    mel.h5        values, state words, clip ids, axes           (layout.py)
    failures.csv  clips that could not be done                  (failures.py)
    costs.csv     what computing each feature took              (costs.py)
    locks/        one lock a feature; one claim a run           (locks.py, claims.py)

Start with writer.py: who writes what in which order, and why a kill between any two lines is harmless. Then
reader.py: what is missing, damaged or out of date is never returned. checks.py and fingerprint.py say what
still holds, verify.py reads everything, bring.py takes features from elsewhere, share.py makes one file of a
cache. names.py has the grammar of FEATURES, location.py the way from DATASET to its folder, parts.py the
folds and the parts of one without a leak.
"""

from features_cache.location import cache_folder, dataset_name
from features_cache.names import Channel, parse_list, parse_set
from features_cache.reader import Cache, StoredFeature, UnreadableClips

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
