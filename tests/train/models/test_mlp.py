"""The model on vectors: when it is the default."""

from featurestack.train.options import RunOptions
from tests.train.little import execute


def test_the_default_becomes_mlp_where_every_channel_is_a_vector(options, capsys):
    folder = execute(
        options, features="embedding+embedding", model=RunOptions.model, epochs=15
    )
    assert folder.config.model == "mlp"
    assert "every channel is a vector: MODEL=mlp" in capsys.readouterr().err
    assert folder.scores()["accuracy"].mean() > 0.9
