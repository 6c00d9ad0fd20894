"""An exported cache is one zip of ordinary files; nothing of a damaged one is
imported.
"""

import os
import signal
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from featurestack.features_cache import Cache, external
from featurestack.features_cache.feature_file import lock
from featurestack.features_cache.share import (
    export_features,
    import_features,
    verify_export,
)
from tests.features_cache.conftest import CLIPS, TABLE
from tests.golden.commands import done, flip_bit
from tests.refusal import refused


@pytest.fixture
def shared(cache, tmp_path):
    export_features(cache.folder, ["mine"], tmp_path / "shared.zip")
    return tmp_path / "shared.zip"


def test_export_verify_and_import_by_command_give_the_same_bytes(cache, tmp_path):
    external.write_feature(cache.folder, "other", np.zeros((8, 2)), CLIPS)
    file = tmp_path / "my.zip"
    done("features_cache export", DATASET=cache.folder, FEATURES="mine", FILE=file)
    done("features_cache verify", FILE=file)
    done("features_cache import", FILE=file, DATASET="brought", DATA=tmp_path / "data")
    there = tmp_path / "data" / "brought" / "features"
    assert (there / "mine.h5").read_bytes() == (cache.folder / "mine.h5").read_bytes()
    assert Cache(there).clips.equals(cache.clips)
    assert Cache(there).features == ["mine"]
    # no draft is left
    assert [path.name for path in there.parent.iterdir()] == ["features"]


def test_features_join_a_cache_that_is_there_and_none_is_overwritten(
    cache, shared, tmp_path
):
    with refused("has mine already"):
        import_features(shared, cache.folder)
    (cache.folder / "mine.h5").unlink()
    assert import_features(shared, cache.folder) == ["mine"]
    assert Cache(cache.folder).readable(["mine"]).all()
    external.create_cache(tmp_path / "another", TABLE)
    with refused("give NAME="):
        import_features(shared, tmp_path / "another")


def test_what_is_damaged_or_being_written_is_not_exported(cache, tmp_path, spoil):
    writing = lock(cache.folder, "mine")
    writing.take(shared=True)
    with refused("being written by another process"):
        export_features(cache.folder, ["mine"], tmp_path / "new.zip")
    writing.release()
    spoil(2)
    with refused(r"^mine not intact; .*make features"):
        export_features(cache.folder, ["mine"], tmp_path / "new.zip")
    assert not list(tmp_path.glob("*.zip*"))


def test_flipped_bits_and_cuts_are_refused_or_harmless(shared, tmp_path):
    whole = shared.read_bytes()
    found = 0
    for place in np.random.default_rng(0).integers(len(whole), size=30).tolist():
        shared.write_bytes(whole if place % 3 else whole[:place])
        if place % 3:
            flip_bit(shared, place)
        folder = tmp_path / str(place) / "features"
        if all(verdict.intact for verdict in verify_export(shared)):
            import_features(shared, folder)
            assert Cache(folder).readable(["mine"]).all()
        else:
            found += 1
            with refused("."):
                import_features(shared, folder)
            assert not folder.exists()
    assert found > 20


@pytest.mark.parametrize("name", ["a/mine.h5", "mine.txt", "m ine.h5", "mine.h5"])
def test_a_zip_with_other_files_or_one_twice_is_refused(shared, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a second entry of one name
        with zipfile.ZipFile(shared, "a") as archive:
            archive.writestr(name, b"")
    done("features_cache verify", 1, FILE=shared)


@pytest.mark.parametrize("source", ["/dev/zero", "fifo"])
def test_what_is_no_regular_file_is_refused_before_it_is_read(tmp_path, source):
    os.mkfifo(tmp_path / "fifo")
    with refused("is no regular file; expected a zip"):
        import_features(tmp_path / source, tmp_path / "data" / "features")


def test_more_than_allowed_is_refused_before_anything_is_unpacked(cache, tmp_path):
    file = tmp_path / "zeros.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(cache.folder / "index.h5", "index.h5")
        archive.writestr("rms.h5", bytes(3_000_000))
    given = {"FILE": file, "DATASET": "z", "DATA": tmp_path, "MOST_GB": 0.001}
    refusal = done("features_cache import", 2, **given)
    assert "at most 10,000 of 1.1 MB are unpacked" in refusal.err
    assert not [path for path in (tmp_path / "z").rglob("*") if path.is_file()]


def test_a_refused_import_leaves_no_folder(tmp_path):
    with refused("no regular file"):
        import_features(Path("/dev/zero"), tmp_path / "new" / "features")
    assert not (tmp_path / "new").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from featurestack.features_cache import share
share.verify_cache = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
share.import_features(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_import_is_removed_by_the_next(shared, tmp_path):
    target = tmp_path / "data" / "features"
    killed = subprocess.run([sys.executable, "-c", KILLED, shared, target], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(target.parent.iterdir())) == 1
    import_features(shared, target)
    assert [path.name for path in target.parent.iterdir()] == ["features"]


@pytest.mark.parametrize("name", ["index.h5", "photos.zip"])
def test_a_file_of_another_kind_is_not_replaced(cache, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with refused("ends in .zip|holds no features"):
        export_features(cache.folder, ["mine"], tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"
