"""ESC-50 and ESC-10 as datasets: from folders that are there, from an empty one."""

import subprocess
import sys
from pathlib import Path

import pytest

from commandline.registry import RequestError
from pipeline.datasets import load
from tests.pipeline.datasets.esc50_archive import FIRST, files, obtain, rows, zipped

ROOT = Path(__file__).resolve().parents[3]


def run_data(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "data", f"DATA={data}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_folder_that_is_there_is_used_without_the_network(tmp_path, server):
    obtain(tmp_path, url=server.url("whole"))
    before = len(server.requests)
    assert len(load("esc50", tmp_path, url=server.url("whole")).table) == 20
    assert len(server.requests) == before


def test_esc10_is_the_marked_part_of_esc50(tmp_path, server):
    obtain(tmp_path, url=server.url("whole"))
    whole, part = load("esc50", tmp_path), load("esc10", tmp_path)
    assert part.name == "esc10"
    assert set(part.table["label"]) == {"dog"}
    assert part.table.equals(whole.table[whole.table["label"] == "dog"].reset_index(drop=True))


def test_audio_and_table_may_lie_in_different_places(tmp_path, server):
    folder = obtain(tmp_path / "first", url=server.url("whole"))
    sounds = (folder / "audio").rename(tmp_path / "elsewhere")
    table = load("esc50", tmp_path / "first", audio_dir=sounds).table
    assert Path(table["path"][0]).is_file()
    with pytest.raises(RequestError, match="needs a folder there and the table"):
        load("esc50", tmp_path / "second", audio_dir=sounds)


def test_the_whole_of_esc50_from_an_empty_folder(tmp_path, serve):
    """2,000 clips through the command that a new user types; then damage, which it names."""
    server = serve(zipped(files(rows(classes=50, each=8))))
    done = run_data(tmp_path, f"URL={server.url('breaks-off')}")
    assert done.returncode == 0, done.stderr
    assert "esc50: 2,000 clips, 50 classes, 5 folds" in done.stdout
    assert "balance: 40 to 40 clips a class" in done.stdout
    assert "doi:10.1145/2733373.2806390" in done.stdout
    assert "Traceback" not in done.stderr
    (tmp_path / "esc50" / "audio" / FIRST).write_bytes(b"")
    again = run_data(tmp_path)
    assert again.returncode == 1
    assert f"{FIRST}: empty: the file has 0 bytes" in again.stdout
    assert "doi:" not in again.stdout


def test_a_refused_request_is_one_message(tmp_path, server):
    done = run_data(tmp_path, f"URL={server.url('gone')}")
    assert done.returncode == 2
    assert done.stderr.startswith("error: http://127.0.0.1")
    assert "404" in done.stderr
    assert len(done.stderr.splitlines()) == 1
