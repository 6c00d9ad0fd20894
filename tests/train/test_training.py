"""A whole run: its files, further folds, refusals, the printed scores."""

import itertools
import re
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from featurestack.base.errors import Failed
from featurestack.base.options import option_words
from featurestack.base.quantities import percent
from featurestack.cli.parser import parse
from featurestack.comparison.scores import epoch_scores
from featurestack.features_cache.index_file import read_index, refresh
from featurestack.results import run_folder
from featurestack.results.tasks import CLASSES
from featurestack.train import checkpoint, training
from featurestack.train.options import TrainOptions
from featurestack.train.trainer import Trainer
from tests.cases import cases
from tests.processes import python
from tests.refusal import refused
from tests.train.small_cache import change, clip_table, fill, run_with, train


def test_a_run_leaves_what_analysis_reads(trained_run):
    for fold in trained_run.folds:
        history = trained_run.history(fold)
        probabilities, targets = trained_run.probabilities(fold)
        last = epoch_scores(CLASSES.metric, targets, probabilities)
        assert last["accuracy"] == history["test_accuracy"].iloc[-1]  # scored alike
        assert last["loss"] == pytest.approx(history["test_loss"].iloc[-1], rel=1e-6)
        state = torch.load(trained_run.fold(fold) / "last.pt", weights_only=True)
        # a finished fold keeps weights only
        assert state["epoch"] == 2 and "progress" not in state


def test_shuffled_labels_stay_at_chance(options, tmp_path):
    table = clip_table()
    dataset = fill(tmp_path / "shuffled", table)
    by_fold = table.groupby("fold")["label"]
    labels = by_fold.transform(lambda fold: np.random.default_rng(1).permutation(fold))
    clips, settings = read_index(dataset)
    refresh(dataset, clips.assign(label=labels), settings)
    chance = run_with(options, dataset=str(dataset), epochs=4, curve=0)
    # a quarter of 48 clips, four deviations
    assert 0.05 < chance.scores()["accuracy"].mean() < 0.5


def test_a_finished_run_is_known_without_torch(options, run_copy):
    given = [*run_copy.config.command, *option_words(options, ("dataset", "runs"))]
    done = python("-X", "importtime", "-m", "featurestack", "train", *given)
    assert "1 of 1 run is already finished" in done.stderr
    imported = {line.rpartition("| ")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported and not {"torch", "sklearn", "librosa"} & imported


def test_further_folds_join_the_run_and_a_finished_one_is_left_alone(options):
    options = change(options, features="mel+chroma")
    folder = run_with(options, folds=(2,), note="the first")
    before = (folder.fold(2) / "last.pt").stat().st_mtime_ns
    assert folder.finished == [2]
    again = run_with(options, curve=1)
    assert again == folder and again.finished == [1, 2, 3]
    assert (folder.fold(2) / "last.pt").stat().st_mtime_ns == before
    assert again.config.calibration["last"].clips == 48
    assert again.config.note == "the first"
    assert run_with(options, note="another").config.note == "another"


def test_a_fold_that_was_killed_before_its_predictions_is_calibrated(
    options, monkeypatch
):
    run_with(options, folds=(1,))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed = Mock(side_effect=KeyboardInterrupt)
        patch.setattr(run_folder, "write_predictions", killed)
        run_with(options, folds=(2,))
    run_with(options, folds=(1,))  # as an answer does, fold by fold
    run = run_with(options, folds=(2,))
    assert run.config.calibration["last"].clips == len(run.scored())


def test_another_configuration_never_touches_a_folder(options, run_copy):
    changed = change(run_copy.config.options, lr=3.0)
    config = change(run_copy.config, hash="0" * 12, training=changed)
    run_folder.write_config(run_copy.path, config)
    before = (run_copy.path / "run.json").read_bytes()
    beside = run_with(options, folds=(1,))
    assert beside.name == f"{run_copy.name}-{beside.config.hash[:4]}"
    assert (run_copy.path / "run.json").read_bytes() == before
    run_folder.write_config(beside.path, change(beside.config, hash="1" * 12))
    with refused(f"{beside.name} are other runs: give TAG="):
        training.execute(options)
    assert run_with(options, tag="mine", folds=(1,)).name == run_copy.name + "-mine"


def test_validation_chooses_the_best_epoch(options, capsys):
    wanted = change(options, val="group", folds=(1,), select="val_accuracy")
    train(wanted)
    printed = capsys.readouterr()
    folder = training.execute(wanted)
    epochs = {"last": "last epoch", "best": "best epoch by val_accuracy"}
    for selection, epoch in epochs.items():
        scores = folder.scores("test", selection).loc[1]
        accuracy = f"accuracy {percent(scores['accuracy'])} %"
        told = f"fold 1: {epoch}: test {accuracy}, loss {scores['loss']:.3f}"
        assert told in printed.err
    assert f"1 of 3 folds; test {accuracy}" in printed.out  # of the best epoch


def test_early_stopping_ends_a_fold_for_good(options):
    stopping = {"val": "group", "patience": 1, "epochs": 30, "lr": 0.1, "curve": 0}
    stopping["folds"] = (1,)
    options = change(options, features="blank", **stopping)
    folder = training.execute(options)
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
    training.execute(options)
    assert [file.read_bytes() for file in files] == before


def test_a_full_disk_or_memory_ends_the_run_with_a_sentence(options, monkeypatch):
    short = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    )
    full = OSError(28, "No space left on device", "last.pt")
    monkeypatch.setattr(checkpoint, "replace_file", Mock(side_effect=full))
    with pytest.raises(Failed, match=r"fold 1: \[Errno 28\] No space left"):
        training.execute(options)
    monkeypatch.setattr(Trainer, "fit", Mock(side_effect=short))
    with pytest.raises(Failed, match="BATCH=8, GRID=16x16; try BATCH=4"):
        training.execute(options)


def test_a_run_goes_on_as_it_computed_and_says_if_on_another_device(
    options, run_copy, capsys
):
    for fold in run_copy.folds:
        (run_copy.fold(fold) / "predictions.csv").unlink()
    way = change(run_copy.config.computed, precision="bf16", channels_last=False)
    begun = change(run_copy.config, computed=way)
    run_folder.write_config(run_copy.path, begun)
    assert run_with(options, folds=(1,)).config.computed == way
    on_gpu = change(way, device="cuda")
    run_folder.write_config(run_copy.path, change(begun, computed=on_gpu))
    assert run_with(options, folds=(2,)).config.computed.device == "cpu"
    assert "began on cuda and continues on cpu" in capsys.readouterr().err


def test_weights_of_a_run_start_no_fold_whose_test_clips_they_were_trained_on(
    options, run_copy, tmp_path
):
    file = run_copy.fold(1) / "last.pt"
    started = change(options, weights=str(file), epochs=1, tag="started")
    for folds in ((), (2,), (1, 3)):
        with refused(r"sounds that fold [23] tests: give weights .*FOLDS="):
            run_with(started, folds=folds)
    moved = tmp_path / "moved.pt"
    moved.write_bytes(file.read_bytes())
    with refused("a fold's weights outside their run's folder"):
        run_with(started, weights=str(moved))
    table = clip_table()
    turned = fill(
        tmp_path / "little" / "features", table.assign(fold=table["fold"] % 3 + 1)
    )
    with refused(r"sounds that fold 1 tests: give weights from other clips"):
        run_with(started, dataset=str(turned))
    assert run_folder.find(options.runs) == [run_copy]
    assert run_with(started, folds=(1,)).finished == [1]
    # the weights have seen none of these clips
    others = table.assign(group="", clip_id="other " + table["clip_id"])
    other = fill(tmp_path / "other" / "features", others)
    assert run_with(started, dataset=str(other), folds=(2,)).finished == [2]


# ---- lists of options


@pytest.fixture
def listed_options(options):
    given = change(options, model="linear", augment="auto", features="mel chroma")
    return parse(TrainOptions, option_words(given))


def given_too(options, *given):
    more = parse(TrainOptions, given).given
    return TrainOptions.build({**options.given, **more})


def test_recordings_too_few_for_a_verdict_are_told_once(
    listed_options, tmp_path, capsys
):
    table = clip_table()
    table["group"] = table["fold"].map("speaker {}".format)
    folder = fill(tmp_path / "few" / "features", table, "mel chroma")
    training.train(given_too(listed_options, f"DATASET={folder}", "FOLDS=1"))
    told = "3 source recordings are too few for a verdict, which needs 7"
    assert capsys.readouterr().err.count(told) == 1


def test_every_option_of_a_configuration_takes_a_list(listed_options):
    lists = ["texturenet", "cnn4"], [0, 1], [0.001, 0.002], ["mel", "chroma"]
    words = "MODEL=texturenet cnn4", "SEED=0 1", "LR=0.001 0.002"
    jobs = training.product(given_too(listed_options, *words))
    chosen = [(job.model, job.seed, job.lr, job.features) for job in jobs]
    assert chosen == list(itertools.product(*lists))


@cases("word", "said")
def test_names_are_looked_at_before_the_cache(word, said, tmp_path):
    words = ["DATASET=synth", f"DATA={tmp_path}", word]
    with refused(re.escape(said)):
        training.train(parse(TrainOptions, words))


@pytest.mark.parametrize(
    ("given", "seeds"), [((), [1, 1]), (("VAL=next",), [1, 1, 2, 2])]
)
def test_an_exact_model_is_trained_with_one_seed(listed_options, capsys, given, seeds):
    jobs = training.product(given_too(listed_options, "SEED=1 2", *given))
    assert [job.seed for job in jobs] == seeds
    assert ("one seed is trained" in capsys.readouterr().err) == (not given)


def test_what_the_model_does_not_take_is_passed_over(listed_options, capsys):
    jobs = training.product(given_too(listed_options, "FEATURES=all", "MODEL=cnn4"))
    assert sorted(job.features for job in jobs) == ["blank", "chroma", "mel"]
    assert "skipped: waveform with cnn4" in capsys.readouterr().err


def test_finished_runs_are_skipped_and_a_failure_is_listed_at_the_end(
    listed_options, capsys, monkeypatch
):
    assert training.train(listed_options) == 0
    before = {
        file: file.stat().st_mtime_ns
        for file in listed_options.runs()[0].runs.glob("*/*/*/last.pt")
    }
    assert len(before) == 6
    train_plan = training.train_plan

    def broken(plan, bar):
        if plan.training.features == "blank":
            raise ZeroDivisionError("a fault of ours")
        return train_plan(plan, bar)

    monkeypatch.setattr(training, "train_plan", broken)
    more = given_too(listed_options, "FEATURES=mel blank chroma mel+chroma")
    assert training.train(more) == 1
    printed = capsys.readouterr()
    failure = printed.err.splitlines()[-1]
    assert failure.startswith("failed: FEATURES=blank MODEL=linear")
    assert failure.endswith("SEED=0: ZeroDivisionError: a fault of ours")
    assert "mel+chroma-linear" in printed.out
    assert "2 of 4 runs are already finished" in printed.err
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())


def test_the_table_has_a_row_a_configuration_by_accuracy(listed_options):
    jobs = training.product(
        given_too(listed_options, "SEED=0 1", "MODEL=cnn4", "EPOCHS=1")
    )
    done, _ = training.train_all(jobs)
    header, *rows, note = training.table(done).splitlines()
    heads = ["run", "test accuracy %", "95 % CI", "SD over folds", "seeds"]
    assert re.split(" {2,}", header) == heads
    scores = {}
    for name in ("mel", "chroma"):
        runs = [each.scores()["accuracy"] for each in done if each.name[:3] == name[:3]]
        scores[name] = np.mean(runs, axis=0)
    best = max(scores, key=lambda name: scores[name].mean())
    name, score, _, *others = re.split(" {2,}", rows[0])
    assert name.startswith(best) and score == percent(scores[best].mean())
    assert others == [percent(scores[best].std(ddof=1)), "2"] and len(rows) == 2
    assert "the best of 2 was chosen on test data" in note
