"""The tables, compared with counts by hand and scikit-learn; ablations whose effect is
planted; the most common mistake.
"""

from copy import copy
from dataclasses import replace

import pandas as pd
import pytest
from sklearn.metrics import classification_report

from featurestack.analysis.findings import findings
from featurestack.analysis.report import tables
from featurestack.analysis.report.runs import rankings
from featurestack.analysis.report.tables import (
    ablation_gains,
    classes_shown,
    common_mistake,
)
from featurestack.comparison.scores import every_score
from featurestack.results.config import Machine
from tests.analysis.made_runs import MadeRun, of_sets
from tests.cases import data
from tests.run_configs import answer_of, computed, rewrite

CLASSES = ["dog", "rain", "sea"]
# One of three dogs is predicted as rain, both rains as dog, the sea correctly.
ROWS = data(__file__)["ROWS"]


def test_a_class_report_is_scikit_learns(made_runs):
    run = made_runs(MadeRun(skill=0.7), clips=390)[0]
    given = {"target_names": run.classes, "output_dict": True}
    scores = classification_report(
        run.target, run.probabilities[0].argmax(axis=1), **given
    )
    theirs = pd.DataFrame(scores).T.drop(["accuracy", "weighted avg"])
    report = tables.class_report(run).set_index("class")
    assert report.index.tolist() == theirs.index.tolist()
    ours = report[["precision", "recall", "f1", "support"]]
    assert ours.to_numpy() == pytest.approx(theirs.to_numpy())
    classes = report[:-1]
    assert (classes["recall_low"] < classes["recall"]).all()
    assert (classes["recall"] < classes["recall_high"]).all()


def test_confusion_and_most_confused_by_hand(run_of_rows):
    run = run_of_rows("mel", CLASSES, ROWS)
    counts = tables.confusion_counts(run).tolist()
    assert counts == [[2, 1, 0], [2, 0, 0], [0, 0, 1]]
    assert tables.confused_pairs(run).to_dict("records") == [
        {"true": "rain", "predicted": "dog", "count": 2, "of": 2, "share": 1},
        {"true": "dog", "predicted": "rain", "count": 1, "of": 3, "share": 1 / 3},
    ]
    assert len(tables.confused_pairs(run, most=1)) == 1


def test_scores_are_of_all_clips_and_the_folds_stand_beside_them(run_of_rows):
    run = run_of_rows("mel", CLASSES, ROWS)
    of_folds = every_score(run)[0]["accuracy"]
    assert of_folds.to_dict() == pytest.approx({1: 2 / 3, 2: 1 / 3})
    own = findings([run]).best
    report = tables.class_report(run).set_index("class").loc["macro avg"]
    assert own.score.value == pytest.approx(report["recall"])  # of uneven classes
    assert own.scores["accuracy"] == pytest.approx(run.correct.mean())


def test_the_cost_of_training_is_of_a_fold_and_says_on_what(made_runs):
    partial = MadeRun(features="zcr", folds=(1, 2))
    runs = made_runs(MadeRun(), partial, MadeRun(features="rms"))
    gpu = Machine(processor="", cores=None, gpu="NVIDIA H200")
    two, other, one = (run.folders[0] for run in runs)
    rewrite(two, computed=computed(threads=2))
    rewrite(other, computed=computed(), machine=gpu)
    rewrite(one, computed=computed(threads=1))
    costs = [tables.cost_of(run) for run in runs]
    # 20 epochs of a second, two folds or three
    assert [own["fold_seconds"] for own in costs] == [20.0] * 3
    trained_on = [own["trained_on"] for own in costs]
    assert trained_on == ["2 threads", "NVIDIA H200", "1 thread"]


def test_a_small_p_has_a_bound():
    texts = [tables.format_p(p) for p in (0.00004, 0.0125, 0.02468)]
    assert texts == ["< 0.001", "0.013", "0.0247"]


def gains_of(runs):
    return ablation_gains(rankings(runs)[0])


def test_a_planted_gain_is_found_and_a_loss_is_negative(made_runs):
    other = of_sets(model="cnn4", mel=0.7, mel_chroma=0.6)
    gain, loss = gains_of(made_runs(*of_sets(mel=0.6, mel_chroma=0.75), *other))
    assert gain.name == "chroma added to mel (resnet18)"
    assert (gain.less.name, gain.more.name) == ("mel-resnet18", "mel+chroma-resnet18")
    of_gain, of_loss = gain.difference, loss.difference
    assert (of_gain.value, of_loss.value) == pytest.approx((0.15, -0.1))
    assert 0 < of_gain.low < 0.15 < of_gain.high
    assert of_loss.low < -0.1 < of_loss.high < 0
    assert (gain.verdict, loss.verdict) == ("clear gain", "clear loss")


def test_a_difference_from_the_best_has_one_verdict(made_runs):
    """In the table of comparisons and in that of ablations."""
    (ranking,) = rankings(made_runs(*of_sets(mel_mfcc=0.66, mel=0.6, mfcc=0.5)))
    compared = [(-own.value, -own.high, -own.low, own.p) for own in ranking.differences]
    gains = [gain.difference for gain in ablation_gains(ranking)]
    assert [(own.value, own.low, own.high, own.p) for own in gains] == compared


def test_a_pair_is_named_without_options_of_runs_that_have_none(made_runs):
    pair = made_runs(*of_sets(model="texturenet", mel=0.6, mel_mfcc=0.7))
    config = answer_of(pair[0].config)
    folder = copy(pair[0].folders[0])
    vars(folder)["config"] = config
    choice = replace(pair[0], name="choice", features="the choice", folders=(folder,))
    (gain,) = gains_of([*pair, choice])
    assert gain.name == "mfcc added to mel (texturenet)"


# runs of a pair share every other option
OTHERS = MadeRun(model="cnn4"), MadeRun(features="mfcc", augment="none")


@pytest.mark.parametrize(
    ("runs", "steps"),
    [
        (  # steps lead through the sets in between
            of_sets(mel_mfcc_chroma=0.8, mel_mfcc=0.7, mel=0.6, chroma=0.3),
            [("mel+mfcc", "chroma"), ("chroma", "mel+mfcc"), ("mel", "mfcc")],
        ),
        ([MadeRun(features="mel+mfcc"), *OTHERS], []),
        ([MadeRun(), MadeRun(features="mel+mel+mel")], [("mel", "mel+mel")]),
    ],
)
def test_steps_between_feature_sets(made_runs, runs, steps):
    gains = gains_of(made_runs(*runs))
    assert [(gain.less.features, gain.added) for gain in gains] == steps


def test_the_small_matrix_shows_the_classes_of_the_most_frequent_errors(made_runs):
    (run,) = made_runs(MadeRun(skill=0.7), clips=2000, classes=50)
    counts = tables.confusion_counts(run)
    shown = classes_shown(counts)
    mistake = common_mistake(run)
    assert {mistake["true"], mistake["predicted"]} <= {
        run.classes[place] for place in shown
    }
    assert len(shown) == 12 and shown == sorted(shown)
    assert classes_shown(counts[:5, :5]) == [0, 1, 2, 3, 4]


def test_the_common_mistake_by_hand_with_the_surest_clips(run_of_rows):
    rows = [
        ("a", "a", 1, "dog", [0.4, 0.6]),
        ("b", "b", 1, "dog", [0.1, 0.9]),
        ("c", "c", 2, "rain", [0.2, 0.8]),
        ("d", "d", 2, "rain", [0.3, 0.7]),
        ("e", "e", 2, "dog", [0.7, 0.3]),
    ]
    mistake = common_mistake(run_of_rows("mel", ["dog", "rain"], rows))
    expected = {"true": "dog", "predicted": "rain", "count": 2, "of": 3}
    expected |= {"share": 2 / 3, "wrong": "b", "right": "c", "equals": 0}
    assert mistake == expected
