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


def test_a_clear_winner_and_a_tie(made: Callable[..., Results]) -> None:
    winner = facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.5)))
    assert winner.state == "winner"
    assert [row.verdict for row in winner.rows] == ["best", "clearly worse"]
    assert best(winner).accuracy == pytest.approx(0.9)
    (run,) = made(MadeRun(skill=0.9)).runs
    folds = [run.correct[run.folds == fold].mean() for fold in range(1, 6)]
    assert best(winner).sd == pytest.approx(np.std(folds, ddof=1))
    assert winner.rows[1].difference == pytest.approx(-0.4)
    assert winner.rows[1].difference_low < -0.4 < winner.rows[1].difference_high < 0
    tie = facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.895)))
    assert tie.state == "tie"
    assert [row.label for row in tie.tied] == ["mfcc"]
    assert tie.rows[1].difference_low < 0 < tie.rows[1].difference_high
    assert (tie.clips, tie.recordings, tie.classes, tie.folds, tie.folds_of) == (400, 200, 10, 5, 5)
    assert tie.chance == pytest.approx(0.1) and tie.chance_p < 0.001
    assert (tie.level, facts_of(made(*[MadeRun(), MadeRun(features="rms")]), named=True).level) == (
        0.025,
        0.05,
    )


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
    assert found.state == "chance" and found.uneven
    assert best(found).balanced_accuracy == pytest.approx(0.5)
    assert [(threat.kind, threat.count, threat.of) for threat in found.threats] == [("uneven", 21, 79)]


def test_unequal_recordings_are_counted_by_their_effective_number(hand_run: Callable[..., Run]) -> None:
    groups = [f"long{n // 20}" for n in range(60)] + [f"short{n}" for n in range(40)]
    classes = ("dog", [0.9, 0.1]), ("rain", [0.1, 0.9])
    rows = [(f"c{n:03d}", group, n % 5 + 1, *classes[n % 2]) for n, group in enumerate(groups)]
    found = facts_of(Results([hand_run("mel", ["dog", "rain"], rows)], []))
    effective = 100**2 / (3 * 400 + 40)
    assert found.recordings == 43
    assert [(threat.kind, threat.count) for threat in found.threats] == [
        ("unequal recordings", round(effective))
    ]


def test_too_few_recordings_have_no_verdict_and_say_how_many_are_needed(made: Callable[..., Results]) -> None:
    runs = MadeRun(skill=1.0), MadeRun(features="zcr", skill=0.0)
    few = facts_of(made(*runs, clips=12, classes=2))
    assert (few.state, few.recordings, few.recordings_needed) == ("untested", 6, 7)
    assert {(row.verdict, row.reason) for row in few.rows} == {("not compared", "few recordings")}
    assert facts_of(made(*runs, clips=28, classes=7)).state == "winner"


def test_what_the_data_can_show_is_of_the_next_rival(made: Callable[..., Results]) -> None:
    """A rival that fails on the same clips shows smaller differences than one that fails on others."""
    runs = made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.88, own=0.02))
    alike = facts_of(runs)
    apart = facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.88, own=0.9)))
    assert 0 < alike.detectable < apart.detectable < 0.2
    assert (apart.state, apart.rival) == ("tie", "mfcc")
    # Recordings for the observed two points: as many times more as the square of what can be shown.
    assert apart.recordings_needed == pytest.approx(200 * (apart.detectable / 0.02) ** 2, rel=0.1)


def test_runs_that_are_not_compared_are_counted_by_reason(made: Callable[..., Results]) -> None:
    runs = [MadeRun(), MadeRun(features="zcr"), MadeRun(features="rms", folds=(1, 2)), MadeRun(val="next")]
    found = facts_of(made(*runs))
    assert {one.reason: one.count for one in found.excluded} == {"folds": 1, "protocol": 1}
    assert {row.reason for row in found.others} == {"folds", "protocol"}
    assert len(found.rows) + len(found.others) == 4


def test_one_run_of_all_folds_and_others_of_some_are_ranked_on_what_they_share(
    made: Callable[..., Results],
) -> None:
    partial = [MadeRun(features=name, folds=(1, 2, 3, 4)) for name in ("rms", "zcr", "mfcc")]
    found = facts_of(made(MadeRun(), *partial))
    assert (len(found.rows), found.excluded, found.folds, found.folds_of) == (4, (), 4, 5)


def test_a_single_seed_behind_a_verdict_is_known(made: Callable[..., Results]) -> None:
    seeds = [MadeRun(features=name, seed=seed) for name in ("mel", "rms") for seed in (0, 1)]
    assert not facts_of(made(*seeds)).single_seed
    assert facts_of(made(*seeds[:3])).single_seed
    assert not facts_of(made(MadeRun(model="linear"), MadeRun(model="linear", features="rms"))).single_seed


def test_gains_and_controls(made: Callable[..., Results]) -> None:
    runs = [
        MadeRun(skill=0.6),
        MadeRun(features="mel+mel", skill=0.61),
        MadeRun(features="mel+mfcc", skill=0.8),
    ]
    found = facts_of(made(*runs))
    gains = {gain.changed: (gain.control, gain.verdict) for gain in found.gains}
    assert gains == {"mel": (True, "no clear difference"), "mfcc": (False, "clear gain")}
    assert {row.features for row in found.rows if row.control} == {"mel+mel"}


def test_a_gain_and_the_best_agree_for_two_runs_that_were_named(made: Callable[..., Results]) -> None:
    """One comparison, as the best against the other and as an ablation: one p-value, one interval."""
    results = made(MadeRun(features="mel+mfcc", skill=0.82), MadeRun(skill=0.7), clips=100)
    for named in (False, True):
        found = facts_of(results, named=named)
        other, gain = found.rows[1], found.gains[0]
        assert (gain.p, gain.low, gain.high) == (other.p, -other.difference_high, -other.difference_low)
        assert (gain.verdict == "clear gain") == (other.verdict == "clearly worse") == (other.p < found.level)


def test_classes_of_lowest_recall(made: Callable[..., Results]) -> None:
    found = facts_of(made(MadeRun(skill=0.8, by_class={"class03": -3.0})))
    first = found.hardest[0]
    assert (first.name, first.support) == ("class03", 40)
    assert 0 < first.recall == first.correct / 40 < 0.8


def test_calibration_stands_beside_its_floor(made: Callable[..., Results]) -> None:
    calibration = facts_of(made(MadeRun(skill=0.7))).calibration
    assert calibration is not None
    assert 0.02 < calibration.floor < 0.05 and calibration.error > 0 and calibration.temperature > 0


def test_members_of_a_trained_ensemble_have_scores_of_their_own(written: Callable[..., Results]) -> None:
    run = written(MadeRun(skill=0.9)).runs[0]
    folder = run.folders[0]
    folder.config["member_models"] = ["resnet18", "texture"]
    for fold in range(1, 6):
        rows = folder.predictions(fold).iloc[:, :5]
        right = np.eye(10, dtype=np.float32)[[run.classes.index(name) for name in rows["target"]]]
        wrong = np.roll(right, 1, axis=1)
        write_predictions(folder.fold(fold), rows, right, run.classes, "resnet18")
        write_predictions(folder.fold(fold), rows, wrong, run.classes, "texture")
    write_config(folder.path, folder.config)
    results = load_runs([RunFolder(folder.path)])
    found = findings(results)
    assert dict(best(found.facts).members) == pytest.approx({"resnet18": 1.0, "texture": 0.0})
    assert found.tables["members"]["member"].tolist() == ["resnet18", "texture"]
    (folder.fold(2) / "predictions-texture.csv").unlink()
    damaged = load_runs([RunFolder(folder.path)])
    assert set(damaged.runs[0].members) == {"resnet18"} and "texture" in damaged.problems[0].text


def test_every_table_that_has_rows(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.5), MadeRun(augment="none", skill=0.6)]
    found = findings(made(*runs, MadeRun(features="rms", folds=(1,)), dataset="esc10"))
    assert set(found.tables) == {
        *("comparison", "metrics", "runs", "recall_by_class", "ablations", "literature"),
    }
    comparison = found.tables["comparison"]
    assert len(found.runs) == len(comparison) == 4 and len(comparison.columns) <= 16
    assert list(comparison.columns[:4]) == ["run", "accuracy", "accuracy_sd", "n"]
    assert comparison["verdict"].tolist() == ["best", *["clearly worse"] * 2, "not compared"]
    assert comparison["reason"].tolist() == ["", "", "", "folds"] and np.isnan(comparison["accuracy_sd"][3])
    assert [problem.run for problem in found.problems] == ["rms-resnet18"]


def test_the_same_results_give_the_same_findings(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.79))
    first, second = findings(results), findings(results)
    assert all(table.equals(second.tables[name]) for name, table in first.tables.items())
