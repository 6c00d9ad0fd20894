"""failures.csv: failures of clips that were tried again are replaced."""

import numpy as np
import pandas as pd

from featurestack.features_cache.side_files import read_failures, write_failures

TABLE = pd.DataFrame({"clip_id": ["a", "b", "c"], "path": ["a.wav", "b.wav", "c.wav"]})


def noted(folder):
    return [
        (clip, feature, reason) for clip, _, feature, reason in read_failures(folder)
    ]


def test_what_was_tried_again_is_replaced_and_clips_that_left_are_no_longer_listed(
    tmp_path,
):
    first = [(0, "all", "empty"), (1, "mel", "NaN"), (2, "crest", "NaN, twice")]
    write_failures(tmp_path, TABLE, np.arange(3), ["crest", "mel"], first)
    write_failures(tmp_path, TABLE, np.array([1, 2]), ["mel"], [(2, "all", "missing")])
    later = [("c", "crest", "NaN, twice"), ("c", "all", "missing")]
    assert noted(tmp_path) == [("a", "all", "empty"), *later]
    write_failures(tmp_path, TABLE.iloc[1:], np.array([0]), ["mel"], [])
    assert noted(tmp_path) == later
