"""What one choice changed: features, augmentation, channels; each effect is planted and found."""

from collections.abc import Callable, Sequence

import pandas as pd
import pytest

from analysis.ablations import ablations, channel_importance
from analysis.ranking import Ranking, rankings, setting
from analysis.results import Results, Run, load_runs
from results.run_folder import find
from tests.analysis.made_runs import MadeRun


def ranked(results: Results) -> Ranking:
    return rankings(results.runs)[0]


def test_a_planted_gain_is_found_and_a_loss_is_negative(made: Callable[..., Results]) -> None:
    skills = {("mel", "resnet18"): 0.6, ("mel+chroma", "resnet18"): 0.75}
    skills |= {("mel", "cnn4"): 0.7, ("mel+chroma", "cnn4"): 0.6}
    runs = [MadeRun(features=name, model=model, skill=skill) for (name, model), skill in skills.items()]
    table = ablations(ranked(made(*runs))).set_index("name")
    gain, loss = (table.loc[f"chroma added to mel ({model})"] for model in ("resnet18", "cnn4"))
    assert (gain["without"], gain["with"], gain["changed"]) == (
        "mel-resnet18",
        "mel+chroma-resnet18",
        "chroma",
    )
    assert (gain["difference"], loss["difference"]) == pytest.approx((0.15, -0.1))
    assert 0 < gain["low"] < 0.15 < gain["high"] and loss["low"] < -0.1 < loss["high"] < 0
    assert (gain["verdict"], loss["verdict"]) == ("clear gain", "clear loss")


def test_runs_that_differ_in_augmentation_alone_are_paired(made: Callable[..., Results]) -> None:
    runs = [
        MadeRun(augment="none", skill=0.6),
        MadeRun(augment="mask,shift", skill=0.8),
        MadeRun(augment="mask,shift", skill=0.7, features="zcr"),
        MadeRun(augment="none", skill=0.7, model="cnn4"),
    ]
    (row,) = ablations(ranked(made(*runs))).to_dict("records")
    assert (row["kind"], row["without"], row["with"]) == (
        "augmentation",
        "mel-resnet18-augment.none",
        "mel-resnet18-augment.mask,shift",
    )
    assert row["changed"] == "augment none → mask,shift"
    assert row["difference"] == pytest.approx(0.2) and row["verdict"] == "clear gain"


def steps(results: Results) -> list[tuple[str, str]]:
    table = ablations(ranked(results))
    return list(zip(table["base"], table["changed"], strict=True))


def test_steps_go_through_what_lies_between(made: Callable[..., Results]) -> None:
    sets = {"mel+mfcc+chroma": 0.8, "mel+mfcc": 0.7, "mel": 0.6, "chroma": 0.3}
    found = steps(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert found == [("mel+mfcc", "chroma"), ("chroma", "mel+mfcc"), ("mel", "mfcc")]


def test_only_runs_that_share_every_other_option_are_a_pair(made: Callable[..., Results]) -> None:
    runs = [MadeRun(features="mel+mfcc"), MadeRun(model="cnn4"), MadeRun(features="mfcc", augment="none")]
    assert steps(made(*runs)) == []


def test_a_set_with_a_feature_twice_is_a_control(made: Callable[..., Results]) -> None:
    runs = [MadeRun(), MadeRun(features="mel+mel+mel"), MadeRun(features="mel+mfcc")]
    table = ablations(ranked(made(*runs))).set_index("changed")
    assert table["control"].to_dict() == {"mel+mel": True, "mfcc": False}


def test_too_few_recordings_have_no_verdict(made: Callable[..., Results]) -> None:
    runs = made(MadeRun(skill=0), MadeRun(features="mel+mfcc", skill=1), clips=12, classes=2)
    (row,) = ablations(ranked(runs)).to_dict("records")
    assert (row["difference"], row["verdict"]) == (1, "not compared")


@pytest.mark.parametrize("unrelated", [1, 30])
def test_runs_that_are_in_no_ablation_change_no_verdict_on_one(
    made: Callable[..., Results], unrelated: int
) -> None:
    pair = [MadeRun(skill=0.6), MadeRun(features="mel+chroma", skill=0.685)]
    others = [MadeRun(features=f"other{number}", skill=0.5 + number / 500) for number in range(unrelated)]
    row, alone = (ablations(ranked(made(*runs))).iloc[0] for runs in ([*pair, *others], pair))
    assert row.to_dict() == alone.to_dict()


def test_the_name_of_a_pair_says_every_other_option_that_differs(made: Callable[..., Results]) -> None:
    runs = [MadeRun(features=features, augment=augment) for features in ("mel", "mel+zcr")
            for augment in ("default", "none")]  # fmt: skip
    ranking = ranked(made(*runs, MadeRun(model="cnn4")))
    assert sorted(ablations(ranking)["name"]) == [
        "augment none → default (mel+zcr, resnet18)",
        "augment none → default (mel, resnet18)",
        "zcr added to mel (resnet18, augment default)",
        "zcr added to mel (resnet18, augment none)",
    ]
    assert setting(ranking.best, [ranking.best]) == "resnet18"


def test_padding_that_run_json_does_not_name_was_kept(made: Callable[..., Results]) -> None:
    assert made(MadeRun()).runs[0].option_text("padding") == "keep"


def explain(run: Run, lost: Sequence[str] = (), seed: int = 0, selection: str = "last") -> None:
    """Leave attribution.csv as `explain` does: permuting chroma loses every clip of these classes."""
    for fold in range(1, 6):
        here = run.folds == fold
        correct = (run.checkpoints[selection].argmax(axis=2)[seed] == run.target)[here]
        correct &= ~pd.Series(run.target[here]).map(dict(enumerate(run.classes))).isin(lost).to_numpy()
        rows = {"channel": "chroma", "method": "permuted", "clip_id": run.clip_ids[here]}
        table = pd.DataFrame(rows | {"correct": correct.astype(float), "selection": selection})
        table.to_csv(run.folders[seed].fold(fold) / "attribution.csv", index=False)


def test_a_network_relies_on_what_is_lost_when_it_is_permuted(made: Callable[..., Results]) -> None:
    """That is of the trained network alone, and no verdict: retraining is another question."""
    run = made(MadeRun(skill=0.9)).runs[0]
    assert channel_importance(run)[0].empty
    explain(run, ["class02"])
    table, problems = channel_importance(run)
    assert problems == [] and set(table["channel"]) == {"chroma"} and set(table["of"]) == {run.name}
    row = table.set_index("class").loc["class02"]
    assert (row["permuted"], row["clips"]) == (0, 40)
    assert row["difference"] == row["recall"] == pytest.approx(run.correct[run.target == 2].mean())
    assert (table.set_index("class")["difference"].drop("class02") == 0).all()


def test_only_the_seeds_that_were_explained_are_compared(made: Callable[..., Results]) -> None:
    run = made(MadeRun(skill=0.9), MadeRun(skill=0.5, seed=1)).runs[0]
    explain(run)
    table, _ = channel_importance(run)
    assert (table["difference"] == 0).all()


def test_only_the_epoch_that_counts_is_compared(made: Callable[..., Results]) -> None:
    run = made(MadeRun(skill=0.9, val="group")).runs[0]
    explain(run, selection="last")
    table, (problem,) = channel_importance(run)
    assert table.empty and "with the best epoch" in problem.text
    explain(run, selection="best")
    table, _ = channel_importance(run)
    assert (table["difference"] == 0).all()


def test_an_explain_that_is_damaged_or_lacks_folds_is_named(
    made: Callable[..., Results], tmp_path: object
) -> None:
    run = made(MadeRun()).runs[0]
    explain(run)
    (run.folders[0].fold(2) / "attribution.csv").write_text("channel,method\nchroma,permuted\n")
    table, problems = channel_importance(load_runs(find(tmp_path)).runs[0])  # type: ignore[arg-type]
    assert table.empty
    assert "fold 2" in problems[0].text and "not explained in every fold" in problems[1].text
