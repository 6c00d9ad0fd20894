"""A run belongs to its data: after a change another is trained beside it."""

import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

import featurestack as fs
from featurestack.analysis.report.build import build_report
from featurestack.analysis.report.jobs import AnalysisOptions, jobs
from featurestack.base.registry import Registry
from featurestack.base.shell import make_command
from featurestack.base.terminal import Notice
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.external import write_feature
from featurestack.features_cache.hdf5 import read_header
from featurestack.features_cache.index_file import read_index, refresh
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.options import FeaturesCommand
from featurestack.predict.bundle import RunModel, bundle_of_run
from featurestack.results.options import ListOptions, RemoveOptions
from featurestack.results.run_folder import find
from featurestack.results.run_list import list_runs, remove_runs, select
from featurestack.results.same_run import is_of_today, of_today
from featurestack.train import training
from featurestack.train.models import MODELS, model
from tests.golden.commands import flip_bit
from tests.refusal import refused
from tests.train.small_cache import (
    FRAMES,
    ROWS,
    change,
    clip_table,
    fill,
    run_with,
    small_options,
)
from tests.train.sounds import write_dataset

pytestmark = pytest.mark.usefixtures("without_figures")
DAMAGED_CLIP = clip_table()["clip_id"][5]


def test_a_run_of_other_clips_is_trained_beside_the_old_one(shrunk_cache, capsys):
    (old,) = find(shrunk_cache.runs)
    before = (old.path / "run.json").read_bytes()
    new = training.execute(shrunk_cache)
    assert re.fullmatch(rf"{old.name}-[0-9a-f]{{4}}", new.name)
    assert f"this run is saved as {new.name}" in capsys.readouterr().err
    assert (len(old.predictions()), len(new.predictions())) == (48, 39)
    assert (old.path / "run.json").read_bytes() == before
    assert training.execute(shrunk_cache).path == new.path
    assert len(find(shrunk_cache.runs)) == 2
    cache = Cache(shrunk_cache.dataset)
    assert [each.name for each in of_today([old, new], cache)] == [new.name]
    shutil.rmtree(new.path)
    folder = Path(shrunk_cache.dataset)
    shutil.rmtree(folder)
    fill(folder, clip_table())  # the clips of before: their run is the current one
    capsys.readouterr()
    assert training.execute(shrunk_cache).path == old.path
    assert "1 of 1 run is already finished" in capsys.readouterr().err


def pooled(activation, monkeypatch):
    """Define the model `pooled`, as an edited cell does."""
    monkeypatch.setattr("featurestack.train.models.MODELS", Registry("model", MODELS))
    text = f"""
@model("image")
def pooled(channels, classes, shape, *, width: int = 4):
    layers = [nn.Conv2d(channels, width, 3), nn.{activation}()]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*layers, *pool)
"""
    exec(text, {"nn": nn, "model": model, "__name__": "mine"})


def test_a_model_of_other_code_is_another_run_and_joins_no_fold_of_the_old(
    options, monkeypatch, capsys
):
    options = change(options, model="pooled", epochs=1)
    pooled("ReLU", monkeypatch)
    old = run_with(options, folds=(1,))
    pooled("Tanh", monkeypatch)
    new = run_with(options)
    assert (old.finished, new.finished) == ([1], [1, 2, 3])
    assert re.fullmatch(rf"{old.name}-[0-9a-f]{{4}}", new.name)
    assert "weights or model code" in capsys.readouterr().err
    assert old.config.family != new.config.family
    with refused("the code of the model pooled has changed since this run was trained"):
        RunModel(*bundle_of_run(old))
    pooled("ReLU", monkeypatch)
    assert run_with(options).path == old.path
    RunModel(*bundle_of_run(old))
    assert "other code" not in capsys.readouterr().err


@pytest.mark.parametrize("column", ["label", "fold", "group"])
def test_another_label_fold_or_group_is_other_data(options, run_copy, column, tmp_path):
    table = clip_table()
    table.loc[0, column] = {"label": "dog", "fold": 2, "group": "cat10"}[column]
    other = fill(tmp_path / "other", table)
    assert not is_of_today(run_copy.config, Cache(other))
    assert is_of_today(run_copy.config, Cache(Path(options.dataset)))


@pytest.mark.parametrize("column", ["", "label", "source_hash"])
def test_without_its_feature_a_run_is_known_by_its_clips(trained_run, tmp_path, column):
    folder = fill(tmp_path / "other", clip_table())
    (folder / "mel.h5").unlink()
    clips, settings = read_index(folder)
    if column:  # as of another dataset with these names of files
        clips.loc[0, column] = "dog"
    refresh(folder, clips, settings, slice(None))
    assert is_of_today(trained_run.config, Cache(folder)) == (not column)


def test_last_and_prefixes_choose_runs_of_today_and_remove_the_others(
    shrunk_cache, tmp_path, monkeypatch, capsys
):
    (old,) = find(shrunk_cache.runs)
    new = training.execute(shrunk_cache)
    os.utime(old.path / "run.json")  # the older data's run is the last written
    place = tmp_path / "data" / old.path.parent.name / "features"
    shutil.copytree(shrunk_cache.dataset, place)
    # of other clips, at another place: no run of the cache that was copied
    copied = ListOptions(runs=shrunk_cache.runs, data=tmp_path / "data")
    assert list_runs(copied) == 0
    assert "older, " not in capsys.readouterr().out
    given = {"data": tmp_path}
    assert list_runs(ListOptions(runs=shrunk_cache.runs, **given)) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed if line.endswith("older")] == [
        str(old.path)
    ]
    assert listed[-1].startswith("older, 1 run in all: clips, labels, folds or")
    for word, chosen in (("last", new), ("mel-li", new), (old.name, old)):
        assert select(shrunk_cache.runs, word, **given) == [chosen]
    said = f"the clips, labels, folds or values of {old.name} have changed since"
    assert capsys.readouterr().err.count(said) == 1
    assert select(shrunk_cache.runs, "last", data=tmp_path / "none") == [old]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    options = RemoveOptions(runs=shrunk_cache.runs, old=True, **given)
    assert remove_runs(options) == 0 and find(shrunk_cache.runs) == [new]
    assert remove_runs(options) == 0
    assert "no run was trained on data that have changed" in capsys.readouterr().out


@pytest.mark.parametrize("lost", ["the end", "a key"])
def test_a_run_whose_run_json_is_damaged_stays_beside_the_new_one(
    run_copy, options, lost
):
    file = run_copy.path / "run.json"
    text = file.read_text()
    cut = {"the end": text[:100], "a key": text.replace("protocol", "p")}
    file.write_text(cut[lost])
    assert run_with(options).finished == [1, 2, 3]
    assert file.read_text() == cut[lost]


def test_training_warns_that_the_clips_changed_even_if_it_is_quiet(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    table = write_dataset(tmp_path / "sounds")
    given = {"data": tmp_path / "data", "runs": tmp_path / "runs"}
    given["dataset"] = str(table)
    extract(FeaturesCommand(features="rms zcr", jobs=1, **given))
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    place = table.relative_to(tmp_path)  # as one types it
    words = f"DATASET={place}", "FEATURES=zcr", f"DATA={given['data']}"
    remedy = make_command("features", *words)
    changed = "has changed since its features were extracted (1 clip removed): run "
    with pytest.warns(Notice, match=re.escape(changed + remedy)):
        fs.fit(features="zcr", model="linear", **given, quiet=True)
    with pytest.warns(Notice, match=r"have changed since their .* \(1 clip removed\)"):
        fs.report(**given, reports=tmp_path / "reports", quiet=True)


def test_runs_of_other_values_are_counted_and_left_out(tmp_path):
    folder = fill(tmp_path / "little" / "features", clip_table(), "mel chroma")
    options = change(small_options(folder, tmp_path / "runs"), model="linear")
    old = training.execute(options)
    assert is_of_today(old.config, Cache(folder))
    ids = clip_table()["clip_id"]
    noise = np.random.default_rng(1).normal(size=(len(ids), ROWS, FRAMES))
    (folder / "mel.h5").unlink()
    assert is_of_today(old.config, Cache(folder))  # nothing tells
    write_feature(folder, "mel", noise, ids)
    assert not is_of_today(old.config, Cache(folder))
    new = training.execute(change(options, features="chroma"))
    given = {"dataset": str(folder), "runs": tmp_path / "runs"}
    built = build_report(*jobs(AnalysisOptions(**given, reports=tmp_path / "reports")))
    told = "1 older run is left out: its clips, labels, folds or values have changed"
    assert f"{told} since." in built.remarks
    table = pd.read_csv(built.page.parent / "tables" / "comparison.csv")
    assert table["run"].tolist() == [new.name] == [built.found.best.name]


def test_a_clip_that_can_be_read_again_makes_another_run(options, tmp_path):
    folder = fill(tmp_path / "little" / "features", clip_table())
    file = read_header(folder / "mel.h5")
    place = file.values_offset + 5 * file.clip_bytes
    flip_bit(folder / "mel.h5", place)
    options = change(options, dataset=str(folder), model="linear")
    old = training.execute(options)
    assert len(old.predictions()) == 47
    training.execute(options)  # the clip is damaged as before
    assert old.config.left_out == (DAMAGED_CLIP,)
    assert is_of_today(old.config, Cache(folder))
    flip_bit(folder / "mel.h5", place)
    assert not is_of_today(old.config, Cache(folder))
    new = run_with(options)
    assert new.path != old.path
    assert len(new.predictions()) == 48 and new.config.left_out == ()


@pytest.mark.parametrize("lost", [1, 4])
def test_a_fold_without_a_readable_clip_is_named_and_leaves_no_folder(
    options, tmp_path, lost
):
    table = clip_table()
    folder = fill(tmp_path / "little" / "features", table)
    file = read_header(folder / "mel.h5")
    for row in np.flatnonzero(table["fold"].isin(range(2, 2 + lost))):
        flip_bit(folder / "mel.h5", file.values_offset + row * file.clip_bytes)
    with refused("no clip of fold 2 has mel that can be read: "):
        run_with(change(options, dataset=str(folder), model="linear"))
    assert not options.runs.exists()


def test_a_run_that_began_with_a_clip_is_not_continued_without_it(options, tmp_path):
    folder = fill(tmp_path / "little" / "features", clip_table())
    options = change(options, dataset=str(folder), model="linear")
    run_with(options, folds=(1,))
    file = read_header(folder / "mel.h5")
    flip_bit(folder / "mel.h5", file.values_offset)
    with refused("began with 1 clip .*cannot be read now: .*or give TAG=… for a"):
        run_with(options, folds=(2,))
    assert run_with(options, folds=(2,), tag="without").config.left_out
