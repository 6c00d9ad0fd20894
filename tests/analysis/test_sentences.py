"""What the report says: each sentence beside the facts that it takes."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from featurestack.analysis.findings import findings
from featurestack.analysis.report.runs import Problem
from featurestack.analysis.report.warnings import Evidence, artefacts
from featurestack.analysis.sentences import facts, headline, method
from tests.analysis.made_runs import MadeRun, made_clips, make_runs, of_sets

ARTEFACTS = {"kind": "artefacts", "severity": "warning", "names": ()}
ARTEFACTS |= {"accuracy": 0.8, "chance": 0.5}
UNCLEAR = of_sets(mel_mfcc=0.85, mel=0.84, mel_mel=0.845, mfcc=0.8, zcr=0.3)
FEW = of_sets(mel_rms=0.9, rms=0.5)
NOT_BETTER = "No configuration is clearly better than chance, 10.0 % (p = 0.482)"
HIGHEST = f"{NOT_BETTER}; rms with resnet18 has the highest accuracy."
ONE_FOLD = [MadeRun(features=name, folds=(1,)) for name in ("rms", "zcr")]
CROSS = "Cross-validation classified"
# runs, headline, facts
HEADLINES = {
    "one": (
        [MadeRun(skill=0.84)],
        f"One configuration so far: mel with resnet18. {CROSS} 84.0 % of 400 clips",
        {
            "95 % interval": "79.5 to 87.7",
            "Lead over chance, 10.0 %": "+74.0 points, clear",
        },
    ),
    "unclear": (
        UNCLEAR,
        f"Use mel+mfcc with resnet18. {CROSS} 85.0 % of 400 clips",
        {"95 % interval": "80.9 to 88.4, highest of 5 and so optimistic"},
    ),
    "one fold": (
        ONE_FOLD,
        "Use rms with resnet18. A test of 1 of 5 folds classified 76.2 % of 80 clips",
        {"95 % interval": "64.9 to 84.8"},
    ),
    "chance": (
        of_sets(mel=0.1, rms=0.11),
        f"{HIGHEST} {CROSS} 11.0 % of 400 clips",
        {"95 % interval": "7.9 to 15.1"},
    ),
    "seeds": (
        [*of_sets(3, mel=0.8), *of_sets(rms=0.7)],
        f"Use mel with resnet18. {CROSS} 80.0 % of 400 clips",
        {"95 % interval": "75.8 to 83.6"},
    ),
}


@pytest.mark.parametrize("name", HEADLINES)
def test_the_headline_says_what_was_counted_and_labels_have_the_numbers(tmp_path, name):
    runs, said, labels = HEADLINES[name]
    found = findings(make_runs(tmp_path, made_clips(400, 10), runs))
    assert headline(found) == f"{said} correctly."
    shown = facts(found)
    assert shown.items() >= labels.items()
    assert shown["Tested"].startswith("80 clips" if name == "one fold" else "400 clips")
    assert ("mean of 3 seeds" in shown["Tested"]) == (name == "seeds")
    assert len([label for label in shown if label.startswith("Lead over")]) == 1
    assert len(shown["Lowest recall"].split(", ")) >= 3


def test_few_recordings_have_no_verdict(tmp_path):
    found = findings(make_runs(tmp_path, made_clips(8, 2, 2), FEW))
    said = headline(replace(found, groups="speaker"))
    told = r"Too few speakers for a verdict; .* has the highest accuracy\."
    assert re.match(told, said)


def test_without_a_run_that_can_be_read_the_headline_says_so():
    assert headline(findings([])) == "No run has been trained yet."
    of_others = headline(findings([], old_runs=2))
    assert of_others == "No run has been trained on today's data yet."
    damaged = [Problem("mel", "cut", damaged=True)]
    assert headline(findings([], damaged)) == "No run can be read: 1 run is damaged."


def test_artefacts_of_clips_with_several_labels_have_the_name_of_their_score():
    task = SimpleNamespace(multilabel=True)
    main = SimpleNamespace(best=SimpleNamespace(task=task))
    said = artefacts(Evidence(main, checked=[ARTEFACTS]))
    assert "predict the tags (macro AUROC 80.0 %, chance is 50.0 %)." in said


@pytest.mark.parametrize("stated", ["all", "one pair", "none"])
def test_source_recordings_are_stated_only_where_somebody_stated_them(tmp_path, stated):
    clips = made_clips(40, 2)
    groups = clips["group"].copy()
    rows = {"all": [], "one pair": groups.index[2:], "none": groups.index}[stated]
    groups[rows] = clips["clip_id"][rows]
    runs = make_runs(tmp_path, clips.assign(group=groups), of_sets(mel=0.8, rms=0.6))
    found = findings(runs)
    number = {"all": 20, "one pair": 39, "none": 40}[stated]
    if stated == "none":
        alone = "40 clips, each counted as its own recording"
        assert facts(found)["Tested"] == f"{alone}, 5 folds, synthetic"
        assert alone in method(found) and "a bootstrap over 40 clips;" in method(found)
        assert "source recording" not in method(found)
    else:
        tested = f"40 clips of {number} source recordings, 5 folds, synthetic"
        assert facts(found)["Tested"] == tested
        assert "never in both training and test" in method(found)
