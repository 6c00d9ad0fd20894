"""The Python examples of the documents run."""

import re

import pytest
import torch

import featurestack as fs
from featurestack.commandline.registry import Registry
from featurestack.pipeline.features import FEATURES
from featurestack.train import augment
from featurestack.train.augment import AUGMENTS, parse_augment
from featurestack.train.models import MODELS
from tests.golden.commands import ROOT
from tests.train.sounds import CLASSES

DOCS = ROOT / "docs"


def blocks(name):
    return re.findall(
        r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.S
    )


@pytest.mark.slow
def test_the_python_interface_does_what_its_page_shows(sounding, monkeypatch, capsys):
    """The page's dataset is replaced by the sounds of other tests."""
    folder = sounding.path.parents[2]
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks("reference/python.md"):
        exec(block.replace('"synth"', '"sounds/little.csv"'), names)
    assert names["mel"].values.shape[0] == 64
    assert set(names["table"].label) == set(CLASSES)
    assert names["run"].finished == [1, 2]
    assert names["accuracy"].mean() > 0.9
    assert names["mine"].finished == [1, 2]
    assert names["mine"].scores()["accuracy"].mean() > 0.6
    for drawn in (fs.confusion(names["run"]), fs.curves(names["run"])):
        assert drawn._repr_png_().startswith(b"\x89PNG")
    del FEATURES["crossings"], MODELS["small"]


def test_the_example_of_a_new_augmentation_works(monkeypatch):
    monkeypatch.setattr(augment, "AUGMENTS", Registry("augmentation", AUGMENTS))
    (augmentation,) = blocks("reference/models.md")
    exec(augmentation, {"__name__": "examples"})
    x = torch.arange(12.0).view(2, 1, 2, 3)
    after, _ = parse_augment("reverse=1")(x, torch.eye(2), ("none",), torch.Generator())
    assert torch.equal(after, x.flip(3))
