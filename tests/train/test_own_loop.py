"""A loop of one's own gets the trainer's clips; its predictions are a run that the
report reads.
"""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from featurestack.analysis.runs import load_runs
from featurestack.train.own_loop import OwnRun
from tests.refusal import refused
from tests.train.little import change, execute, load


@pytest.fixture
def asked(options):
    return change(
        options, features="mel+chroma", val="group", augment="shift,mixup=0.4"
    )


@pytest.fixture
def own(asked):
    return OwnRun("mine", asked)


def test_clips_are_the_trainers(own, asked):
    data = load(asked, 2)
    for side in ("train", "val", "test"):
        positions = getattr(data, side)
        clips = own.clips(2, side)
        (expected,) = data.inputs([positions])
        # workers that start afresh read the same clips
        clips = pickle.loads(pickle.dumps(clips))
        x, y = map(torch.cat, zip(*DataLoader(clips, batch_size=5)))
        assert torch.equal(x, expected)
        assert y.tolist() == data.plan.targets[positions].tolist()
        ids = data.plan.cache.clips["clip_id"].iloc[positions]
        assert clips.clip_ids == ids.tolist()
    assert tuple(x[0].shape) == own.shape == (2, 16, 16)
    assert repr(own).startswith("OwnRun(") and repr(own).endswith("3 folds, 2x16x16)")
    assert repr(own.clips(2, "test")) == "FoldClips(fold 2, 16 clips)"


def test_the_augmentation_is_the_trainers(own):
    clips = own.clips(1, "train")
    generator = torch.Generator()
    x, y = next(iter(DataLoader(clips, batch_size=6)))
    targets = torch.eye(4)[y]
    seeded = generator.manual_seed(3)
    expected = own.plan.augmenter(x, targets, clips.data.channels, seeded)
    augmented = clips.augment(x, y, generator.manual_seed(3))
    assert all(map(torch.equal, augmented, expected))
    assert not torch.equal(expected[0], x)


def test_predictions_become_a_run_beside_the_others(own, options):
    trained = execute(options, features="mel+chroma")
    for fold in own.folds:
        clips = own.clips(fold, "test")
        right = torch.nn.functional.one_hot(torch.from_numpy(clips.targets), 4).float()
        folder = own.write(
            fold,
            right.requires_grad_(),
            history=[{"epoch": 1, "train_loss": 0.5}, {"epoch": 2}],
        )
    assert folder.finished == folder.folds
    assert folder.path.parent == trained.path.parent and "mine" in folder.name
    assert folder.history(1)["train_loss"].iloc[0] == 0.5
    assert folder.history(1)["test_accuracy"].iloc[1] == 1
    runs, problems = load_runs([trained, folder])
    assert not problems
    assert {one.model for one in runs} == {"cnn4", "mine"}


def test_what_is_no_probability_is_refused(own):
    with refused(r"expected \(16, 4\), a row for each test clip of fold 1"):
        own.write(1, np.ones((3, 4)))
    uneven = np.full((16, 4), 0.25, np.float32)
    uneven[3, :2] = -1.5, 2.0
    with refused(r"row 3 holds -1.5 to 2 .* give logits.softmax\(1\)"):
        own.write(1, uneven)
    assert not own.plan.path.exists()
