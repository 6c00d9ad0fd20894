"""Several runs: which, what is skipped, what fails; and the search that never sees a test fold."""

import dataclasses
import itertools

import numpy as np
import pytest

from commandline.options import texts, words
from commandline.terminal import percent
from features_cache import external
from results.run_folder import find
from tests.refusal import refused
from tests.train.little import CLASSES, clip_table, fill
from train import recipes, run, sweep
from train.options import RunOptions, SweepOptions


@pytest.fixture
def several(options):
    given = dataclasses.replace(options, model="linear", augment="auto", features="mel chroma")
    return SweepOptions.build(texts(SweepOptions, words(given)))


def change(options, *given):
    return SweepOptions.build({**options.given, **texts(SweepOptions, given)})


def table(options, *given):
    """Of these runs, which are trained."""
    done, _ = sweep.train_all(sweep.product(change(options, *given)))
    return done, sweep.table(done).splitlines()


def test_every_option_of_a_configuration_takes_a_list(several):
    lists = ["linear", "cnn4"], [0.001, 0.002], [0, 1], ["mel", "chroma"]
    jobs = sweep.product(change(several, "MODEL=linear cnn4", "SEED=0 1", "LR=0.001 0.002"))
    assert [(job.model, job.lr, job.seed, job.features) for job in jobs] == list(itertools.product(*lists))


def test_max_adds_the_unions_and_what_does_not_fit_is_passed_over(several, capsys):
    jobs = sweep.product(change(several, "FEATURES=mel chroma blank", "MAX=2"))
    assert [job.features for job in jobs] == [
        *("mel", "chroma", "blank", "mel+chroma", "mel+blank", "chroma+blank")
    ]
    jobs = sweep.product(change(several, "FEATURES=all", "MODEL=cnn4"))
    assert sorted(job.features for job in jobs) == ["blank", "chroma", "mel"]
    assert "skipped: waveform with cnn4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("LR=0.1 -1",), "LR=-1"),
        (("SEED=" + " ".join(map(str, range(51))),), "102 runs: give YES=1"),
        (("SEARCH=greedy", "MODEL=linear cnn4"), "give one MODEL"),
        (("SEARCH=greedy", "MODEL=m11"), "m11 can take none"),
        (("MODEL=m11",), "m11 can take none"),
    ],
)
def test_a_wrong_sweep_ends_before_its_first_run(several, given, message):
    wanted = change(several, *given)
    with refused(message):
        (sweep.greedy_search if wanted.search else sweep.run_sweep)(wanted)
    assert not list(several.runs.glob("*/*"))


def test_a_recipes_words_stand_before_the_users(several, tmp_path, monkeypatch):
    assert all(RunOptions.build({"recipe": name}).recipe == name for name in recipes.names())
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "short.txt").write_text("# as if it were a paper's\nEPOCHS=7\nBATCH=5\n\nAUGMENT=mixup=0.2\n")
    (tmp_path / "long.txt").write_text("EPOCHS=70\n")
    jobs = sweep.product(change(several, "RECIPE=short long", "FEATURES=mel", "BATCH=9"))
    assert [(job.recipe, job.epochs, job.batch) for job in jobs] == [("short", 2, 9), ("long", 2, 9)]
    (tmp_path / "sub").mkdir()
    own = (tmp_path / "short.txt").rename(tmp_path / "sub" / "mine.txt")
    by_path = RunOptions.build({"recipe": str(own), "epochs": "1"})
    assert (by_path.epochs, by_path.batch) == (1, 5)
    with refused(r"did you mean 'long'.* or the path of a \.txt file"):
        recipes.recipe_words("longs")


def test_finished_runs_are_skipped_and_a_failure_is_listed_at_the_end(several, capsys, monkeypatch):
    assert sweep.run_sweep(several) == 0
    before = {file: file.stat().st_mtime_ns for file in several.runs.glob("*/*/*/last.pt")}
    assert len(before) == 6
    execute = run.execute

    def broken(job):
        if job.features == "blank":
            raise ZeroDivisionError("a fault of ours")
        return execute(job)

    monkeypatch.setattr(run, "execute", broken)
    assert sweep.run_sweep(change(several, "FEATURES=mel blank chroma mel+chroma")) == 1
    printed = capsys.readouterr()
    failure = printed.err.splitlines()[-1]
    assert failure.startswith("failed: FEATURES=blank MODEL=linear")
    assert failure.endswith("SEED=0: ZeroDivisionError: a fault of ours")
    assert "mel+chroma-linear" in printed.out
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())


def test_the_search_ranks_by_validation_and_tests_the_winner_once(several, capsys):
    wanted = change(several, "FEATURES=blank mel", "SEARCH=greedy", "MAX=2", "SELECT=val_accuracy")
    assert sweep.greedy_search(wanted) == 0
    assert "nested selection: " in capsys.readouterr().out
    (winner,) = find(several.runs)
    assert winner.config["features"] == "mel" and winner.finished == winner.folds
    candidates = find(several.runs / "search")
    assert len(candidates) == 3  # two alone, one beside the better
    for folder in candidates:
        assert set(folder.predictions()["split"]) == {"val"}
        assert all(folder.history(fold)["test_loss"].isna().all() for fold in folder.folds)


def test_no_fold_chooses_by_clips_that_it_tests(several, tmp_path, capsys):
    """`leak` names the class of the clips of fold 1 and no other's, `weak` hints at every clip's."""
    table = clip_table()
    dataset = fill(tmp_path / "little" / "leaking", table)
    rng = np.random.default_rng(0)
    number = table["label"].map(CLASSES.index).to_numpy()
    leak = np.where(table["fold"] == 1, number, rng.integers(0, 4, len(table)))
    weak = 0.8 * np.eye(4)[number] + rng.normal(size=(len(table), 4))
    for name, rows in (("leak", 3 * np.eye(4)[leak]), ("weak", weak)):
        external.write_feature(dataset, name, rows[:, :, None].repeat(8, axis=2), table["clip_id"])
    wanted = change(several, f"DATASET={dataset}", "FEATURES=leak weak", "SEARCH=greedy", "MAX=1")
    assert sweep.greedy_search(wanted) == 0
    printed = capsys.readouterr().out.split("chosen without its clips")[1]
    chosen = [line.split()[:2] for line in printed.splitlines()[1:4]]
    assert chosen == [["1", "weak"], ["2", "leak"], ["3", "leak"]] and "n = 3 folds" in printed
    tested = {folder.config["features"]: folder.finished for folder in find(several.runs)}
    assert tested == {"leak": [2, 3], "weak": [1]}
    searched = find(several.runs / "search")
    loss = {folder.config["features"]: folder.scores("val")["loss"].mean() for folder in searched}
    assert loss["leak"] < loss["weak"]  # one choice for all folds would test the leak on fold 1


def test_a_sweeps_table_has_a_row_a_configuration_by_accuracy_with_its_interval(several):
    done, (header, first, _, note) = table(several, "SEED=0 1", "MODEL=cnn4", "EPOCHS=1")
    assert header.split("  ")[0] == "run" and header.endswith("  95 % CI  seeds")
    mel, chroma = (
        np.mean([folder.scores()["accuracy"] for folder in done if folder.config["features"] == name], axis=0)
        for name in ("mel", "chroma")
    )
    best, by_fold = max(("mel", mel), ("chroma", chroma), key=lambda pair: pair[1].mean())
    assert first.startswith(best) and first.endswith(" 2")
    assert f"{percent(by_fold.mean())} ± {percent(by_fold.std(ddof=1))}" in first
    assert "the best of 2 was chosen on test data" in note


def test_a_table_without_tests_is_of_validation(several):
    done, lines = table(several, "FEATURES=mel", "VAL=group next", "SKIP_TEST=1")
    assert "  validation accuracy %  " in lines[0] and "chosen on validation data" in lines[3]
    assert {line.split()[0] for line in lines[1:3]} == {folder.name for folder in done}
