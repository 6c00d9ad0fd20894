"""What a training did is said by the values that it used."""

from dataclasses import replace
from typing import get_args

from featurestack.base.options import fields, kind_of
from featurestack.results import training_options
from featurestack.results.training_options import Training, words_of_training
from tests.cases import cases

SHORT = Training(epochs=20, patience=5)
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


@cases("name", "value", "key", "said")
def test_another_constant_changes_what_is_said(monkeypatch, name, value, key, said):
    assert words_of_training(SHORT, ())[key] != said
    monkeypatch.setattr(training_options, name, value)
    assert words_of_training(SHORT, ())[key] == said


def test_another_value_of_an_option_changes_what_is_said():
    says = {name for name, own in fields(Training).items() if "says" in own.metadata}
    before = words_of_training(Training(), ())
    for name in says:
        changed = [replace(Training(), **{name: value}) for value in other_values(name)]
        after = {words_of_training(training, ()).get(name) for training in changed}
        assert after - {before.get(name)}, name


def test_one_epoch_is_singular():
    assert words_of_training(Training(epochs=1), ())["epochs"] == "1 epoch"


def test_what_a_model_has_no_use_for_is_not_said():
    unused = ["epochs", "lr"]
    said = words_of_training(SHORT, unused)
    assert not {"optimizer", "decay", "smoothing", "epochs", "lr"} & said.keys()
