"""Lists of options: the product of lists, skipped and failing runs, the table."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from featurestack.commandline.options import option_words, texts
from featurestack.commandline.quantities import percent
from featurestack.train import run
from featurestack.train.options import TrainOptions
from tests.refusal import refused
from tests.train.little import clip_table, fill


@pytest.fixture
def several(options):
    given = dataclasses.replace(
        options, model="linear", augment="auto", features="mel chroma"
    )
    return TrainOptions.build(texts(TrainOptions, option_words(given)))


def change(options, *given):
    return TrainOptions.build({**options.given, **texts(TrainOptions, given)})


def table(options, *given):
    """The runs, trained, and the lines of their table."""
    done, _ = run.train_all(run.product(change(options, *given)))
    return done, run.table(done).splitlines()


def test_recordings_too_few_for_a_verdict_are_told_once(several, tmp_path, capsys):
    run.train(change(several, "FOLDS=1"))
    assert "difference" not in capsys.readouterr().err
    table = clip_table()
    table = table.assign(group=table["fold"].map("speaker {}".format))
    folder = tmp_path / "few" / "features"
    fill(folder, table, "mel chroma")
    run.train(change(several, f"DATASET={folder}", "FOLDS=1"))
    told = "3 source recordings can show no difference between runs"
    assert capsys.readouterr().err.count(told) == 1


def test_every_option_of_a_configuration_takes_a_list(several):
    lists = ["texturenet", "cnn4"], [0.001, 0.002], [0, 1], ["mel", "chroma"]
    jobs = run.product(
        change(several, "MODEL=texturenet cnn4", "SEED=0 1", "LR=0.001 0.002")
    )
    assert [(job.model, job.lr, job.seed, job.features) for job in jobs] == list(
        itertools.product(*lists)
    )


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("MODEL=resnet", "did you mean 'resnet18'"),
        ("MODEL=forest", "unknown model 'forest'. Known: aclnet"),
        ("FEATURES=mel+mffc", "did you mean 'mfcc'"),
        ("AUGMENT=shft", "did you mean 'shift'"),
        ("GRID=3y4", "GRID=3y4: expected rows x frames"),
        ("DEVICE=cda", "DEVICE=cda: expected one of auto, cpu"),
        ("THREADS=0", "THREADS=0: expected auto or a number"),
        ("WEIGHTS=none.pth", "WEIGHTS=none.pth: there is no such file"),
    ],
)
def test_names_are_looked_at_before_the_cache(word, said, tmp_path):
    words = ["DATASET=synth", f"DATA={tmp_path}", word]
    with refused(re.escape(said)):
        run.train(TrainOptions.build(texts(TrainOptions, words)))


@pytest.mark.parametrize(
    ("given", "seeds"), [((), [1, 1]), (("VAL=next",), [1, 1, 2, 2])]
)
def test_an_exact_model_is_trained_with_one_seed(several, capsys, given, seeds):
    jobs = run.product(change(several, "SEED=1 2", *given))
    assert [job.seed for job in jobs] == seeds
    assert ("one SEED is trained" in capsys.readouterr().err) == (not given)


def test_what_the_model_does_not_take_is_passed_over(several, capsys):
    jobs = run.product(change(several, "FEATURES=all", "MODEL=cnn4"))
    assert sorted(job.features for job in jobs) == ["blank", "chroma", "mel"]
    assert "skipped: waveform with cnn4" in capsys.readouterr().err


def test_finished_runs_are_skipped_and_a_failure_is_listed_at_the_end(
    several, capsys, monkeypatch
):
    assert run.train(several) == 0
    before = {
        file: file.stat().st_mtime_ns
        for file in several.runs()[0].runs.glob("*/*/*/last.pt")
    }
    assert len(before) == 6
    train_plan = run.train_plan

    def broken(job, *given):
        if job.features == "blank":
            raise ZeroDivisionError("a fault of ours")
        return train_plan(job, *given)

    monkeypatch.setattr(run, "train_plan", broken)
    assert run.train(change(several, "FEATURES=mel blank chroma mel+chroma")) == 1
    printed = capsys.readouterr()
    failure = printed.err.splitlines()[-1]
    assert failure.startswith("failed: FEATURES=blank MODEL=linear")
    assert failure.endswith("SEED=0: ZeroDivisionError: a fault of ours")
    assert "mel+chroma-linear" in printed.out
    assert "2 of 4 runs are finished already" in printed.err
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())


def test_the_table_has_a_row_a_configuration_by_accuracy_with_its_interval(
    several,
):
    done, (header, first, _, note) = table(
        several, "SEED=0 1", "MODEL=cnn4", "EPOCHS=1"
    )
    heads = ["run", "test accuracy %", "95 % CI", "SD over folds", "seeds"]
    assert re.split(" {2,}", header) == heads
    mel, chroma = (
        np.mean(
            [
                folder.scores()["accuracy"]
                for folder in done
                if folder.config.features == name
            ],
            axis=0,
        )
        for name in ("mel", "chroma")
    )
    best, by_fold = max(
        ("mel", mel), ("chroma", chroma), key=lambda pair: pair[1].mean()
    )
    name, score, _, *others = re.split(" {2,}", first)
    assert name.startswith(best) and score == percent(by_fold.mean())
    assert others == [percent(by_fold.std(ddof=1)), "2"]
    assert "the best of 2 was chosen on test data" in note
