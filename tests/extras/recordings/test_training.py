"""The network of frames, and sounds of another place under annotated events."""

import shutil
import sys

import numpy as np
import pytest
import torch

from featurestack.extras.recordings.task import frames
from featurestack.extras.recordings.training import Background
from featurestack.train.network_input import Statistics
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from tests.extras.recordings.conftest import write_wind
from tests.extras.recordings.field import MEL, train
from tests.extras.recordings.test_events import predict
from tests.refusal import refused


def test_unused_frames_have_no_part_in_the_loss():
    network = frames(3, 2, (1, 40)).eval()
    for length in (1, 40):
        assert network(torch.zeros(2, 3, 1, length)).shape == (2, length, 3)
    logits = torch.tensor([[[5.0, 5.0, 0.0]]])
    assert network.probabilities(logits).sum() < 1
    logits = torch.randn(1, 4, 3)
    targets = torch.zeros(1, 4, 2)
    used = torch.tensor([[True, True, False, False]])
    whole = network.loss(logits, targets, used)
    logits[:, 2:] += 100
    assert network.loss(logits, targets, used) == whole


def plan_of(folder, background="new"):
    options = {"dataset": str(folder / "data" / "field" / "field.csv"), "features": MEL}
    model = f"frames@background={folder / background}"
    return make_plan(RunOptions(**options, data=folder / "data", model=model))


@pytest.mark.slow
def test_a_run_with_backgrounds_finds_events(folder):
    run = train(folder, model=f"frames@background={folder / 'new'}", epochs=4)
    assert run.scores()["event_f1"].mean() > 0.5
    given = {"audio": folder / "new", "out": folder / "out"}
    assert predict(run, folder, **given) == 0


def test_the_values_are_those_that_a_cache_would_have(folder, tmp_path):
    copied = tmp_path / "audio2"
    copied.mkdir()
    shutil.copy(folder / "audio" / "r0.wav", copied)
    plan = plan_of(folder, copied)
    background = Background.read(str(copied), plan)
    (channel,) = plan.input.channels
    values = plan.cache.read(channel.channel, np.arange(len(plan.cache.clips)))
    decibels = values[plan.cache.clips["path"].str.endswith("r0.wav")]
    mine = 10 * np.log10(background.power.numpy())
    assert mine.shape == decibels.shape
    assert np.allclose(mine, decibels.astype(np.float32), atol=0.1)


def test_recordings_of_the_dataset_and_other_features_are_refused(folder):
    with refused("recordings of the dataset, whose tested events"):
        plan_of(folder, "audio")
    with refused("chroma cannot be mixed"):
        train(folder, model=f"frames@background={folder / 'new'}", features="chroma")
    with refused("background=.*none does not exist: give the path of a recording"):
        plan_of(folder, "none")


def test_other_backgrounds_of_the_same_name_are_another_run(folder):
    first = plan_of(folder)
    assert "@background=new-" in first.path.name  # and not the path that was typed
    shutil.copytree(folder / "new", folder / "moved" / "new")
    assert plan_of(folder, "moved/new").hash == first.hash
    write_wind(folder / "moved" / "new", seed=1)
    assert plan_of(folder, "moved/new").hash != first.hash


def statistics(*sizes):
    """The statistics of channels that have so many numbers each."""
    states = [
        {"norm": "", "centre": np.full(size, -20.0), "scale": np.full(size, 5.0)}
        for size in sizes
    ]
    return [*map(Statistics.restore, states)]


@pytest.mark.parametrize("sizes", [(3, 1), (1, 1)])  # NORM=row and feature
def test_sounds_add_up_in_power_and_the_level_refers_to_the_event(monkeypatch, sizes):
    background = Background(torch.full((3, 4, 50), 2.0), [3, 1])
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
