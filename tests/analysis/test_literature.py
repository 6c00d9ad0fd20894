"""Published figures: the anchors, and beside which runs they may stand."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.literature import OURS, beside, published
from analysis.ranking import Ranking, rankings
from analysis.results import Results
from bench.made_runs import MadeRun


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, np.random.default_rng(0), replicates=200)[0]


@pytest.mark.parametrize(("dataset", "human", "acdnet"), [("esc10", 0.957, 0.9665), ("esc50", 0.813, 0.871)])
def test_anchors(dataset: str, human: float, acdnet: float) -> None:
    table = published(dataset).set_index("method")
    assert table.loc["human listeners", "accuracy"] == human
    assert table.loc["ACDNet", "accuracy"] == acdnet
    assert "peeked" in table.loc["ACDNet", "protocol"]
    assert table["accuracy"].between(0, 1).all()
    assert table["accuracy"].is_monotonic_increasing
    assert set(table["confirmed"]) <= {"yes", "quoted from memory", "in a third-party list"}
    assert (table[["weights", "protocol", "source"]] != "").all(axis=None)


def test_any_spelling_of_the_dataset_and_nothing_of_others() -> None:
    assert len(published("ESC-50")) == len(published("esc50")) > 10
    assert published("synth").empty


def test_runs_stand_among_the_published(made: Callable[..., Results]) -> None:
    table = beside(ranked(made(MadeRun(skill=0.9), dataset="esc10")))
    place = table["source"].tolist().index(OURS)
    assert table.loc[place, "accuracy"] == pytest.approx(0.9)
    assert table.loc[place - 1, "accuracy"] <= 0.9 <= table.loc[place + 1, "accuracy"]
    assert table.loc[place, "protocol"] == "5 folds, last epoch"


def test_of_many_runs_the_best_of_each_kind_of_weights_stands_there(made: Callable[..., Results]) -> None:
    results = made(
        MadeRun(skill=0.8), MadeRun(features="zcr"), MadeRun(features="rms", skill=0.5), dataset="esc10"
    )
    by_features = {run.features: run for run in results.runs}
    by_features["rms"].config["options"]["weights"] = "imagenet"
    table = beside(ranked(results))
    assert table.loc[table["source"] == OURS, "method"].tolist() == ["rms-resnet18", "mel-resnet18"]


def test_other_tasks_and_datasets_have_nothing_beside_them(made: Callable[..., Results]) -> None:
    assert beside(ranked(made(MadeRun(task="categories"), dataset="esc10"))).empty
    assert beside(ranked(made(MadeRun(features="zcr"), MadeRun(features="rms"), dataset="other"))).empty
