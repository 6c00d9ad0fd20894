"""Thumbnails, audio and cached clips: known answers, budgets, and damage that is left
out.
"""

import base64
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from featurestack.analysis import clips
from featurestack.analysis.clips import browser_data, clip_difficulty, data_facts, top
from featurestack.analysis.report.warnings import untested
from featurestack.features_cache import external
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.index_file import write_failures
from tests.analysis.made_runs import MadeRun
from tests.golden.commands import flip_bit

RATE = 8000


@pytest.fixture
def cache(tmp_path):
    """Six clips with mel, five of them with rms; c1 and c2 have audio."""
    folder = tmp_path / "cache"
    ids = [f"c{place}" for place in range(6)]
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    names = ("broken.wav", "silence.wav", "silence.wav", "gone.wav")
    paths = [*(str(tmp_path / name) for name in names), "", ""]
    table = {"clip_id": ids, "label": ids, "fold": [1, 2, 3] * 2, "path": paths}
    external.create_cache(folder, table, sample_rate=RATE, duration=1.0)
    values = np.random.default_rng(0).random((6, 90, 300))
    external.write_feature(folder, "mel", values, ids)
    external.write_feature(folder, "rms", np.ones((5, 1, 30)), ids[:5])
    return Cache(folder)


@pytest.mark.parametrize(
    ("window", "pitch", "link"),
    [({}, 300, "two.wav"), ({"start": [2.5], "end": [3.5]}, 900, "two.wav#t=2.5,3.5")],
)
def test_a_clip_is_played_as_mono_mp3_and_linked_from_where_it_begins(
    tmp_path, window, pitch, link
):
    wave = np.concatenate(
        [np.sin(np.arange(2 * RATE) * 2 * np.pi * hertz / RATE) for hertz in (300, 900)]
    )
    soundfile.write(tmp_path / "two.wav", np.stack([wave, wave], axis=1) / 2, RATE)
    table = {"clip_id": ["two"], "label": ["a"], "fold": [1], **window}
    table["path"] = [str(tmp_path / "two.wav")]
    folder = tmp_path / "cache"
    external.create_cache(folder, table, sample_rate=RATE, duration=1.0)
    cache = Cache(folder)
    text = clips.clip_audio(cache, ["two"], ["two"], tmp_path)["two"]
    text = text.removeprefix(clips.EMBEDDED)
    decoded, rate = soundfile.read(BytesIO(base64.b64decode(text)))
    assert rate == clips.MP3_RATE and decoded.ndim == 1
    assert len(decoded) / rate == pytest.approx(1, abs=0.1)
    assert np.abs(np.fft.rfft(decoded[:rate])).argmax() == pytest.approx(pitch, abs=3)
    assert clips.clip_audio(cache, ["two"], [], tmp_path) == {"two": link}


def embedded(audio):
    return [clip for clip, at in audio.items() if at.startswith(clips.EMBEDDED)]


def test_audio_is_embedded_until_full_and_other_files_are_linked(cache, tmp_path):
    ids = [f"c{place}" for place in range(6)]
    page = tmp_path / "reports" / "x y"
    audio = clips.clip_audio(cache, ids, ["c0", "c1", "c2", "c3"], page)
    assert embedded(audio) == ["c1", "c2"]
    assert audio.keys() == {"c0", "c1", "c2"} and audio["c0"] == "../../broken.wav"
    one = len(audio["c1"]) - len(clips.EMBEDDED)
    assert embedded(clips.clip_audio(cache, ids, ["c1", "c2"], page, one)) == ["c1"]
    assert embedded(clips.clip_audio(cache, ids, ["c1"], page, 0)) == []


def test_features_to_show_are_those_that_were_trained_on(cache):
    variant = "mel@n_fft=512,hop_length=128+mel+rms"
    for sets in (["rms+mel:0-9", "mfcc"], ["rms"], [variant]):
        assert clips.features_to_show(cache, ["mel", "rms"], sets) == ["mel"]
    ids = cache.clips["clip_id"]
    external.write_feature(cache.folder, "vector", np.zeros((len(ids), 64)), ids)
    opened = Cache(cache.folder)
    assert clips.features_to_show(opened, ["mel", "vector"], ["vector"]) == ["mel"]
    assert clips.features_to_show(opened, ["vector"], ["vector"]) == []
    assert clips.thumbnails(cache, ["mel"], ["c5", "gone"]).keys() == {"c5"}


def test_a_clip_that_is_not_done_or_damaged_has_no_image(cache):
    images = clips.thumbnails(cache, ["mel", "rms"], ["c5", "c4"])
    assert {clip: [*places] for clip, places in images.items()} == {
        "c5": [0],
        "c4": [0, 1],
    }
    stored = cache["mel"]
    flip_bit(stored.path, stored.values_offset + 2 * stored.clip_bytes)
    images = clips.thumbnails(Cache(cache.folder), ["mel"], ["c1", "c2", "c3"])
    assert [*images] == ["c1", "c3"]


def test_a_broken_file_is_named_and_the_others_are_used(cache):
    (cache.folder / "rms.h5").write_bytes(b"broken")
    _, usable, (problem,) = clips.readable_cache(cache.folder)
    assert usable == ["mel"] and "rms" in problem
    (cache.folder / "index.h5").write_bytes(b"broken")
    opened, usable, (problem,) = clips.readable_cache(cache.folder)
    assert opened is None and usable == [] and "index.h5" in problem


def test_top_gives_places_in_the_order_shown_and_rounded_percentages():
    probabilities = np.array([[0.5, 0.2, 0.2, 0.1], [0.0, 0.0, 0.004, 0.996]])
    rows = top(probabilities, np.array([3, 2]), np.array([3, 2, 1, 0]))
    assert rows == [[3, 2, 1, 50, 20, 20, 10], [0, 1, 3, 100, 0, 0, 0]]
    two = top(np.array([[0.3, 0.7]]), np.array([0]), np.array([0, 1]))
    assert two == [[1, 0, -1, 70, 30, 0, 30]]


def test_runs_on_the_same_clips_share_a_test_set_and_seeds_a_view(made_runs):
    seeds = MadeRun(skill=0.9), MadeRun(skill=0.6, seed=1)
    partial = MadeRun(features="rms", folds=(1, 2))
    runs = made_runs(*seeds, MadeRun(features="mfcc"), partial)
    first_run = runs[0]
    wrong = 1 - (first_run.correct + runs[1].correct) / 2
    clips = clip_difficulty(runs[:2])
    assert clips["wrong"].tolist() == sorted(wrong, reverse=True)
    assert clips["wrong"][first_run.clip_ids].tolist() == wrong.tolist()
    hardest = clips.index[0]
    data = browser_data(runs, clips, [], {hardest: "x.wav"})
    test_sets = {run["name"]: run["test_set"] for run in data["runs"]}
    names = ["mel-resnet18", "mel-resnet18-s1", "mfcc-resnet18", "rms-resnet18"]
    assert test_sets == dict(zip(names, (0, 0, 0, 1)))
    assert {view["name"]: view["runs"] for view in data["views"]} == {
        "mel-resnet18, all 2 seeds": [0, 1],
        "mel-resnet18 (seed 0, one of 2)": [0],
        "mel-resnet18-s1 (seed 1, one of 2)": [1],
        "mfcc-resnet18": [2],
        "rms-resnet18": [3],
    }
    first = data["test_sets"][0]
    shown = [data["clips"][place]["id"] for place in first["clips"]]
    assert shown == first_run.clip_ids.tolist()
    assert first["target"] == first_run.target.tolist()
    assert first["folds"] == first_run.folds[0].tolist()
    links = {clip["id"]: clip["link"] for clip in data["clips"] if clip["link"]}
    assert links == {hardest: "x.wav"}


def test_a_clip_that_lacks_one_feature_is_tested_and_named_apart(tmp_path):
    ids = [f"c{place}" for place in range(6)]
    table = {"clip_id": ids, "label": ids, "fold": [1, 2, 3] * 2}
    external.create_cache(tmp_path, table)
    external.write_feature(tmp_path, "mel", np.zeros((4, 4, 5)), ids[2:])
    external.write_feature(tmp_path, "rms", np.zeros((5, 1, 5)), ["c0", *ids[2:]])
    cache = Cache(tmp_path)
    failed = [(0, "mel", "NaN"), (2, "gone", "missing")]
    write_failures(tmp_path, cache.clips, np.arange(6), ["mel"], failed)
    cache.settings["source"] = "/home/me/my sounds"
    trained = SimpleNamespace(channels=[SimpleNamespace(stored="mel")])
    of_mel = [SimpleNamespace(trained=trained, config=trained)]
    assert data_facts(cache)["Source"] == "my sounds"
    assert not untested(cache)
    assert untested(cache, of_mel) == {"c0"}
    write_failures(tmp_path, cache.clips, np.array([1]), ["mel"], [(1, "all", "empty")])
    assert untested(cache) == {"c1"}


def test_clips_without_groups_count_as_one_recording_each(tmp_path):
    ids = [f"c{place}" for place in range(6)]
    table = {"clip_id": ids, "label": [*"xyxyxy"], "fold": [1] * 6, "group": ids}
    external.create_cache(tmp_path, table)
    external.write_feature(tmp_path, "mel", np.zeros((6, 4, 5)), ids)
    recordings = data_facts(Cache(tmp_path))["Source recordings"]
    assert recordings == "not stated, each clip counted as its own recording"


def test_windows_of_recordings_are_no_clips_of_their_own(tmp_path):
    ids = [f"c{place}" for place in range(6)]
    table = {"clip_id": ids, "label": [*"xyxyxy"], "fold": [1, 2] * 3}
    windows = {"path": [*"aaabbb"], "start": [0, 1, 2] * 2, "end": [1, 2, 3] * 2}
    external.create_cache(tmp_path, table | windows)
    assert data_facts(Cache(tmp_path))["Clips"] == "6 windows of 2 recordings"
