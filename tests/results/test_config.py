"""run.json's values, the hash, and the names of folders."""

import typing
from dataclasses import asdict, replace

from featurestack.base.json_content import as_dataclass
from featurestack.base.options import fields, option
from featurestack.results.config import TRAIN_AGAIN, RunConfig
from featurestack.results.run_folder import NAME_BYTES, folder_name
from featurestack.results.training_options import Training
from featurestack.train.options import RunOptions
from featurestack.train.plan import hashed_options, name_parts
from tests.refusal import refused
from tests.run_configs import run_config


def test_a_run_json_of_another_version_is_told_before_its_keys():
    content = asdict(run_config()) | {"epochs": 40, "format_version": 1}
    with refused(r"\(format_version is 1\): train it again"):
        as_dataclass(content, RunConfig, "run.json", TRAIN_AGAIN)


def test_labels_are_file_names():
    name = folder_name("mfcc:1-19", "cnn4", ["s1", "a/b c"], "f" * 12)
    assert name == "mfcc.1-19-cnn4-s1-a.b.c"
    long = folder_name("+".join(["mel@n_mels=64"] * 20), "cnn4", [], "0123456789ab")
    assert len(long) == NAME_BYTES and long.endswith("-0123456789ab")
    assert len(folder_name("é" * 200, "m", [], "0" * 12).encode()) <= NAME_BYTES


def test_a_new_option_leaves_older_runs_readable_and_every_run_its_hash():
    class Newer(Training):
        jitter: float = option(0.0, "noise added to each batch", least=0)

    known = Training(seed=1, epochs=7)
    now = Newer(seed=1, epochs=7)
    assert as_dataclass(asdict(known), Newer, "run.json", TRAIN_AGAIN) == now
    assert hashed_options(now) == hashed_options(known) == {"seed": 1, "epochs": 7}
    assert hashed_options(replace(now, jitter=0.1)) == hashed_options(now) | {
        "jitter": 0.1
    }
    written = asdict(now)
    assert written["jitter"] == 0.0 and written["lr"] == "auto"  # defaults may change


def other_value(kind, value):
    """Another value that an option of this type and default may have."""
    if typing.get_origin(kind) is typing.Literal:
        return next(choice for choice in typing.get_args(kind) if choice != value)
    if isinstance(value, str):  # of a number: auto
        numbers = [each for each in typing.get_args(kind) if each in (int, float)]
        return numbers[0](7) if numbers else f"{value}x"
    return value + (0.05 if isinstance(value, float) else 1)


def test_configurations_that_may_predict_differently_have_folders_of_other_names():
    standard = RunOptions()
    kinds = typing.get_type_hints(RunOptions)
    changes = {
        name: other_value(kinds[name], field.default)
        for name, field in fields(Training).items()
        if name != "task"
    }
    changes |= {"task": "tags", "grid": "96x96", "weights": "mine", "device": "cuda"}
    runs = [standard]
    runs += [replace(standard, **{name: value}) for name, value in changes.items()]
    names = {folder_name(run.features, run.model, name_parts(run), "") for run in runs}
    assert len(names) == len(runs) > 15
    assert name_parts(replace(standard, lr=1.0)) == ["lr=1"]  # as it was typed
    for name, value in changes.items():
        assert hashed_options(Training(**{name: value})) == {name: value}
