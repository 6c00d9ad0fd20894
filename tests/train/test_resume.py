"""A run that is killed at any time and continued ends with the predictions of an
undisturbed one.
"""

import multiprocessing
import time

import pytest

from featurestack.base import files
from featurestack.base.files import Lock
from featurestack.results.run_folder import OF_FOLD, register_run
from featurestack.train import checkpoint, trainer, training
from featurestack.train.plan import make_plan
from tests.train.small_cache import change, small_options


def thorough(options, **changes):
    """A run that carries momentum and a best epoch from epoch to epoch."""
    carried = {"val": "group", "folds": (1,), "patience": 5}
    carried |= {"model": "cnn4", "augment": "mask,shift,gain,mixup=0.4"}
    carried |= {"features": "blank", "lr": 0.02}  # the first epoch is the best
    return change(options, **carried | changes)


def assert_same(one, other):
    """The same predictions by last.pt and best.pt, byte for byte; the same history but
    for the clock.
    """
    first, second = (folder.fold(1) / "predictions.csv" for folder in (one, other))
    assert first.read_bytes() == second.read_bytes()
    histories = [folder.history(1).drop(columns="seconds") for folder in (one, other)]
    assert histories[0].equals(histories[1])


@pytest.fixture
def each_epoch_is_stored(monkeypatch):
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)


@pytest.mark.usefixtures("each_epoch_is_stored")
@pytest.mark.parametrize(
    ("model", "features"),
    [
        ("cnn4", "blank"),
        ("resnet18", "blank+mel"),
        ("resnet18@fusion=streams", "blank+mel"),
    ],
)
def test_a_run_that_is_killed_goes_on_bit_by_bit(options, tmp_path, model, features):
    given = {"model": model, "features": features, "weights": "none"}
    long = thorough(options, epochs=9, patience=0, grid="32x32", **given)
    straight = training.execute(long)
    killed = change(long, runs=tmp_path / "killed")
    history = killed.runs / straight.dataset / straight.name / "fold1" / "history.csv"
    for epochs in (1, 4):
        forks = multiprocessing.get_context("fork")
        job = forks.Process(target=training.execute, args=[killed])
        job.start()
        while not history.exists() or history.read_bytes().count(b"\n") <= epochs:
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
    """The undisturbed run."""
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
