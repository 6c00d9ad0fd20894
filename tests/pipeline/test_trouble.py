"""Damage, bad clips, full disks: what `features` does about them, and says."""

import errno
import os
import resource
import shutil
import stat

import numpy as np
import pytest
import soundfile

from commandline.registry import RequestError
from features_cache import UnreadableClips, layout
from pipeline import extract
from pipeline.extract import request
from pipeline.features import FEATURES
from tests.pipeline.extraction import cache, options, run, stored


def test_only_damaged_clips_are_computed_again(sounds, capsys):
    run(sounds)
    good, folder = stored(sounds, "zcr"), cache(sounds).folder
    file = cache(sounds)["zcr"]
    with (folder / "zcr.h5").open("r+b") as opened:
        opened.seek(file.values_offset + 3 * file.clip_bytes)
        opened.write(b"\xff")
    with pytest.raises(UnreadableClips) as refused:
        cache(sounds).read("zcr", range(8))
    assert refused.value.reasons == {"clip00004": "damaged"}
    assert run(sounds) == {"rms": 0, "zcr": 1}
    assert "zcr 1" in capsys.readouterr().out
    assert stored(sounds, "zcr") == good


def test_a_clip_of_impossible_samples_is_named_once_for_all_features(sounds, capsys):
    soundfile.write(sounds.folder / "clip00003.wav", np.full(8000, 1e15), 8000, subtype="DOUBLE")
    assert extract.run(options(sounds)) == 1
    told = "\n  clip00003: samples of up to 1e+15, where full scale is 1 and at most 1e+10 is taken\nnext: "
    where = cache(sounds).folder / "failures.csv"
    assert f"1 clip could not be done ({where}):{told}" in capsys.readouterr().out


def test_files_that_ffmpeg_converts_are_named_with_that_once(sounds, capsys):
    rows = sounds.csv.read_text()
    for clip in ("clip00003", "clip00005"):
        (sounds.folder / f"{clip}.wav").unlink()
        (sounds.folder / f"{clip}.m4a").write_bytes(b"no sound that is read")
        rows = rows.replace(f"{clip}.wav", f"{clip}.m4a")
    sounds.csv.write_text(rows)
    assert extract.run(options(sounds)) == 1
    shown = capsys.readouterr().out
    assert (
        shown.count("\nfiles of .m4a are not read: convert them, as in ffmpeg -i a.m4a a.flac\nnext: ") == 1
    )


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_a_file_that_is_cut_short_is_made_again(sounds, keep):
    run(sounds)
    good, path = stored(sounds, "zcr"), cache(sounds).folder / "zcr.h5"
    path.write_bytes(path.read_bytes()[:keep])
    assert run(sounds) == {"rms": 0, "zcr": 8}
    assert stored(sounds, "zcr") == good


def test_feature_files_under_exchanged_names_are_made_again(sounds, capsys):
    run(sounds)
    good, folder = {name: stored(sounds, name) for name in ("rms", "zcr")}, cache(sounds).folder
    (folder / "rms.h5").rename(folder / "aside")
    (folder / "zcr.h5").rename(folder / "rms.h5")
    (folder / "aside").rename(folder / "zcr.h5")
    with pytest.raises(RequestError, match=r"zcr\.h5 holds rms, expected zcr"):
        cache(sounds).read("zcr", range(8))
    assert run(sounds) == {"rms": 8, "zcr": 8}
    assert "zcr.h5 holds rms" in capsys.readouterr().out
    assert {name: stored(sounds, name) for name in good} == good


def test_a_damaged_index_is_made_again_and_nothing_computed(sounds):
    run(sounds)
    path = cache(sounds).folder / "index.h5"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(RequestError, match=r"index\.h5 cannot be read"):
        cache(sounds).clips  # noqa: B018
    assert run(sounds) == {"rms": 0, "zcr": 0}
    assert len(cache(sounds).clips) == 8


def test_a_feature_that_fails_for_a_clip_is_named_with_it(sounds, monkeypatch, capsys):
    def fails(clip, **parameters):
        if clip.y[0] == first:
            raise ZeroDivisionError("of this clip")
        return np.zeros((1, 16))

    first = soundfile.read(sounds.folder / sounds.rows[2]["filename"], dtype="float32")[0][0]
    monkeypatch.setitem(vars(FEATURES["zcr"]), "function", fails)
    assert extract.run(options(sounds)) == 1
    assert "clip00003: zcr: ZeroDivisionError: of this clip" in capsys.readouterr().out
    assert cache(sounds).readable(["rms"]).all()
    assert cache(sounds).readable(["zcr"]).sum() == 7


def test_a_clip_that_changes_after_it_was_hashed_is_not_stored_under_the_old_hash(sounds):
    asked = request(options(sounds))
    sounds.edit()
    outcome = extract.extract(asked, options(sounds))
    ((_, _, reason),) = outcome.failures
    assert "changed while it was read" in reason
    assert not run(sounds)["rms"] > 1


def test_a_disk_that_is_too_small_is_known_before_anything_starts(sounds, monkeypatch):
    usage = shutil.disk_usage(sounds.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    with pytest.raises(RequestError, match=r"need 5\.0 MB .* where 5\.0 MB are free; fewer FEATURES"):
        run(sounds, features="mel rms")
    with pytest.raises(RequestError, match="FEATURES=small needs less"):
        run(sounds, features="mel waveform")
    assert not list((sounds.folder.parent / "data").rglob("*.h5*"))


def test_a_disk_that_is_full_before_any_work_has_begun_ends_with_one(sounds, capsys):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))  # less than a claim
    try:
        assert extract.run(options(sounds)) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    where = sounds.folder.parent / "data/sounds/features/locks"
    assert f"stopped: {where}: File too large; what is done stays done" in capsys.readouterr().err
    assert run(sounds) == {"rms": 8, "zcr": 8}


def test_a_disk_that_fails_in_the_middle_stops_cleanly_and_a_second_run_goes_on(sounds, monkeypatch, capsys):
    written = []

    def full(descriptor, data, offset):
        written.append(offset)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        storage_write(descriptor, data, offset)

    storage_write = layout.write_at
    monkeypatch.setattr(layout, "write_at", full)
    assert extract.run(options(sounds)) == 1
    assert "stopped: [Errno 28] No space left on device; what is done stays done" in capsys.readouterr().err
    monkeypatch.undo()
    left = int((~cache(sounds).readable(["rms"])).sum())
    assert 0 < left < 8
    assert run(sounds)["rms"] == left


def test_a_run_whose_claim_is_taken_away_stops_with_a_message(sounds, monkeypatch, capsys):
    def without_locks(*arguments):
        for marker in (cache(sounds).folder / "locks").glob("run-*"):
            marker.unlink()
        return batches(*arguments)

    batches = extract.batches
    monkeypatch.setattr(extract, "batches", without_locks)
    assert extract.run(options(sounds)) == 1
    assert "stopped: the claim of this run is gone" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(sounds) == {"rms": 8, "zcr": 8}


def test_what_is_no_regular_file_is_named_and_never_opened(sounds):
    names = [sounds.folder / row["filename"] for row in sounds.rows[:4]]
    for path in names:
        path.unlink()
    os.mkfifo(names[0])
    os.mknod(names[1], stat.S_IFSOCK | 0o600)
    names[2].symlink_to("/dev/zero")
    names[3].symlink_to(names[3])
    outcome = extract.extract(request(options(sounds)), options(sounds))
    reasons = {row: reason for row, _, reason in outcome.failures}
    assert [reasons[row] for row in range(3)] == ["not a regular file"] * 3
    assert "cannot be read" in reasons[3]
    assert cache(sounds)["rms"].done().tolist() == [False] * 4 + [True] * 4
