"""The feature cache: a folder of ordinary HDF5 files, one a feature, that survives
kills and detects damage; docs/reference/formats.md describes the files.

    index.h5      the clip table and links to the values of the features
    mel.h5        values, state words, clip ids, axes
    locks/        a lock for each feature, a claim for each running extraction
    *.csv, check.json   see index.py

The modules that write and read them, in reading order:

    writer.py        what a run wants and the cache lacks; who writes what in which
                     order, and why no kill does harm
    claims.py        which run may write which clips
    hdf5.py          a feature's file and the state word of a clip; checksums on
                     everything but values and state words
    index.py         the clip table and the links, and small files, replaced whole
    cache.py         reading; missing, damaged or outdated clips are refused

Other modules: names.py, the grammar of FEATURES and the cache folder of a DATASET;
table.py, the clips and each fold's train, validation and test clips;
external.py, features from elsewhere; row_statistics.py, numbers that describe a feature
map. featurestack/storage/files.py has the locks, and
featurestack/commandline/errors.py the errors.
"""
