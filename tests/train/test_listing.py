"""What `python -m train list` tells: every registered name, the shapes of stages, the papers' counts."""

import pytest
import torch

from commandline.registry import RequestError
from train import recipes
from train.augment import AUGMENTS
from train.listing import describe_network, overview
from train.models.registry import all_models, build
from train.options import ListOptions


def test_every_registered_name_and_the_stages_of_one_are_there():
    words = overview(ListOptions(grid="64x108", samples=20_000)).split()
    assert {*all_models(), *AUGMENTS, *recipes.names()} <= set(words)
    text = overview(ListOptions(name="resnet18"))
    assert "11.2 M parameters" in text and text.index("64x16x54") < text.index("512x2x7")
    with pytest.raises(RequestError, match="give longer clips"):
        overview(ListOptions(name="m11", samples=500))


@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [("resnet18", 11.69, 1.81), ("resnet50", 25.56, 4.09), ("densenet121", 7.98, 2.83)],
)
def test_counts_are_those_published_for_imagenet(name, millions, giga):
    with torch.device("meta"):
        counted = describe_network(build(name, 3, 1000, (224, 224)), (3, 224, 224))
    assert counted.parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert counted.multiply_adds / 1e9 == pytest.approx(giga, abs=0.02)


@pytest.mark.parametrize("name", all_models())
def test_stages_end_with_the_classes_and_leave_no_trace(name):
    shapes = {"image": (3, 64, 108), "wave": (1, 1, 20000), "linear": (20, 1, 1), "vector": (20, 1, 1)}
    shape = shapes[all_models()[name].kind]
    network = build(name, shape[0], 7, shape[-2:])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    stages = describe_network(network, shape).stages
    assert bool(stages) == hasattr(network, "stages")  # which a model of one's own need not have
    assert not stages or stages[-1][1][0] == 7
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())
