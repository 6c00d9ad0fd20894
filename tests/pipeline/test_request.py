"""What happens to a dataset costs only what it must, and is told in a line."""

import random

import numpy as np
import pytest
import soundfile

from commandline.registry import RequestError
from pipeline.extract import request
from pipeline.features import FEATURES
from tests.pipeline.changing import ChangingDataset
from tests.pipeline.extraction import anew, cache, options, run, stored

CASES = {
    "nothing": (lambda sounds: None, {}, {"rms": 0, "zcr": 0}, ""),
    "one more feature": (
        lambda sounds: None,
        {"features": "rms zcr centroid"},
        {"rms": 0, "zcr": 0, "centroid": 8},
        "",
    ),
    "a parameter": (
        lambda sounds: None,
        {"features": "rms@hop_length=256 zcr"},
        {"rms@hop_length=256": 8, "zcr": 0},
        "",
    ),
    "new clips": (lambda sounds: sounds.add(10), {}, {"rms": 10, "zcr": 10}, "clips new: 10"),
    "removed clips": (lambda sounds: sounds.remove(3), {}, {"rms": 0, "zcr": 0}, "clips removed: 3"),
    "edited": (lambda sounds: sounds.edit(), {}, {"rms": 1, "zcr": 1}, "clips changed in their audio: 1"),
    "unpacked again": (lambda sounds: sounds.touch(), {}, {"rms": 0, "zcr": 0}, "with the same content: 8"),
    "order": (lambda sounds: sounds.shuffle(), {}, {"rms": 0, "zcr": 0}, "clips in another order"),
    "labels": (
        lambda sounds: sounds.relabel(),
        {},
        {"rms": 0, "zcr": 0},
        "labelled or folded differently: 1",
    ),
    "type": (
        lambda sounds: None,
        {"dtype": "float32"},
        {"rms": 8, "zcr": 8},
        "made again: rms.h5 has dtype float16, asked for is dtype float32",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_happens_to_a_dataset_costs_only_what_it_must(sounds, capsys, case):
    happens, given, computed, told = CASES[case]
    run(sounds)
    opened_before = cache(sounds)
    held = {clip: opened_before.read("zcr", [clip]) for clip in opened_before.clips["clip_id"]}
    happens(sounds)
    lines = request(options(sounds, **given)).notes
    assert run(sounds, **given) == computed
    assert told in "\n".join(lines) + capsys.readouterr().out
    assert list(cache(sounds).clips["clip_id"]) == list(sounds.now)
    assert stored(sounds, "zcr") == anew(sounds, "zcr", **given)
    if case != "edited":
        for clip, values in held.items():  # a reader goes on with the files that it opened
            np.testing.assert_array_equal(opened_before.read("zcr", [clip]), values)


def test_labels_and_folds_follow_the_dataset(sounds):
    run(sounds)
    sounds.relabel()
    run(sounds)
    told = {row["filename"][:-4]: (row["label"], row["fold"]) for row in sounds.rows}
    clips = cache(sounds).clips
    assert dict(zip(clips["clip_id"], zip(clips["label"], clips["fold"]))) == told


def test_copies_follow_their_originals_and_stay_until_they_are_removed(sounds):
    assert run(sounds, copies=2, alter="gain") == {"rms": 24, "zcr": 24}
    assert run(sounds, features="centroid") == {"centroid": 24}
    assert cache(sounds).clips["copy_of"].tolist() == [""] * 8 + list(sounds.now) * 2
    loud = stored(sounds, "rms")
    assert loud["clip00001"] != loud["clip00001~1"]
    assert run(sounds, features="centroid", copies=0) == {"centroid": 0}
    assert len(cache(sounds).clips) == 8


def test_a_new_version_of_a_features_code_makes_it_again(sounds, monkeypatch, capsys):
    run(sounds)
    monkeypatch.setitem(vars(FEATURES["zcr"]), "version", FEATURES["zcr"].version + 1)
    assert run(sounds) == {"rms": 0, "zcr": 8}
    assert "made again: zcr.h5 has code_version" in capsys.readouterr().out


def test_another_source_under_the_same_name_is_refused(sounds):
    run(sounds)
    other = ChangingDataset(sounds.folder.parent / "elsewhere" / "sounds", random.Random(1), clips=4)
    with pytest.raises(RequestError, match="NAME="):
        request(options(sounds, dataset=str(other.csv)))


def test_the_cache_knows_how_long_each_clip_lasts(sounds):
    path = sounds.folder / sounds.rows[2]["filename"]
    y, rate = soundfile.read(path)
    soundfile.write(path, y[: len(y) // 5], rate)
    run(sounds, duration=0.8)
    lengths = [soundfile.info(sounds.folder / row["filename"]).duration for row in sounds.rows]
    assert cache(sounds).filled == pytest.approx(np.minimum(np.array(lengths) / 0.8, 1), abs=1e-3)
    assert cache(sounds).filled[2] < 0.5


def test_a_clip_whose_length_cannot_be_read_is_told_from_one_that_nobody_measured(sounds):
    run(sounds)
    (sounds.folder / sounds.rows[0]["filename"]).write_bytes(b"no audio")
    lengths = request(options(sounds)).clips["source_seconds"]
    assert lengths[0] == -1 and (lengths[1:] > 0).all()
