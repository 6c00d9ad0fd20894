"""The table of stacked channels goes on where it stopped; its gains are those of the
predictions.
"""

import pandas as pd
import pytest

from docs import stacks
from docs.stacks import StacksOptions
from tests.docs.conftest import run_here


@pytest.fixture
def asked(esc50, monkeypatch):
    monkeypatch.setattr(stacks, "run_command", run_here)
    out = esc50.parent / "out"
    recipe = esc50.parent / "quick.txt"
    recipe.write_text("MODEL=linear\n")
    return lambda *sets: StacksOptions(
        esc50=str(esc50),
        out=out,
        recipe=str(recipe),
        sets=sets,
        threads="1",
        table=out / "stacks.csv",
    )


def test_a_set_is_trained_once_and_compared_with_mel(asked):
    options = asked("mel")
    stacks.stacks(options)
    before = pd.read_csv(options.table)
    assert len(before) == 1 and before["gain"].isna().all()

    options = asked("mel", "rms")
    stacks.stacks(options)
    table = pd.read_csv(options.table)
    shared = [column for column in table if "gain" not in column and column != "p"]
    pd.testing.assert_frame_equal(table[shared][:1], before[shared])
    mel, rms = table.to_dict("records")
    folds = [f"fold{fold}" for fold in range(1, 6)]
    assert rms["mean"] == pytest.approx(table[folds].iloc[1].mean(), abs=1e-2)
    held_out = (rms["fold4"] + rms["fold5"]) / 2
    assert rms["held_out"] == pytest.approx(held_out, abs=1e-2)
    # folds have equally many clips
    assert rms["gain"] == pytest.approx(rms["mean"] - mel["mean"], abs=2e-2)
    assert rms["gain_from"] <= rms["gain"] <= rms["gain_to"]
    assert 0 < rms["p"] <= 1


def test_recordings_are_sums_over_their_clips():
    index = pd.MultiIndex.from_tuples(
        [("b", "1"), ("a", "2"), ("b", "3")], names=["group", "clip_id"]
    )
    assert stacks.recordings(pd.Series([1.0, 1.0, 0.0], index)).tolist() == [1, 1]
