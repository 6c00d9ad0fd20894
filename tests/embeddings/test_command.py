"""`network` lists the pretrained networks that are there."""

import pytest

from featurestack.embeddings import NetworkOptions
from featurestack.embeddings.networks import network
from tests.refusal import refused


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_weights_in_models_are_listed_and_not_fetched(here, capsys):
    file = here / "models" / "resnet18-stages123.pth"
    file.parent.mkdir()
    file.write_bytes(b"")
    network(NetworkOptions())
    assert f"there, models/{file.name}" in capsys.readouterr().out
    network(NetworkOptions(network="resnet18"))
    assert capsys.readouterr().out == f"models/{file.name}\n"


def test_a_misspelt_name_gets_the_nearest():
    with refused("mean 'yamnet'"):
        network(NetworkOptions(network="yament"))
