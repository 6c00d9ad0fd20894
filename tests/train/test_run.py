"""A whole run: its files, further folds, refusals, the printed scores."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from featurestack.commandline.errors import Failed
from featurestack.commandline.quantities import percent
from featurestack.features_cache.index import read_index, refresh
from featurestack.results import run_folder
from featurestack.scores.accuracy import CLASSES
from featurestack.train import checkpoint, run
from featurestack.train.trainer import Trainer
from tests.processes import python
from tests.refusal import refused
from tests.train.little import change, clip_table, execute, fill, train


def test_a_run_leaves_what_analysis_reads(trained):
    for fold in trained.folds:
        history = trained.history(fold)
        probabilities, targets = trained.answers(fold)
        last = CLASSES.metric.epoch_scores(targets, probabilities)
        assert last["accuracy"] == history["test_accuracy"].iloc[-1]  # scored alike
        assert last["loss"] == pytest.approx(history["test_loss"].iloc[-1], rel=1e-6)
        state = torch.load(trained.fold(fold) / "last.pt", weights_only=True)
        # a finished fold keeps weights only
        assert state["epoch"] == 2 and "progress" not in state


def test_shuffled_labels_stay_at_chance(options, tmp_path):
    table = clip_table()
    dataset = fill(tmp_path / "shuffled", table)
    by_fold = table.groupby("fold")["label"]
    labels = by_fold.transform(lambda fold: np.random.default_rng(1).permutation(fold))
    clips, settings = read_index(dataset)
    refresh(dataset, clips.assign(label=labels), settings)
    chance = execute(options, dataset=str(dataset), epochs=4, curve=0, smoothing=0.0)
    # a quarter of 48 clips, four deviations
    assert 0.05 < chance.scores()["accuracy"].mean() < 0.5


def test_a_finished_run_is_known_without_torch(options, finished):
    given = [
        *finished.config.command,
        f"DATASET={options.dataset}",
        f"RUNS={options.runs}",
    ]
    done = python("-X", "importtime", "-m", "featurestack", "train", *given)
    assert "has these folds already" in done.stderr
    imported = {line.rpartition("| ")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported and not {"torch", "sklearn", "librosa"} & imported


def test_further_folds_join_the_run_and_a_finished_one_is_left_alone(options):
    options = change(options, features="mel+chroma")
    folder = execute(options, folds=(2,), note="the first")
    before = (folder.fold(2) / "last.pt").stat().st_mtime_ns
    assert folder.finished == [2]
    again = execute(options, curve=1)
    assert again == folder and again.finished == [1, 2, 3]
    assert (folder.fold(2) / "last.pt").stat().st_mtime_ns == before
    assert again.config.calibration["last"].clips == 48
    assert (
        again.config.note == "the first"
        and execute(options, note="another").config.note == "another"
    )


def test_another_configuration_never_touches_a_folder(options, finished):
    changed = change(finished.config.options, lr=3.0)
    run_folder.write_config(
        finished.path, replace(finished.config, hash="0" * 12, training=changed)
    )
    with refused(r"different: LR.*TAG="):
        run.execute(options)
    assert execute(options, tag="mine", folds=(1,)).name == finished.name + "-mine"


def test_validation_chooses_the_best_epoch(options, capsys):
    wanted = change(options, val="group", folds=(1,), select="val_accuracy")
    train(wanted)
    printed = capsys.readouterr()
    folder = run.execute(wanted)
    for selection, epoch in (
        ("last", "last epoch"),
        ("best", "best epoch by val_accuracy"),
    ):
        scores = folder.scores("test", selection).loc[1]
        accuracy = f"accuracy {percent(scores['accuracy'])} %"
        told = f"fold 1: {epoch}: test {accuracy}, loss {scores['loss']:.3f}"
        assert told in printed.err
    assert f"1 of 3 folds; test {accuracy}" in printed.out  # of the best epoch


def test_early_stopping_ends_a_fold_for_good(options):
    stopping = {"val": "group", "patience": 1, "epochs": 30, "lr": 0.1, "curve": 0}
    stopping["folds"] = (1,)
    options = change(options, features="blank", **stopping)
    folder = run.execute(options)
    history = folder.history(1)
    losses = history["val_loss"]
    assert len(history) < 30 and losses.iloc[-1] >= losses.iloc[:-1].min()
    *before, last = history["test_loss"].notna()
    assert last and not any(before)
    # the predictions of the best epoch are its own
    best, last = (
        folder.scores("val", selection).loc[1, "loss"] for selection in ("best", "last")
    )
    assert best == pytest.approx(history["val_loss"].min(), rel=1e-6)
    assert last == pytest.approx(history["val_loss"].iloc[-1], rel=1e-6)
    assert best < last
    names = "predictions.csv", "history.csv", "last.pt", "best.pt"
    files = [folder.fold(1) / name for name in names]
    before = [file.read_bytes() for file in files]
    files[0].unlink()
    run.execute(options)
    assert [file.read_bytes() for file in files] == before


def test_a_loss_that_diverges_in_bf16_stops_with_advice(options):
    rate = {"lr": 1e9, "optimizer": "sgd", "warmup": 1.0, "schedule": "constant"}
    with pytest.raises(Failed, match="train again with PRECISION=fp32"):
        execute(options, folds=(1,), precision="bf16", **rate)


def test_a_full_disk_or_memory_ends_the_run_with_a_sentence(options, monkeypatch):
    short = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    )
    full = OSError(28, "No space left on device", "last.pt")
    monkeypatch.setattr(checkpoint, "replace_file", Mock(side_effect=full))
    with pytest.raises(Failed, match=r"fold 1: \[Errno 28\] No space left"):
        run.execute(options)
    monkeypatch.setattr(Trainer, "fit", Mock(side_effect=short))
    with pytest.raises(Failed, match="BATCH=8, GRID=16x16; try BATCH=4"):
        run.execute(options)


def test_a_run_goes_on_as_it_computed_and_says_if_on_another_device(
    options, finished, capsys
):
    for fold in finished.folds:
        (finished.fold(fold) / "predictions.csv").unlink()
    way = change(finished.config.computed, precision="bf16", channels_last=False)
    begun = change(finished.config, computed=way)
    run_folder.write_config(finished.path, begun)
    assert execute(options, folds=(1,)).config.computed == way
    on_gpu = change(way, device="cuda")
    run_folder.write_config(finished.path, change(begun, computed=on_gpu))
    assert execute(options, folds=(2,)).config.computed.device == "cpu"
    assert "began on cuda and continues on cpu" in capsys.readouterr().err


def test_weights_of_a_run_start_no_fold_whose_test_clips_they_were_trained_on(
    options, finished, tmp_path
):
    file = finished.fold(1) / "last.pt"
    started = change(options, weights=str(file), epochs=1, tag="started")
    for folds in ((), (2,), (1, 3)):
        with refused(r"clips that fold [23] tests: give weights .*FOLDS=1"):
            execute(started, folds=folds)
    with refused("clips that fold 2 tests"):
        execute(started, name="renamed")  # the same clips under another name
    table = clip_table()
    turned = fill(
        tmp_path / "little" / "features", table.assign(fold=table["fold"] % 3 + 1)
    )
    with refused(r"clips that fold 1 tests: give weights from other clips"):
        execute(started, dataset=str(turned))
    assert run_folder.find(options.runs) == [finished]
    assert execute(started, folds=(1,)).finished == [1]
    # the weights have seen none of these clips
    other = fill(tmp_path / "other" / "features", table.assign(group=""))
    assert execute(started, dataset=str(other), folds=(2,)).finished == [2]


def test_a_fold_is_finished_when_everything_else_of_it_is_written(options, monkeypatch):
    def die(self, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "write_answers", die)
    with pytest.raises(KeyboardInterrupt):
        execute(options, model="cnn4", epochs=1, folds=(1,))
    (folder,) = run_folder.find(options.runs)
    assert folder.finished == []
