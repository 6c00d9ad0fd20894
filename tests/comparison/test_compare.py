"""`fs.compare`: arrays and runs in, verdicts out; what is refused; what it loads."""

import re
import tomllib
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import featurestack as fs
from featurestack.analysis.report.runs import rankings
from featurestack.base.errors import RequestError
from featurestack.base.terminal import Notice
from featurestack.comparison.ranking import ModelRanking
from featurestack.comparison.scores import ACCURACY, Predictions
from featurestack.results.run_folder import RunFolder
from tests.analysis.made_runs import MadeRun, made_clips, make_run, of_sets
from tests.cases import cases
from tests.golden.commands import ROOT
from tests.processes import python
from tests.refusal import refused

CLASSES = [*"abc"]


def made_arrays(*skills, clips=240):
    """Labels, groups, folds, and probabilities of each skill."""
    rng = np.random.default_rng(0)
    y = np.arange(clips) % 3
    models = {}
    for number, skill in enumerate(skills):
        logits = rng.normal(size=(clips, 3))
        logits[np.arange(clips), y] += skill
        powers = np.exp(logits)
        models[f"m{number}"] = powers / powers.sum(axis=1, keepdims=True)
    groups = np.arange(clips) // 4
    return np.array(CLASSES)[y], groups, groups % 5 + 1, models


def test_arrays_get_the_numbers_of_the_runs_they_come_from(made_runs):
    (ranking,) = rankings(made_runs(*of_sets(rms=0.5, mel=0.8, mfcc=0.78)))
    best = ranking.best
    models = {run.features: run.probabilities[0] for run in ranking.runs}
    labels = np.array(best.classes)[best.target]
    compared = fs.compare(models, labels, groups=best.groups, folds=best.folds[0])
    table = compared.table
    assert table["model"].tolist() == [run.features for run in ranking.runs]
    scores = [(run.score.value, run.score.low, run.score.high) for run in ranking.runs]
    assert [*table[["score", "low", "high"]].itertuples(index=False)] == scores
    assert table["p"][1:].tolist() == [own.p for own in ranking.differences]
    assert table["verdict"].tolist() == ["best", "no clear difference", "clearly worse"]
    assert "is not clearly different from 1 of 2 others; mfcc" in repr(compared)
    assert "the highest of 3 and so optimistic" in compared.sentence
    assert "in 3 folds" in compared.sentence


def test_predicted_classes_and_frames_are_compared_too():
    labels, groups, folds, models = made_arrays(2.0, 0.2)
    frames = {
        name: pd.DataFrame(own, columns=CLASSES)[["b", "a", "c"]]
        for name, own in models.items()
    }
    of_frames = fs.compare(frames, labels, groups=groups, folds=folds)
    classes = {name: np.array(CLASSES)[own.argmax(1)] for name, own in models.items()}
    of_classes = fs.compare(classes, labels, groups=groups, folds=folds)
    assert of_classes.table["score"].tolist() == of_frames.table["score"].tolist()
    assert of_classes.table["p"][1] == of_frames.table["p"][1] < 0.01


def test_several_labels_are_ranked_by_map():
    rng = np.random.default_rng(0)
    labels = rng.random((200, 4)) < 0.3
    models = {
        str(skill): np.clip(0.3 * rng.random((200, 4)) + skill * labels, 0, 1)
        for skill in (0.0, 0.5)
    }
    found = fs.compare(models, labels, groups=np.arange(200) // 5)
    assert found.table["model"].tolist() == ["0.5", "0.0"]
    assert found.table["verdict"].tolist() == ["best", "clearly worse"]
    assert found.sentence.startswith("0.5, mAP 100.0 %")


@cases("change", "message")
def test_arrays_that_do_not_fit_are_refused(change, message):
    labels, groups, folds, models = made_arrays(1.0)
    arguments = {"predictions": models, "labels": labels, "groups": groups}
    with pytest.raises(RequestError, match=message):
        fs.compare(
            **(arguments | {"folds": folds} | eval(change, {"np": np, "torch": torch}))
        )


@cases("true", "given")
def test_values_of_any_type_are_read_by_value(true, given):
    """Predictions that are equal to the labels, whatever types both have."""
    labels = pd.Series([*"abc"] * 20)
    frame = pd.get_dummies(labels).astype(float)
    names = {"labels": labels, "frame": frame, "torch": torch}
    both = eval(given, names), eval(true, names)
    found = fs.compare({"a": both[0]}, both[1], groups=range(60))
    assert found.table["score"].tolist() == [1.0]


def test_several_predictions_of_a_model_are_one_row():
    """A list, an array, a column `repeat`: the score is the mean of the repeats'."""
    labels, groups, _, models = made_arrays(2.0, 1.8, 0.2)
    one, other, worse = models.values()
    frames = [pd.DataFrame(own, columns=CLASSES) for own in (one, other)]
    column = pd.concat([own.assign(repeat=n) for n, own in enumerate(frames)])
    named = [np.array(CLASSES)[own.argmax(axis=1)] for own in (one, other)]
    of_classes = pd.concat(
        [pd.DataFrame({"own": own, "repeat": n}) for n, own in enumerate(named)]
    )
    alone = fs.compare(models, labels, groups=groups).table.set_index("model")["score"]
    tables = [
        fs.compare({"many": many, "worse": worse}, labels, groups=groups).table
        for many in ([one, other], np.stack([one, other]), column, named, of_classes)
    ]
    for table in tables:
        assert table["score"][0] == pytest.approx((alone["m0"] + alone["m1"]) / 2)
        pd.testing.assert_frame_equal(table, tables[0])


def test_a_tie_with_the_true_class_is_wrong():
    labels = np.tile(["x", "y"], 10)
    tied = np.full((20, 2), 0.5)
    with pytest.warns(Notice, match="tied: 20 clips share their highest probability"):
        found = fs.compare({"tied": tied}, labels, groups=range(20))
    assert found.table["score"].tolist() == [0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a tie of other classes changes nothing
        others = np.column_stack([tied, np.zeros(20)])
        labels[:10] = "z"
        others[10:] = labels[10:, None] == [*"xyz"]
        fs.compare({"tied": others}, labels, groups=range(20), classes=[*"xyz"])


# ---- groups and folds


def test_arrays_without_groups_are_a_warning():
    labels, _, folds, models = made_arrays(1.0, 0.5)
    with pytest.warns(Notice, match="groups= is missing"):
        fs.compare(models, labels, folds=folds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fs.compare(models, labels, folds=folds, groups=range(len(labels)))


def test_each_clip_without_a_group_is_its_own():
    labels, _, _, models = made_arrays(1.0, 0.5)
    named = [*"ab" * (len(labels) // 2)]
    absent = pd.Series(named, dtype=object)
    absent[:3] = np.nan, "", "nan"
    apart = [f"own {number}" if number < 3 else own for number, own in enumerate(named)]
    given = {"predictions": models, "labels": labels}
    with pytest.warns(Notice, match="3 clips without a group count as independent"):
        table = fs.compare(**given, groups=absent).table
    pd.testing.assert_frame_equal(table, fs.compare(**given, groups=apart).table)


def test_doubtful_groups_are_named():
    labels, groups, _, models = made_arrays(1.0)
    names = [f"g{number}" for number in groups]
    names[:2] = "G0", "g0 "
    with pytest.warns(Notice) as warned:
        fs.compare(models, labels, groups=names, folds=np.arange(240) % 5)
    said = " ".join(str(warning.message) for warning in warned)
    assert "60 of 62 groups are in several folds: source recordings that test" in said
    assert "'G0', 'g0' and 'g0 ' are different groups" in said


def test_folds_that_nobody_named_count_as_cross_validated():
    """A model that is right for 23 of 36 clips is better than chance as one test of a
    trained model only.
    """
    labels = np.tile(["x", "y"], 18)
    other = {"x": "y", "y": "x"}
    answers = [own if n < 23 else other[own] for n, own in enumerate(labels)]
    found = {
        str(folds): fs.compare({"m": answers}, labels, groups=range(36), folds=folds)
        for folds in ("unknown", None)
    }
    assert "m is not clearly better than chance" in found["unknown"].sentence
    assert "assuming cross-validation in unknown folds" in found["unknown"].sentence
    known = fs.compare({"m": answers}, labels, groups=range(36), folds=[1, 2, 3] * 12)
    assert known.sentence.split(";")[0] == found["unknown"].sentence.split(";")[0]
    one_test = found["None"].sentence
    assert "as one test of these trained models" in one_test


@pytest.fixture
def runs(tmp_path):
    clips = made_clips(200, 5)
    made = [MadeRun(skill=0.8), MadeRun(features="rms", skill=0.5)]
    return [RunFolder(make_run(tmp_path, clips, run)) for run in made]


def test_a_run_brings_its_labels_groups_and_folds_in_any_form(runs):
    one, other = runs
    listed = fs.compare(runs)
    assert listed.table["verdict"].tolist() == ["best", "clearly worse"]
    shuffled = other.scored()[other.classes].sample(frac=1, random_state=0)
    forms = [{"a": one, "b": other}, {"a": one, "b": shuffled}]
    numbers = listed.table.drop(columns="model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # its groups are known
        for models in forms:
            found = fs.compare(models)
            pd.testing.assert_frame_equal(found.table.drop(columns="model"), numbers)


def test_predictions_beside_a_run_are_matched_by_the_clips_ids(runs):
    """A run's rows are in the order of its folds, an array's in that of the clips."""
    run = runs[0]
    right = run.scored()["target"].sample(frac=1, random_state=0)
    table = fs.compare({"run": run, "right": right}).table.set_index("model")
    assert table["score"]["right"] == 1.0
    frame = run.scored()[run.classes]
    for rows in (right.to_numpy(), frame.to_numpy(), frame.reset_index(drop=True)):
        with refused("svc beside a run needs the clips' ids as its index: give pd.Ser"):
            fs.compare({"run": run, "svc": rows})


def test_other_clips_labels_groups_or_folds_than_a_runs_are_refused(runs, tmp_path):
    run = runs[0]
    rows = run.scored()
    given = {"labels": rows["target"], "groups": rows["group"], "classes": run.classes}
    for argument, value in given.items():
        with refused("a run has labels, groups, folds and classes"):
            fs.compare({"mine": run}, **{argument: value})
    with refused("has an index, such as"):
        fs.compare(
            {"m": rows[run.classes]}, rows["target"].tolist(), groups=[*rows["group"]]
        )
    fewer = RunFolder(make_run(tmp_path / "b", made_clips(100, 5), MadeRun()))
    with refused("b and a cannot be compared: they have other clips"):
        fs.compare({"a": run, "b": fewer})
    two = [run, RunFolder(make_run(tmp_path / "c", made_clips(200, 5), MadeRun()))]
    with refused("two runs have one name"):
        fs.compare(two)


# ---- verdicts


def test_few_groups_get_no_verdict_but_the_lead():
    labels, _, _, models = made_arrays(2.0, 0.2)
    found = fs.compare(models, labels, groups=np.arange(240) % 6)
    assert set(found.table["verdict"]) == {"not compared"}
    assert found.table["p"].isna().all()
    assert found.sentence.startswith(
        "6 groups are too few for a verdict, which needs 7"
    )
    assert " points above " in found.sentence


def test_no_difference_is_clear_among_models_that_know_nothing():
    """One model is right for half of the clips, the other for none."""
    labels = np.tile(["x", "y"], 30)
    other = np.where(labels == "x", "y", "x")
    half = np.where(np.arange(60) % 4 < 2, labels, other)
    found = fs.compare({"half": half, "none": other}, labels, groups=range(60))
    assert found.table["verdict"].tolist() == ["best", "no clear difference"]
    assert set(found.table["reason"]) == {"no model is clearly better than chance"}
    low, high = found.table.loc[1, ["difference_low", "difference_high"]]
    assert low < 0 <= high
    assert found.sentence.startswith("No model is clearly better than chance, 50.0 %")


@pytest.mark.parametrize(
    "each", [np.full(7, 20), np.array([12, 14, 15, 16, 17, 17, 18])]
)
def test_a_uniform_result_of_seven_groups_is_clear(each):
    """All right, or each group clearly above chance."""
    labels, answers = [], []
    for right in each:
        labels += ["x", "y"] * 10
        wrong = ["y", "x"] * 10
        answers += labels[-20:][:right] + wrong[right:]
    groups = np.repeat(range(7), 20)
    found = fs.compare({"m": answers}, labels, groups=groups)
    assert "is clearly better than chance, 50.0 %" in found.sentence


def ranked(right, groups):
    """The ranking of an answer (its score varies more) by clips that are right."""
    labels = np.arange(len(right)) % 2
    answers = np.where(right, labels, 1 - labels)
    given = {"metric": ACCURACY, "classes": ("x", "y"), "variance": 2.25}
    given |= {"groups": np.asarray(groups), "folds": np.asarray(groups) % 5}
    given |= {
        "labels": np.eye(2)[labels] > 0,
        "probabilities": np.eye(2)[answers][None],
    }
    return ModelRanking(runs=(Predictions(**given),), crossed=True)


def test_seven_speakers_who_are_all_right_are_clear_in_an_answer():
    """They do not differ, so training adds nothing to the variance between them."""
    against = ranked(np.ones(140, bool), np.arange(140) // 20).against_chance
    assert against.clear and against.score.low > 0.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (1, r"its 95 % interval, 4\d\.\d to 99\.\d, holds chance"),
        (5, r"p = 0\.\d{3}"),
    ],
)
def test_a_doubt_names_what_failed(wrong, said):
    against = ranked(np.arange(12) >= wrong, np.arange(12)).against_chance
    assert not against.clear and re.fullmatch(said, against.doubt)
    assert (against.p < 0.05) == (wrong == 1)


def test_uneven_classes_are_compared_by_balanced_accuracy():
    """A constant answer has the higher accuracy."""
    labels = np.repeat(["x", "y"], [90, 30])
    right = np.arange(120) % 10 < 7
    useful = np.where(right, labels, np.where(labels == "x", "y", "x"))
    models = {"constant": ["x"] * 120, "useful": useful}
    found = fs.compare(models, labels, groups=range(120), folds=None)
    assert found.table["model"].tolist() == ["useful", "constant"]
    assert found.table["score"].tolist() == [0.7, 0.5]
    assert found.sentence.startswith("useful, balanced accuracy 70.0 %")


# ---- alone

ALONE = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
BLOCKED = sys.argv[1].split()
def find_others(name, *args):
    return None if name.split(".")[0] in BLOCKED else find(name, *args)
PathFinder.find_spec = find_others
import numpy as np
import featurestack as fs
labels = np.arange(60) % 2
print(fs.compare({"a": labels, "b": 0 * labels}, labels, groups=np.arange(60) // 4))
above = "analysis", "answers", "cli", "extras", "results", "features_cache", "train"
ours = [name.split(".") for name in sys.modules]
loaded = {name[1] for name in ours if name[0] == "featurestack" and len(name) > 1}
assert not loaded & {*above}, loaded
"""


def test_the_comparison_stands_alone():
    """The only dependencies that it needs are numpy, pandas and scipy."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.match(r"[\w-]+", text)[0] for text in project["dependencies"]}
    blocked = {*named, "sklearn"} - {"numpy", "pandas", "scipy"}
    assert {"torch", "librosa", "h5py", "matplotlib", "psutil"} <= blocked
    printed = python("-c", ALONE, " ".join(blocked)).stdout
    assert "a, accuracy 100.0 % of 60 clips" in printed and "clearly worse" in printed
