"""What `python -m train list` tells: every registered name, sizes, the shapes on the way."""

import pytest

from commandline import RequestError
from train import recipes
from train.augment import AUGMENTS
from train.listing import overview
from train.models.registry import all_models
from train.trained_options import ListOptions


def test_every_registered_name_is_there():
    words = overview(ListOptions(grid="64x108", samples=20_000)).split()
    assert {*all_models(), *AUGMENTS, *recipes.names()} <= set(words)


def test_a_model_shows_its_stages():
    text = overview(ListOptions(name="resnet18"))
    assert "11.2 M parameters" in text
    assert text.index("64x16x54") < text.index("512x2x7")
    assert "512 k" not in text


def test_options_in_the_name_count():
    assert "32x2x44" in overview(ListOptions(name="aclnet@width=0.0625"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ListOptions(name="resnet8"), "did you mean 'resnet18'"),
        (ListOptions(name="resnet18", grid="32x32"), "64x108 at least"),
    ],
)
def test_a_wrong_request_is_told(options, message):
    with pytest.raises(RequestError, match=message):
        overview(options)
