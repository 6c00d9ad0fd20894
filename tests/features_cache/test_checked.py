"""check.json: findings hold for the audio that was examined."""

import os
import shutil

import pandas as pd
import pytest

from featurestack.features_cache.side_files import read_check, write_check
from featurestack.features_cache.table import complete

FINDINGS = [{"kind": "silent"}]


@pytest.fixture
def clips(tmp_path):
    """Three clips whose findings are kept, the third without its file."""
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for path in paths[:2]:
        path.write_bytes(path.stem.encode() * 9)
    table = {"clip_id": [*"abc"], "label": "x", "fold": 1}
    table = complete(pd.DataFrame({**table, "path": map(str, paths)}))
    write_check(tmp_path, table, FINDINGS)
    return table


def test_findings_are_kept_while_the_audio_files_are_as_they_were(clips, tmp_path):
    assert read_check(tmp_path, clips) == FINDINGS
    os.utime(tmp_path / "a.wav", (1, 1))
    assert read_check(tmp_path, clips) is None


def test_a_named_pipe_is_not_waited_for(clips, tmp_path):
    (tmp_path / "a.wav").unlink()
    os.mkfifo(tmp_path / "a.wav")
    assert read_check(tmp_path, clips) is None


def test_findings_end_with_the_audio(clips, tmp_path):
    shutil.copy(tmp_path / "b.wav", tmp_path / "a.wav")
    assert read_check(tmp_path, clips) is None


def test_findings_hold_where_the_audio_is_not(clips, tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).unlink()
    assert read_check(tmp_path, clips) == FINDINGS
