"""What the report says: each sentence beside the facts that it takes."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from featurestack.analysis.findings import findings
from featurestack.analysis.report_warnings import Evidence, artefacts
from featurestack.analysis.runs import Problem
from featurestack.analysis.sentences import combine, headline, printed
from tests.analysis.made_runs import MadeRun, made_clips, make_runs, of_sets

ARTEFACTS = {"kind": "artefacts", "severity": "warning", "names": ()}
ARTEFACTS |= {"accuracy": 0.8, "chance": 0.5}
UNCLEAR = of_sets(mel_mfcc=0.85, mel=0.84, mel_mel=0.845, mfcc=0.8, zcr=0.3)
FEW = of_sets(mel_rms=0.9, rms=0.5)
NOT_BETTER = "No configuration is clearly better than chance, 10.0 % (p = 0.482)"
ONE_FOLD = [MadeRun(features=name, folds=(1,)) for name in ("rms", "zcr")]
# runs, advice, what was counted, what follows the interval
HEADLINES = {
    "one": (
        [MadeRun(skill=0.84)],
        "One configuration so far: mel with resnet18.",
        "Cross-validation classified 84.0 % of 400 clips correctly",
        "79.5 to 87.7).",
    ),
    "unclear": (
        UNCLEAR,
        "Use mel+mfcc with resnet18.",
        "Cross-validation classified 85.0 % of 400 clips correctly",
        (
            "80.9 to 88.4), the highest of 5 configurations, which flatters it, with no"
            " clear difference from 3 others."
        ),
    ),
    "one fold": (
        ONE_FOLD,
        "Use rms with resnet18.",
        "A test of 1 of 5 folds classified 76.2 % of 80 clips correctly",
        (
            "64.9 to 84.8), the highest of 2 configurations, with no clear difference"
            " from zcr."
        ),
    ),
    "chance": (
        of_sets(mel=0.1, rms=0.11),
        f"{NOT_BETTER}; rms with resnet18 has the highest accuracy.",
        "Cross-validation classified 11.0 % of 400 clips correctly",
        "7.9 to 15.1), the highest of 2 configurations.",
    ),
    "seeds": (
        [*of_sets(3, mel=0.8), *of_sets(rms=0.7)],
        "Use mel with resnet18.",
        "Cross-validation classified 80.0 % of 400 clips correctly, a mean of 3 seeds",
        ("75.8 to 83.6), the highest of 2 configurations, clearly better than rms."),
    ),
}


@pytest.mark.parametrize("name", HEADLINES)
def test_the_headline_says_what_was_counted(tmp_path, name):
    runs, advice, counted, interval = HEADLINES[name]
    found = findings(make_runs(tmp_path, made_clips(400, 10), runs))
    said = f"{advice} {counted} (95 % interval {interval}"
    assert headline(found) == said
    if name == "one":
        protocol = " 5 folds, 1 seed, synthetic data; last epoch."
        assert printed(found) == said + protocol


def test_a_gain_is_told_with_every_model(tmp_path):
    other = of_sets(model="cnn4", mel=0.7, mel_chroma=0.6)
    sets = [*of_sets(mel=0.6, mel_chroma=0.8), *other]
    told = combine(findings(make_runs(tmp_path, made_clips(400, 10), sets)))
    first, second = told.split("; ")
    assert first.startswith(
        "Adding chroma to mel: with resnet18 +20.0 points (97.5 % interval +"
    )
    assert first.endswith(", a clear gain")
    assert second.startswith("with cnn4 −10.0 points (97.5 % interval −")
    assert second.endswith(", a clear loss.")


def test_few_recordings_have_no_verdict(tmp_path):
    found = findings(make_runs(tmp_path, made_clips(8, 2, 2), FEW))
    said = headline(replace(found, groups="speaker"))
    told = r"Too few speakers for a verdict; .* has the highest accuracy\."
    assert re.match(told, said)


def test_without_a_run_that_can_be_read_the_headline_says_so():
    assert headline(findings([])) == "No run has been trained yet."
    damaged = [Problem("mel", "cut", "damaged")]
    assert headline(findings([], damaged)) == "No run can be read: 1 run is damaged."


def test_the_headline_ends_with_what_new_speakers_lose(made):
    less = "ridge scores 30.7 points lower on new speakers (accuracy 84.0 % by clip)"
    price = {"kind": "price", "severity": "warning", "what": less, "names": ["field"]}
    found = findings(made(MadeRun(skill=0.84)), checked=[price])
    assert headline(found).endswith(
        "classified 84.0 % of 400 clips correctly (95 % interval 79.5 to 87.7). Ridge"
        " scores 30.7 points lower on new speakers."
    )


def test_artefacts_of_clips_with_several_labels_have_the_name_of_their_score():
    task = SimpleNamespace(multilabel=True)
    main = SimpleNamespace(best=SimpleNamespace(task=task))
    said = artefacts(Evidence(main, checked=[ARTEFACTS]))
    assert "predict the tags (macro AUROC 80.0 %, chance is 50.0 %)." in said
