"""The model on vectors: when it is chosen, that it learns what images of vectors do not."""

import pytest

from tests.refusal import refused
from tests.train.little import change, execute
from train.options import RunOptions
from train.plan import make_plan


@pytest.fixture
def longer(options):
    return change(options, epochs=15)


def test_the_default_becomes_mlp_where_every_channel_is_a_vector(longer, capsys):
    folder = execute(longer, features="embedding+embedding", model=RunOptions.model)
    assert folder.config["model"] == "mlp"
    assert "every channel is a vector: MODEL=mlp" in capsys.readouterr().err
    assert folder.scores()["accuracy"].mean() > 0.9


def test_a_vector_beside_a_feature_map_is_no_image(longer):
    mixed = change(longer, features="mel+embedding")
    with refused(r"takes feature maps, .* not embedding"):
        make_plan(mixed)
    assert execute(mixed, model="mlp").scores()["accuracy"].mean() > 0.9
