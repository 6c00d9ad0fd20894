"""What is told while a run trains."""

import pytest

from train import follow
from train.follow import FIRST_STEPS, Follower, Forecast, shorter
from train.options import RunOptions


@pytest.fixture
def clock(monkeypatch):
    """Every step takes two seconds."""
    now = [0.0]

    def tick():
        now[0] += 2.0 * FIRST_STEPS / 2
        return now[0]

    monkeypatch.setattr(follow.time, "perf_counter", tick)


def told(forecast: Forecast, steps: int, capsys) -> str:
    for _ in range(steps):
        forecast.step()
    return capsys.readouterr().err


def test_the_time_of_the_whole_run_is_told_once(clock, capsys):
    forecast = Forecast(steps=100, scored=20.0, folds=5, shorter=lambda seconds: "no")
    assert told(forecast, FIRST_STEPS - 1, capsys) == ""
    assert told(forecast, 1, capsys) == "about 4 min 00 s for 5 folds (2 s a step)\n"
    assert told(forecast, 50, capsys) == ""


def test_a_long_run_is_told_how_to_be_shorter(clock, capsys):
    options = RunOptions(dataset="a b", seed=3)
    forecast = Forecast(3000, 0.0, 5, lambda seconds: shorter(options, [2, 3, 4, 5, 1], seconds))
    said = told(forecast, FIRST_STEPS, capsys)
    assert said.startswith("about 1 h 40 min for 5 folds") and "DATASET=a b' FOLDS=2 SEED=3\n" in said


def test_shorter_is_one_fold_and_fewer_epochs_where_that_is_still_long():
    options = RunOptions()
    assert shorter(options, [1, 2], 2 * 1700) == "make train FOLDS=1"
    assert shorter(options, [1, 2], 2 * 3600) == f"make train FOLDS=1 EPOCHS={options.epochs // 2}"


def test_a_short_run_is_over_before_it_is_foretold(clock, capsys):
    assert told(Forecast(FIRST_STEPS, 0.0, 1, str), FIRST_STEPS, capsys) == ""


def test_trackers_get_every_row_and_the_end():
    class Heard:
        rows, ends = [], []

        def epoch(self, number, values):
            self.rows.append((number, values["train_loss"]))

        def finish(self, outcome):
            self.ends.append(outcome)

    follower = Follower("fold 1", 10, 0, Forecast(1, 0.0, 1, str), [Heard()])
    follower.step(5)
    follower.epoch({"epoch": 1, "train_loss": 0.5})
    follower.close(None)
    assert Heard.rows == [(1, 0.5)] and Heard.ends == [None]


def test_a_terminal_sees_a_bar_from_where_the_fold_stands(monkeypatch):
    monkeypatch.setattr(follow.sys.stderr, "isatty", lambda: True, raising=False)
    follower = Follower("fold 1", 100, 40, Forecast(1, 0.0, 1, str))
    follower.step(10)
    assert (follower.bar.n, follower.bar.total) == (50, 100)
    follower.close(None)
