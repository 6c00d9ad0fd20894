"""The model on vectors: what it is given, when it is chosen, that it learns what images of vectors do not."""

import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache import external
from tests.train.little import CLASSES, change, clip_table, execute, fill, little_options
from train.options import RunOptions
from train.plan import make_plan


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The little cache with `embedding`, 40 numbers whose signs say the class, in no order of rows."""
    table = clip_table()
    folder = fill(tmp_path_factory.mktemp("embedded") / "little" / "features", table)
    chance = np.random.default_rng(1)
    codes = chance.choice([-1.0, 1.0], size=(len(CLASSES), 40))
    number = np.array([CLASSES.index(label) for label in table["label"]])
    vectors = codes[number] + chance.normal(size=(len(table), 40))
    external.write_feature(folder, "embedding", vectors, table["clip_id"])
    external.write_feature(folder, "noise", chance.normal(size=(len(table), 7)), table["clip_id"])
    return folder


@pytest.fixture
def options(embedded, tmp_path):
    return change(little_options(embedded, tmp_path / "runs"), model=RunOptions.model, epochs=15)


def test_the_default_becomes_mlp_where_every_channel_is_a_vector(options, capsys):
    folder = execute(options, features="embedding+noise")
    assert folder.name.startswith("embedding+noise-mlp-")
    assert folder.config["model"] == "mlp"
    assert "every channel of embedding+noise is a vector: MODEL=mlp" in capsys.readouterr().err
    assert folder.scores()["accuracy"].mean() > 0.9


def test_a_vector_beside_a_feature_map_is_no_image(options):
    mixed = change(options, features="mel+embedding")
    with pytest.raises(RequestError, match=r"linear, mlp take mel\+embedding"):
        make_plan(mixed)
    folder = execute(mixed, model="mlp")
    assert folder.scores()["accuracy"].mean() > 0.9
