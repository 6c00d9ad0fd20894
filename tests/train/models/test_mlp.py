"""The model on vectors: when it is the default, and what it takes."""

from tests.refusal import refused
from tests.train.little import change, execute
from train.options import RunOptions
from train.plan import make_plan


def test_the_default_becomes_mlp_where_every_channel_is_a_vector(options, capsys):
    folder = execute(options, features="embedding+embedding", model=RunOptions.model, epochs=15)
    assert folder.config.model == "mlp"
    assert "every channel is a vector: MODEL=mlp" in capsys.readouterr().err
    assert folder.scores()["accuracy"].mean() > 0.9


def test_a_vector_beside_a_feature_map_is_no_image(options):
    with refused(r"takes feature maps, .* not embedding"):
        make_plan(change(options, features="mel+embedding"))
