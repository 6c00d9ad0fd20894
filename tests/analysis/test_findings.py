"""The findings of a report: known answers, never words."""

import numpy as np
import pytest

from analysis.findings import findings
from analysis.runs import Results, load_runs
from results.run_folder import RunFolder, write_config, write_predictions
from tests.analysis.made_runs import MadeRun, of_sets
from tests.run_configs import rewrite


def threats(found):
    return [(threat.kind, threat.value, threat.of) for threat in found.threats]


def test_a_clear_winner_and_a_tie(made):
    results = made(*of_sets(mel=0.9, mfcc=0.5))
    winner = findings(results)
    run = results.runs[1]
    assert run.features == "mfcc" and winner.state == "winner"
    assert [row["verdict"] for row in winner.rows] == ["best", "clearly worse"]
    assert [row["accuracy"] for row in winner.rows] == pytest.approx([0.9, 0.5])
    assert all(row["accuracy_low"] < row["accuracy"] < row["accuracy_high"] for row in winner.rows)
    folds = [run.correct[run.folds == fold].mean() for fold in range(1, 6)]
    assert winner.rows[1]["accuracy_sd"] == pytest.approx(np.std(folds, ddof=1))
    assert winner.rows[1]["difference"] == pytest.approx(-0.4)
    assert winner.rows[1]["difference_low"] < -0.4 < winner.rows[1]["difference_high"] < 0
    tie = findings(made(*of_sets(mel=0.9, mfcc=0.895)))
    assert (tie.state, [row["label"] for row in tie.tied], tie.main.level) == ("tie", ["mfcc"], 0.025)
    assert tie.rows[1]["difference_low"] < 0 < tie.rows[1]["difference_high"]
    assert (tie.recordings, len(tie.main.folds)) == (200, 5)
    assert tie.chance == pytest.approx(0.1) and tie.chance_p < 0.001


def test_uneven_classes_threaten_the_accuracy(hand_run):
    """79 of 100 clips are of one class, and a run answers nothing else: half of the balanced accuracy."""
    labels = ["dog"] * 79 + ["rain"] * 21
    rows = [(f"c{n:03d}", f"g{n:03d}", n % 5 + 1, label, [0.9, 0.1]) for n, label in enumerate(labels)]
    found = findings(Results([hand_run("mel", ["dog", "rain"], rows)], []))
    assert found.state == "chance" and threats(found) == [("uneven", 21, 79)]
    assert (found.chance, found.chance_p) == (pytest.approx(0.79), 1.0)
    assert found.best["balanced_accuracy"] == pytest.approx(0.5)


def test_unequal_recordings_are_counted_by_their_effective_number(hand_run):
    groups = [f"long{n // 20}" for n in range(60)] + [f"short{n}" for n in range(40)]
    classes = ("dog", [0.9, 0.1]), ("rain", [0.1, 0.9])
    rows = [(f"c{n:03d}", group, n % 5 + 1, *classes[n % 2]) for n, group in enumerate(groups)]
    found = findings(Results([hand_run("mel", ["dog", "rain"], rows)], []))
    assert threats(found) == [("unequal recordings", round(100**2 / (3 * 400 + 40)), 43)]


@pytest.mark.parametrize(("named", "level"), [(False, 0.025), (True, 0.05)])
def test_a_gain_and_the_best_agree_for_two_runs(made, named, level):
    """One comparison, as the best against the other and as an ablation: one p-value, one interval."""
    found = findings(made(*of_sets(mel_mfcc=0.82, mel=0.7), clips=100), named=named)
    other = found.rows[1]
    gain = found.gains[0]
    assert gain["p"] == other["p"] and found.main.level == level
    assert (gain["low"], gain["high"]) == pytest.approx((-other["difference_high"], -other["difference_low"]))
    assert (gain["verdict"] == "clear gain") == (other["verdict"] == "clearly worse") == (other["p"] < level)


def test_members_of_a_trained_ensemble_have_scores_of_their_own(made):
    run = made(MadeRun(skill=0.9)).runs[0]
    folder = run.folders[0]
    rewrite(folder, member_models=("resnet18", "texture"))
    for fold in range(1, 6):
        rows = folder.predictions(fold).iloc[:, :5]
        right = np.eye(10, dtype=np.float32)[[run.classes.index(name) for name in rows["target"]]]
        write_predictions(folder.fold(fold), rows, right, run.classes, "resnet18")
        write_predictions(folder.fold(fold), rows, np.roll(right, 1, axis=1), run.classes, "texture")
    write_config(folder.path, folder.config)
    found = findings(load_runs([RunFolder(folder.path)]))
    assert dict(found.best["members"]) == pytest.approx({"resnet18": 1.0, "texture": 0.0})
    assert found.tables["members"]["member"].tolist() == ["resnet18", "texture"]
    (folder.fold(2) / "predictions-texture.csv").unlink()
    damaged = load_runs([RunFolder(folder.path)])
    assert set(damaged.runs[0].members) == {"resnet18"} and "texture" in damaged.problems[0].text


def test_every_table_that_has_rows(made):
    runs = [*of_sets(mel=0.8, zcr=0.5), MadeRun(augment="none", skill=0.6)]
    found = findings(made(*runs, MadeRun(features="rms", folds=(1,)), dataset="esc10"))
    of_runs = {f"{run.name}.{name}" for run in found.runs for name in ("classes", "confused")}
    assert found.tables.keys() - of_runs == {
        *("comparison", "metrics", "runs", "recall_by_class", "ablations", "literature"),
    }
    comparison = found.tables["comparison"]
    assert list(comparison.columns[:4]) == ["run", "accuracy", "accuracy_sd", "n"]
    assert len(comparison) == 4 and len(comparison.columns) <= 16
    assert comparison["verdict"].tolist() == ["best", *["clearly worse"] * 2, "not compared"]
    assert comparison["reason"].tolist() == ["", "", "", "folds"] and np.isnan(comparison["accuracy_sd"][3])
    assert [problem.run for problem in found.problems] == ["rms-resnet18"]
