"""`features`: what it recomputes and what not, what it says, what bad clips and neighbours do to it."""

import csv
import errno
import multiprocessing
import os
import random
import re
import resource
import shutil
import threading
from dataclasses import replace

import h5py
import librosa
import numpy as np
import pytest
import soundfile

from bench.changing import SAMPLE_RATE, Sounds
from commandline import RequestError
from features_cache import Cache, UnreadableClips, bring, state
from features_cache.claims import claimed
from features_cache.locks import lock
from pipeline import extract
from pipeline.features import REGISTRY
from pipeline.options import FeaturesCommand
from pipeline.request import part_of, request


@pytest.fixture
def sounds(tmp_path):
    return Sounds(tmp_path / "sounds", random.Random(0), clips=8)


def options(sounds, **given):
    defaults = {
        "dataset": str(sounds.csv),
        "data": sounds.folder.parent / "data",
        "features": "rms zcr",
        "sample_rate": SAMPLE_RATE,
        "duration": 1.0,
        "jobs": 1,
    }
    return FeaturesCommand(**defaults | given)


def run(sounds, **given):
    """How many maps a run computes, by feature."""
    asked = request(options(sounds, **given), given.get("part"))
    outcome = extract.extract(asked, options(sounds, **given))
    assert not outcome.failures
    return dict(
        zip((spec.stored for spec in asked.specs), np.broadcast_to(outcome.computed, len(asked.specs)))
    )


def cache(sounds):
    return Cache(sounds.folder.parent / "data" / "sounds" / "features")


def stored(sounds, feature):
    """{clip id: bytes} of what a cache gives."""
    opened = cache(sounds)
    ids = opened.clips["clip_id"].tolist()
    return {clip: values.tobytes() for clip, values in zip(ids, opened.read(feature, ids), strict=True)}


def test_a_cache_holds_what_librosa_gives_and_links_to_it(sounds):
    run(sounds, features="mel rms")
    first = sounds.rows[0]["filename"]
    y, _ = soundfile.read(sounds.folder / first, dtype="float32")
    expected = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=SAMPLE_RATE, n_mels=128))
    with h5py.File(cache(sounds).folder / "index.h5") as index:
        assert index["clips/clip_id"][0].decode() == first[:-4]
        assert index["mel"].shape == (8, *expected.shape)
        np.testing.assert_allclose(index["mel"][0], expected, rtol=1e-3, atol=1e-2)
        assert index.get("mfcc") is None


def test_a_second_run_computes_nothing_and_changes_no_byte(sounds):
    assert run(sounds) == {"rms": 8, "zcr": 8}
    before = {path: path.read_bytes() for path in cache(sounds).folder.glob("*.h5")}
    assert run(sounds) == {"rms": 0, "zcr": 0}
    assert {path: path.read_bytes() for path in cache(sounds).folder.glob("*.h5")} == before


def change_nothing(sounds):
    return {}


def one_more_feature(sounds):
    return {"features": "rms zcr centroid"}


def changed_parameter(sounds):
    return {"features": "rms@hop_length=256 zcr"}


def new_clips(sounds):
    sounds.add(10)
    return {}


def removed_clips(sounds):
    sounds.remove(3)
    return {}


def edited_audio(sounds):
    sounds.edit()
    return {}


def unpacked_again(sounds):
    sounds.touch()
    return {}


def another_order(sounds):
    sounds.shuffle()
    return {}


def other_labels(sounds):
    sounds.relabel()
    return {}


def another_type(sounds):
    return {"dtype": "float32"}


CASES = [
    (change_nothing, {"rms": 0, "zcr": 0}, ""),
    (one_more_feature, {"rms": 0, "zcr": 0, "centroid": 8}, ""),
    (changed_parameter, {"rms@hop_length=256": 8, "zcr": 0}, ""),
    (new_clips, {"rms": 10, "zcr": 10}, "clips new: 10"),
    (removed_clips, {"rms": 0, "zcr": 0}, "clips removed: 3"),
    (edited_audio, {"rms": 1, "zcr": 1}, "clips changed in their audio: 1"),
    (unpacked_again, {"rms": 0, "zcr": 0}, "clips written again with the same content: 8"),
    (another_order, {"rms": 0, "zcr": 0}, "clips in another order"),
    (other_labels, {"rms": 0, "zcr": 0}, "clips labelled or folded differently: 1"),
    (another_type, {"rms": 8, "zcr": 8}, "made again: rms.h5 has dtype float16, asked for is dtype float32"),
]


@pytest.mark.parametrize(
    ("happens", "computed", "told"), CASES, ids=lambda case: getattr(case, "__name__", "")
)
def test_what_happens_to_a_dataset_costs_only_what_it_must(sounds, capsys, happens, computed, told):
    run(sounds)
    opened_before = cache(sounds)
    held = {clip: opened_before.read("zcr", [clip]) for clip in opened_before.clips["clip_id"]}
    given = happens(sounds)
    lines = request(options(sounds, **given)).changes
    assert run(sounds, **given) == computed
    assert told in "\n".join(lines) + capsys.readouterr().out
    assert list(cache(sounds).clips["clip_id"]) == list(sounds.now)
    assert stored(sounds, "zcr") == anew(sounds, "zcr", **given)
    if happens is not edited_audio:
        for clip, values in held.items():  # a reader goes on with the files that it opened
            np.testing.assert_array_equal(opened_before.read("zcr", [clip]), values)


def anew(sounds, feature, **given):
    """{clip id: bytes} of a cache made from the dataset as it is now."""
    data = sounds.folder.parent / "anew"
    extract.extract(request(options(sounds, data=data, **given)), options(sounds, data=data, **given))
    made = Cache(data / "sounds" / "features")
    ids = made.clips["clip_id"].tolist()
    return {clip: values.tobytes() for clip, values in zip(ids, made.read(feature, ids), strict=True)}


def test_labels_and_folds_follow_the_dataset(sounds):
    run(sounds)
    sounds.relabel()
    run(sounds)
    told = {row["filename"][:-4]: (row["label"], row["fold"]) for row in sounds.rows}
    clips = cache(sounds).clips
    assert dict(zip(clips["clip_id"], zip(clips["label"], clips["fold"]))) == told


def test_only_damaged_clips_are_computed_again(sounds, capsys):
    run(sounds)
    good, folder = stored(sounds, "zcr"), cache(sounds).folder
    file = cache(sounds)["zcr"].file
    with (folder / "zcr.h5").open("r+b") as opened:
        opened.seek(file.values_offset + 3 * file.clip_bytes)
        opened.write(b"\xff")
    with pytest.raises(UnreadableClips) as refused:
        cache(sounds).read("zcr", range(8))
    assert refused.value.reasons == {"clip00004": "damaged"}
    assert run(sounds) == {"rms": 0, "zcr": 1}
    assert "zcr 1" in capsys.readouterr().out
    assert stored(sounds, "zcr") == good


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_a_file_that_is_cut_short_is_made_again(sounds, keep):
    run(sounds)
    good, path = stored(sounds, "zcr"), cache(sounds).folder / "zcr.h5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RequestError, match=r"zcr\.h5"):
        cache(sounds).read("zcr", range(8))
    assert run(sounds) == {"rms": 0, "zcr": 8}
    assert stored(sounds, "zcr") == good


def test_a_damaged_index_is_made_again_and_nothing_computed(sounds):
    run(sounds)
    path = cache(sounds).folder / "index.h5"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(RequestError, match=r"index\.h5 cannot be read"):
        cache(sounds).clips  # noqa: B018
    assert run(sounds) == {"rms": 0, "zcr": 0}
    assert len(cache(sounds).clips) == 8


def test_clips_that_cannot_be_done_are_named_and_the_others_are_done(sounds, capsys):
    (sounds.folder / "clip00002.wav").write_bytes(b"")
    (sounds.folder / "clip00005.wav").unlink()
    assert extract.run(options(sounds)) == 1
    shown = capsys.readouterr().out
    assert "2 clips could not be done" in shown
    folder = cache(sounds).folder
    with (folder / "failures.csv").open(newline="") as file:
        failed = {row["clip_id"]: row["reason"] for row in csv.DictReader(file)}
    assert failed.keys() == {"clip00002", "clip00005"}
    assert "empty" in failed["clip00002"]
    assert "missing" in failed["clip00005"]
    assert cache(sounds).readable(["rms", "zcr"]).sum() == 6
    with h5py.File(folder / "rms.h5") as file:
        assert (file["state"][:] == 0).tolist() == [False, True, False, False, True, False, False, False]
    sounds._record("clip00002")
    assert extract.run(options(sounds)) == 1
    with (folder / "failures.csv").open(newline="") as file:
        assert [row["clip_id"] for row in csv.DictReader(file)] == ["clip00005"]


def test_a_clip_that_turns_bad_loses_its_state(sounds):
    run(sounds)
    (sounds.folder / "clip00002.wav").write_bytes(b"not audio")
    assert extract.run(options(sounds)) == 1
    with h5py.File(cache(sounds).folder / "rms.h5") as file:
        assert np.flatnonzero(file["state"][:] == 0).tolist() == [1]


def test_parts_make_the_same_cache_and_a_part_does_only_its_own(sounds):
    run(sounds, prepare=True)
    assert not cache(sounds).readable(["rms"]).any()
    for part in ("2/3", "1/3", "3/3"):
        computed = run(sounds, part=part)
        rows = part_of(part, 8)
        assert computed["rms"] == rows.stop - rows.start
        assert cache(sounds).readable(["rms"])[rows].all()
    assert stored(sounds, "rms") == anew(sounds, "rms")
    assert run(sounds) == {"rms": 0, "zcr": 0}


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "-1/2", "1/0"])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(RequestError, match="PART="):
        part_of(part, 8)


@pytest.mark.parametrize(("count", "total"), [(8, 3), (3, 8), (1, 1), (1000, 16)])
def test_parts_are_disjoint_and_cover_everything(count, total):
    rows = [row for number in range(total) for row in range(count)[part_of(f"{number + 1}/{total}", count)]]
    assert rows == list(range(count))


def test_copies_follow_their_originals_and_stay_until_they_are_removed(sounds):
    assert run(sounds, copies=2, alter="gain") == {"rms": 24, "zcr": 24}
    assert run(sounds, features="centroid") == {"centroid": 24}
    assert cache(sounds).clips["copy_of"].tolist() == [""] * 8 + list(sounds.now) * 2
    loud = stored(sounds, "rms")
    assert loud["clip00001"] != loud["clip00001~1"]
    assert run(sounds, features="centroid", copies=0) == {"centroid": 0}
    assert len(cache(sounds).clips) == 8


def test_another_source_under_the_same_name_is_refused(sounds):
    run(sounds)
    other = Sounds(sounds.folder.parent / "elsewhere" / "sounds", random.Random(1), clips=4)
    with pytest.raises(RequestError, match="NAME="):
        request(options(sounds, dataset=str(other.csv)))


def test_a_run_over_the_same_clips_is_refused_and_told_by_whom(sounds):
    run(sounds)
    with claimed(cache(sounds).folder, ["zcr"], (2, 5), wait=False):
        with pytest.raises(RequestError, match=rf"process {os.getpid()} on .*, since 20.*WAIT=1"):
            run(sounds)
        assert run(sounds, features="rms") == {"rms": 0}
        assert run(sounds, part="4/4") == {"rms": 0, "zcr": 0}
    assert run(sounds) == {"rms": 0, "zcr": 0}


def test_a_file_that_has_to_be_made_again_waits_for_the_part_that_writes_to_it(sounds, capsys):
    run(sounds)
    folder, ended = cache(sounds).folder, []
    with claimed(folder, ["zcr"], (0, 4), wait=False), lock(folder, "zcr") as writing:
        writing.take(shared=True)
        with pytest.raises(
            RequestError, match=rf"zcr\.h5 has to be made again .*process {os.getpid()}.*WAIT=1"
        ):
            run(sounds, dtype="float32", part="2/2")
        threading.Timer(0.3, lambda: (ended.append(cache(sounds)["zcr"].dtype), writing.drop())).start()
        assert run(sounds, dtype="float32", part="2/2", wait=True) == {"rms": 4, "zcr": 4}
    assert [*ended, cache(sounds)["zcr"].dtype] == ["float16", "float32"]
    assert capsys.readouterr().err.count("waiting: zcr.h5 has to be made again for these clips") == 1


def test_a_disk_that_is_too_small_is_known_before_anything_starts(sounds, monkeypatch):
    usage = shutil.disk_usage(sounds.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    with pytest.raises(RequestError, match=r"need 5\.0 MB .* where 5\.0 MB are free; fewer FEATURES"):
        run(sounds, features="mel rms")
    with pytest.raises(RequestError, match="FEATURES=small needs less"):
        run(sounds, features="mel waveform")
    assert not list((sounds.folder.parent / "data").rglob("*.h5*"))


def test_the_cost_is_told_before_the_work_and_the_next_command_after(sounds, capsys):
    assert extract.run(options(sounds, features="waveform rms")) == 0
    shown = capsys.readouterr().out
    assert re.search(r"about [\d.]+ s on 1 process, 128 kB; largest files: waveform 128 kB, rms", shown)
    assert "FEATURES=small leaves out the largest: about" in shown
    assert re.search(r"8 clips in .*clips/s, 128 kB; sharing intermediates saved", shown)
    assert shown.splitlines()[-1].startswith(f"next: make train DATASET={sounds.csv} FEATURES=waveform DATA=")


def test_an_impossible_feature_is_left_out_of_all_and_refused_by_name(sounds, capsys):
    with pytest.raises(RequestError, match="cqt cannot exist here"):
        request(options(sounds, features="rms cqt"))
    assert "cqt" in request(options(sounds, features="all")).wanted.left_out


def test_worker_processes_write_the_same_bytes_as_this_one(sounds):
    assert run(sounds, jobs=2) == {"rms": 8, "zcr": 8}
    assert stored(sounds, "rms") == anew(sounds, "rms")
    assert not list((cache(sounds).folder / "locks").glob("run-*"))


def test_parts_run_side_by_side_and_one_waits_for_the_other(sounds):
    """Four processes at once on a cache that is not there yet, and a fifth that wants it all."""
    context = multiprocessing.get_context("fork")
    parts = [
        context.Process(target=run, args=(sounds,), kwargs={"part": f"{number}/4"}) for number in (1, 2, 3, 4)
    ]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    assert [part.exitcode for part in parts] == [0] * 4
    assert run(sounds, wait=True) == {"rms": 0, "zcr": 0}
    assert stored(sounds, "rms") == anew(sounds, "rms")


def test_a_feature_that_fails_for_a_clip_is_named_with_it(sounds, monkeypatch, capsys):
    def fails(clip, **parameters):
        if clip.y[0] == first:
            raise ZeroDivisionError("of this clip")
        return np.zeros((1, 16))

    first = soundfile.read(sounds.folder / sounds.rows[2]["filename"], dtype="float32")[0][0]
    monkeypatch.setitem(REGISTRY, "zcr", replace(REGISTRY["zcr"], function=fails))
    assert extract.run(options(sounds)) == 1
    assert "clip00003: zcr: ZeroDivisionError: of this clip" in capsys.readouterr().out
    assert cache(sounds).readable(["rms"]).all()
    assert cache(sounds).readable(["zcr"]).sum() == 7


def test_a_disk_that_fails_in_the_middle_stops_cleanly_and_a_second_run_goes_on(sounds, monkeypatch, capsys):
    written = []

    def full(descriptor, data, offset):
        written.append(offset)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        storage_write(descriptor, data, offset)

    storage_write = state.write_at
    monkeypatch.setattr(state, "write_at", full)
    assert extract.run(options(sounds)) == 1
    assert "stopped: [Errno 28] No space left on device; what is done stays done" in capsys.readouterr().err
    monkeypatch.undo()
    left = int((~cache(sounds).readable(["rms"])).sum())
    assert 0 < left < 8
    assert run(sounds)["rms"] == left


def test_a_file_larger_than_the_shell_allows_is_known_before_anything_starts(sounds):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        with pytest.raises(RequestError, match=r"ulimit -f"):
            run(sounds, features="mel")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_a_place_that_cannot_be_written_is_told(sounds):
    (sounds.folder / "file").touch()
    with pytest.raises(RequestError, match="cannot be made: Not a directory"):
        run(sounds, data=sounds.folder / "file")


def test_a_clip_that_changes_after_it_was_hashed_is_not_stored_under_the_old_hash(sounds):
    asked = request(options(sounds))
    sounds.edit()
    outcome = extract.extract(asked, options(sounds))
    ((_, _, reason),) = outcome.failures
    assert "changed while it was read" in reason
    assert not run(sounds)["rms"] > 1


def test_a_cache_without_audio_is_used_as_it_is(sounds, tmp_path):
    table = {"clip_id": ["a"], "label": ["x"], "fold": [1]}
    bring.create_cache(tmp_path / "brought", table, sample_rate=8000, duration=1)
    with pytest.raises(RequestError, match="no audio"):
        request(options(sounds, dataset=str(tmp_path / "brought")))


def test_a_new_version_of_a_features_code_makes_it_again(sounds, monkeypatch, capsys):
    run(sounds)
    monkeypatch.setitem(REGISTRY, "zcr", replace(REGISTRY["zcr"], version=REGISTRY["zcr"].version + 1))
    assert run(sounds) == {"rms": 0, "zcr": 8}
    assert "made again: zcr.h5 has code_version" in capsys.readouterr().out


def test_a_run_whose_claim_is_taken_away_stops_with_a_message(sounds, monkeypatch, capsys):
    def without_locks(*arguments):
        for marker in (cache(sounds).folder / "locks").glob("run-*"):
            marker.unlink()
        return fill(*arguments)

    fill = extract._fill
    monkeypatch.setattr(extract, "_fill", without_locks)
    assert extract.run(options(sounds)) == 1
    assert "stopped: the claim of this run is gone" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(sounds) == {"rms": 8, "zcr": 8}
