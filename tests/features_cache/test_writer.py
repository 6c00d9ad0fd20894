"""Writing: what is stored, files that cannot be made, systems that lack a call."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from commandline import RequestError
from features_cache import Cache, bring
from features_cache.claims import claimed
from features_cache.layout import FeatureSpec, read_header
from features_cache.locks import lock
from features_cache.writer import ready, to_stored, written_to

ROOT = Path(__file__).resolve().parents[2]
CLIPS = [f"clip{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\), expected \(2, 2\)"),
        (np.array([[0, np.inf], [np.nan, 0]]), "2 values are NaN or infinite"),
        (np.full((2, 2), -70000.0), "70000 overflows float16; DTYPE=float32"),
    ],
)
def test_what_cannot_be_stored_is_told(values, message):
    with pytest.raises(ValueError, match=message):
        to_stored(values, (2, 2), np.dtype("float16"))


def test_the_largest_float16_is_stored_and_the_cast_is_numpys():
    values = np.array([[65504.0, 1 / 3], [-65504.0, 1e-9]])
    np.testing.assert_array_equal(to_stored(values, (2, 2), np.dtype("float16")), values.astype(np.float16))


@pytest.mark.parametrize("missing", [["pwrite"], ["posix_fallocate"], ["pwrite", "posix_fallocate"]])
def test_a_system_without_the_calls_writes_the_same_bytes(tmp_path, table, values, monkeypatch, missing):
    for folder in ("with", "without"):
        if folder == "without":
            for name in missing:
                monkeypatch.delattr(os, name)
        bring.create_cache(tmp_path / folder, table)
        bring.create_feature(tmp_path / folder, "mine", values, CLIPS)
    one, other = (read_header(tmp_path / folder / "mine.h5") for folder in ("with", "without"))
    np.testing.assert_array_equal(one.map(), other.map())
    np.testing.assert_array_equal(one.map(state=True), other.map(state=True))


def test_a_file_that_the_disk_has_no_room_for_is_told_and_leaves_nothing(cache):
    code = f"""
        import resource
        import numpy as np
        from commandline import RequestError
        from features_cache import Cache, bring
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            bring.create_feature({str(cache.folder)!r}, "large", np.zeros((8, 100, 300)), {CLIPS})
        except RequestError as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert "large.h5 cannot be made, 480 kB: File too large" in done.stdout, done.stderr
    assert sorted(path.name for path in cache.folder.iterdir()) == ["index.h5", "locks", "mine.h5"]
    assert Cache(cache.folder).readable(["mine"]).all()


def test_whoever_writes_to_a_feature_is_named_and_its_file_not_replaced_before_that_ends(cache):
    spec = read_header(cache.folder / "mine.h5")
    other = FeatureSpec.of(spec.attributes | {"dtype": "float32"}, spec.row_axis, spec.frame_axis)
    assert written_to(cache.folder, "mine") == ""
    writing = lock(cache.folder, "mine")
    writing.take(shared=True)
    assert written_to(cache.folder, "mine") == "another process"
    with claimed(cache.folder, ["mine"], (0, 8), wait=False):
        assert written_to(cache.folder, "mine").startswith(f"process {os.getpid()} on ")
    dtypes = []
    threading.Timer(0.2, lambda: (dtypes.append(read_header(spec.path).dtype), writing.release())).start()
    file, share = ready(cache.folder, other, spec.clip_ids, np.zeros(8, np.uint64))
    share.release()
    assert [*dtypes, file.dtype] == ["float16", "float32"]


def test_a_draft_that_a_killed_run_left_is_removed(cache):
    spec = read_header(cache.folder / "mine.h5")
    draft = cache.folder / "mine.h5.tmp"
    draft.write_bytes(b"half")
    same = FeatureSpec.of(spec.attributes, spec.row_axis, spec.frame_axis)
    ready(cache.folder, same, spec.clip_ids, np.zeros(8, np.uint64))[1].release()
    assert not draft.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path, table):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be written"):
        bring.create_cache(tmp_path / "file" / "cache", table)
