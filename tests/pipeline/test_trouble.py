"""`features` with damage, bad clips, full disks, and a cache that others own."""

import errno
import os
import shutil
import zlib

import h5py
import numpy as np
import pytest
import soundfile

from featurestack.base.errors import Failed
from featurestack.features_cache import hdf5
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.index_file import read_failures
from featurestack.pipeline import extract
from featurestack.pipeline.extraction_plan import plan_extraction
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import FeaturesCommand
from tests.cases import cases
from tests.golden.commands import flip_bit
from tests.noise import write_clips
from tests.pipeline.extraction import cache, options, run, stored
from tests.processes import forked, no_override
from tests.refusal import refused


def overwrite(folder):
    """Flip a bit of the fourth clip."""
    file = Cache(folder)["zcr"]
    flip_bit(file.path, file.values_offset + 3 * file.clip_bytes)


def cut(name, keep):
    return lambda folder: os.truncate(folder / name, keep)


def exchange(folder):
    for name, other in (("rms", "aside"), ("zcr", "rms"), ("aside", "zcr")):
        (folder / f"{name}.h5").rename(folder / f"{other}.h5")


def rewritten(**layout):
    """Write a feature file again, its values in another layout, as h5repack does."""

    def spoil(folder):
        path, new = folder / "zcr.h5", folder / "zcr.new"
        if "external" in layout:
            layout["external"] = [(str(folder / "zcr.raw"), 0, path.stat().st_size)]
        with h5py.File(path) as old, h5py.File(new, "w") as copy:
            copy.attrs.update(old.attrs)
            copy.create_dataset("values", data=old["values"], **layout)
            for name in {*old} - {"values"}:
                old.copy(name, copy)
        new.replace(path)

    return spoil


def name_twice(folder):
    """Let a feature file name a clip twice."""
    with h5py.File(folder / "zcr.h5", "r+") as file:
        ids = file["clip_id"][()]
        ids[0] = ids[1]
        file["clip_id"][...] = ids
        file["clip_id"].attrs["crc32"] = zlib.crc32(ids.data)


@pytest.mark.parametrize(
    ("spoil", "refusal", "computed"),
    [
        (overwrite, "clip00004: damaged", [0, 1]),
        (cut("zcr.h5", 1000), r"zcr\.h5|damaged", [0, 8]),
        (exchange, r"zcr\.h5 holds rms", [8, 8]),
        (cut("index.h5", 100), r"index\.h5 cannot be read", [0, 0]),
        (rewritten(compression="gzip"), r"zcr\.h5", [0, 8]),
        (rewritten(external=()), r"zcr\.h5", [0, 8]),
        (name_twice, "clip twice", [0, 8]),
    ],
)
def test_what_is_damaged_is_refused_and_nothing_else_computed_again(
    sounds, spoil, refusal, computed
):
    run(sounds)
    good = {name: stored(sounds, name) for name in ("rms", "zcr")}
    spoil(cache(sounds).folder)
    with refused(refusal):
        cache(sounds).read("zcr", range(8))
    assert [*run(sounds).values()] == computed
    assert {name: stored(sounds, name) for name in good} == good


def test_failed_clips_are_named_as_long_as_they_are_there_and_left_out(sounds, capsys):
    for name in ("clip00003.wav", "clip00005.wav"):
        (sounds.folder / name).write_bytes(b"no sound that is read")
    assert extract.extract_features(options(sounds)) == 1
    shown = capsys.readouterr().out
    assert shown.count("ffmpeg -i a.m4a a.flac") == 1
    assert shown.count("clip00003 and clip00005: not audio") == 1
    assert f"2 clips failed ({cache(sounds).folder / 'failures.csv'})" in shown
    usable, following = shown.splitlines()[-2:]
    assert usable == "usable: 6 clips; 2 left out, see failures.csv"
    assert following.startswith("next: ")
    folder = cache(sounds).folder
    assert [clip for clip, *_ in read_failures(folder)] == ["clip00003", "clip00005"]
    del sounds.rows[2:5:2]
    sounds.write()
    assert extract.extract_features(options(sounds)) == 0
    assert not read_failures(folder) and "left out" not in capsys.readouterr().out
    for file in sounds.folder.glob("*.wav"):
        file.write_bytes(b"")
    with pytest.raises(Failed, match=r"every clip failed, the first .*0 bytes"):
        extract.extract_features(options(sounds))
    sounds.folder.joinpath("elsewhere").mkdir()
    for file in sounds.folder.glob("*.wav"):
        file.rename(file.parent / "elsewhere" / file.name)
    with pytest.raises(Failed, match=r"no such file; AUDIO_DIR= names where"):
        extract.extract_features(options(sounds))
    assert not (folder / "zcr.h5").exists()  # no feature without a feature map stays
    assert "next: " not in capsys.readouterr().out


def test_a_clip_that_has_other_features_fails_in_those_that_it_lacks(sounds):
    run(sounds)
    for file in sounds.folder.glob("*.wav"):
        file.unlink()
    with pytest.raises(Failed, match="flatness: every clip failed"):
        extract.extract_features(options(sounds, features="rms flatness"))
    failed = {feature for _, _, feature, _ in read_failures(cache(sounds).folder)}
    assert failed == {"flatness"}


def test_a_feature_that_fails_for_a_clip_is_named_with_it(sounds, monkeypatch, capsys):
    soundfile.write(sounds.folder / "clip00003.wav", np.zeros(8000), 8000)

    def function(clip, **parameters):
        return np.zeros((1, 16)) if clip.y.any() else np.zeros(16)

    monkeypatch.setitem(vars(FEATURES["zcr"]), "function", function)
    assert extract.extract_features(options(sounds)) == 1
    reason = "zcr returned float64 of the shape (16,), expected real numbers of the sh"
    assert f"clip00003: zcr: {reason}" in capsys.readouterr().out
    assert cache(sounds).readable(["rms"]).all()
    assert cache(sounds).readable(["zcr"]).sum() == 7


def test_a_feature_that_fails_for_every_clip_beside_one_that_is_there_is_named(
    sounds, monkeypatch, capsys
):
    def broken(clip, **parameters):
        raise ValueError("no weights")

    monkeypatch.setitem(vars(FEATURES["zcr"]), "function", broken)
    line = broken.__code__.co_firstlineno + 1
    reasons = (
        r"zcr: every clip failed, .*no weights"
        rf" \(.*test_trouble\.py, line {line}\); .*failures\.csv has all reasons"
    )
    with pytest.raises(Failed, match=reasons):
        extract.extract_features(options(sounds))
    assert cache(sounds).readable(["rms"]).all()
    assert "next: " not in capsys.readouterr().out


def test_a_clip_that_changes_after_it_was_hashed_is_not_stored_under_the_old_hash(
    sounds,
):
    asked = plan_extraction(options(sounds))
    sounds.edit()
    outcome = extract.extract(asked, options(sounds))
    ((_, _, reason),) = outcome.failures
    assert "changed since the cache noted it" in reason
    assert not run(sounds)["rms"] > 1


def test_a_disk_that_is_too_small_is_known_before_anything_starts(sounds, monkeypatch):
    usage = shutil.disk_usage(sounds.folder)
    nearly_full = usage._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nearly_full)
    with refused(r"5\.0 MB are free; fewer FEATURES"):
        run(sounds, features="mel rms")
    assert not list((sounds.folder.parent / "data").rglob("*.h5*"))


def full_after_20_writes(patch):
    write = hdf5.write_at
    left = iter(range(20))

    def full(*arguments):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    patch.setattr(hdf5, "write_at", full)


def test_a_run_on_a_full_disk_stops_and_a_second_goes_on(sounds):
    full = pytest.raises(Failed, match="No space left on device")
    with pytest.MonkeyPatch.context() as patch, full:
        full_after_20_writes(patch)
        extract.extract_features(options(sounds))
    assert 0 < run(sounds)["rms"] < 8


@pytest.fixture(scope="module")
def read_only_birds(tmp_path_factory):
    """A folder of sounds by class, and DATA with its features, in which nothing may be
    written; its folds were drawn.
    """
    folder = tmp_path_factory.mktemp("shared") / "birds"
    write_clips(folder, "owl", "robin", "wren", clips=4)
    data = folder.parent / "data"
    given = {"dataset": str(folder), "data": data, "jobs": 1}
    extract.extract_features(FeaturesCommand(**given, features="rms"))
    places = [data, *filter(os.path.isdir, data.rglob("*"))]
    for place in places:
        place.chmod(0o555)
    yield folder, data
    for place in places:
        place.chmod(0o755)


def state(folder):
    """{path: time} of all files and folders."""
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def command(name, folder, data, *words):
    """The finished process of a command, of a user without a right to write there."""
    words = name, f"DATASET={folder}", f"DATA={data}", *words
    return forked("-m", "featurestack", *words, before=no_override)


@cases("name", "features", "said")
def test_commands_on_a_complete_dataset_need_no_right_to_write(
    read_only_birds, name, features, said
):
    folder, data = read_only_birds
    before = state(data)
    process = command(name, folder, data, *features)
    kept = f"the findings are not kept: {data / 'birds' / 'features'} may not be"
    assert said in process.stdout and "Error" not in process.stderr
    assert (kept in process.stderr) == (name == "check")
    assert state(data) == before


@pytest.mark.parametrize("name", ["features", "train"])
def test_what_may_not_be_written_is_one_sentence(read_only_birds, name):
    folder, data = read_only_birds
    words = ["FEATURES=rms", f"RUNS={data}", "MODEL=linear"]
    if name == "features":
        words = ["FEATURES=rms flatness", "JOBS=1"]
    process = command(name, folder, data, *words)
    last = process.stderr.strip().splitlines()[-1]
    assert process.returncode and str(data / "birds") in last
    assert ("DATA=" if name == "features" else "RUNS=") in last


def test_features_that_a_shared_cache_lacks_are_computed_beside_links(
    read_only_birds, tmp_path
):
    folder, data = read_only_birds
    own = tmp_path / "birds" / "features"
    own.mkdir(parents=True)
    for file in (data / "birds" / "features").glob("*.h5"):
        (own / file.name).symlink_to(file)
    before = state(data)
    process = command("features", folder, tmp_path, "FEATURES=rms flatness", "JOBS=1")
    assert process.returncode == 0, process.stderr
    assert "12 of 24 feature maps to compute" in process.stdout
    words = [f"RUNS={tmp_path / 'runs'}", "FEATURES=rms+flatness", "MODEL=linear"]
    process = command("train", folder, tmp_path, *words)
    assert process.returncode == 0, process.stderr
    assert state(data) == before


def test_a_cache_as_dataset_is_only_read(read_only_birds):
    folder, data = read_only_birds
    before = state(data)
    given = {"dataset": str(data / "birds" / "features"), "data": data, "jobs": 1}
    assert extract.extract_features(FeaturesCommand(**given, features="rms")) == 0
    with refused(rf"only read.*DATASET={folder}"):
        extract.extract_features(FeaturesCommand(**given, features="rms flatness"))
    assert state(data) == before
