"""Thumbnails, audio and cached clips: known answers, budgets, and damage that is left out."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from matplotlib.image import imread

from analysis import clips
from features_cache import Cache, external

RATE = 8000


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Three seconds of 440 Hz in stereo."""
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    soundfile.write(tmp_path / "tone.wav", np.stack([wave, wave], axis=1), RATE)
    return tmp_path / "tone.wav"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Six clips of two classes with mel, rms and a copy that no analysis looks at."""
    folder = tmp_path / "cache"
    ids = [f"c{place}" for place in range(6)]
    table = pd.DataFrame({"clip_id": ids, "label": list("aaabbb"), "fold": [1, 2, 3] * 2})
    copy = pd.DataFrame(
        {"clip_id": ["c0~1"], "label": ["a"], "fold": [1], "copy_of": ["c0"], "alteration": ["gain"]}
    )
    both = pd.concat([table.assign(copy_of="", alteration=""), copy], ignore_index=True).assign(group="")
    both["group"] = both["clip_id"].str[:2]
    external.create_cache(folder, both)
    external.write_feature(folder, "mel", np.random.default_rng(0).normal(size=(6, 90, 300)), ids)
    external.write_feature(folder, "rms", np.ones((5, 1, 30)), ids[:5])
    return Cache(folder)


def test_audio_becomes_short_mono_mp3_of_the_same_pitch(tone: Path) -> None:
    decoded, rate = soundfile.read(BytesIO(clips.as_mp3(tone, 1.0)))
    assert rate == clips.MP3_RATE and decoded.ndim == 1
    assert len(decoded) / rate == pytest.approx(1, abs=0.1)
    assert np.abs(np.fft.rfft(decoded[:rate])).argmax() == pytest.approx(440, abs=3)


def test_audio_is_embedded_until_full_kept_and_cleaned_up(tone: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    paths = {"a": broken, "b": tone, "c": tone}
    folder = tmp_path / "audio"
    one = clips.embedded_audio(paths, ["a", "b", "c", "absent"], 1.0, folder, 1e6)
    assert list(one) == ["b", "c"]
    (file,) = folder.glob("*.mp3")
    before = file.stat().st_mtime_ns
    assert list(clips.embedded_audio(paths, ["b", "c"], 1.0, folder, len(one["b"]))) == ["b"]
    assert file.stat().st_mtime_ns == before
    assert clips.embedded_audio(paths, [], 1.0, folder, 1e6) == {}
    assert not list(folder.iterdir())


def test_links_are_relative_and_only_to_files_that_are_there(tone: Path, tmp_path: Path) -> None:
    files = clips.audio_files({"a": str(tone), "b": "", "c": str(tmp_path / "gone.wav")})
    assert clips.audio_links(files, tmp_path / "reports" / "x y") == {"a": "../../tone.wav"}


def test_pooling_takes_means_of_equal_stretches() -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 6)
    assert clips.mean_pool(values, 3, axis=1).tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]
    assert clips.mean_pool(values, 6, axis=1) is values


def test_a_thumbnail_is_a_small_image_with_low_rows_at_the_bottom() -> None:
    values = np.zeros((90, 300), np.float32)
    values[:30] = 1
    image = imread(
        BytesIO(base64.b64decode(clips.small_image(values, (clips.THUMBNAIL_ROWS, clips.THUMBNAIL_COLUMNS)))),
        format="webp",
    )
    assert image.shape[:2] == (clips.THUMBNAIL_ROWS, clips.THUMBNAIL_COLUMNS)
    grey = np.asarray(image, float)[..., :3].mean(axis=(1, 2))
    assert grey[-5] > grey[5] + 50 / 255


def test_features_to_show_are_those_that_were_trained_on(cache: Cache) -> None:
    usable = ["mel", "rms", "cqt"]
    assert clips.features_to_show(cache, ["mel", "rms"], ["rms+mel:0-9", "mfcc"]) == ["mel"]
    assert clips.features_to_show(cache, usable[:2], ["rms"]) == ["mel"]


def test_copies_are_left_out_and_clips_that_are_not_done_too(cache: Cache) -> None:
    assert clips.original_clips(cache)["clip_id"].tolist() == [f"c{place}" for place in range(6)]
    read = [
        (ids, values.shape) for ids, values in clips.read_batches(cache, "rms", ["c5", "c4", "c0"], size=1)
    ]
    assert read == [(["c4"], (1, 1, 30)), (["c0"], (1, 1, 30))]
    assert clips.read_clip(cache, "rms", "c5") is None


def test_a_damaged_clip_is_left_out_of_its_batch(cache: Cache) -> None:
    stored = cache["mel"]
    with (cache.folder / "mel.h5").open("r+b") as handle:
        handle.seek(stored.values_offset + 2 * stored.clip_bytes + 5)
        handle.write(b"\xff\xff\xff")
    fresh = Cache(cache.folder)
    (ids, values), *rest = clips.read_batches(fresh, "mel", ["c1", "c2", "c3"])
    assert ids == ["c1", "c3"] and len(values) == 2 and not rest


def test_a_broken_file_is_named_and_the_others_are_used(cache: Cache) -> None:
    (cache.folder / "rms.h5").write_bytes(b"broken")
    opened, usable, problems = clips.readable_cache(cache.folder)
    assert opened is not None and usable == ["mel"]
    assert len(problems) == 1 and "rms" in problems[0]
    (cache.folder / "index.h5").write_bytes(b"broken")
    opened, usable, problems = clips.readable_cache(cache.folder)
    assert opened is None and usable == [] and "index.h5" in problems[0]


def test_a_sample_takes_as_many_clips_of_each_class() -> None:
    table = pd.DataFrame({"clip_id": list("abcdefgh"), "label": list("xxxxxxyy")})
    drawn = clips.sample_by_class(table, 4, np.random.default_rng(0))
    assert drawn["label"].value_counts().to_dict() == {"x": 2, "y": 2}
    assert drawn.index.is_monotonic_increasing
    assert clips.sample_by_class(table, 8, np.random.default_rng(0)) is table
