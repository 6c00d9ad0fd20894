"""Every option of a training step changes the weights, in every kind of network."""

from typing import get_args

import pytest
import torch

from featurestack.base.options import fields, kind_of
from featurestack.results.training_options import Training
from featurestack.train.network_input import KINDS
from tests.train.small_cache import clip_table, fill, run_with, small_options

# options whose default depends on the case -> another value
VALUES = {"augment": "mixup=0.4", "epochs": 3, "lr": 0.01}


def other_values(name):
    """Values that are not the default."""
    field = fields(Training)[name]
    kind = kind_of(field)[0]
    if name in VALUES:
        return [VALUES[name]]
    if choices := get_args(kind):
        return choices
    return [min(kind(field.default * 2 or 1), field.metadata["bounds"][1])]


# a network of each kind of input that trains in steps, and its feature
NETWORKS = {
    "image": ("cnn4", "mel"),
    "wave": ("aclnet@width=0.25", "waveform"),
    "vector": ("mlp@width=8", "embedding"),
}
# they change how a step is computed, where training begins or ends, not a step
OTHERS = {"device", "precision", "threads", "weights", "patience"}
STEPS = [
    name
    for name, field in fields(Training).items()
    if field.metadata.get("needs") == "steps" and name not in OTHERS
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """(kind of input, changes) -> the weights of a fold, in one vector."""
    place = tmp_path_factory.mktemp("steps")
    cache = fill(place / "features", clip_table(), "mel waveform embedding")

    def trained(kind, **changes):
        model, features = NETWORKS[kind]
        options = small_options(cache, place / "runs")
        same = {"folds": (1,), "curve": 0}
        run = run_with(options, model=model, features=features, **same | changes)
        state = torch.load(run.path / "fold1" / "last.pt", weights_only=True)["network"]
        return torch.cat([own.flatten().double() for own in state.values()])

    return trained


# every model uses them, so that they have no needs=
OF_EVERY_MODEL = {"features", "model", "task", "seed", "val", "select"}


def test_an_option_says_what_needs_it_and_has_a_label_of_its_own():
    traits = {name: field.metadata for name, field in fields(Training).items()}
    assert {name for name in traits if "needs" not in traits[name]} == OF_EVERY_MODEL
    labels = [own.get("label", f"{name}=") for name, own in traits.items()]
    twice = {label for label in labels if label and labels.count(label) > 1}
    assert twice == set(), "folders of different runs would have one name"


def test_every_kind_of_network_that_trains_in_steps_is_here():
    assert {name for name, kind in KINDS.items() if kind.in_steps} == {*NETWORKS}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", STEPS)
def test_an_option_of_a_step_changes_the_weights(name, kind, weights):
    before, after = weights(kind), weights(kind, **{name: other_values(name)[-1]})
    assert not torch.equal(before, after), f"{name} changes no weight of this network"
