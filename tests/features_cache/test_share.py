"""An exported cache is one zip of ordinary files; what is wrong with one is named and nothing is imported."""

import shutil
import warnings
import zipfile

import numpy as np
import pytest

from features_cache import Cache, external
from features_cache.feature_file import lock
from features_cache.share import export_features, import_features, verify_export
from tests.features_cache.conftest import CLIPS, TABLE
from tests.golden.commands import done
from tests.refusal import refused


@pytest.fixture
def shared(cache, tmp_path):
    export_features(cache.folder, ["mine"], tmp_path / "shared.zip")
    return tmp_path / "shared.zip"


def test_export_verify_and_import_by_command_give_the_same_bytes(cache, tmp_path):
    external.write_feature(cache.folder, "other", np.zeros((8, 2)), CLIPS)
    file = tmp_path / "my.zip"
    brought = {"DATASET": "brought", "DATA": tmp_path / "data"}
    done("features_cache export", DATASET=cache.folder, FEATURES="mine", FILE=file)
    done("features_cache verify", FILE=file)
    done("features_cache import", FILE=file, **brought)
    assert "1 feature" in done("features_cache info", **brought).out
    there = tmp_path / "data" / "brought" / "features"
    assert (there / "mine.h5").read_bytes() == (cache.folder / "mine.h5").read_bytes()
    assert Cache(there).features == ["mine"] and Cache(there).clips.equals(cache.clips)
    assert sorted(path.name for path in there.parent.iterdir()) == ["features"]  # and no draft


def test_features_join_a_cache_that_is_there_and_none_is_overwritten(cache, shared, tmp_path):
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
    with refused(r"not intact: mine; .*make features"):
        export_features(cache.folder, ["mine"], tmp_path / "new.zip")
    assert not list(tmp_path.glob("*.zip*"))


def test_flipped_bits_and_cuts_are_refused_or_harmless(shared, tmp_path):
    whole = shared.read_bytes()
    rng = np.random.default_rng(0)
    found = 0
    for number in range(30):
        content = bytearray(whole)
        place = int(rng.integers(len(whole)))
        if number % 3:
            content[place] ^= 1 << int(rng.integers(8))
        else:
            del content[place:]
        shared.write_bytes(content)
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        if not all(verdict.intact for verdict in verify_export(shared)):
            found += 1
            with refused("."):
                import_features(shared, tmp_path / "new" / "features")
            assert not (tmp_path / "new" / "features").exists()
        else:
            import_features(shared, tmp_path / "new" / "features")
            assert Cache(tmp_path / "new" / "features").readable(["mine"]).all()
    assert found > 20


@pytest.mark.parametrize(
    "name", ["../mine.h5", "/tmp/mine.h5", "a/mine.h5", "mine.txt", "m ine.h5", "mine.h5"]
)
def test_a_zip_with_other_files_or_one_twice_is_refused(shared, tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the name that is there
        with zipfile.ZipFile(shared, "a") as archive:
            archive.writestr(name, b"")
    done("features_cache verify", 1, FILE=shared)
    done("features_cache verify", 2, FILE=tmp_path / "nowhere.zip")
