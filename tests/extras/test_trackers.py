"""Both trackers run for real; tests read the files that they leave."""

import os
import subprocess
from dataclasses import replace

import pytest

from featurestack.cli.parser import options_from
from featurestack.extras.trackers import TRACKERS, tracker_of
from featurestack.results.run_folder import write_config
from featurestack.train.options import TrainOptions
from tests.processes import python
from tests.refusal import refused
from tests.train.small_cache import run_with

HISTORY = [
    {"lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.1},
    {"lr": 0.05, "train_loss": 1.0, "train_accuracy": 0.4, "test_accuracy": 0.5},
]


def track(name, run, epochs_done=0):
    tracker = TRACKERS[name](run, 2, epochs_done)
    for number, values in enumerate(HISTORY[epochs_done:], start=epochs_done + 1):
        tracker.epoch(number, values)
    tracker.finish(complete=True)


def test_tensorboard_holds_every_column_of_a_training_and_the_outcome(options, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = run_with(options, folds=(2,), tracker="tensorboard")
    folder = run.path / "trackers"
    assert f"tensorboard --logdir {folder}" in capsys.readouterr().out
    # killed after its first epoch and continued
    track("tensorboard", run, epochs_done=1)
    events = EventAccumulator(str(folder / "fold2"))
    events.Reload()
    points = [(event.step, event.value) for event in events.Scalars("loss/train")]
    first = run.history(2)["train_loss"].iloc[0]
    assert points == [(1, pytest.approx(first)), (2, 1.0)]
    accuracy = run.scores().loc[2, "accuracy"]
    assert events.Scalars("summary/test_accuracy")[-1].value == pytest.approx(accuracy)
    assert "run.json/text_summary" in events.Tags()["tensors"]


@pytest.mark.slow
def test_wandb_without_a_key_stays_offline_asks_nothing_and_says_how_to_sync(
    run_copy, tmp_path
):
    """The process has no key, no account, an empty home, and nobody at the keyboard."""
    write_config(run_copy.path, replace(run_copy.config, note="a first attempt"))
    code = "from pathlib import Path\n"
    code += "from featurestack.results.run_folder import RunFolder\n"
    code += "from tests.extras.test_trackers import track\n"
    code += f"track('wandb', RunFolder(Path({str(run_copy.path)!r})))"
    names = [name for name in os.environ if not name.startswith("WANDB")]
    surroundings = {name: os.environ[name] for name in names}
    surroundings |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    how = {"environment": surroundings, "stdin": subprocess.DEVNULL, "timeout": 120}
    done = python("-c", code, **how)
    wandb = run_copy.path / "trackers" / "wandb"
    (folder,) = wandb.glob(f"offline-run-*-{run_copy.config.hash}-fold2")
    assert f"wandb sync {folder}" in done.stdout
    (record,) = folder.glob("*.wandb")
    logged = record.read_bytes()
    words = b"a first attempt,fold2,loss/train,accuracy/test,summary/test_f1"
    assert all(word in logged for word in words.split(b","))


def test_a_missing_package_is_said_with_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with refused(r"pip install .*\[trackers\]"):
        tracker_of("wandb")


def test_a_list_takes_the_tracker_of_its_runs(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    given = {"features": "mel mfcc", "seed": "0 1", "tracker": "wandb"}
    runs = options_from(TrainOptions, given).runs()
    trackers = [(run.seed, run.tracker) for run in runs]
    assert trackers == [(0, "wandb"), (1, "wandb")]
    with refused("TRACKER=bach: expected one of tensorboard, wandb"):
        options_from(TrainOptions, {"tracker": "bach"}).runs()
