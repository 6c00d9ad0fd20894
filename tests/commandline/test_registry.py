"""Registries, and the nearest name."""

import pytest

from featurestack.commandline.errors import closest
from featurestack.commandline.registry import Registry
from tests.refusal import refused


def test_a_registry_takes_a_name_once_and_proposes_the_nearest():
    models = Registry("model", {"resnet18": 18})

    @models.register(entry=lambda builder: builder())
    def cnn4():
        return 4

    assert models == {"resnet18": 18, "cnn4": 4}
    with pytest.raises(ValueError, match="model 'cnn4' is registered twice: 4 and 5"):
        models["cnn4"] = 5
    with refused(
        r"^unknown model 'ResNet8'; did you mean 'resnet18'\? Known: cnn4, resnet18$"
    ):
        models["ResNet8"]
    assert models.get("resnet8") is None and closest("xyz", models) is None
