"""What `python -m train list` tells: every registered name, the shapes of stages, the papers' counts."""

import pytest

from commandline.registry import RequestError
from train import recipes
from train.augment import AUGMENTS
from train.listing import describe_model, overview
from train.models.registry import all_models
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
def test_counts_are_those_published_for_imagenet_and_the_classes_come_last(name, millions, giga):
    counted = describe_model(name, ListOptions(grid="224x224", classes=1000))
    assert counted.parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert counted.multiply_adds / 1e9 == pytest.approx(giga, abs=0.02)
    assert counted.stages[-1][1] == (1000,)
