"""Export and import: one compressed file, back bit for bit."""

import os
import random
import resource

import h5py
import numpy as np
import pytest

from commandline.registry import RequestError
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


def refused(source, folder):
    """The message of the refusal, after which nothing has been imported."""
    with pytest.raises(RequestError) as refusal:
        import_features(source, folder)
    assert not folder.exists()
    assert verify_export(source)
    return str(refusal.value)


def test_flipped_bits_and_cuts_are_refused_or_harmless(cache, shared, tmp_path):
    rng, whole = random.Random(0), shared.read_bytes()
    refusals = 0
    for trial in range(60):
        damaged = bytearray(whole)
        place = rng.randrange(len(whole))
        if trial % 6:
            damaged[place] ^= 1 << rng.randrange(8)
        else:
            del damaged[place:]
        shared.write_bytes(damaged)
        folder = tmp_path / f"new{trial}"
        if verify_export(shared):
            assert "nothing was imported" in refused(shared, folder)
            refusals += 1
            continue
        import_features(shared, folder)
        imported = Cache(folder)
        assert imported.clips.equals(cache.clips)
        np.testing.assert_array_equal(imported.read("mine", CLIPS), cache.read("mine", CLIPS))
        np.testing.assert_array_equal(imported["some"].done(), cache["some"].done())
    assert refusals > 10


@pytest.mark.parametrize("kilobytes", [1, 3, 8, 33, 40])
def test_a_full_disk_while_a_file_is_made_is_one_sentence_and_leaves_nothing(cache, tmp_path, kilobytes):
    export_features(cache.folder, ["mine"], tmp_path / "good.h5")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000 * kilobytes, limit[1]))
    try:
        if kilobytes < 10:
            with pytest.raises(OSError, match=r"File too large: '.*shared\.h5'$"):
                export_features(cache.folder, ["mine"], tmp_path / "shared.h5")
        with pytest.raises(OSError, match="File too large"):
            import_features(tmp_path / "good.h5", tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not (tmp_path / "shared.h5").exists()
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_fifo_is_not_replaced_by_an_export(cache, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RequestError, match="no ordinary file"):
        export_features(cache.folder, ["mine"], tmp_path / "fifo")
    assert (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize("content", [b"", b"clip_id,label\na,dog\n", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_a_file_that_is_no_export_is_refused(tmp_path, content):
    (tmp_path / "foreign.h5").write_bytes(content)
    assert "foreign.h5 cannot be read" in refused(tmp_path / "foreign.h5", tmp_path / "new")


def test_a_missing_file_a_folder_and_a_fifo_are_refused(tmp_path):
    with pytest.raises(RequestError, match="there is no such file"):
        verify_export(tmp_path / "missing")
    with pytest.raises(RequestError, match="there is no such file"):
        import_features(tmp_path / "missing", tmp_path / "new")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "fifo"):
        assert "no regular file" in refused(tmp_path / name, tmp_path / "new")


def test_an_index_and_a_feature_file_are_no_exports(cache, tmp_path):
    assert "link to somewhere else" in refused(cache.folder / "index.h5", tmp_path / "new")
    assert "cannot be read" in refused(cache.folder / "mine.h5", tmp_path / "new")


@pytest.mark.parametrize("replaced", ["mine", "clips", "mine/values", "mine/state", "clips/label"])
@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/loop"), h5py.ExternalLink("/dev/zero", "/values"), h5py.SoftLink("/some/values")]
)
def test_links_to_somewhere_else_are_refused(shared, tmp_path, replaced, link):
    with h5py.File(shared, "r+") as file:
        file["loop"] = h5py.SoftLink("/loop")
        del file[replaced]
        file[replaced] = link
    assert "link to somewhere else" in refused(shared, tmp_path / "new")


def test_a_group_within_itself_is_refused(shared, tmp_path):
    with h5py.File(shared, "r+") as file:
        file["loop"] = file["/"]
    refused(shared, tmp_path / "new")


def test_values_of_another_feature_type_or_size_are_refused(shared, tmp_path):
    with h5py.File(shared, "r+") as file:
        file.move("some", "other")
    assert "other holds some" in refused(shared, tmp_path / "new")
    for values in (np.zeros((8, 3, 5), "f2"), np.zeros((8, 4, 5), "i2"), np.array([b"text"])):
        with h5py.File(shared, "r+") as file:
            if "other" in file:
                del file["other"]
            del file["mine/values"]
            file.create_dataset("mine/values", data=values, chunks=True)
        assert "mine holds" in refused(shared, tmp_path / "new")


def test_values_that_are_not_in_the_file_are_refused(shared, tmp_path):
    with h5py.File(shared, "r+") as file:
        del file["mine/frame_axis"]
        lying = file.create_dataset("mine/frame_axis", (10**12,), "f8", chunks=(1000,), fletcher32=True)
        lying.attrs["crc32"] = 0
    assert "frame_axis lacks chunks" in refused(shared, tmp_path / "new")
