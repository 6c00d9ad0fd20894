"""Both trackers are run for real: what was logged is read back from the files that they leave."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commandline.registry import RequestError
from train.trackers import TRACKERS, Fold, Outcome, check_trackers, follow

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"features": "mel+mfcc", "model": "cnn4", "hash": "0123abcd", "note": "a first attempt"}
HISTORY = [
    {"lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.1},
    {"lr": 0.05, "train_loss": 1.0, "train_accuracy": 0.4, "test_accuracy": 0.5},
]
OUTCOME = Outcome(["dog", "rain"], np.array([0, 1, 1]), np.array([0, 1, 0]), {"test_accuracy": 2 / 3})


def track(name: str, folder: Path, epochs_done: int = 0) -> None:
    (tracker,) = follow(name, Fold(CONFIG, "mel+mfcc-cnn4", 2, epochs_done, folder))
    for number, values in enumerate(HISTORY[epochs_done:], start=epochs_done + 1):
        tracker.epoch(number, values)
    tracker.finish(OUTCOME)


def test_tensorboard_holds_every_column_and_the_outcome(tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path)
    track("tensorboard", tmp_path, epochs_done=1)  # killed after its first epoch and continued
    assert f"tensorboard --logdir {tmp_path}" in capsys.readouterr().out
    events = EventAccumulator(str(tmp_path / "fold2"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/train")] == [(1, 2.0), (2, 1.0)]
    assert [(e.step, e.value) for e in events.Scalars("accuracy/test")] == [(2, 0.5)]
    assert events.Scalars("lr")[0].value == pytest.approx(0.1)
    assert events.Scalars("summary/test_accuracy")[-1].value == pytest.approx(2 / 3)
    assert events.Images("confusion")[0].width >= 400
    assert {"run.json/text_summary", "note/text_summary"} <= set(events.Tags()["tensors"])


def test_wandb_without_a_key_stays_offline_asks_nothing_and_says_how_to_sync(tmp_path):
    """In a process of its own, as a user without an account: no key, no home, nobody at the keyboard."""
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
    code += f"from pathlib import Path; import test_trackers as t; t.track('wandb', Path({str(tmp_path)!r}))"
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**surroundings, "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "wandb").glob("offline-run-*-0123abcd-fold2")
    assert f"wandb sync {folder}" in done.stdout
    (record,) = folder.glob("*.wandb")
    logged = record.read_bytes()
    for word in ("mel+mfcc", "a first attempt", "fold2", *HISTORY[1], "confusion", "0.6666666"):
        assert word.encode() in logged


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_said_with_what_to_type(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(RequestError, match=f"pip install {name}"):
        check_trackers(name)


def test_a_file_or_fifo_is_no_folder_for_trackers(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RequestError, match=r"TRACKER_DIR=.*fifo is no folder"):
        track("tensorboard", tmp_path / "fifo")
    assert (tmp_path / "fifo").is_fifo()
