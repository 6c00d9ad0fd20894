"""The run-folder format: what is written is read back, what is half written does no harm."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commandline.registry import RequestError
from results import run_folder
from results.run_folder import HISTORY_COLUMNS, RunFolder


def make_run(root: Path, dataset: str, name: str, folds: int = 2) -> RunFolder:
    config = {
        "dataset": dataset,
        "folds": [1, 2],
        "classes": [{"name": "a", "category": ""}, {"name": "b,", "category": ""}],
    }
    run_folder.write_config(root / dataset / name, config)
    run = RunFolder(root / dataset / name)
    for fold in range(1, folds + 1):
        run_folder.start_history(run.fold(fold))
        rows = pd.DataFrame(
            {"clip_id": [f"x{fold}"], "group": ["007"], "split": "test", "selection": "last", "target": "b,"}
        )
        run_folder.write_predictions(run.fold(fold), rows, np.float32([[0.1, 0.9]]), ["a", "b,"])
    return run


def test_predictions_come_back_exactly(tmp_path):
    run = make_run(tmp_path, "d", "r")
    table = run.predictions()
    assert list(table.columns) == ["fold", *run_folder.PREDICTION_COLUMNS, "a", "b,"]
    assert table["group"].tolist() == ["007", "007"]  # text, not the number 7
    assert np.float32(table["a"]).tolist() == [np.float32(0.1)] * 2
    assert run.finished == [1, 2] and run.complete


def test_a_class_may_be_called_like_a_missing_value(tmp_path):
    rows = pd.DataFrame(
        {"clip_id": ["1"], "group": ["NA"], "split": "test", "selection": "last", "target": "nan"}
    )
    run_folder.write_config(
        tmp_path / "d" / "r", {"folds": [1], "classes": [{"name": "nan", "category": ""}]}
    )
    run = RunFolder(tmp_path / "d" / "r")
    run.fold(1).mkdir()
    run_folder.write_predictions(run.fold(1), rows, np.float32([[1]]), ["nan"])
    assert run.predictions(1)[["group", "target"]].values.tolist() == [["NA", "nan"]]


def test_history_has_its_columns_in_order_and_leaves_empty_what_was_not_computed(tmp_path):
    row = run_folder.history_row(
        {"epoch": 1, "lr": 0.1, "seconds": 2.5, "train_loss": 1 / 3, "test_f1": math.nan}
    )
    run_folder.start_history(tmp_path, [row])
    text = (tmp_path / "history.csv").read_text()
    assert text.splitlines()[0] == (
        "epoch,lr,seconds,train_loss,train_accuracy,val_loss,val_accuracy,val_precision,val_recall,val_f1,"
        "test_loss,test_accuracy,test_precision,test_recall,test_f1"
    )
    assert text.splitlines()[1] == f"1,0.1,2.5,{1 / 3!r},,,,,,,,,,,"


def test_a_row_that_is_half_written_is_not_read_and_is_replaced(tmp_path):
    run = make_run(tmp_path, "d", "r")
    rows = [run_folder.history_row({"epoch": epoch, "train_loss": 0.5}) for epoch in (1, 2)]
    run_folder.start_history(run.fold(1), rows)
    whole = (run.fold(1) / "history.csv").read_bytes()
    (run.fold(1) / "history.csv").write_bytes(whole[:-7])
    assert run.history(1)["epoch"].tolist() == [1]
    run_folder.start_history(run.fold(1), rows)
    assert (run.fold(1) / "history.csv").read_bytes() == whole


def test_history_of_a_fold_that_has_not_begun_is_empty(tmp_path):
    run = make_run(tmp_path, "d", "r", folds=0)
    assert run.history(1).empty and list(run.history(1)) == list(HISTORY_COLUMNS)
    with pytest.raises(RequestError, match="no finished fold"):
        run.predictions()


def test_a_row_with_an_unknown_column_is_a_mistake_of_ours():
    with pytest.raises(AssertionError):
        run_folder.history_row({"test_los": 1.0})


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "run.json"
    run_folder.replace_file(file, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError):
        run_folder.replace_file(file, b"new")
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path):
    file = tmp_path / "last.pt"
    script = (
        "import os, signal, sys; from pathlib import Path; from train import runs;"
        "Path.write_bytes = lambda *_: (open(_[0], 'w').close(), os.kill(os.getpid(), signal.SIGKILL));"
        "run_folder.replace_file(Path(sys.argv[1]), b'new')"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    (left,) = tmp_path.iterdir()
    (tmp_path / f"{left.name.rpartition('.')[0]}.{os.getppid()}").touch()  # of one that is still writing
    run_folder.replace_file(file, b"new")
    assert len(list(tmp_path.iterdir())) == 2 and not left.exists()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("mel-resnet18", ["mel-resnet18"]),  # a whole name, though it begins another
        ("mfcc", ["mfcc-resnet18"]),
        ("mfcc mel-resnet18-s1", ["mfcc-resnet18", "mel-resnet18-s1"]),
        ("mfcc mfcc-resnet18", ["mfcc-resnet18"]),
        ("one/mel-resnet18-s1", ["mel-resnet18-s1"]),
    ],
)
def test_runs_are_chosen_by_name_and_prefix(tmp_path, wanted, found):
    for name in ("mel-resnet18", "mel-resnet18-s1", "mfcc-resnet18"):
        make_run(tmp_path, "one", name)
    assert [run.name for run in run_folder.select(tmp_path, wanted)] == found


def test_a_run_is_chosen_by_its_path_and_as_the_last_one(tmp_path):
    first, second = make_run(tmp_path, "one", "a"), make_run(tmp_path, "two", "b")
    later = second.path.stat().st_mtime + 10
    os.utime(first.fold(1) / "predictions.csv", (later, later))
    assert run_folder.select(tmp_path, "last") == [first]
    for run in (first, second):  # a draft whose file was replaced before it was looked at
        (run.fold(1) / ".last.pt.host.1").symlink_to("absent")
    assert run_folder.select(tmp_path, "last") == [first]
    assert run_folder.select(tmp_path / "elsewhere", str(second.path)) == [second]
    assert run_folder.find(tmp_path, "two") == [second]


def test_a_path_and_a_whole_name_may_hold_blanks(tmp_path):
    first, second = make_run(tmp_path, "my own sounds", "a"), make_run(tmp_path, "two", "b")
    assert run_folder.select(tmp_path, f"b {first.path}  last") == [second, first]
    assert run_folder.select(tmp_path, "my own sounds/a b") == [first, second]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("mell-resnet18", "did you mean 'mel-resnet18'"), ("mel", "fits 2 runs"), ("", "names no run")],
)
def test_a_wrong_name_is_told(tmp_path, wanted, message):
    make_run(tmp_path, "one", "mel-resnet18")
    make_run(tmp_path, "one", "mel-cnn8")
    with pytest.raises(RequestError, match=message):
        run_folder.select(tmp_path, wanted)


def test_a_configuration_that_is_a_fifo_is_told_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(RequestError, match="it is no regular file"):
        _ = RunFolder(tmp_path).config


def test_a_key_that_is_not_there_is_told(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RequestError, match=r"run.json lacks folds: train this run again"):
        _ = RunFolder(tmp_path).folds


@pytest.mark.parametrize("content", [b"\xff\x00\x9a\n", b"\n", b"epoch\n1\n", b"not,epochs\n\0\0\n"])
def test_a_damaged_history_is_told(tmp_path, content):
    run = make_run(tmp_path, "one", "a")
    (run.fold(1) / "history.csv").write_bytes(content)
    with pytest.raises(RequestError, match=r"history.csv is damaged .*remove"):
        run.history(1)


def test_a_history_of_infinite_seconds_is_told(tmp_path):
    run = make_run(tmp_path, "one", "a")
    row = run_folder.history_row(dict.fromkeys(run_folder.HISTORY_COLUMNS, 1) | {"seconds": math.inf})
    run_folder.start_history(run.fold(1), [row])
    with pytest.raises(RequestError, match=r"is damaged \(an epoch took infinitely long\)"):
        run.history(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"\x80\0\n\n", "cannot be read"),
        (lambda content: content[:-1], "ends in the middle of a row"),
        (lambda content: content.replace(b"clip_id", b"clip"), "its columns are not run.json's 2 classes"),
        (lambda content: content.replace(b"0.1", b"0.2"), "1 of 1 rows are incomplete"),
        (lambda content: content.replace(b"0.1", b"x"), "1 of 1 rows are incomplete"),
        (lambda content: content + content[content.index(b"\n") + 1 :], "x1 is in it twice"),
    ],
)
def test_damaged_predictions_are_told(tmp_path, change, message):
    run = make_run(tmp_path, "one", "a")
    file = run.fold(1) / "predictions.csv"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(RequestError, match=f"{message}.*remove .* and train again, the other folds are kept"):
        run.predictions()


def test_a_damaged_configuration_is_told(tmp_path):
    run = make_run(tmp_path, "one", "a")
    (run.path / "run.json").write_text("{")
    with pytest.raises(RequestError, match="cannot be read"):
        _ = RunFolder(run.path).config
    with pytest.raises(RequestError, match="no run folder"):
        _ = RunFolder(tmp_path).config


def test_many_names_in_a_row_are_no_file_name(tmp_path):
    names = [f"a-run-with-a-rather-long-name-{number}" for number in range(20)]
    for name in names:
        make_run(tmp_path, "little", name)
    assert [run.name for run in run_folder.select(tmp_path, " ".join(names))] == names
