"""The section about the data: what failed."""

import numpy as np

from featurestack.analysis.clips import data_facts
from featurestack.features_cache import external
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.index import write_failures


def test_a_clip_that_lacks_one_feature_is_tested_and_named_apart(tmp_path):
    ids = [f"c{place}" for place in range(6)]
    external.create_cache(
        tmp_path, {"clip_id": ids, "label": ids, "fold": [1, 2, 3] * 2}
    )
    external.write_feature(tmp_path, "mel", np.zeros((6, 4, 5)), ids)
    cache = Cache(tmp_path)
    write_failures(
        tmp_path,
        cache.clips,
        np.arange(6),
        ["mel"],
        [(0, "mel", "NaN"), (0, "gone", "no cache")],
    )
    cache.settings["source"] = "/home/me/my sounds"
    facts = data_facts(cache)
    assert facts["Source"] == "my sounds"
    assert not facts["Clips that failed"] and facts["Features that failed"].startswith(
        "mel of 1 clip;"
    )
    write_failures(tmp_path, cache.clips, np.array([1]), ["mel"], [(1, "all", "empty")])
    facts = data_facts(cache)
    assert (
        facts["Clips that failed"] == "1, so 5 are tested"
        and "mel of 1" in facts["Features that failed"]
    )
