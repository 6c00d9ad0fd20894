"""What a request becomes before anything is trained: refused, completed, or told what is left out."""

import numpy as np
import pandas as pd
import pytest
import torch

from commandline.options import parse
from commandline.registry import RequestError
from features_cache import Cache, external
from features_cache.index import read_index, refresh
from tests.train.little import change, clip_table, fill, little
from train import run
from train.models.registry import build
from train.options import SWEPT, RunOptions
from train.plan import check_options, make_plan, remarks


def test_of_a_published_test_list_that_fold_alone_is_tested(options, tmp_path):
    cache = fill(tmp_path / "listed", clip_table())
    clips, settings = read_index(cache)
    refresh(cache, clips, settings | {"published_test": 3})
    folder = run.execute(change(options, dataset=str(cache), val="next"))
    assert folder.finished == folder.folds == [3]
    assert folder.config["protocol"].startswith(
        "the dataset's test fold tested, trained on the others without"
    )
    predictions = folder.predictions(3)
    assert {clip.split("-")[1] for clip in predictions["clip_id"][predictions["split"] == "val"]} == {"1"}
    with pytest.raises(RequestError, match=r"FOLDS=1: the dataset's test fold is 3$"):
        run.execute(change(options, dataset=str(cache), folds=(1,)))
    refresh(cache, clips, settings | {"published_test": 9})  # its clips are not there
    plan = make_plan(change(options, dataset=str(cache)))
    assert plan.folds == [1, 2, 3]
    assert remarks(plan, {}, {}) == ["fold 9, the dataset's test fold, has no clips: others are tested"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": "mel+chrma:1-9"}, r"^did you mean FEATURES=mel\+chroma:1-9\? .* lacks chrma, it has "),
        ({"features": "Mel"}, r"^did you mean FEATURES=mel\? .*; otherwise it has no audio"),
        ({"features": "mel+tempogram"}, r"lacks tempogram, it has blank.*: it has no audio.*write_feature"),
        ({"features": "mel + mfcc"}, r"joined by \+ without blanks"),
        ({"features": "mel:3-16"}, "rows 0 to 15"),
        ({"features": "mel chroma"}, "join with . .mel.chroma., or make sweep"),
        ({"features": "mel+waveform"}, "not waveform; .*aclnet"),
        ({"model": "aclnet"}, "takes waveform alone"),
        ({"model": "resnet19"}, "did you mean 'resnet18'"),
        ({"model": "cnn4+linear"}, "joins two models that take images.*; (?!.*linear).*densenet121"),
        ({"dataset": "ezc50"}, "did you mean 'esc50'"),
        ({"dataset": "esc10", "name": "ten"}, "run make features DATASET=esc10 NAME=ten DATA="),
        ({"folds": (4,)}, "FOLDS=4: the folds are 1 2 3"),
        ({"grid": "16"}, "GRID=16: expected rows x frames"),
        ({"augment": "masks"}, "did you mean 'mask'"),
        ({"recipe": "nonesuch"}, "unknown recipe"),
        ({"device": "gpu"}, "mean cuda"),
        ({"threads": "many"}, "THREADS=many"),
        ({"threads": "9" * 5000}, "expected auto or a number from 1 to 1024"),
        ({"note": "a\udc80"}, r"NOTE='a\\udc80': expected text in UTF-8"),
        ({"copies": 2}, "COPIES=2, and mel has 0 altered copies"),
        ({"schedule": "plateau"}, "give VAL=group"),
        ({"skip_test": True}, "give VAL=group"),
        ({"weights": "nowhere.pth"}, "no such file"),
        ({"epochs": 0}, "EPOCHS=0: expected at least 1"),
        ({"batch": 1}, "BATCH=1: expected at least 2"),
        ({"ema": 1.0}, "EMA=1.0: expected 0 to 0.99999"),
        ({"seed": -1}, "SEED=-1"),
        ({"resident": "gpu"}, "RESIDENT=gpu needs"),
        ({"device": "\t"}, "DEVICE is empty"),
        ({"tracker": "tensorbord"}, "did you mean 'tensorboard'"),
    ],
)
def test_a_wrong_request_is_told_before_anything_is_written(options, tmp_path, changes, message):
    with pytest.raises(RequestError, match=message):
        run.execute(change(options, data=tmp_path / "data", **changes))
    assert not list(options.runs.glob("*/*/run.json"))


@pytest.mark.parametrize("name", ["features", *SWEPT])
def test_a_list_is_for_a_sweep_alone(options, name):
    special = {"recipe": "unknown recipe", "features": "join with"}
    expected = special.get(name, f"{name.upper()}=a b: .*; only a sweep takes several")
    with pytest.raises(RequestError, match=expected):
        run.run(parse(RunOptions, [f"DATASET={options.dataset}", f"{name.upper()}=a b"]))


def test_blanks_that_make_no_list_are_taken(options, tmp_path):
    recipe = tmp_path / "my recipe.txt"
    recipe.write_text("EPOCHS=1\n")
    check_options(change(options, augment="shift, gain", recipe=str(recipe), note="two words"))


def test_one_class_cannot_be_trained(options, tmp_path):
    dataset = little(tmp_path / "one", clip_table().query("label == 'cat'"))
    with pytest.raises(RequestError, match="one class only"):
        run.execute(change(options, dataset=dataset))


def test_clips_of_one_class_left_by_shared_recordings_are_told_with_their_number(options, tmp_path):
    table = clip_table()
    table.loc[table["label"] != "cat", "group"] = "one recording"
    dataset = little(tmp_path / "shared", table)
    message = r"alone to train on \(24 clips left out of training: recordings of theirs occur .*\): give"
    with pytest.raises(RequestError, match=message):
        run.execute(change(options, dataset=dataset))


def test_a_fold_without_a_class_is_told_and_trained(options, tmp_path, capsys):
    dataset = little(tmp_path / "thin", clip_table().query("label != 'cat' or fold == 1"))
    folder = run.execute(change(options, dataset=dataset, epochs=1))
    said = capsys.readouterr().err
    assert "fold 1: no clip of cat is trained on" in said and "fold 2: no clip of cat is tested" in said
    assert folder.complete


def test_clips_that_cannot_be_used_are_left_out_and_counted(options, tmp_path, capsys):
    cache = fill(tmp_path / "damaged", clip_table())
    reader = Cache(cache)
    feature = reader["mel"]
    values = np.memmap(
        cache / "mel.h5", feature.dtype, "r+", offset=feature.values_offset, shape=feature.shape
    )
    values[5] = 7  # its CRC tells
    values.flush()
    folder = run.execute(change(options, dataset=str(cache), epochs=1))
    assert f"1 clip left out ({clip_table()['clip_id'][5]}: mel: damaged)" in capsys.readouterr().err
    assert len(folder.predictions()) == 47


def test_a_clip_without_category_is_told(options, tmp_path):
    table = clip_table()
    table.loc[3, "category"] = ""
    with pytest.raises(RequestError, match="TASK=categories: clip bell-1-3"):
        run.execute(change(options, dataset=little(tmp_path / "bare", table), task="categories"))


def test_options_that_a_model_has_no_use_for_are_named_and_change_nothing(options, capsys):
    plain = run.execute(change(options, model="linear"))
    assert "linear ignores AUGMENT, BATCH" in capsys.readouterr().err
    assert (
        run.execute(RunOptions(dataset=options.dataset, runs=options.runs, features="mel", model="linear"))
        == plain
    )
    assert plain.name == "mel-linear" and plain.complete
    assert plain.scores()["accuracy"].mean() > 0.9


def test_with_weights_the_ensemble_is_never_the_default(options, tmp_path):
    file = tmp_path / "given.pth"
    torch.save(build("resnet18", 1, 7, (64, 108)).state_dict(), file)
    asked = change(options, model=RunOptions.model, weights=str(file))
    assert make_plan(asked).model.name == "resnet18"
    assert make_plan(change(asked, model="resnet18+texture@weight=0.67")).model.name == "resnet18+texture"
    assert make_plan(change(asked, weights="")).model.name == "resnet18+texture"


def test_a_folders_name_says_how_it_is_computed_only_where_it_must(options):
    first = run.execute(options)
    other = run.execute(change(options, threads="2"))
    assert first.name == "mel-cnn4-e2-b8-16x16-augment=none"
    assert other.name == "mel-cnn4-e2-b8-16x16-augment=none-cpu-fp32-threads=2"
    assert run.execute(options) == first and run.execute(change(options, threads="2")) == other


def test_a_run_that_was_told_how_to_compute_is_the_run_of_who_does_not_say(options, capsys):
    asked = change(options, threads="1", precision="fp32", folds=(1,))
    first = run.execute(asked)
    again = run.execute(change(asked, threads="auto", precision="auto", folds=()))
    assert again == first and again.complete
    assert again.config["options"]["threads"] == "1" and "changes" not in again.config


def test_padding_is_left_out_where_it_is_a_fifth_of_the_time_or_where_that_is_asked_for(tmp_path, options):
    folder = fill(tmp_path / "some" / "features", clip_table())
    clips, settings = read_index(folder)

    def planned(seconds, **given):
        refresh(folder, clips.assign(source_seconds=seconds), settings, slice(0, len(clips)))
        return make_plan(change(options, dataset=str(folder), **given))

    whole = planned(0.5)
    assert whole.filled is None
    assert planned(0.45).hash == planned(0.45, padding="keep").hash == whole.hash  # as runs of before
    assert planned(0.3).filled.tolist() == [0.6] * len(clips)
    assert planned(0.3).identity["padding"] == planned(0.45, padding="drop").identity["padding"] == "drop"
    assert planned(0.3).hash != planned(0.3, padding="keep").hash == whole.hash
    assert planned(0.3, padding="keep").path.name.startswith("mel-cnn4-e2-b8-16x16-padding=keep")
    assert planned(0.3, model="m11", features="waveform").filled is None
    for model in ("linear", "texture@width=8"):  # they read from it how long a clip is
        assert planned(0.3, model=model).filled is None
        assert planned(0.3, model=model, padding="drop").filled is not None
    assert planned(0.3, model="cnn4+texture").filled is not None


@pytest.mark.parametrize(
    ("seconds", "given", "reason"),
    [
        (0.3, {"copies": 1}, "the sounds of COPIES were moved within their padding"),
        (0.3, {"features": "late"}, "every channel has one frame"),
        (0.0, {}, "the cache knows of no clip shorter than the duration"),
    ],
)
def test_padding_that_cannot_be_left_out_is_named_and_not_in_the_folders_name(
    tmp_path, options, capsys, seconds, given, reason
):
    table = clip_table().assign(copy_of="", alteration="")
    altered = table.assign(clip_id=table["clip_id"] + "~1", copy_of=table["clip_id"], alteration="gain")
    folder = fill(tmp_path / "some" / "features", pd.concat([table, altered], ignore_index=True))
    clips, settings = read_index(folder)
    external.write_feature(folder, "late", np.eye(len(clips), 4), clips["clip_id"])
    now = clips.assign(source_seconds=seconds)
    refresh(folder, now, settings, slice(0, len(clips)))
    asked = change(options, dataset=str(folder), model="linear", padding="drop", **given)
    assert "padding" not in make_plan(asked).path.name
    assert make_plan(asked).hash == make_plan(change(asked, padding="keep")).hash
    run.execute(asked)
    assert f"PADDING=drop has no effect: {reason}" in "".join(capsys.readouterr())
