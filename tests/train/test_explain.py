"""attribution.csv covers every test clip, channel and method; its numbers are those of asking by hand."""

import shutil

import numpy as np
import pandas as pd
import pytest

from commandline import RequestError
from features_cache import Cache, cache_folder
from tests.train.sounds import train_run
from train import bundle
from train.explain import explain
from train.trained import Trained
from train.trained_options import ExplainOptions

CHANNELS = ["mel", "mfcc:1-19", "chroma"]


def run_explain(run, **given):
    data = run.path.parents[2] / "data"
    return explain(ExplainOptions(run=str(run.path), data=data, device="cpu", repeats=2, **given))


@pytest.mark.parametrize("model", ["cnn4", "linear"])
def test_every_test_clip_has_a_row_a_channel_and_method(sounding, model, capsys):
    run = train_run(sounding.path.parents[2], model=model)
    assert run_explain(run) == 0
    assert "accuracy" in capsys.readouterr().out
    for fold in run.finished:
        rows = pd.read_csv(run.fold(fold) / "attribution.csv")
        assert list(rows.columns) == ["channel", "method", "clip_id", "correct"]
        tested = run.predictions(fold)["clip_id"].tolist()
        groups = {key: list(group["clip_id"]) for key, group in rows.groupby(["channel", "method"])}
        assert groups == {(c, m): tested for c in CHANNELS for m in ("removed", "permuted")}
        assert set(rows["correct"]) <= {0.0, 0.5, 1.0}
        assert set(rows[rows["method"] == "removed"]["correct"]) <= {0.0, 1.0}


def test_a_removed_channel_is_at_its_mean(sounding):
    run_explain(sounding)
    fold = sounding.finished[0]
    rows = sounding.predictions(fold)
    cache = Cache(cache_folder("", sounding.path.parents[2] / "data", sounding.dataset))
    trained = Trained(bundle.of_run(sounding))
    values = cache.batch(CHANNELS, rows["clip_id"].tolist())
    values[1] = np.full_like(values[1], trained.members[fold].statistics[1].centre[0])
    by_hand = np.array(trained.classes)[trained.probabilities(values, fold).argmax(1)] == rows["target"]
    written = pd.read_csv(sounding.fold(fold) / "attribution.csv")
    removed = written[(written["channel"] == CHANNELS[1]) & (written["method"] == "removed")]
    assert removed["correct"].tolist() == by_hand.astype(float).tolist()


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
    with pytest.raises(RequestError, match="no feature cache"):
        explain(ExplainOptions(run=str(sounding.path), data=data, device="cpu"))
