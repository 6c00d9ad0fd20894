"""An exported cache is one zip of ordinary files; nothing of a damaged one is
imported.
"""

import warnings
import zipfile

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
