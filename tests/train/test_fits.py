"""Models of uneven classes are fitted for the balanced accuracy that judges them."""

import numpy as np
import pytest

import featurestack as fs
from featurestack.answers import AnswerOptions
from featurestack.answers.answer import find_answer
from featurestack.features_cache import external
from tests.analysis.made_runs import no_figures

COMMON, RARE = 270, 30
# feature -> distance of the classes, in deviations: f0 allows 83 % balanced accuracy,
# f1 75 %, f2 nothing
USEFUL = {"f0": 1.9, "f1": 1.35, "f2": 0.0}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """The keywords of a dataset of 270 and 30 clips."""
    place = tmp_path_factory.mktemp("uneven")
    rng = np.random.default_rng(0)
    number = np.arange(COMMON + RARE)
    rare = number % 10 == 0
    ids = [f"clip{place:03d}" for place in number]
    label = np.where(rare, "rare", "common")
    table = {"clip_id": ids, "label": label, "fold": number // 10 % 5 + 1}
    folder = place / "d" / "features"
    external.create_cache(folder, table)
    for name, distance in USEFUL.items():
        values = rng.normal(size=(len(ids), 1)) + distance * rare[:, None]
        external.write_feature(folder, name, values, ids, dtype="float32")
    return {"dataset": str(folder), "runs": place / "runs"}


def test_two_useful_features_of_uneven_classes_are_both_clear_and_in_their_order(
    uneven,
):
    tables = fs.importance(features="f0 f1 f2", quiet=True, **uneven)
    alone = tables["features"].query("measure == 'by itself'").set_index("feature")
    assert alone["significant"].tolist() == [True, True, False]
    assert alone["score"]["f0"] > alone["score"]["f1"] > 0.65
    assert len(tables["smaller"])  # all features together are better than chance
    curve = fs.curve(features="f0 f1", quiet=True, **uneven).query("part == 'all'")
    assert curve["better"].tolist() == ["yes", "yes"]
    assert curve["balanced_accuracy"].tolist() == pytest.approx(
        alone["score"][["f0", "f1"]].tolist()
    )


def test_an_answer_on_uneven_classes_is_clear_and_trains_what_it_recommends(
    uneven, tmp_path
):
    with no_figures():
        found = find_answer(AnswerOptions(**uneven, reports=tmp_path))
    assert found.alone["f0"] > found.alone["f1"] > 0.65 > found.alone["f2"]
    assert found.score.value > 0.75 and "f0" in found.recommended
    run = fs.run(found)
    assert run.trained_config.training.balance == "loss"
    assert "Lead over chance, 50.0 %" in str(found) and ", clear" in str(found)


def test_training_says_once_that_it_is_fitted_for_accuracy(uneven, capsys):
    for balance, times in (("none", 1), ("loss", 0)):
        given = {"features": "f0 f1", "model": "ridge", "balance": balance}
        fs.fit(**given, **uneven)
        assert capsys.readouterr().err.count('balance="loss"') == times
