"""What a choice did: classes, augmentation, channels, checkpoints; each effect is planted and found."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import effects
from analysis.ranking import Ranking, rankings
from analysis.results import Results, Run, load
from bench.made_runs import MadeRun
from train.runs import find

RNG = np.random.default_rng


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, RNG(0), replicates=500)[0]


def test_a_class_that_got_better_and_one_that_got_worse(made: Callable[..., Results]) -> None:
    better = {"class03": 3.0, "class07": -3.0}
    plain, other = made(MadeRun(skill=0.6), MadeRun(features="zcr", skill=0.6, by_class=better)).runs
    table = effects.by_class(plain, other, RNG(0)).set_index("class")
    assert table["differs"].sum() == 2
    assert table.loc["class03", "low"] > 0 > table.loc["class07", "high"]
    for name, row in table.iterrows():
        of_class = [plain.classes[number] == name for number in plain.target]
        assert row["first"] == pytest.approx(plain.correct[of_class].mean())
        assert row["second"] == pytest.approx(other.correct[of_class].mean())
        assert row["low"] <= row["difference"] <= row["high"]
    sentence = effects.in_words(table.reset_index(), "zcr")
    assert sentence == "zcr helps class03, hurts class07"


def test_a_class_without_test_clips_is_left_out(hand_run: Callable[..., Run]) -> None:
    run = hand_run(
        "mel", ["dog", "rain", "sea"], [("a", "g", 1, "dog", [1, 0, 0]), ("b", "h", 1, "sea", [1, 0, 0])]
    )
    table = effects.by_class(run, run, RNG(0))
    assert table["class"].tolist() == ["dog", "sea"]
    assert table["difference"].tolist() == [0, 0]


def test_words_for_no_one_and_many_classes() -> None:
    def table(differences: list[float], differs: bool) -> pd.DataFrame:
        names = [f"c{number}" for number in range(len(differences))]
        return pd.DataFrame({"class": names, "difference": differences, "differs": differs})

    assert effects.in_words(table([0.1, -0.1], False), "x") == "x makes no class certainly better or worse"
    assert effects.in_words(table([-0.1], True), "x") == "x hurts c0"
    assert effects.in_words(table([0.1, 0.5, 0.3, 0.2, 0.4], True), "x") == "x helps c1, c4, c2 and 2 more"


def test_checkpoints_side_by_side(made: Callable[..., Results]) -> None:
    table = effects.checkpoints(made(MadeRun(val="next"), MadeRun(features="zcr")).runs)
    chosen, fixed = table.to_dict("records")
    assert chosen["best"] == pytest.approx(chosen["last"]) == pytest.approx(0.7)
    assert np.isnan(fixed["best"])
    assert fixed["last"] == pytest.approx(0.7)
    assert (table["peeked"] >= table["last"] - 1e-9).all()


def test_peeked_by_hand(made: Callable[..., Results]) -> None:
    run = made(MadeRun()).runs[0]
    run.history["test_accuracy"] = 0.1 * run.history["fold"]
    run.history.loc[7, "test_accuracy"] = 0.95  # of fold 1
    assert effects.checkpoints([run]).loc[0, "peeked"] == pytest.approx((0.95 + 0.2 + 0.3 + 0.4 + 0.5) / 5)
    without = replace(run, history=run.history[run.history["fold"] < 5])
    assert np.isnan(effects.checkpoints([without]).loc[0, "peeked"])


def test_runs_that_differ_in_augmentation_alone_are_paired(made: Callable[..., Results]) -> None:
    main = ranked(
        made(
            MadeRun(augment="none", skill=0.6),
            MadeRun(augment="mask,shift", skill=0.8),
            MadeRun(augment="mask,shift", skill=0.7, features="zcr"),
            MadeRun(augment="none", skill=0.7, model="cnn4"),
        )
    )
    assert [(a.name, b.name) for a, b in effects.augmentation_pairs(main)] == [
        ("mel-resnet18-augment.none", "mel-resnet18-augment.mask,shift")
    ]
    row = effects.augmentation_effects(main).iloc[0]
    assert row["difference"] == pytest.approx(0.2)
    assert 0 < row["low"] < 0.2 < row["high"]
    assert row["differs"]
    assert row["changed"] == "augment none → mask,shift"


def test_an_augmentation_that_hurts_has_a_negative_effect(made: Callable[..., Results]) -> None:
    main = ranked(made(MadeRun(augment="none", skill=0.8), MadeRun(augment="mask", skill=0.6)))
    row = effects.augmentation_effects(main).iloc[0]
    assert row["difference"] == pytest.approx(-0.2)
    assert row["low"] < -0.2 < row["high"] < 0


def test_no_pair_makes_an_empty_table(made: Callable[..., Results]) -> None:
    assert effects.augmentation_effects(ranked(made(MadeRun(), MadeRun(features="zcr")))).empty


def explain(run: Run, lost: dict[str, float]) -> None:
    """Leave attribution.csv as `explain` does: without chroma a class keeps this share of its clips."""
    rng = RNG(0)
    for fold in range(1, 6):
        here = run.folds == fold
        keep = np.array([lost.get(run.classes[number], 1.0) for number in run.target[here]])
        right = np.where(rng.random(here.sum()) < keep, run.correct[here], 0)
        table = pd.DataFrame({"channel": "chroma", "method": "removed", "clip_id": run.clip_ids[here]})
        table.assign(correct=right).to_csv(run.folders[0].fold(fold) / "attribution.csv", index=False)


def test_what_a_channel_is_worth_by_class(made: Callable[..., Results]) -> None:
    run = made(MadeRun(skill=0.9)).runs[0]
    assert effects.read_attribution(run) == (None, [])
    explain(run, {"class02": 0.1})
    read, problems = effects.read_attribution(run)
    assert read is not None
    assert problems == []
    table = effects.attribution(run, read, RNG(0))
    assert effects.in_words(table, "chroma") == "chroma helps class02"
    row = table.set_index("class").loc["class02"]
    assert row["second"] - row["first"] == pytest.approx(row["difference"])
    assert (row["channel"], row["method"]) == ("chroma", "removed")


def test_a_damaged_attribution_is_named_and_incomplete_ones_are_left_out(
    made: Callable[..., Results], tmp_path: Path
) -> None:
    run = made(MadeRun()).runs[0]
    explain(run, {})
    (run.folders[0].fold(2) / "attribution.csv").write_text("channel,method\nchroma,removed\n")
    read, problems = effects.read_attribution(load(find(tmp_path)).runs[0])
    assert [problem.run for problem in problems] == [run.name]
    assert "fold 2: attribution.csv is left out" in problems[0].text
    assert read is not None
    assert effects.attribution(run, read, RNG(0)).empty
