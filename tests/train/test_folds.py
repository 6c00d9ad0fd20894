"""The folds of a run that several processes train are those of one process."""

import shutil

import pytest

from featurestack.base.options import option_words
from featurestack.results.run_folder import find
from featurestack.train import folds
from tests.processes import python
from tests.train.small_cache import run_with


@pytest.mark.slow
def test_folds_of_several_processes_are_the_same_run(options):
    torchrun = "torch.distributed.run", "--standalone", "--nproc_per_node", "2"
    words = option_words(options)
    done = python("-m", *torchrun, "-m", "featurestack", "train", *words, timeout=600)
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


def test_a_fold_that_another_process_finishes_changes_no_other(
    options, trained_run, tmp_path, monkeypatch
):
    choose = folds.free_fold

    def meanwhile(path, left):
        if left == [1, 2, 3]:
            shutil.copytree(trained_run.fold(1), path / "fold1", dirs_exist_ok=True)
        return choose(path, left)

    monkeypatch.setattr(folds, "free_fold", meanwhile)
    run = run_with(options, runs=tmp_path / "other")
    for fold in (1, 2, 3):
        files = [each.fold(fold) / "predictions.csv" for each in (run, trained_run)]
        assert files[0].read_bytes() == files[1].read_bytes()
