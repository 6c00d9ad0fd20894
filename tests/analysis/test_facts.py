"""The facts of a report: known answers, never words."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.facts import Configuration, Facts
from analysis.findings import findings
from analysis.results import Results, Run, load_runs
from results.run_folder import RunFolder, write_config, write_predictions
from tests.analysis.made_runs import MadeRun


def facts_of(results: Results, **given: object) -> Facts:
    return findings(results, **given).facts  # type: ignore[arg-type]


def best(found: Facts) -> Configuration:
    assert found.best is not None
    return found.best


def threats(found: Facts) -> list[tuple[str, int, int]]:
    return [(threat.kind, threat.count, threat.of) for threat in found.threats]


def test_a_clear_winner_and_a_tie(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.5))
    winner, run = facts_of(results), results.runs[1]
    assert run.features == "mfcc" and winner.state == "winner"
    assert [row.verdict for row in winner.rows] == ["best", "clearly worse"]
    assert [row.accuracy for row in winner.rows] == pytest.approx([0.9, 0.5])
    assert all(row.low < row.accuracy < row.high for row in winner.rows)
    folds = [run.correct[run.folds == fold].mean() for fold in range(1, 6)]
    assert winner.rows[1].sd == pytest.approx(np.std(folds, ddof=1))
    assert winner.rows[1].difference == pytest.approx(-0.4)
    assert winner.rows[1].difference_low < -0.4 < winner.rows[1].difference_high < 0
    tie = facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.895)))
    assert (tie.state, [row.label for row in tie.tied], tie.level) == ("tie", ["mfcc"], 0.025)
    assert tie.rows[1].difference_low < 0 < tie.rows[1].difference_high
    assert (tie.clips, tie.recordings, tie.folds, tie.folds_of) == (400, 200, 5, 5)
    assert tie.chance == pytest.approx(0.1) and tie.chance_p < 0.001


def test_no_run_and_one_run(made: Callable[..., Results]) -> None:
    assert facts_of(Results([], [])).state == "none"
    one = facts_of(made(MadeRun()))
    assert one.state == "one" and (best(one).verdict, best(one).reason) == ("not compared", "alone")


def test_runs_at_chance_are_said_to_be_there(made: Callable[..., Results]) -> None:
    found = facts_of(made(MadeRun(skill=0.095), MadeRun(features="mel+mfcc", skill=0.095)))
    assert found.state == "chance" and found.chance_p > 0.05


def test_uneven_classes_threaten_the_accuracy(hand_run: Callable[..., Run]) -> None:
    """79 of 100 clips are of one class, and a run answers nothing else: half of the balanced accuracy."""
    labels = ["dog"] * 79 + ["rain"] * 21
    rows = [(f"c{n:03d}", f"g{n:03d}", n % 5 + 1, label, [0.9, 0.1]) for n, label in enumerate(labels)]
    found = facts_of(Results([hand_run("mel", ["dog", "rain"], rows)], []))
    assert found.state == "chance" and threats(found) == [("uneven", 21, 79)]
    assert best(found).balanced_accuracy == pytest.approx(0.5)


def test_unequal_recordings_are_counted_by_their_effective_number(hand_run: Callable[..., Run]) -> None:
    groups = [f"long{n // 20}" for n in range(60)] + [f"short{n}" for n in range(40)]
    classes = ("dog", [0.9, 0.1]), ("rain", [0.1, 0.9])
    rows = [(f"c{n:03d}", group, n % 5 + 1, *classes[n % 2]) for n, group in enumerate(groups)]
    found = facts_of(Results([hand_run("mel", ["dog", "rain"], rows)], []))
    assert threats(found) == [("unequal recordings", round(100**2 / (3 * 400 + 40)), 43)]


def test_too_few_recordings_have_no_verdict_and_say_how_many_are_needed(made: Callable[..., Results]) -> None:
    runs = MadeRun(skill=1.0), MadeRun(features="zcr", skill=0.0)
    few = facts_of(made(*runs, clips=12, classes=2))
    assert (few.state, few.recordings, few.recordings_needed) == ("untested", 6, 7)
    assert {(row.verdict, row.reason) for row in few.rows} == {("not compared", "few recordings")}
    assert facts_of(made(*runs, clips=28, classes=7)).state == "winner"


def test_what_the_data_can_show_is_of_the_next_rival(made: Callable[..., Results]) -> None:
    """A rival that fails on the same clips shows smaller differences than one that fails on others."""
    alike, apart = (
        facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.88, own=own)))
        for own in (0.02, 0.9)
    )
    assert 0 < alike.detectable < apart.detectable < 0.2
    # Recordings for the observed two points: as many times more as the square of what can be shown.
    assert apart.state == "tie"
    assert apart.recordings_needed == pytest.approx(200 * (apart.detectable / 0.02) ** 2, rel=0.1)


def test_runs_that_are_not_compared_are_counted_by_reason(made: Callable[..., Results]) -> None:
    runs = [MadeRun(), MadeRun(features="zcr"), MadeRun(features="rms", folds=(1, 2)), MadeRun(val="next")]
    found = facts_of(made(*runs))
    assert found.excluded == {"folds": 1, "protocol": 1}
    assert {(row.verdict, row.reason) for row in found.others} == {
        ("not compared", "folds"),
        ("not compared", "protocol"),
    }


def test_a_single_seed_behind_a_verdict_is_known(made: Callable[..., Results]) -> None:
    seeds = [MadeRun(features=name, seed=seed) for name in ("mel", "rms") for seed in (0, 1)]
    assert not facts_of(made(*seeds)).single_seed
    assert facts_of(made(*seeds[:3])).single_seed
    assert not facts_of(made(MadeRun(model="linear"), MadeRun(model="linear", features="rms"))).single_seed


def test_gains_and_controls(made: Callable[..., Results]) -> None:
    sets = {"mel": 0.6, "mel+mel": 0.61, "mel+mfcc": 0.8}
    found = facts_of(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    gains = {gain["changed"]: (gain["control"], gain["verdict"]) for gain in found.gains}
    assert gains == {"mel": (True, "no clear difference"), "mfcc": (False, "clear gain")}
    assert {row.features for row in found.rows if row.control} == {"mel+mel"}


@pytest.mark.parametrize(("named", "level"), [(False, 0.025), (True, 0.05)])
def test_a_gain_and_the_best_agree_for_two_runs(
    made: Callable[..., Results], named: bool, level: float
) -> None:
    """One comparison, as the best against the other and as an ablation: one p-value, one interval."""
    found = facts_of(
        made(MadeRun(features="mel+mfcc", skill=0.82), MadeRun(skill=0.7), clips=100), named=named
    )
    other, gain = found.rows[1], found.gains[0]
    assert gain["p"] == other.p and found.level == level
    assert (gain["low"], gain["high"]) == pytest.approx((-other.difference_high, -other.difference_low))
    assert (gain["verdict"] == "clear gain") == (other.verdict == "clearly worse") == (other.p < level)


def test_classes_of_lowest_recall(made: Callable[..., Results]) -> None:
    first = facts_of(made(MadeRun(skill=0.8, by_class={"class03": -3.0}))).hardest[0]
    assert (first["class"], first["support"]) == ("class03", 40) and 0 < first["recall"] < 0.8


def test_members_of_a_trained_ensemble_have_scores_of_their_own(made: Callable[..., Results]) -> None:
    run = made(MadeRun(skill=0.9)).runs[0]
    folder = run.folders[0]
    folder.config["member_models"] = ["resnet18", "texture"]
    for fold in range(1, 6):
        rows = folder.predictions(fold).iloc[:, :5]
        right = np.eye(10, dtype=np.float32)[[run.classes.index(name) for name in rows["target"]]]
        write_predictions(folder.fold(fold), rows, right, run.classes, "resnet18")
        write_predictions(folder.fold(fold), rows, np.roll(right, 1, axis=1), run.classes, "texture")
    write_config(folder.path, folder.config)
    found = findings(load_runs([RunFolder(folder.path)]))
    assert dict(best(found.facts).members) == pytest.approx({"resnet18": 1.0, "texture": 0.0})
    assert found.tables["members"]["member"].tolist() == ["resnet18", "texture"]
    (folder.fold(2) / "predictions-texture.csv").unlink()
    damaged = load_runs([RunFolder(folder.path)])
    assert set(damaged.runs[0].members) == {"resnet18"} and "texture" in damaged.problems[0].text


def test_every_table_that_has_rows_and_the_same_ones_again(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.5), MadeRun(augment="none", skill=0.6)]
    results = made(*runs, MadeRun(features="rms", folds=(1,)), dataset="esc10")
    found, again = findings(results), findings(results)
    assert found.tables.keys() == {
        *("comparison", "metrics", "runs", "recall_by_class", "ablations", "literature"),
    }
    assert all(table.equals(again.tables[name]) for name, table in found.tables.items())
    comparison = found.tables["comparison"]
    assert list(comparison.columns[:4]) == ["run", "accuracy", "accuracy_sd", "n"]
    assert len(comparison) == 4 and len(comparison.columns) <= 16
    assert comparison["verdict"].tolist() == ["best", *["clearly worse"] * 2, "not compared"]
    assert comparison["reason"].tolist() == ["", "", "", "folds"] and np.isnan(comparison["accuracy_sd"][3])
    assert [problem.run for problem in found.problems] == ["rms-resnet18"]
