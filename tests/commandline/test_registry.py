"""Registries: a name once, the nearest name for an unknown one."""

from collections.abc import Callable

import pytest

from commandline.registry import Registry, RequestError, closest


def test_a_function_is_registered_under_its_own_or_a_given_name() -> None:
    metrics: Registry[Callable[[], float]] = Registry("metric")

    @metrics.register()
    def accuracy() -> float:
        return 0.5

    @metrics.register("macro_f1")
    def f1() -> float:
        return 0.25

    assert list(metrics) == ["accuracy", "macro_f1"]
    assert metrics["accuracy"] is accuracy and metrics["macro_f1"] is f1


def test_an_entry_may_carry_more_than_the_function() -> None:
    models: Registry[tuple[str, Callable[[], None]]] = Registry("model")

    @models.register(entry=lambda builder: ("image", builder))
    def cnn4() -> None:
        """A network."""

    assert models == {"cnn4": ("image", cnn4)}


def test_a_duplicate_is_refused_and_the_first_stays() -> None:
    numbers: Registry[int] = Registry("number")
    numbers["one"] = 1
    with pytest.raises(ValueError, match="number 'one' is registered twice: 1 and 2"):
        numbers["one"] = 2
    assert numbers == {"one": 1}


def test_the_closest_name_whatever_its_case_or_none() -> None:
    assert closest("Mel", ["mfcc", "mel"]) == "mel"
    assert closest("xyz", ["mfcc", "mel"]) is None


def test_an_unknown_name_gets_the_nearest_and_the_list() -> None:
    models = Registry("model", {"resnet18": 18, "cnn4": 4})
    with pytest.raises(RequestError) as error:
        models["resnet8"]
    assert str(error.value) == "unknown model 'resnet8'; did you mean 'resnet18'? Known: cnn4, resnet18"
    assert "resnet8" not in models and models.get("resnet8") is None
