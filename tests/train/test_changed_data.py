"""Clips that change after training: the messages, and RETRAIN=1."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import jobs
from featurestack.commandline.options import option_words, texts
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.external import write_feature
from featurestack.features_cache.feature_file import read_header
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.options import FeaturesCommand
from featurestack.results.folders import find
from featurestack.results.training_data import is_changed, values_changed
from featurestack.train import run, sweep
from featurestack.train.options import RunOptions, SweepOptions
from tests.golden.commands import flip_bit
from tests.refusal import refused
from tests.train.little import (
    FRAMES,
    ROWS,
    change,
    clip_table,
    execute,
    fill,
    little_options,
)
from tests.train.sounds import write_dataset

pytestmark = pytest.mark.usefixtures("without_figures")
DAMAGED_CLIP = clip_table()["clip_id"][5]


def report(folder, **given):
    """The report of these options, in a folder."""
    options = AnalysisOptions(reports=folder / "reports", **given)
    return build_report(*jobs(options), options)


def test_a_run_of_other_clips_is_named_and_retrained_in_its_place(changed):
    sentence = (
        "mel-linear.* was trained on 48 clips, there are 39 now: RETRAIN=1 trains it"
        " again in its pl"
    )
    with refused(sentence):
        run.execute(changed)
    part = execute(changed, retrain=True, folds=(1, 2))
    assert part.path.name.endswith(".retraining") and part.finished == [1, 2]
    (old,) = find(changed.runs)  # an unfinished retraining is not listed as a run
    assert len(old.predictions()) == 48
    folder = Path(changed.dataset)
    shutil.rmtree(folder)
    fill(folder, clip_table()[lambda table: table["label"] != "rain"])
    new = execute(changed, retrain=True)  # the clips changed again: it begins anew
    assert new.path == old.path and len(new.predictions()) == 36
    assert [folder.name for folder in old.path.parent.iterdir()] == [old.name]
    assert run.execute(changed).path == old.path


def test_a_sweep_names_the_missing_runs_and_the_command_that_retrains_them(
    changed, capsys
):
    given = texts(SweepOptions, option_words(change(changed, features="mel mel:0-7")))
    assert sweep.run_sweep(SweepOptions.build(given)) == 1
    shown = capsys.readouterr()
    assert (
        "1 of 2 runs are missing: FEATURES=mel " in shown.out
        and "RETRAIN=1" in shown.out.splitlines()[-1]
    )
    assert sweep.run_sweep(SweepOptions.build({**given, "retrain": "1"})) == 0


def test_features_train_and_the_report_say_that_the_clips_changed(tmp_path, capsys):
    table = write_dataset(tmp_path / "sounds")
    given = {"data": tmp_path / "data", "runs": tmp_path / "runs"}
    given["dataset"] = str(table)
    extract(FeaturesCommand(features="rms zcr", jobs=1, **given))
    run.execute(RunOptions(features="rms", model="linear", **given))
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    capsys.readouterr()
    run.train_folds(RunOptions(features="zcr", model="linear", **given))
    said = capsys.readouterr().err
    assert (
        "has changed since its features were extracted (1 clip removed): run make"
        " features" in said
    )
    built = report(tmp_path, **given)
    changed = "have changed since their features were extracted (1 clip removed)"
    assert any(changed in remark for remark in built.remarks)
    assert built.next_command.startswith(f"make features DATASET={table} ")
    extract(FeaturesCommand(features="rms zcr", jobs=1, **given))
    assert "RETRAIN=1" in capsys.readouterr().out


def test_runs_of_other_values_are_named_and_not_compared(tmp_path):
    folder = fill(tmp_path / "little" / "features", clip_table(), "mel chroma")
    options = change(little_options(folder, tmp_path / "runs"), model="linear")
    old = run.execute(options)
    ids = clip_table()["clip_id"]
    assert not values_changed(old.config, Cache(folder), ids)
    noise = np.random.default_rng(1).normal(size=(len(ids), ROWS, FRAMES))
    (folder / "mel.h5").unlink()
    write_feature(folder, "mel", noise, ids)
    assert values_changed(old.config, Cache(folder), ids)
    new = run.execute(change(options, features="chroma"))
    built = report(tmp_path, dataset=str(folder), runs=tmp_path / "runs")
    told = f"{old.name}: trained on other audio or feature values than there are now"
    assert any(remark.startswith(told) for remark in built.remarks)
    assert built.best == new.name
    table = pd.read_csv(
        built.page.parent / "tables" / "comparison.csv", index_col="run"
    )
    verdicts = table["verdict"]
    assert verdicts[old.name] == "not compared" == verdicts[new.name]
    assert table["reason"].to_dict() == {
        new.name: "alone",
        old.name: "audio or features",
    }


@pytest.fixture
def damaged(options, tmp_path):
    """Options of a run without one clip, which was damaged in `mel`, and the place of
    the damage.
    """
    folder = fill(tmp_path / "little" / "features", clip_table())
    file = read_header(folder / "mel.h5")
    place = file.values_offset + 5 * file.clip_bytes
    flip_bit(folder / "mel.h5", place)
    options = change(options, dataset=str(folder), model="linear")
    assert len(run.execute(options).predictions()) == 47
    return options, folder / "mel.h5", place


def test_a_run_without_a_clip_that_can_be_read_again_is_named_and_retrained(
    damaged, tmp_path, capsys
):
    options, file, place = damaged
    (old,) = find(options.runs)
    run.execute(options)  # the clip is damaged as before
    assert old.training.left_out == (DAMAGED_CLIP,)
    assert not is_changed(old.config, Cache(file.parent))
    flip_bit(file, place)
    with refused(f"without 1 clip .{DAMAGED_CLIP}. that can be read now: RETRAIN=1"):
        run.execute(options)
    assert is_changed(old.config, Cache(file.parent))
    remarks = report(tmp_path, dataset=options.dataset, runs=options.runs).remarks
    assert any("without clips that can be read now: train it" in r for r in remarks)
    new = execute(options, retrain=True)
    assert len(new.predictions()) == 48 and new.training.left_out == ()


def test_a_run_that_began_with_a_clip_is_not_continued_without_it(options, tmp_path):
    folder = fill(tmp_path / "little" / "features", clip_table())
    options = change(options, dataset=str(folder), model="linear")
    execute(options, folds=(1,))
    file = read_header(folder / "mel.h5")
    flip_bit(folder / "mel.h5", file.values_offset)
    with refused("has begun with 1 clip .*cannot be read now: .*or give TAG=… for a"):
        execute(options, folds=(2,))
    assert execute(options, folds=(2,), tag="without").training.left_out
