"""Sounds of another place under annotated events."""

import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch

from featurestack.pipeline.extract import extract_features
from featurestack.pipeline.options import FeaturesCommand
from featurestack.sound_events.dataset import make_events
from featurestack.sound_events.options import EventsCommand
from featurestack.sound_events.training import Background
from featurestack.train.network_input import Statistics
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from tests.refusal import refused
from tests.sound_events.field import (
    MEL,
    RATE,
    make_dataset,
    train,
    write_recordings,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("field")
    write_recordings(place)
    make_dataset(place, features=f"{MEL} chroma")
    write_wind(place / "new", seed=0)
    return place


def write_wind(folder, seed):
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.05, 30 * RATE)
    soundfile.write(folder / "wind.wav", noise, RATE)


def plan_of(folder):
    options = {"dataset": str(folder / "data" / "field" / "field.csv"), "features": MEL}
    background = str(folder / "new")
    return make_plan(
        RunOptions(**options, data=folder / "data", background_audio=background)
    )


def compute_background(folder, rate=RATE, features=MEL):
    given = {"data": folder / "data", "name": ""}
    assert make_events(EventsCommand(audio=folder / "new", **given)) == 0
    table = folder / "data" / "new" / "new.csv"
    options = {"dataset": str(table), "data": folder / "data", "features": features}
    assert not extract_features(FeaturesCommand(**options, sample_rate=rate, jobs=1))


def test_what_the_cache_lacks_is_said_with_what_to_type(folder):
    with refused(r"make events AUDIO=.*/new .*then make features .*SAMPLE_RATE=8000"):
        train(folder, background_audio=str(folder / "new"))


@pytest.mark.slow
def test_a_run_with_backgrounds_finds_events_and_is_another_run(folder):
    compute_background(folder)
    run = train(folder, background_audio=str(folder / "new"), folds=(1,), epochs=4)
    assert "-background=new-" in run.name  # and not the path that was typed
    with refused("is the dataset itself"):
        train(folder, background_audio="field")
    with refused("chroma cannot be mixed"):
        train(folder, background_audio=str(folder / "new"), features="chroma")
    linear = train(
        folder, background_audio=str(folder / "new"), model="linear", folds=(1,)
    )
    assert "background" not in linear.name  # and says so


def test_other_backgrounds_of_the_same_name_are_another_run(folder):
    compute_background(folder)
    before = plan_of(folder).hash
    write_wind(folder / "new", seed=1)
    shutil.rmtree(folder / "data" / "new")
    compute_background(folder)
    assert plan_of(folder).hash != before


def statistics(*sizes):
    """The statistics of channels that have so many numbers each."""
    states = [
        {"norm": "", "centre": np.full(size, -20.0), "scale": np.full(size, 5.0)}
        for size in sizes
    ]
    return [*map(Statistics.restore, states)]


def background_of(power, *rows):
    background = object.__new__(Background)
    background.power, background.rows = power, rows
    return background


@pytest.mark.parametrize("sizes", [(3, 1), (1, 1)])  # NORM=row and feature
def test_sounds_add_up_in_power_and_the_level_refers_to_the_event(monkeypatch, sizes):
    background = background_of(torch.full((3, 4, 50), 2.0), 3, 1)
    module = sys.modules[Background.__module__]
    monkeypatch.setattr(module, "CLEAN", 0.0)
    monkeypatch.setattr(module, "QUIETEST", 0.0)
    generator = torch.Generator().manual_seed(0)
    x = torch.full((2, 4, 1, 70), (-10.0 + 20) / 5)  # -10 dB, longer than a piece
    events = torch.zeros(2, 70, dtype=torch.bool)
    events[:, :5] = True
    mixed = background.add(x, events, statistics(*sizes), generator)
    # the background is as loud as the event: 3 dB more
    assert torch.allclose(mixed, torch.tensor((-10 + 3.0103 + 20) / 5), atol=1e-4)
    assert x.unique().numel() == 1
