"""Run folders as arrays: the order of clips, seeds, damaged files, and settings."""

import os
import re
import shutil

import numpy as np
import pytest

from featurestack.analysis.report.runs import load_runs
from featurestack.results.run_folder import find
from tests.analysis.made_runs import MadeRun, made_clips, make_run, of_sets

CLASSES = ["dog", "rain"]
PARTIAL = MadeRun(seed=1, folds=(1, 2))
LACKING = "it has 280 test clips of 400; train its missing folds"
EXACT = "an exact solution does not depend on the seed"
ROWS = [
    ("b", "g1", 1, "dog", [0.9, 0.1]),
    ("a", "g1", 1, "rain", [0.6, 0.4]),
    ("c", "", 2, "rain", [0.2, 0.8]),
]


def test_clips_are_in_the_order_of_their_ids(run_of_rows):
    run = run_of_rows("mel", CLASSES, ROWS)
    assert run.clip_ids.tolist() == ["a", "b", "c"]
    assert run.folds.tolist() == [[1, 1, 2]]
    assert run.target.tolist() == [1, 0, 1]
    # a clip of no group is a recording of its own
    assert run.groups.tolist() == ["g1", "g1", "c"]
    assert run.correct.tolist() == [0, 1, 1]
    expected = np.array([[[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]])
    assert run.probabilities == pytest.approx(expected)


@pytest.mark.parametrize(
    ("runs", "seeds", "left_out"),
    [
        ([MadeRun(), MadeRun(seed=3)], (0, 3), {}),
        ([MadeRun(), PARTIAL], (0,), {"mel-resnet18-s1": LACKING}),
        (of_sets(2, "linear", mel=0.7), (0,), {"mel-linear-s1": EXACT}),
    ],
)
def test_seeds_of_one_configuration_are_one_run_and_what_does_not_fit_is_named(
    made_runs, tmp_path, runs, seeds, left_out
):
    made_runs(*runs, MadeRun(features="zcr"))
    (mel, _), problems = load_runs(find(tmp_path))
    assert (mel.seeds, mel.probabilities.shape) == (seeds, (len(seeds), 400, 10))
    assert set(mel.history["seed"]) == set(seeds)
    told = {problem.run: problem.text for problem in problems}
    apart = f"not counted together with {mel.name}: "
    assert told == {run: apart + why for run, why in left_out.items()}


def test_a_copy_of_a_run_is_no_further_seed(made_runs, tmp_path):
    (run,) = made_runs(MadeRun())
    shutil.copytree(run.folders[0].path, tmp_path / "made" / "kept")
    runs, problems = load_runs(find(tmp_path, "made"))
    assert [run.seeds for run in runs] == [(0,)]
    text = "not counted together with kept: its seed is already counted"
    assert [problem.text for problem in problems] == [text]


def cut(folder):
    os.truncate(folder / "fold2" / "predictions.csv", 3000)


def overwrite(folder):
    (folder / "fold1" / "history.csv").write_text("x")


def repeat(folder):
    shutil.copy(folder / "fold1" / "predictions.csv", folder / "fold2")


def stop(folder):
    for file in folder.glob("fold*/predictions.csv"):
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "missing", "damaged", "said"),
    [
        (cut, [(2,)], True, "fold 2 is left out.*ends in the middle of a row"),
        (overwrite, [()], True, "learning curve of fold 1 is left out"),
        (repeat, [], True, "tested twice"),
        (stop, [], False, "epoch 20 of 20"),
    ],
)
def test_what_a_run_lacks_is_named_and_the_rest_counts(
    tmp_path, spoil, missing, damaged, said
):
    spoil(make_run(tmp_path, made_clips(100, 10), MadeRun()))
    runs, (problem, *_) = load_runs(find(tmp_path))
    assert [run.missing_folds for run in runs] == missing
    assert problem.damaged == damaged and re.search(said, problem.text)


def test_the_epoch_that_validation_chose_is_the_one_that_is_reported(made_runs):
    chosen, plain = made_runs(MadeRun(val="next"), MadeRun(features="zcr"))
    assert (chosen.checkpoint, plain.checkpoint) == ("best", "last")
