"""`python -m train list`: the shapes of stages, the counts that papers give."""

import io
import shutil

import pandas as pd
import pytest

from featurestack.results.run_folder import configuration_score
from featurestack.train.listing import describe_model, overview
from featurestack.train.options import ListOptions
from tests.refusal import refused


def test_the_stages_of_a_model_are_listed_or_the_model_is_refused():
    text = overview(ListOptions(name="resnet18"))
    assert "11.2 M parameters" in text and text.index("64x16x54") < text.index(
        "512x2x7"
    )
    with refused("give longer clips"):
        overview(ListOptions(name="aclnet", samples=100))


@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [("resnet18", 11.69, 1.81), ("resnet50", 25.56, 4.09), ("densenet121", 7.98, 2.83)],
)
def test_counts_are_those_published_for_imagenet_and_the_classes_come_last(
    name, millions, giga
):
    parameters, operations, stages = describe_model(
        name, ListOptions(grid="224x224", classes=1000)
    )
    assert parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert operations / 1e9 == pytest.approx(giga, abs=0.02)
    assert stages[-1][1] == (1000,)


def test_the_runs_of_several_folders_are_one_table(finished, tmp_path):
    anna, ben, clara = (tmp_path / name for name in ("anna", "b en", "clara"))
    shutil.copytree(finished.path, anna)
    shutil.copytree(finished.path.parents[1], ben)
    damaged = next(ben.glob("*/*/fold1/predictions.csv"))
    damaged.write_text("clip_id")
    clara.mkdir()
    folders = f"{anna} '{ben}' {clara}"
    table = pd.read_csv(io.StringIO(overview(ListOptions(runs=folders))))
    assert table["folder"].tolist() == [str(anna), str(ben), str(clara)]
    first = table.iloc[0]
    assert (first["folds"], first["of"], first["score"]) == (3, 3, "accuracy")
    assert first["value"] == pytest.approx(configuration_score([finished]).mean)
    assert first["clips"] == 48 and pd.isna(first["problem"])
    assert "predictions.csv cannot be read" in table["problem"][1]
    assert table["problem"][2] == "it holds no run"
    with refused("there is no folder"):
        overview(ListOptions(runs=f"{anna} {tmp_path / 'dora'}"))
