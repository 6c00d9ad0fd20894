"""The run-folder format: what is written is read back, what is half written does no
harm.
"""

import math
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from featurestack.results import run_folder, run_list
from featurestack.results.run_folder import RunFolder
from featurestack.results.tasks import CLASSES
from tests.cases import cases
from tests.refusal import refused
from tests.run_configs import named, run_config

COLUMNS = CLASSES.metric.history_columns
NAMES = ['<a>,"犬', "nan"]


@pytest.fixture
def run(tmp_path):
    """Two classes, one test clip a fold; names that CSV quotes, or that could be read
    as a number or none.
    """
    run_folder.write_config(tmp_path, run_config(classes=named(*NAMES)))
    run = RunFolder(tmp_path)
    for fold, group in ((1, "007"), (2, "NA")):
        run_folder.start_history(run.fold(fold), [], COLUMNS)
        rows = [[f"x{fold}", group, "test", "last", "nan"]]
        table = pd.DataFrame(rows, columns=run_folder.PREDICTION_COLUMNS)
        probabilities = np.float32([[0.1, 0.9]])
        run_folder.write_predictions(run.fold(fold), table, probabilities, NAMES)
    return run


@pytest.fixture
def runs(tmp_path):
    """A folder of runs that have not begun."""
    mel = ("mel-resnet18", "mel-resnet18-s1", "mel-cnn8")
    for name in (*mel, "mfcc-resnet18", "rms-cnn8", "rms+zcr-cnn8"):
        run_folder.write_config(tmp_path / "my sounds" / name, run_config())
    run_folder.write_config(tmp_path / "two" / "mel-cnn8", run_config())
    return tmp_path


def test_predictions_come_back_exactly_and_are_read_once(run):
    table = run.predictions()
    assert list(table.columns) == ["fold", *run_folder.PREDICTION_COLUMNS, *NAMES]
    assert table["group"].tolist() == ["007", "NA"]
    assert table.index.tolist() == table["clip_id"].tolist()
    assert table["target"].tolist() == ["nan"] * 2
    probabilities, targets = run.probabilities()
    assert (probabilities == np.float32([0.1, 0.9])).all()
    assert probabilities.shape == (2, 2) and targets.tolist() == [1, 1]
    assert run.finished == run.folds == [1, 2]
    assert run.scores()["accuracy"].to_dict() == {1: 1.0, 2: 1.0}
    (run.fold(1) / "predictions.csv").write_bytes(b"")
    assert run.predictions().equals(table)


def test_a_row_of_history_is_empty_where_not_computed_and_is_not_read_half_written(run):
    values = {"lr": 0.1, "seconds": 2.5, "train_loss": 1 / 3, "test_f1": math.nan}
    epochs = [{"epoch": epoch, **values} for epoch in (1, 2)]
    rows = [run_folder.history_row(row, COLUMNS) for row in epochs]
    file = run.fold(1) / "history.csv"
    run_folder.start_history(run.fold(1), rows, COLUMNS)
    head, row, _ = file.read_text().splitlines()
    assert head == ",".join(COLUMNS) and row == f"1,0.1,2.5,{1 / 3!r},,,,,,,,,"
    whole = file.read_bytes()
    file.write_bytes(whole[:-7])
    assert run.history(1)["epoch"].tolist() == [1]
    file.write_text(f"{head}\n")  # before the first epoch
    assert run.history(1).empty
    assert {kind.kind for kind in run.history(1).dtypes} == {"i", "f"}
    run_folder.start_history(run.fold(1), rows, COLUMNS)
    assert file.read_bytes() == whole


@cases("wanted", "names")
def test_runs_are_chosen_by_name_and_prefix(runs, wanted, names):
    assert [run.name for run in run_list.select(runs, wanted)] == names


def test_a_run_is_chosen_by_its_path_and_as_the_last_one(runs):
    last = RunFolder(runs / "my sounds" / "mfcc-resnet18")
    os.utime(last.path / "run.json", (2e9, 2e9))
    other = RunFolder(runs / "two" / "mel-cnn8")
    assert run_list.select(runs, f"last {other.path}") == [last, other]
    for name in ("last.pt", "predictions.csv"):  # the last one with weights is another
        other.fold(1).mkdir(exist_ok=True)
        (other.fold(1) / name).touch()
    assert run_list.select_one(runs, "last") == other
    with refused("unknown run 'mfcc-resnet'. Known: mel-cnn8"):
        run_list.select_one(runs, "mfcc-resnet", predicting=True)
    assert run_list.select(runs, "last") == [last]
    assert run_list.select(runs / "elsewhere", str(other.path)) == [other]
    quoted = f"'{last}' {other}"  # as `run=[last, other]` is written in Python
    assert run_list.select(runs, quoted) == [last, other]
    assert run_folder.find(runs, "two") == [other]


@cases("wanted", "message")
def test_a_wrong_name_is_refused(runs, wanted, message):
    with refused(message):
        run_list.select(runs, wanted)


def test_a_listed_name_with_blanks_is_quoted_also_if_it_has_an_equals_sign(runs):
    name = "my sounds/mel+embedding@model=speech-ridge"
    run_folder.write_config(runs / name, run_config())
    with refused(re.escape(f"one of '{name}', 'my sounds/mel-cnn8'")):
        run_list.select(runs, "mel")


def test_one_run_is_a_whole_name_also_with_blanks(runs):
    with refused("unknown run 'mel cnn8'; did you mean 'mel-cnn8'"):
        run_list.select_one(runs, "mel cnn8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"\x80\0\n\n", "can't decode"),
        (lambda content: content[:-1], "ends in the middle of a row"),
        (lambda content: content.replace(b"0.1", b"0.2"), "1 of 1 rows are incomplete"),
    ],
)
def test_damaged_predictions_are_named(run, change, message):
    file = run.fold(1) / "predictions.csv"
    file.write_bytes(change(file.read_bytes()))
    with refused(f"{message}.*remove .* and train again, the other folds are kept"):
        run.predictions()


@pytest.mark.parametrize("fold", [1.0, True, "1", 99, np.float64(1)])
def test_a_fold_is_a_whole_number_of_the_protocol(run, fold):
    with refused("expected one of 1"):
        run.history(fold)
    run.require_fold(np.int64(1))


def test_a_pipe_in_the_place_of_run_json_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with refused("not a run folder: it has no run.json"):
        _ = RunFolder(tmp_path).config


def test_what_few_expect_of_the_last_run_is_said(run, tmp_path, capsys):
    folder = tmp_path / "runs" / "ds" / "r"
    shutil.copytree(run.path, folder)
    config = run_config(classes=named(*NAMES), synthetic=False)
    run_folder.write_config(folder, config)
    run_list.select_one(tmp_path / "runs", "last")
    assert capsys.readouterr().err == ""
    config = run_config(classes=named(*NAMES), synthetic=True)
    run_folder.write_config(folder, config)
    shutil.rmtree(folder / "fold1")
    run_list.select_one(tmp_path / "runs", "last")
    assert capsys.readouterr().err == (
        "RUN=last is ds/r, trained on synthetic clips, 1 of 2 folds so far;"
        " RUN= names another\n"
    )
    run_list.select_one(tmp_path / "runs", "r")
    assert capsys.readouterr().err == ""


def test_a_run_of_a_newer_version_is_not_registered(run):
    file = run.path / "run.json"
    run_folder.register_run(run.path, ())
    content = re.sub(r'("format_version": )\d+', r"\g<1>99", file.read_text())
    file.write_text(content)
    with refused("run.json has format 99, made by a newer version of this program"):
        run_folder.register_run(run.path, ())
    assert file.read_text() == content


def test_the_path_of_a_run_and_the_name_of_another_dataset_contradict(run):
    own = run.config.dataset
    assert run_list.select_one("runs", str(run.path), own) == run
    with refused("is a run of another dataset, elsewhere: leave out DATASET=wolves"):
        run_list.select_one("runs", str(run.path), "wolves")
