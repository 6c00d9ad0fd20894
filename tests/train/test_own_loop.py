"""A loop of one's own gets the trainer's clips; its predictions are a run that the
report reads.
"""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from featurestack.analysis.runs import load_runs
from featurestack.train.own_loop import OwnRun
from tests.refusal import refused
from tests.train.little import change, execute, load


@pytest.fixture
def own(options):
    return OwnRun(
        "mine",
        change(options, features="mel+chroma", val="group", augment="shift,mixup=0.4"),
    )


def test_clips_are_the_trainers(own):
    data = load(own.options, 2)
    for side in ("train", "val", "test"):
        positions = getattr(data, side)
        clips = own.clips(2, side)
        (expected,) = data.source.batches([positions])
        x, y = map(torch.cat, zip(*DataLoader(clips, batch_size=5)))
        assert (
            torch.equal(x, expected)
            and y.tolist() == data.plan.targets[positions].tolist()
        )
        assert (
            clips.clip_ids == data.plan.cache.clips["clip_id"].iloc[positions].tolist()
        )
    assert tuple(x[0].shape) == own.shape == (2, 16, 16)


def test_the_augmentation_is_the_trainers(own):
    clips = own.clips(1, "train")
    generator = torch.Generator()
    x, y = next(iter(DataLoader(clips, batch_size=6)))
    expected = own.plan.augmenter(
        x, torch.eye(4)[y], clips.channels, generator.manual_seed(3)
    )
    assert all(
        map(torch.equal, clips.augment(x, y, generator.manual_seed(3)), expected)
    )
    assert not torch.equal(expected[0], x)


def test_predictions_become_a_run_beside_the_others(own, options):
    trained = execute(options, features="mel+chroma")
    for fold in own.folds:
        clips = own.clips(fold, "test")
        right = torch.nn.functional.one_hot(torch.from_numpy(clips.targets), 4).float()
        folder = own.write(
            fold, right, history=[{"epoch": 1, "train_loss": 0.5}, {"epoch": 2}]
        )
    assert folder.finished == folder.folds
    assert folder.path.parent == trained.path.parent and "mine" in folder.name
    assert folder.history(1)["train_loss"].iloc[0] == 0.5
    assert folder.history(1)["test_accuracy"].iloc[1] == 1
    found = load_runs([trained, folder])
    assert not found.problems
    assert {one.model for one in found.runs} == {"cnn4", "mine"}


def test_what_does_not_fit_is_refused(own, options):
    with refused(r"expected \(16, 4\), a row for each test clip of fold 1"):
        own.write(1, np.ones((3, 4)))
    assert OwnRun(
        "mine", change(options, features="waveform", augment="auto")
    ).shape == (1, 1, 4000)
