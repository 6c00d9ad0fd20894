"""`make models`: the shapes of stages, the counts that papers give."""

import io
import os
import shutil

import pandas as pd
import pytest

from featurestack.results import folders
from featurestack.results.run_folder import configuration_score
from featurestack.storage import files
from featurestack.train.listing import describe_model, list_models, list_runs
from featurestack.train.options import ListOptions, ModelsOptions
from tests.golden.commands import done
from tests.refusal import refused


def test_the_stages_of_a_model_are_listed_or_the_model_is_refused(capsys):
    list_models(ModelsOptions(model="resnet18"))
    text = capsys.readouterr().out
    assert "11.2 M parameters" in text and text.index("64x16x54") < text.index(
        "512x2x7"
    )
    with refused("give longer clips"):
        describe_model("aclnet", (1, 1, 100))


@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [("resnet18", 11.69, 1.81), ("resnet50", 25.56, 4.09), ("densenet121", 7.98, 2.83)],
)
def test_counts_are_those_published_for_imagenet_and_the_classes_come_last(
    name, millions, giga
):
    parameters, operations, stages = describe_model(name, (3, 224, 224), 1000)
    assert parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert operations / 1e9 == pytest.approx(giga, abs=0.02)
    assert stages[-1][1] == (1000,)


def test_the_runs_of_several_folders_are_one_table(finished, tmp_path, capsys):
    anna, ben, clara = (tmp_path / name for name in ("anna", "b en", "clara"))
    shutil.copytree(finished.path, anna)
    shutil.copytree(finished.path.parents[1], ben)
    damaged = next(ben.glob("*/*/fold1/predictions.csv"))
    damaged.write_text("clip_id")
    clara.mkdir()
    folders = f"{anna} '{ben}' {clara}"
    assert list_runs(ListOptions(runs=folders)) == 1
    printed = capsys.readouterr()
    assert printed.err.count("predictions.csv cannot be read") == 1
    table = pd.read_csv(io.StringIO(printed.out))
    assert table["folder"].tolist() == [str(anna), str(ben), str(clara)]
    first = table.iloc[0]
    assert (first["folds"], first["of"], first["score"]) == (3, 3, "accuracy")
    assert first["value"] == pytest.approx(configuration_score([finished]).mean)
    assert first["clips"] == 48 and pd.isna(first["problem"])
    assert "predictions.csv cannot be read" in table["problem"][1]
    assert table["problem"][2] == "it holds no run"
    with refused("there is no folder"):
        list_runs(ListOptions(runs=f"{anna} {tmp_path / 'dora'}"))


@pytest.fixture
def unreadable(finished, monkeypatch):
    """Three runs beside `finished`: one that another user may not read, one whose
    run.json is damaged, and one without a finished fold.
    """
    folder = finished.path.parent
    closed, damaged, begun = (folder / name for name in ("closed", "damaged", "begun"))
    for place in (closed, damaged, begun):
        shutil.copytree(finished.path, place)
    (damaged / "run.json").write_text('{"dataset": "li')
    for file in begun.glob("fold*/predictions.csv"):
        file.unlink()
    for module in (files, folders):
        monkeypatch.setattr(module, "may_read", lambda place: place != closed)
    return folder


@pytest.mark.parametrize("several", [False, True])
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_listed(
    finished, unreadable, capsys, several
):
    runs = unreadable.parent
    folders = f"{runs} {finished.path}" if several else str(runs)
    assert list_runs(ListOptions(runs=folders)) == 1
    printed = capsys.readouterr()
    assert f"{unreadable}/closed may not be read: change its perm" in printed.err
    assert "damaged/run.json cannot be read" in printed.err
    assert "train this run again" in printed.err
    assert "begun" not in printed.err and "begun" in printed.out
    assert finished.name in printed.out


@pytest.mark.parametrize("words", ["", " "])
def test_a_run_whose_name_is_not_utf8_hides_no_other(finished, words):
    shutil.copytree(finished.path, finished.path.with_name(os.fsdecode(b"bad\xff")))
    runs = finished.path.parents[1]
    several = f"{runs} {finished.path}" if words else runs
    out = done("runs", RUNS=several).out
    assert "bad\\udcff" in out and finished.name in out
