"""The feature cache: a folder of ordinary HDF5 files, one a feature, that survives
kills and detects damage; docs/reference/formats.md describes the files.

The modules in reading order: writer.py (what a run asks for and the cache lacks, who
writes what in which order, why no kill does harm), reservations.py (which run may write
which clips), hdf5.py (a feature's file), index_file.py (the clip table and small
files), cache.py (reading; is everything intact). feature_names.py has the grammar of
FEATURES, datasets.py the names of datasets and their folders, clip_table.py the clips,
identity.py which dataset it is, source_changes.py whether the audio is still the same,
external.py features from elsewhere.
"""
