"""The folds of a run that several processes train are those of one process."""

import pytest

from featurestack.commandline.options import option_words, texts
from featurestack.commandline.terminal import tell_once
from featurestack.results.run_folder import find
from featurestack.train import folds
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from tests.processes import python
from tests.train.little import change, execute


@pytest.mark.slow
@pytest.mark.parametrize("way", ["devices", "torchrun"])
def test_folds_of_several_processes_are_the_same_run(options, way):
    if way == "devices":
        execute(options, device="cpu cpu")
    else:
        torchrun = "torch.distributed.run", "--standalone", "--nproc_per_node", "2"
        words = option_words(options)
        done = python(
            "-m", *torchrun, "-m", "featurestack", "train", *words, timeout=600
        )
        assert done.stdout.count("3 of 3 folds") == 1  # the first process says it
    (spread,) = find(options.runs)
    alone = execute(options, runs=options.runs / "alone")
    assert alone.name == spread.name
    for number in (1, 2, 3):
        files = [run.fold(number) / "predictions.csv" for run in (spread, alone)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_process_ends_with_the_folds_of_the_others(options, monkeypatch):
    trained = []
    monkeypatch.setattr(
        folds, "train_run", lambda plan, share, device, bar: trained.append(share)
    )
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        folds.train_share(make_plan(options), [1, 2, 3, 4, 5], "cpu", None)
    assert trained == [[1, 3, 5, 4, 2], [2, 4, 5, 3, 1]]


def test_a_child_gets_what_was_given():
    words = ["AUGMENT=mask,mixup=0.2", "NAME=other name", "FOLDS=1 3"]
    given = RunOptions.build(texts(RunOptions, words))
    child = RunOptions.build(texts(RunOptions, folds.child_words(given, "cuda:1")))
    assert child == change(given, device="cuda:1")


@pytest.mark.parametrize(("free", "told"), [(95, True), (50, False)])
def test_a_card_that_nothing_uses_is_told_to_train_folds_side_by_side(
    free, told, monkeypatch, capsys
):
    tell_once.cache_clear()
    monkeypatch.setattr(folds.torch.cuda, "mem_get_info", lambda: (free, 100))
    folds.tell_idle_card(1)
    folds.tell_idle_card(3)
    assert ('DEVICE="cuda:0 cuda:0 cuda:0"' in capsys.readouterr().err) is told
