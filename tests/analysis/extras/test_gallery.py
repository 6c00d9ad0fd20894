"""The gallery: which clip stands for a class, one scale for all, and what a page keeps of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.clips import original_clips
from analysis.extras import gallery
from analysis.extras.gallery import (
    draw_feature,
    gallery_from_json,
    make_gallery,
    nearest_to_mean,
    typical_clips,
)
from features_cache import Cache, external


def cache_of(folder: Path, **features: np.ndarray) -> Cache:
    """Six clips, c0 to c2 of class a and c3 to c5 of class b, with these features."""
    ids = [f"c{place}" for place in range(6)]
    table = pd.DataFrame({"clip_id": ids, "label": list("aaabbb"), "fold": [1, 2, 3] * 2, "group": ids})
    external.create_cache(folder, table)
    for name, values in features.items():
        external.write_feature(folder, name, values, ids)
    return Cache(folder)


def test_the_clip_nearest_to_the_mean_of_its_class() -> None:
    values = np.array([[0.0], [6.0], [4.0], [100.0], [9.0]])
    mask = np.array([True, True, True, False, True])
    assert nearest_to_mean(values, mask) == 2  # the mean is 4.75
    assert nearest_to_mean(values, ~mask) == 3


def test_a_class_is_shown_by_its_typical_clip_and_the_rule_is_told(tmp_path: Path) -> None:
    level = np.array([0.0, 1.0, 5.0, 50.0, 58.0, 59.0])
    mel = np.repeat(np.repeat(level[:, None, None], 4, axis=1), 30, axis=2)
    cache = cache_of(tmp_path, mel=mel)
    chosen, rule = typical_clips(cache, ["mel"], original_clips(cache), seed=0)
    assert chosen == {"a": "c1", "b": "c4"}
    assert "nearest to the mean of its class in mel" in rule


def test_without_a_feature_of_several_rows_it_is_the_first_by_name(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, rms=np.ones((6, 1, 30)))
    chosen, rule = typical_clips(cache, ["rms"], original_clips(cache), seed=0)
    assert chosen == {"a": "c0", "b": "c3"} and rule == "Of each class the first clip by name."


def test_lines_of_all_clips_have_one_scale() -> None:
    drawn, scale = draw_feature("rms", {"low": np.zeros((1, 120)), "high": np.full((1, 120), 2.0)})
    assert scale == "0 to 2"
    assert drawn["low"][1].startswith("M0 40L1 40L") and drawn["high"][1].startswith("M0 0L1 0L")


def test_a_quiet_waveform_is_drawn_small_beside_a_loud_one() -> None:
    loud = np.sin(np.arange(4800.0))[None]
    drawn, scale = draw_feature("waveform", {"loud": loud, "quiet": loud / 10})
    heights = {
        clip: np.ptp([float(point.split()[1]) for point in path[1:-1].split("L")])
        for clip, (_, path) in drawn.items()
    }
    assert scale == "−1 to 1"
    assert heights["loud"] == pytest.approx(40, abs=0.3) and heights["quiet"] == pytest.approx(4, abs=0.3)


def test_images_of_all_clips_have_one_scale() -> None:
    rising = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (32, 1))
    drawn, scale = draw_feature("mel", {"whole": rising, "same": rising, "dark": 0 * rising})
    assert scale == "0 to 1" and drawn["whole"] == drawn["same"] != drawn["dark"]


def test_every_feature_of_every_class_and_the_same_again_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cache = cache_of(
        tmp_path / "cache",
        mel=rng.normal(size=(6, 90, 300)),
        rms=rng.random((6, 1, 30)),
        embedding=rng.random((6, 20)),
    )
    made = make_gallery(cache, ["embedding", "mel", "rms"], tmp_path, 0, 1.0)
    assert made is not None
    assert [clip.label for clip in made.clips] == ["a", "b"]
    assert [sorted([*clip.paths, *clip.images]) for clip in made.clips] == [[0, 1, 2]] * 2
    assert list(made.clips[0].images) == [1] and made.features[made.shown].name == "mel"
    assert gallery_from_json(json.loads(json.dumps(made.to_json()))) == made


def test_images_of_many_classes_are_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_of(tmp_path / "cache", mel=np.random.default_rng(0).normal(size=(6, 90, 300)))
    few = make_gallery(cache, ["mel"], tmp_path, 0, 0)
    monkeypatch.setattr(gallery, "MANY_IMAGES", 1)
    many = make_gallery(cache, ["mel"], tmp_path, 0, 0)
    assert few and many and len(many.clips[0].images[0]) < len(few.clips[0].images[0])


def test_a_cache_without_features_has_no_gallery(tmp_path: Path) -> None:
    assert make_gallery(cache_of(tmp_path / "cache"), [], tmp_path, 0, 1.0) is None
