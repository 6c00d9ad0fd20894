import dataclasses
import json
import typing

import pytest

from commandline.registry import RequestError
from results.config import LABEL_BYTES, checked_config, digest, label
from train.options import RunOptions, identity
from train.plan import differences


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": ["1"]}, "malformed folds: train this run again"),
        ({"folds": [1, 1]}, "malformed folds"),
        ({"classes": [{"name": 1}]}, "malformed classes"),
        ({"seconds": float("inf")}, "malformed seconds"),
        ({"seconds": float("nan")}, "malformed seconds"),
        ({"calibration": []}, "malformed calibration"),
        ({"calibration": {"last": {"temperature": 0}}}, "malformed calibration"),
        ({"channels": [{"stored": "mel", "dtype": "float16", "rows": [5, 3]}]}, "malformed channels"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "malformed classes"),
        ({"dataset": None}, "malformed dataset"),
        ({"options": {"tta": "many"}}, "malformed options: tta"),
        ({"duration": 1e9, "sample_rate": 44_100}, "malformed duration"),
        ({"seed": True}, "malformed seed"),
        ({"grid": "0x64"}, "malformed grid"),
        ({"grid": "99999x99999"}, "malformed grid"),
        ({"changes": [{"to": None}]}, "malformed changes"),
        ({"changes": [{"from": ["cpu"], "to": {}}]}, "malformed changes"),
    ],
)
def test_a_key_of_another_type_is_told(change, message):
    with pytest.raises(RequestError, match=message):
        checked_config(change, "run.json")


@pytest.mark.parametrize("grid", ["64x216", "1x220500", "1x1"])  # of images, a waveform, vectors
def test_every_grid_that_a_run_may_have_is_read(grid):
    assert checked_config({"grid": grid}, "run.json")["grid"] == grid


def test_labels_are_file_names():
    assert label("mfcc:1-19", "cnn4", ["s1", "a/b c"], "f" * 12) == "mfcc.1-19-cnn4-s1-a.b.c"
    long = label("+".join(["mel@n_mels=64"] * 20), "cnn4", [], "0123456789ab")
    assert len(long) == LABEL_BYTES and long.endswith("-0123456789ab")
    assert len(label("é" * 200, "m", [], "0" * 12).encode()) <= LABEL_BYTES


def test_the_hash_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2]}) == digest(json.loads('{"b": [2], "a": 1}'))
    assert digest({"a": 1}) != digest({"a": 2})


def other_value(kind: object, value: object) -> object:
    """Another value that an option of this type and default may have."""
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[-1 if value != typing.get_args(kind)[-1] else 0]
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else (value or 0) + (0.05 if isinstance(value, float) else 1)


def test_configurations_that_may_differ_in_their_predictions_have_folders_of_different_names() -> None:
    kinds = typing.get_type_hints(RunOptions)
    changes: list[dict[str, object]] = [{}]
    for name, value in identity(RunOptions()).items():
        changes.append({name: other_value(kinds[name], value)})
    found = [dataclasses.replace(RunOptions(), **one) for one in changes]
    names = {label(one.features, one.model, differences(one, RunOptions()), "") for one in found}
    assert len(names) == len(found) > 25
