"""What a training did is said by the values that it used."""

from dataclasses import replace

import pytest

from featurestack.base.options import fields
from featurestack.results import training_options
from featurestack.results.training_options import Training, words_of_training

SHORT = Training(epochs=20, patience=5)
# option -> another value
OTHER = {
    "epochs": 30,
    "batch": 64,
    "padding": "drop",
    "norm": "row",
    "augment": "shift=1",
    "balance": "loss",
    "lr": 0.5,
    "schedule": "cosine",
    "patience": 6,
}


@pytest.mark.parametrize(
    ("name", "value", "key", "said"),
    [
        ("SMOOTHING", 0.3, "smoothing", "label smoothing 0.3"),
        ("DECAY", 0.7, "decay", "weight decay 0.7"),
    ],
)
def test_another_constant_changes_what_is_said(monkeypatch, name, value, key, said):
    assert words_of_training(SHORT, ())[key] != said
    monkeypatch.setattr(training_options, name, value)
    assert words_of_training(SHORT, ())[key] == said


def test_another_value_of_an_option_changes_what_is_said():
    says = {name for name, own in fields(Training).items() if "says" in own.metadata}
    assert says == {*OTHER}
    before = words_of_training(SHORT, ())
    for name, value in OTHER.items():
        after = words_of_training(replace(SHORT, **{name: value}), ())
        assert before.get(name) != after.get(name), name


def test_what_a_model_has_no_use_for_is_not_said():
    unused = ["epochs", "lr"]
    said = words_of_training(SHORT, unused)
    assert not {"optimizer", "decay", "smoothing", "epochs", "lr"} & said.keys()
