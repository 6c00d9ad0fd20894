"""attribution.csv covers every test clip, channel and method; a channel of noise is worth nothing."""

import dataclasses
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from commandline.commands import main
from commandline.registry import RequestError
from features_cache import Cache, cache_folder
from tests.train.little import CLASSES
from tests.train.sounds import train_run
from train import bundle, run
from train.__main__ import COMMANDS
from train.explain import explain_runs
from train.models.registry import all_models
from train.options import ExplainOptions

CHANNELS = ["mel", "mfcc:1-19", "chroma"]


def run_explain(run, **given):
    data = run.path.parents[2] / "data"
    return explain_runs(ExplainOptions(run=str(run.path), data=data, device="cpu", repeats=2, **given))


@pytest.mark.parametrize("model", ["cnn4", "linear"])
def test_every_test_clip_has_a_row_a_channel_and_method(sounding, model, capsys):
    run = train_run(sounding.path.parents[2], model=model)
    assert run_explain(run) == 0
    assert re.search(r": \d+ of \d+ test clips correct in \d of \d folds", said := capsys.readouterr().out)
    assert "correct %  change, points" in said and "\npermuted: another test clip's channel" in said
    assert re.search(
        r"\nmel helps most: (no class|\w+ \d+\.\d.* \(points of recall lost, permuted\))\n", said
    )
    assert f"\nnext: make analysis DATASET={run.dataset} DATA=" in said
    for fold in run.finished:
        rows = pd.read_csv(run.fold(fold) / "attribution.csv")
        assert list(rows.columns) == ["channel", "method", "clip_id", "correct", "selection"]
        tested = run.predictions(fold)["clip_id"].tolist()
        groups = {key: list(group["clip_id"]) for key, group in rows.groupby(["channel", "method"])}
        assert groups == {(c, m): tested for c in CHANNELS for m in ("permuted", "marginalised")}
        assert set(rows["correct"]) <= {0.0, 0.5, 1.0}
        assert set(rows[rows["method"] == "marginalised"]["correct"]) <= {0.0, 1.0}


def test_repeats_are_those_of_permuting_by_hand(sounding):
    run_explain(sounding, seed=3)
    fold = sounding.finished[0]
    rows = sounding.predictions(fold)
    cache = Cache(cache_folder("", sounding.path.parents[2] / "data", sounding.dataset))
    model = bundle.TrainedModel(bundle.bundle_of_run(sounding))
    random, predicted = np.random.default_rng([3, fold]), []
    for _ in range(2):
        values = cache.batch(CHANNELS, rows["clip_id"].tolist())
        values[0] = values[0][random.permutation(len(rows))]
        predicted.append(model.probabilities(values, fold))
    target = np.array([model.classes.index(name) for name in rows["target"]])
    by_hand = {
        "permuted": (np.array(predicted).argmax(axis=2) == target).mean(axis=0),
        "marginalised": np.mean(predicted, axis=0).argmax(axis=1) == target,
    }
    written = pd.read_csv(sounding.fold(fold) / "attribution.csv")
    for method, correct in by_hand.items():
        chosen = written[(written["channel"] == CHANNELS[0]) & (written["method"] == method)]
        assert chosen["correct"].tolist() == correct.astype(float).tolist()


def test_the_same_seed_gives_the_same_file(sounding):
    file = sounding.fold(1) / "attribution.csv"
    run_explain(sounding)
    first = file.read_bytes()
    run_explain(sounding)
    assert file.read_bytes() == first


def test_another_cache_is_refused(sounding, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(sounding.path.parents[2] / "data", data)
    shutil.rmtree(data / "little")
    with pytest.raises(RequestError, match="there are no features in"):
        explain_runs(ExplainOptions(run=str(sounding.path), data=data, device="cpu"))


FAST = ("cnn4", "cnn8", "linear", "texture", "cnn4+texture")
CASES = [
    *((name, "row") for name, entry in all_models().items() if entry.kind != "wave"),
    *((name, norm) for norm in ("feature", "clip", "none") for name in ("cnn4", "cnn4+texture")),
    ("cnn4+texture", "row"),
]


@pytest.mark.parametrize(
    ("model", "norm"),
    [pytest.param(*case, marks=() if case[0] in FAST else pytest.mark.slow) for case in CASES],
)
def test_a_channel_of_noise_is_worth_nothing(model, norm, options, cache_folder):
    """`blank` is noise, the classes are in `mel`."""
    grid = "16x16" if model in FAST else "32x54"
    epochs = 30 if model == "texture" else 8
    more = {"features": "mel+blank", "folds": (1,), "grid": grid, "epochs": epochs, "lr": 0.003}
    chosen = dataclasses.replace(options, model=model, norm=norm, **more)
    trained = run.execute(chosen)
    assert (
        explain_runs(ExplainOptions(run=str(trained.path), data=cache_folder.parents[1], device="cpu")) == 0
    )
    rows = trained.predictions(1)
    whole = (rows[list(CLASSES)].idxmax(axis=1) == rows["target"]).mean()
    written = pd.read_csv(trained.fold(1) / "attribution.csv")
    correct = written.groupby(["channel", "method"])["correct"].mean()
    assert abs(whole - correct["blank", "permuted"]) < 0.15
    assert (
        whole - correct["blank", "marginalised"] < 0.15
    )  # a mean over noise may be better than one draw of it
    for method in ("permuted", "marginalised"):
        assert whole - correct["mel", method] > 0.2


def test_a_damaged_clip_is_one_sentence(sounding, tmp_path, capsys):
    data = sounding.path.parents[2] / "data"
    shutil.copytree(data, tmp_path / "data")
    file = Cache(cache_folder("", tmp_path / "data", sounding.dataset))["mel"].file
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset)
        opened.write(bytes(file.clip_bytes))
    options = [f"RUN={sounding.path}", f"DATA={tmp_path / 'data'}", "REPEATS=1", "DEVICE=cpu"]
    with pytest.raises(SystemExit) as stop:
        main(COMMANDS, ["explain", *options])
    assert stop.value.code == 2
    assert re.fullmatch(r"error: 1 clip of mel cannot be read .*\n", capsys.readouterr().err)
