"""The folds of a run that several processes train are those of one process."""

import os
import shutil
from unittest.mock import Mock

import pytest

from featurestack.base.options import option_words
from featurestack.cli.parser import parse
from featurestack.results.run_folder import find
from featurestack.train import folds
from featurestack.train.options import RunOptions
from featurestack.train.training import first_process
from tests.processes import python
from tests.train.small_cache import change, run_with


@pytest.mark.slow
@pytest.mark.parametrize("way", ["devices", "torchrun"])
def test_folds_of_several_processes_are_the_same_run(options, way):
    if way == "devices":
        run_with(options, device="cpu cpu")
    else:
        torchrun = "torch.distributed.run", "--standalone", "--nproc_per_node", "2"
        words = option_words(options)
        done = python(
            "-m", *torchrun, "-m", "featurestack", "train", *words, timeout=600
        )
        assert done.stdout.count("3 of 3 folds") == 1  # the first process says it
    (spread,) = find(options.runs)
    alone = run_with(options, runs=options.runs / "alone")
    assert alone.name == spread.name
    for number in (1, 2, 3):
        files = [run.fold(number) / "predictions.csv" for run in (spread, alone)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_process_takes_a_free_fold_and_then_waits_for_the_first(tmp_path):
    locks = []
    for expected in (1, 2, 3, 1):
        fold, lock = folds.free_fold(tmp_path, [1, 2, 3])
        assert fold == expected
        locks.append(lock)
    assert not locks.pop().take()
    for lock in locks:
        lock.release()


def test_a_child_gets_what_was_given(monkeypatch):
    words = ["AUGMENT=mask,mixup=0.2", "NAME=other name", "FOLDS=1 3"]
    given = parse(RunOptions, [*words, "DEVICE=cpu cuda:1"])
    started = Mock()
    started.return_value.wait.return_value = 0
    monkeypatch.setattr(folds.subprocess, "Popen", started)
    folds.train_side_by_side(given)
    *_, second = (call.args[0] for call in started.call_args_list)
    child = parse(RunOptions, second[4:])
    assert child == change(given, device="cuda:1")
    for call in started.call_args_list:  # this process says what concerns all
        monkeypatch.setattr(os, "environ", call.kwargs["env"])
        assert not first_process()


def test_a_fold_that_another_process_finishes_changes_no_other(
    options, trained_run, tmp_path, monkeypatch
):
    measure = folds.measure_clips

    def meanwhile(plan):
        finished = trained_run.fold(1)
        shutil.copytree(finished, plan.path / "fold1", dirs_exist_ok=True)
        return measure(plan)

    monkeypatch.setattr(folds, "measure_clips", meanwhile)
    run = run_with(options, runs=tmp_path / "other")
    for fold in (1, 2, 3):
        files = [each.fold(fold) / "predictions.csv" for each in (run, trained_run)]
        assert files[0].read_bytes() == files[1].read_bytes()
