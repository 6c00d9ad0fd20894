"""A run that is killed at any time and continued, or that several processes train, ends
with the predictions of an undisturbed one.
"""

import multiprocessing
import shutil
import time

import pytest

from featurestack.base import files
from featurestack.base.files import Lock
from featurestack.base.options import option_words
from featurestack.results.run_folder import OF_FOLD, find, register_run
from featurestack.train import checkpoint, folds, trainer, training
from featurestack.train.plan import make_plan
from tests.processes import python
from tests.train.small_cache import change, run_with, small_options


def thorough(options, **changes):
    """A run that carries momentum and a best epoch from epoch to epoch."""
    carried = {"val": "group", "folds": (1,), "patience": 5}
    carried |= {"model": "cnn4", "augment": "mask,shift,gain,mixup=0.4"}
    carried |= {"features": "blank", "lr": 0.02}  # the first epoch is the best
    return change(options, **carried | changes)


def assert_same(one, other, fold=1):
    """The same predictions by last.pt and best.pt, byte for byte; the same history but
    for the clock.
    """
    runs = one, other
    first, second = (run.fold(fold) / "predictions.csv" for run in runs)
    assert first.read_bytes() == second.read_bytes()
    histories = [run.history(fold).drop(columns="seconds") for run in runs]
    assert histories[0].equals(histories[1])


@pytest.fixture
def each_epoch_is_stored(monkeypatch):
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)


@pytest.mark.usefixtures("each_epoch_is_stored")
@pytest.mark.parametrize(
    ("model", "features", "epochs"),
    [("cnn4", "blank", 9), ("resnet18@fusion=streams", "blank+mel", 4)],
)
def test_a_run_that_is_killed_goes_on_bit_by_bit(
    options, tmp_path, model, features, epochs
):
    given = {"model": model, "features": features, "weights": "none"}
    long = thorough(options, epochs=epochs, patience=0, grid="32x32", **given)
    straight = training.execute(long)
    killed = change(long, runs=tmp_path / "killed")
    history = killed.runs / straight.dataset / straight.name / "fold1" / "history.csv"
    for before_kill in (1, epochs // 2):
        forks = multiprocessing.get_context("fork")
        job = forks.Process(target=training.execute, args=[killed])
        job.start()
        while not history.exists() or history.read_bytes().count(b"\n") <= before_kill:
            assert job.is_alive(), "it ended before it was killed"
            time.sleep(0.002)
        job.kill()
        job.join()
        before = history.read_bytes()
        assert not (history.parent / "predictions.csv").exists(), (
            "it was finished before it was killed"
        )
    continued = training.execute(killed)
    whole = before[: before.rfind(b"\n") + 1]
    assert history.read_bytes().startswith(whole)  # its rows stay byte for byte
    assert_same(straight, continued)


@pytest.fixture(scope="module")
def undisturbed_run(cache_folder, tmp_path_factory):
    options = small_options(cache_folder, tmp_path_factory.mktemp("uncut"))
    return training.execute(thorough(options, epochs=2))


class Killed(KeyboardInterrupt):
    """Ctrl-C in the middle of a write."""


@pytest.mark.usefixtures("each_epoch_is_stored")
@pytest.mark.parametrize("at", range(5))
def test_wherever_the_writing_is_cut_off(options, undisturbed_run, monkeypatch, at):
    """Each file of an epoch is cut off before it is written, each row in its middle."""
    written = []
    append = checkpoint.append_history

    def cut(write):
        def perhaps(file, content):
            if len(written) == at:
                if write is append:
                    with (file / "history.csv").open("a") as handle:
                        (row,) = content
                        handle.write(row[: len(row) // 2])
                raise Killed
            written.append(file)
            return write(file, content)

        return perhaps

    with monkeypatch.context() as writing, pytest.raises(Killed):
        writing.setattr(checkpoint, "save", cut(checkpoint.save))
        writing.setattr(checkpoint, "append_history", cut(append))
        training.execute(thorough(options, epochs=2))
    assert_same(undisturbed_run, training.execute(thorough(options, epochs=2)))


def test_a_checkpoint_has_the_rows_and_the_best_epoch_since_the_last_one(
    options, undisturbed_run, monkeypatch
):
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 1e6)
    stored = []
    save = checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda *given: stored.append(given[0].name) or save(*given)
    )
    assert_same(undisturbed_run, training.execute(thorough(options, epochs=2)))
    assert stored == ["best.pt", "last.pt"]


def test_a_second_process_waits_for_a_fold_and_goes_on_when_the_first_ends(
    options, monkeypatch
):
    folder = make_plan(options).path / "fold1"
    register_run(folder.parent, (1,), OF_FOLD)  # as the first process does
    folder.mkdir(parents=True)
    lock = Lock(folder / ".lock")
    assert lock.take()
    said = []

    def first_ends(message):  # when the second one says that it waits
        said.append(message)
        lock.release()

    monkeypatch.setattr(files, "tell", first_ends)
    trained = training.execute(change(options, folds=(1,)))
    assert trained.finished == [1]
    (waits,) = said
    assert waits.endswith("is being trained by another process: this one waits")


@pytest.mark.slow
def test_folds_of_several_processes_are_the_same_run(options):
    torchrun = "torch.distributed.run", "--standalone", "--nproc_per_node", "2"
    words = option_words(options)
    done = python("-m", *torchrun, "-m", "featurestack", "train", *words, timeout=600)
    assert done.stdout.count("3 of 3 folds") == 1  # the first process says it
    (spread,) = find(options.runs)
    alone = run_with(options, runs=options.runs / "alone")
    assert alone.name == spread.name
    for fold in (1, 2, 3):
        assert_same(spread, alone, fold)


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
        assert_same(run, trained_run, fold)
