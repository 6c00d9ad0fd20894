"""The gallery: which clip stands for a class, one scale for all, and every feature of every class."""

import numpy as np
import pandas as pd

from analysis.extras.gallery import draw_feature, make_gallery, typical_clips
from analysis.figures import FigureWriter
from features_cache import Cache, external


def cache_of(folder, **features):
    """Six clips, c0 to c2 of class a and c3 to c5 of class b, with these features."""
    ids = [f"c{place}" for place in range(6)]
    table = pd.DataFrame({"clip_id": ids, "label": list("aaabbb"), "fold": [1, 2, 3] * 2, "group": ids})
    external.create_cache(folder, table)
    for name, values in features.items():
        external.write_feature(folder, name, values, ids)
    return Cache(folder)


def test_a_class_is_shown_by_its_typical_clip(tmp_path):
    level = np.array([0.0, 1.0, 5.0, 50.0, 58.0, 59.0])
    mel = np.repeat(np.repeat(level[:, None, None], 4, axis=1), 30, axis=2)
    cache = cache_of(tmp_path, mel=mel)
    assert typical_clips(cache, "mel", seed=0)[0] == {"a": "c1", "b": "c4"}


def test_all_clips_have_one_scale():
    rising = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (32, 1))
    for values, shown in (np.sin(np.arange(4800.0))[None], "−1 to 1"), (rising, "0 to 1"):
        drawn, scale = draw_feature({"whole": values, "same": values, "none": 0 * values})
        assert scale == shown and drawn["whole"] == drawn["same"] != drawn["none"]


def test_every_feature_of_every_class_stands_in_it(tmp_path):
    rng = np.random.default_rng(0)
    features = {
        "mel": rng.normal(size=(6, 90, 300)),
        "rms": rng.random((6, 1, 30)),
        "embedding": rng.random((6, 20)),
    }
    cache = cache_of(tmp_path / "cache", **features)
    writer = FigureWriter(tmp_path, paper=True)
    made = make_gallery(cache, ["embedding", "mel", "rms"], writer, 0, 1.0)
    assert list(made.clips) == ["a", "b"]
    assert [drawings.keys() for *_, drawings in made.features] == [set(made.clips.values())] * 3
    first = made.clips["a"]
    assert [drawings[first].startswith("M") for *_, drawings in made.features] == [True, False, True]
    assert made.features[made.overview][0] == "mel"
    assert set(writer.saved) == {"spectrograms", "gallery"}
    shapes = {drawn.name: drawn.values.shape for drawn in writer.saved["gallery"].data["features"]}
    assert shapes == {"embedding": (20, 1), "mel": (90, 300), "rms": (1, 30)}  # an image, an image, a line
    assert make_gallery(cache, [], writer, 0, 1.0) is None
