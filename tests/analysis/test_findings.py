"""The findings of a report: warnings, tables. `tests.golden` compares the rest."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from featurestack.analysis import sentences
from featurestack.analysis.findings import findings
from featurestack.analysis.report import warnings
from featurestack.analysis.report.warnings import WARNINGS, Evidence
from featurestack.results.run_list import row_of
from tests.analysis.made_runs import MadeRun, made_clips, make_runs, of_sets

ANSWERS = Path(__file__).parents[1] / "answers"


def test_uneven_classes_are_ranked_by_balanced_accuracy(run_of_rows):
    """One run predicts dog for every clip, which is right for 79 of 100; the other one
    recognises nine of ten clips of both classes.
    """
    labels = ["dog"] * 79 + ["rain"] * 21
    rows, useful = [], []
    for n, label in enumerate(labels):
        about = f"c{n:03d}", f"g{n}", n % 5 + 1, label
        rows.append((*about, [0.9, 0.1]))
        is_dog = (label == "dog") == (n % 10 < 9)
        useful.append((*about, [0.9, 0.1] if is_dog else [0.1, 0.9]))
    constant = run_of_rows("mel", ["dog", "rain"], rows)
    found = findings([constant])
    assert found.warnings["W8"].startswith("The classes are uneven, 21 to 79 clips")
    assert found.chance and found.main.against_chance.p > 0.4
    assert found.main.chance == found.best.score.value == 0.5
    both = findings([constant, run_of_rows("rms", ["dog", "rain"], useful)])
    assert [own.name for own in both.ranked] == ["rms", "mel"]
    assert both.ranked[1].verdict == "clearly worse"
    assert sentences.headline(both).startswith("Use rms with resnet18. Its balanced")
    row = both.tables["comparison"].iloc[0]
    assert row["balanced_accuracy"] == pytest.approx((72 / 79 + 18 / 21) / 2)
    assert row["balanced_accuracy_low"] < row["balanced_accuracy"]
    assert row["accuracy"] == pytest.approx(0.9) and "accuracy_low" not in row
    (folder,) = both.ranked[0].run.folders
    assert row_of(folder, older=False)[4].startswith("balanced accuracy 88.4 %")


def test_each_warning_says_what_makes_the_result_wrong(monkeypatch):
    clips = pd.DataFrame({"clip_id": ["a", "b"], "train_only": ""})
    cache = SimpleNamespace(clips=clips, sources=clips, settings={}, folds_csv="")
    monkeypatch.setattr(warnings, "untested", lambda *_: {"a"})
    monkeypatch.setattr(warnings, "source_changes", lambda *_: "2 files changed")
    copies = {"kind": "duplicates_across_folds", "severity": "leak", "names": ["a = b"]}
    evidence = Evidence(None, cache, checked=[copies], old_runs=2)
    found = {code: kind.find(evidence) for code, kind in WARNINGS.items()}
    assert {code: text.partition(",")[0] for code, text in found.items() if text} == {
        "W1": "1 pair of clips with the same audio in different folds",
        "W4": "1 clip of 2 failed and was not tested.",
        "W5": "The clips have changed since their features were extracted (2 files"
        " changed): extract and train again.",
        "W6": "2 older runs are left out: their clips",
    }
    tests = [*Path(__file__).parent.rglob("*.py"), *ANSWERS.glob("*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in tests)
    assert [code for code in WARNINGS if f'"{code}"' not in text] == []


def test_every_table_that_has_rows(made_runs):
    runs = [*of_sets(mel=0.8, mel_zcr=0.5), MadeRun(augment="none", skill=0.6)]
    found = findings(
        made_runs(*runs, MadeRun(features="rms", folds=(1,)), dataset="esc10")
    )
    of_runs = {
        f"{run.name}.{name}" for run in found.runs for name in ("classes", "confused")
    }
    assert found.tables.keys() - of_runs == {"comparison", "settings", "ablations"}
    comparison = found.tables["comparison"]
    verdicts = ["best", *["clearly worse"] * 2, "not compared"]
    assert comparison["verdict"].tolist() == verdicts
    assert comparison["reason"].tolist() == ["", "", "", "folds"]
    assert [problem.run for problem in found.problems] == ["rms-resnet18"]


@pytest.mark.parametrize("recordings", [6, 7])
def test_every_verdict_needs_seven_recordings(tmp_path, recordings):
    runs = of_sets(mel_rms=1.0, rms=0.0)
    found = findings(make_runs(tmp_path, made_clips(2 * recordings, 2, 2), runs))
    few = recordings < 7
    assert bool(found.main.untested) == few
    comparison, steps = found.tables["comparison"], found.tables["ablations"]
    assert comparison["reason"].eq("few recordings").all() == few
    assert comparison["p"].isna().all() == steps["p"].isna().all() == few
    assert steps["verdict"].eq("not compared").all() == few


def test_the_headline_names_the_highest_run_and_facts_its_lead(made_runs):
    sets = of_sets(model="linear", mel=0.44, mfcc=0.40, mel_mfcc=0.54, chroma=0.2)
    found = findings(made_runs(*sets, *of_sets(model="texturenet", mel=0.75)))
    headline = (
        "Use mel with texturenet. Cross-validation classified 75.0 % of 400 clips"
    )
    assert sentences.headline(found).startswith(headline)
    facts = sentences.facts(found)
    assert facts["95 % interval"].endswith("highest of 5 and so optimistic")
    assert facts["Lead over mel+mfcc (linear)"].startswith("+21.0 points (97.5 % ")
    assert facts["Lead over mel+mfcc (linear)"].endswith(", clear")
    accuracy = [own.score.value for own in found.ranked]
    comparison = found.tables["comparison"]["accuracy"]
    assert comparison.tolist() == accuracy == sorted(accuracy, reverse=True)


def test_features_are_compared_within_the_model_whose_best_set_is_highest(made_runs):
    weak = of_sets(model="mlp", mel=0.2, mfcc=0.3, chroma=0.25)
    two = of_sets(model="linear", mel=0.4, mel_mfcc=0.5)
    found = findings(made_runs(*weak, *two))
    labels = [own.label for own in found.alike]
    assert labels == ["mel+mfcc (linear)", "mel (linear)"]
    headline = "Use mel+mfcc with linear. Cross-validation classified 50.0 %"
    assert sentences.headline(found).startswith(headline)
    better = of_sets(model="texturenet", mel=0.7, mfcc=0.6)
    found = findings(made_runs(*two, *better))
    assert [own.run.model for own in found.alike] == ["texturenet"] * 2
    assert not (found.chance or found.unclear)
