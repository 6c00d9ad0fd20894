"""The tasks: names, targets, predictions, scores."""

import pickle

import numpy as np
import pandas as pd
import pytest

from featurestack.results.tasks.classes import CATEGORIES, CLASSES
from featurestack.results.tasks.registry import TASKS, task_choices, task_of
from featurestack.results.tasks.tags import TAGS
from tests.commandline.test_rooms import write_room
from tests.processes import python
from tests.refusal import refused

NAMES = ["dog", "rain"]
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


@pytest.mark.parametrize("task", [CLASSES, TAGS], ids=["classes", "tags"])
def test_history_has_the_scores_of_an_epoch(task):
    targets = task.targets(pd.Series(["dog", "rain", "dog"]), NAMES)
    measured = task.epoch_scores(targets, PROBABILITIES)
    columns = [f"test_{name}" for name in measured]
    assert list(task.history_columns[-len(columns) :]) == columns


@pytest.mark.parametrize("task", [CLASSES, TAGS], ids=["classes", "tags"])
def test_a_task_is_ranked_by_a_score_of_its_history(task):
    assert f"train_{task.score}" in task.history_columns
    assert set(task.printed_scores) <= {
        column.removeprefix("val_") for column in task.history_columns
    }


def test_targets_of_classes_are_numbers():
    assert CLASSES.targets(pd.Series(["rain", "cat"]), NAMES).tolist() == [1, -1]


def test_targets_of_tags_are_a_column_a_class():
    targets = TAGS.targets(pd.Series(["dog;rain", ""]), NAMES)
    assert targets.tolist() == [[1, 1], [0, 0]]


def test_categories_are_classes_of_another_column():
    clips = pd.DataFrame({"label": ["dog", "cow"], "category": ["animal"] * 2})
    (entry,) = CATEGORIES.class_entries(clips)
    assert entry["name"] == "animal"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_found_by_its_name(name):
    assert task_of(name).name == name


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_the_same_in_another_process(name):
    assert pickle.loads(pickle.dumps(task_of(name))) == task_of(name)


@pytest.mark.parametrize("task", [CLASSES, TAGS], ids=["classes", "tags"])
def test_labels_say_which_classes_a_clip_has(task):
    labels = task.labels(pd.Series(["rain", "dog"]), NAMES)
    assert labels.tolist() == [[False, True], [True, False]]


def test_a_target_of_classes_is_one_of_them():
    known = CLASSES.known(pd.Series(["rain", "cow", ""]), NAMES)
    assert known.tolist() == [True, False, False]


def test_a_target_of_tags_is_made_of_them_or_empty():
    known = TAGS.known(pd.Series(["dog;rain", "dog;cow", ""]), NAMES)
    assert known.tolist() == [True, False, True]


def test_probabilities_of_classes_sum_to_one():
    given = np.array([[0.5, 0.5], [0.9, 0.9]])
    assert CLASSES.sound(given).tolist() == [True, False]


def test_probabilities_of_tags_are_at_most_one():
    given = np.array([[0.9, 0.9], [0.2, 1.1]])
    assert TAGS.sound(given).tolist() == [True, False]


def test_the_most_probable_class_is_predicted():
    above = np.zeros((3, 2), bool)
    assert CLASSES.predicted(PROBABILITIES, above, NAMES) == ["dog", "rain", "dog"]


def test_every_tag_above_its_threshold_is_predicted():
    above = np.array([[True, True], [False, True], [False, False]])
    assert TAGS.predicted(PROBABILITIES, above, NAMES) == ["dog;rain", "rain", ""]


def test_a_temperature_changes_no_probability_of_tags():
    assert TAGS.scaled(PROBABILITIES, 2.0) is PROBABILITIES


def test_decisions_about_tags_of_a_fold_do_not_depend_on_its_labels():
    rng = np.random.default_rng(0)
    probabilities = rng.random((1, 60, 2))
    labels = rng.random((60, 2)) < 0.5
    folds = np.repeat([1, 2, 3], 20)
    changed = labels.copy()
    changed[folds == 1] = ~labels[folds == 1]
    before = TAGS.decisions(probabilities, labels, folds)[0, folds == 1]
    after = TAGS.decisions(probabilities, changed, folds)[0, folds == 1]
    assert (before == after).all()


def test_an_unknown_task_is_refused_with_the_nearest():
    with refused("unknown task 'tag'; did you mean 'tags'?"):
        task_of("tag")


@pytest.mark.parametrize("task", [CLASSES, TAGS], ids=["classes", "tags"])
def test_numbers_that_are_not_finite_are_no_probabilities(task):
    assert task.sound(np.array([[0.5, np.nan], [-0.5, 1.5]])).tolist() == [False, False]


ROOM = """
from featurestack.commandline.rooms import Room
ROOM = Room()
@ROOM.tasks("species")
def tasks():
    from whale_tasks import SPECIES
    return [SPECIES]
"""
TASK = """
from featurestack.results.tasks.classes import Classes
SPECIES = Classes("species", "species")
"""
PRINTED = """
import sys
from featurestack.results.tasks.registry import task_choices, task_of
from featurestack.train.options import RunOptions
print(*task_choices(), "whale_tasks" in sys.modules)
print(task_of(RunOptions(task="species").task).column)
"""


def test_a_room_adds_a_task_that_is_loaded_when_it_is_used(tmp_path):
    write_room(tmp_path, ROOM)
    (tmp_path / "whale_tasks.py").write_text(TASK)
    names, column = python("-c", PRINTED, cwd=tmp_path).stdout.splitlines()
    *listed, loaded = names.split()
    assert {*listed} == {*task_choices(), "species"} and loaded == "False"
    assert column == "species"
