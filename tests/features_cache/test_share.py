"""Export and import: one compressed file, back bit for bit."""

import h5py
import numpy as np
import pytest

from commandline import RequestError
from features_cache import Cache, external
from features_cache.layout import read_header
from features_cache.share import export_features, import_features, verify_export
from features_cache.verify import verify_cache

CLIPS = [f"clip{number}" for number in range(8)]


@pytest.fixture
def shared(cache, values, tmp_path):
    external.write_feature(cache.folder, "some", values[:5], CLIPS[:5])
    target = tmp_path / "shared.h5"
    assert export_features(cache.folder, ["mine", "some"], target) == 0
    return target


def test_what_is_imported_equals_what_was_exported_bit_for_bit(cache, shared, tmp_path):
    assert import_features(shared, tmp_path / "new") == ["mine", "some"]
    for name in ("mine", "some"):
        one, other = (read_header(folder / f"{name}.h5") for folder in (cache.folder, tmp_path / "new"))
        np.testing.assert_array_equal(one.map(), other.map())
        np.testing.assert_array_equal(one.map(state=True), other.map(state=True))
        assert one.attributes == other.attributes
        assert one.row_axis.tolist() == other.row_axis.tolist()
    assert Cache(tmp_path / "new").clips.equals(cache.clips)
    assert all(one.intact for one in verify_cache(tmp_path / "new"))
    assert verify_export(shared) == []


def test_the_file_is_compressed_and_readable_by_anyone(shared):
    with h5py.File(shared) as file:
        assert (file["mine/values"].compression, file["mine/values"].shuffle) == ("gzip", True)
        assert file["clips/label"].asstr()[0] == "dog"


def test_features_join_a_cache_that_is_there_and_none_is_overwritten(cache, shared):
    (cache.folder / "some.h5").unlink()
    with pytest.raises(RequestError, match="has mine already"):
        import_features(shared, cache.folder)
    (cache.folder / "mine.h5").unlink()
    assert import_features(shared, cache.folder) == ["mine", "some"]


def test_another_cache_is_not_mixed_with(shared, tmp_path, table):
    external.create_cache(tmp_path / "other", table, sample_rate=44100, duration=1.0)
    with pytest.raises(RequestError, match="give NAME="):
        import_features(shared, tmp_path / "other")


def test_damaged_clips_are_left_out_and_counted(cache, tmp_path):
    file = read_header(cache.folder / "mine.h5")
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset)
        opened.write(b"\xff\xff")
    assert export_features(cache.folder, ["mine"], tmp_path / "shared.h5") == 1
    import_features(tmp_path / "shared.h5", tmp_path / "new")
    assert Cache(tmp_path / "new").readable(["mine"]).tolist() == [False] + [True] * 7


def test_damage_of_the_shared_file_is_found(shared):
    whole = bytearray(shared.read_bytes())
    with h5py.File(shared) as file:
        place = file["mine/values"].id.get_chunk_info(0).byte_offset
    whole[place + 10] ^= 4
    shared.write_bytes(whole)
    assert verify_export(shared)
