import dataclasses
import json
import typing

import pytest

from commandline.registry import RequestError
from results import config as run_config
from results import run_folder
from results.run_folder import RunFolder
from train.options import MACHINE, RunOptions, defaults, identity
from train.plan import differences


def checked(**content: object) -> run_config.Config:
    return run_config.checked_config(content, "run.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": ["1"]}, "malformed folds: train this run again"),
        ({"folds": [1, 1]}, "malformed folds"),
        ({"classes": [{"name": 1}]}, "malformed classes"),
        ({"seconds": float("inf")}, "malformed seconds"),
        ({"seconds": float("nan")}, "malformed seconds"),
        ({"calibration": []}, "malformed calibration"),
        ({"calibration": {"last": 0.5}}, "malformed calibration"),
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
        checked(**change)


@pytest.mark.parametrize("grid", ["64x216", "1x220500", "1x1"])  # of images, a waveform, vectors
def test_every_grid_that_a_run_may_have_is_read(grid):
    assert checked(grid=grid)["grid"] == grid


def test_augmentations_in_a_run_of_before_get_their_present_names(tmp_path):
    old = {"augment": "shift=1,mix=0.4", "options": {"augment": "splice=0.5"}}
    run_folder.write_config(tmp_path / "old", old)
    config = RunFolder(tmp_path / "old").config
    assert config == {"augment": "shift=1,mixup=0.4", "options": {"augment": "cutmix=0.5"}}


def test_labels_are_file_names():
    assert run_config.label("mfcc:1-19", "cnn4", ["s1", "a/b c"], "f" * 12) == "mfcc.1-19-cnn4-s1-a.b.c"
    long = run_config.label("+".join(["mel@n_mels=64"] * 20), "cnn4", [], "0123456789ab")
    assert len(long) == run_config.LABEL_BYTES and long.endswith("-0123456789ab")
    assert len(run_config.label("é" * 200, "m", [], "0" * 12).encode()) <= run_config.LABEL_BYTES


def test_the_hash_does_not_depend_on_the_order_of_keys():
    assert run_config.digest({"a": 1, "b": [2]}) == run_config.digest(json.loads('{"b": [2], "a": 1}'))
    assert run_config.digest({"a": 1}) != run_config.digest({"a": 2})


def other_value(kind: object, value: object) -> object:
    """Another value that an option of this type and default may have."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[-1 if value != typing.get_args(kind)[-1] else 0]
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else (value or 0) + 1


def test_configurations_that_may_differ_in_their_predictions_have_folders_of_different_names() -> None:
    kinds = typing.get_type_hints(RunOptions, include_extras=True)
    changes: list[dict[str, object]] = [{}]
    for name, value in identity(RunOptions()).items():
        changes.append({name: other_value(kinds[name], value)})
    found = [dataclasses.replace(RunOptions(), **one) for one in changes]
    for machine, same in ((True, 0), (False, len(MACHINE))):  # machine words only where they are asked for
        labels = {
            run_config.label(one.features, one.model, differences(one, defaults(), machine), "")
            for one in found
        }
        assert len(labels) == len(found) - same > 25


def former(model: str, texture: str, **more: object) -> dict:
    """run.json as it was when an option, TEXTURE, put a second network beside the model."""
    options = {
        "model": model,
        "texture": texture,
        "optimizer": "adamw",
        "lr": None,
        "decay": None,
        "blind": False,
    }
    options |= more
    content = {"options": options, "cache": {"mel": "1"}, "clips": "2"}
    words = ["FEATURES=mel", f"MODEL={model}", "EPOCHS=2", f"TEXTURE={texture}"]
    return {
        "model": model,
        "tag": "",
        "hash": run_config.digest(content),
        "family": "",
        "command": words,
        **content,
    }


@pytest.mark.parametrize(
    ("model", "texture", "name", "resolved"),
    [
        ("cnn4", "on", "cnn4+texture@weight=0.75", "cnn4+texture@weight=0.75"),
        (
            "cnn8@width=16",
            "on",
            "cnn8@width=16+texture@weight=0.75",
            "cnn8@width=16+texture@weight=0.75",
        ),
        ("cnn4", "off", "cnn4", "cnn4"),
        ("texture", "off", "texture", "texture"),
    ],
)
def test_a_run_of_before_is_read_under_the_name_of_what_it_trained(tmp_path, model, texture, name, resolved):
    run_folder.write_config(tmp_path, former(model, texture))
    found = RunFolder(tmp_path).config
    assert (found["model"], found["options"]["model"]) == (name, resolved)
    assert (found["options"]["lr"], found["options"]["decay"]) == (0.002, 0.05)
    assert not {"texture", "blind"} & found["options"].keys() and found["options"]["skip_test"] is False
    assert found["command"] == ["FEATURES=mel", f"MODEL={name}", "EPOCHS=2"]
    content = {key: found[key] for key in ("options", "cache", "clips")}
    assert found["hash"] == run_config.digest(content)
    assert run_config.upgraded(found) is found


def test_a_weight_that_was_the_default_is_named(tmp_path):
    config = former("cnn4+texture@weight=0.75", "off") | {"model": "cnn4+texture"}
    found = run_config.upgraded(config)
    assert found["model"] == "cnn4+texture@weight=0.75" and f"MODEL={found['model']}" in found["command"]
    assert found["options"]["model"] == config["options"]["model"]
    today = run_config.upgraded(former("cnn4+texture@weight=0.67", "off") | {"model": "cnn4+texture"})
    assert today["model"] == "cnn4+texture"


def test_what_cannot_be_hashed_anew_keeps_its_hash_and_a_linear_model_no_rate(tmp_path):
    weighted = former("cnn4", "on", weights="some.pt") | {"hash": "of the file's content"}
    assert run_config.upgraded(weighted)["hash"] == weighted["hash"]
    assert run_config.upgraded(former("linear@C=1", "off"))["options"]["lr"] is None
