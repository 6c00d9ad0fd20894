"""`make models`: the shapes of stages, the counts that papers give."""

import pytest

from featurestack.train.models.sizes import describe_model, list_models
from featurestack.train.options import ModelsOptions
from tests.refusal import refused


def test_the_stages_of_a_model_are_listed_or_the_model_is_refused(capsys):
    list_models(ModelsOptions(model="resnet18"))
    text = capsys.readouterr().out
    assert "11.2 M parameters" in text and text.index("64x16x54") < text.index(
        "512x2x7"
    )
    with refused("give longer clips"):
        describe_model("aclnet", (1, 1, 100))


@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [("resnet18", 11.69, 1.81), ("resnet50", 25.56, 4.09), ("densenet121", 7.98, 2.83)],
)
def test_counts_are_those_published_for_imagenet_and_the_classes_come_last(
    name, millions, giga
):
    parameters, operations, stages = describe_model(name, (3, 224, 224), 1000)
    assert parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert operations / 1e9 == pytest.approx(giga, abs=0.02)
    assert stages[-1][1] == (1000,)
