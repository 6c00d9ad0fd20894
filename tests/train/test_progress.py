"""What is told while a run trains."""

import re

import pytest

from commandline import terminal
from train import progress
from train.options import RunOptions
from train.progress import FIRST_STEPS, Estimate, FoldProgress, smaller_run


@pytest.fixture
def clock(monkeypatch):
    """Every step takes two seconds."""
    now = [0.0]

    def tick():
        now[0] += 2.0 * FIRST_STEPS / 2
        return now[0]

    monkeypatch.setattr(progress.time, "perf_counter", tick)


def printed(estimate: Estimate, steps: int, capsys) -> str:
    for _ in range(steps):
        estimate.step()
    return capsys.readouterr().err


FIVE = [2, 3, 4, 5, 1]


def estimate(steps: int, folds: tuple[int, ...] = (1,), scoring: float = 0.0, **options: object) -> Estimate:
    return Estimate(steps, scoring, RunOptions(**options), folds)


def test_the_time_of_the_whole_run_is_printed_once(clock, capsys):
    whole = estimate(100, FIVE, scoring=20.0)
    assert printed(whole, FIRST_STEPS - 1, capsys) == ""
    assert printed(whole, 1, capsys) == "about 4 min 00 s for 5 folds (2 s a step)\n"
    assert printed(whole, 50, capsys) == ""


def test_beside_the_time_of_a_long_run_stands_a_smaller_one(clock, capsys):
    text = printed(estimate(3000, FIVE, dataset="a b", seed=3), FIRST_STEPS, capsys)
    assert text.startswith("about 1 h 40 min for 5 folds") and "DATASET=a b' FOLDS=2 SEED=3\n" in text


def test_a_smaller_run_is_one_fold_and_fewer_epochs_where_that_is_still_long():
    options = RunOptions()
    assert smaller_run(options, [1, 2], 2 * 1700) == "make train FOLDS=1"
    assert smaller_run(options, [1, 2], 2 * 3600) == f"make train FOLDS=1 EPOCHS={options.epochs // 2}"


def test_a_short_run_has_no_estimate(clock, capsys):
    assert printed(estimate(FIRST_STEPS), FIRST_STEPS, capsys) == ""


def test_a_run_of_a_sweep_has_no_estimate_of_its_own(clock, capsys):
    silent = Estimate(100, 0.0, RunOptions(), FIVE, silent=True)
    assert printed(silent, FIRST_STEPS, capsys) == ""


def test_a_log_gets_lines_with_what_is_done_speed_and_remaining_time(monkeypatch, capsys):
    at_once = {"delay": 0, "mininterval": 0, "maxinterval": 0}
    monkeypatch.setattr(terminal, "IN_A_LOG", terminal.IN_A_LOG | at_once)
    fold = FoldProgress("mel-cnn4 fold 1", 100, 40, estimate(1))
    fold.step(10)
    fold.epoch({"epoch": 1, "train_loss": 0.5})
    fold.step(10)
    fold.close(None)
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"mel-cnn4 fold 1: 60 of 100 clips, .* clips/s, [0-9:]+ left, epoch=1, train_loss=0.5", line
    )


def test_of_several_processes_the_first_alone_writes_lines(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "IN_A_LOG", terminal.IN_A_LOG | {"delay": 0, "mininterval": 0})
    fold = FoldProgress("mel-cnn4 fold 1", 100, 40, estimate(1), silent=True)
    fold.step(10)
    fold.epoch({"epoch": 1, "train_loss": 0.5})
    fold.close(None)
    assert capsys.readouterr().err == ""


def test_trackers_get_every_row_and_the_end():
    class Recorded:
        rows, ends = [], []

        def epoch(self, number, values):
            self.rows.append((number, values["train_loss"]))

        def finish(self, outcome):
            self.ends.append(outcome)

    fold = FoldProgress("fold 1", 10, 0, estimate(1), [Recorded()])
    fold.step(5)
    fold.epoch({"epoch": 1, "train_loss": 0.5})
    fold.close(None)
    assert Recorded.rows == [(1, 0.5)] and Recorded.ends == [None]


def test_a_terminal_shows_a_bar_from_where_the_fold_stands(monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    fold = FoldProgress("fold 1", 100, 40, estimate(1))
    fold.step(10)
    assert (fold.bar.n, fold.bar.total) == (50, 100)
    fold.close(None)
