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


def test_a_registry_loads_other_modules_one_by_one_until_a_name_is_entered(
    tmp_path, monkeypatch
):
    for name in ("dogs", "cats", "birds"):
        text = f"from tests.commandline.test_registry import PETS\nPETS['{name}'] = 1\n"
        (tmp_path / f"of_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    others = ["of_dogs", "of_cats", "of_birds"]
    pets = Registry("pet", others=others)
    monkeypatch.setattr("tests.commandline.test_registry.PETS", pets, raising=False)
    assert pets["cats"] == 1 and [*pets] == ["dogs", "cats"]
    with refused("^unknown pet 'bird'; did you mean 'birds'"):
        pets["bird"]
    assert [*pets.complete()] == ["dogs", "cats", "birds"]
    assert others == ["of_dogs", "of_cats", "of_birds"]


def test_a_users_function_is_refused_the_name_of_a_feature_not_yet_imported(
    tmp_path, monkeypatch
):
    text = "from tests.commandline.test_registry import PETS\nPETS['lynx'] = 1\n"
    (tmp_path / "of_lynx.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    pets = Registry("pet", others=["of_lynx"])
    monkeypatch.setattr("tests.commandline.test_registry.PETS", pets, raising=False)

    def lynx():
        return 2

    with pytest.raises(ValueError, match="pet 'lynx' is registered twice"):
        pets.register()(lynx)
