"""Several runs: which, what is skipped, what fails; and the search that never sees a test fold."""

import dataclasses

import numpy as np
import pytest

from commandline.options import parse, texts, words
from commandline.registry import RequestError
from commandline.terminal import percent
from features_cache import external, parse_set
from results import run_folder
from tests.train.little import CLASSES, clip_table, fill
from train import recipes, run, sweep
from train.options import RunOptions, SweepOptions


@pytest.fixture
def several(options: RunOptions) -> SweepOptions:
    given = dataclasses.replace(options, model="linear", augment="auto", features="mel chroma")
    return parse(SweepOptions, words(given))


def change(options: SweepOptions, *given: str) -> SweepOptions:
    return SweepOptions.build({**options.given, **texts(SweepOptions, given)})


def told(jobs) -> list[tuple[str, str, int]]:
    return [(job.features, job.model, job.seed) for job in jobs]


def test_the_product_of_the_lists(several):
    jobs = sweep.product(change(several, "MODEL=linear cnn4", "SEED=0 1"))
    assert told(jobs) == [
        (features, model, seed)
        for model in ("linear", "cnn4")
        for seed in (0, 1)
        for features in ("mel", "chroma")
    ]


def test_every_option_of_a_configuration_takes_a_list(several):
    given = [
        "MODEL=cnn4 linear",
        "LR=0.001 0.002",
        "GRID=16x16 32x32",
        "MODEL=linear",
        "SEED=0 1",
        "VAL=next",
    ]
    asked = parse(SweepOptions, [*words(several, ("dataset", "runs")), *given, "FEATURES=mel"])
    jobs = list(sweep.product(asked))
    assert [(job.model, job.grid, job.lr, job.seed) for job in jobs] == [
        ("linear", grid, lr, seed) for grid in ("16x16", "32x32") for lr in (0.001, 0.002) for seed in (0, 1)
    ]
    assert {job.val for job in jobs} == {"next"} and all(type(job) is RunOptions for job in jobs)
    with pytest.raises(RequestError, match="LR=-1"):
        list(parse(SweepOptions, ["LR=0.1 -1"]).runs_of_product())


def test_the_search_takes_one_model(several):
    with pytest.raises(RequestError, match="give one MODEL"):
        sweep.greedy_search(change(several, "MODEL=linear cnn4", "SEARCH=greedy"))


def test_max_adds_the_unions(several):
    jobs = told(sweep.product(change(several, "FEATURES=mel chroma blank", "MAX=2")))
    assert [features for features, *_ in jobs] == [
        *("mel", "chroma", "blank", "mel+chroma", "mel+blank", "chroma+blank")
    ]


def test_all_is_every_feature_alone_and_what_does_not_fit_is_passed_over(several, capsys):
    jobs = told(sweep.product(change(several, "FEATURES=all", "MODEL=cnn4")))
    assert sorted(features for features, *_ in jobs) == ["blank", "chroma", "mel"]
    assert "skipped: waveform with cnn4" in capsys.readouterr().err


def test_a_model_that_is_none_stops_the_sweep_before_its_first_run(several):
    with pytest.raises(RequestError, match="unknown model 'linea'; did you mean 'linear'"):
        sweep.run_sweep(change(several, "FEATURES=mel", "MODEL=linear linea"))
    assert not list(several.runs.glob("*/*"))


def test_a_recipes_words_stand_before_the_users(several, tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "short.txt").write_text("# as if it were a paper's\nEPOCHS=7\nBATCH=5\n\nAUGMENT=mixup=0.2\n")
    (tmp_path / "long.txt").write_text("EPOCHS=70\n")
    jobs = list(sweep.product(change(several, "RECIPE=short long", "FEATURES=mel", "BATCH=9")))
    assert [(job.recipe, job.epochs, job.batch) for job in jobs] == [
        ("short", 2, 9),
        ("long", 2, 9),
    ]  # EPOCHS=2 given
    assert parse(RunOptions, ["RECIPE=short", "EPOCHS=1"]).batch == 5
    with pytest.raises(RequestError, match="did you mean 'short'"):
        recipes.recipe_words("shorts")


def test_every_recipe_is_a_valid_request():
    for name in recipes.names():
        assert parse(RunOptions, [f"RECIPE={name}"]).recipe == name


def test_finished_runs_are_skipped_and_a_failure_is_listed_at_the_end(several, capsys, monkeypatch):
    assert sweep.run_sweep(several) == 0
    said = capsys.readouterr()
    assert "mel       linear" in said.out
    assert "Note: the best of 2 was chosen on test data, so its score is optimistic" in said.out
    before = {one: one.stat().st_mtime_ns for one in several.runs.glob("*/*/*/last.pt")}
    assert len(before) == 6
    execute = run.execute

    def broken(job, **how):
        if job.features == "blank":
            raise ZeroDivisionError("a fault of ours")
        return execute(job, **how)

    monkeypatch.setattr(run, "execute", broken)
    assert sweep.run_sweep(change(several, "FEATURES=mel blank chroma mel+chroma")) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "failed: blank linear seed 0: ZeroDivisionError: a fault of ours"
    assert "mel+chroma  linear" in said.out
    assert all(one.stat().st_mtime_ns == time for one, time in before.items())


def test_a_name_that_the_cache_lacks_stops_the_sweep_before_its_first_run(several):
    with pytest.raises(RequestError, match=r"did you mean FEATURES=mel"):
        sweep.run_sweep(change(several, "FEATURES=chroma mell"))
    assert not run_folder.find(several.runs)


def test_many_runs_are_asked_for_first(several, monkeypatch):
    monkeypatch.setattr(sweep, "MANY", 3)
    wanted = change(several, "SEED=0 1", "MODEL=linear cnn4")
    with pytest.raises(RequestError, match=r"8 runs, about .* give YES=1"):
        sweep.run_sweep(wanted)
    assert not run_folder.find(several.runs)
    assert sweep.run_sweep(change(several, "SEED=0 1", "YES=True")) == 0
    assert len(run_folder.find(several.runs)) == 4


def test_the_search_ranks_by_validation_and_tests_the_winner_once(several, capsys):
    wanted = change(several, "FEATURES=blank mel", "SEARCH=greedy", "MAX=2", "SELECT=val_accuracy")
    assert sweep.greedy_search(wanted) == 0
    said = capsys.readouterr()
    assert "now each is tested once" in said.err
    assert "chosen most often, by 3 of 3: mel;" in said.out  # blank adds nothing to it
    (winner,) = run_folder.find(several.runs)
    assert winner.config["features"] == "mel" and winner.complete
    candidates = run_folder.find(several.runs / "search")
    assert len(candidates) == 3  # two alone, one beside the better
    for one in candidates:
        assert set(one.predictions()["split"]) == {"val"}
        assert all(one.history(fold).filter(like="test_").isna().all(axis=None) for fold in one.folds)


def test_no_fold_chooses_by_clips_that_it_tests(several, tmp_path, capsys):
    """`leak` names the class of the clips of fold 1 and no other's, `weak` hints at every clip's."""
    table = clip_table()
    dataset = fill(tmp_path / "little" / "leaking", table)
    rng = np.random.default_rng(0)
    number = table["label"].map({name: place for place, name in enumerate(CLASSES)}).to_numpy()
    leak = np.where(table["fold"] == 1, number, rng.integers(0, 4, len(table)))
    weak = 0.8 * np.eye(4)[number] + rng.normal(size=(len(table), 4))
    for name, rows in (("leak", 3 * np.eye(4)[leak]), ("weak", weak)):
        external.write_feature(dataset, name, rows[:, :, None].repeat(8, axis=2), table["clip_id"])
    wanted = change(several, f"DATASET={dataset}", "FEATURES=leak weak", "SEARCH=greedy", "MAX=1")
    assert sweep.greedy_search(wanted) == 0
    said = capsys.readouterr().out.split("chosen without its clips")[1]
    assert [line.split()[:2] for line in said.splitlines()[1:4]] == [
        ["1", "weak"],
        ["2", "leak"],
        ["3", "leak"],
    ]
    assert "nested selection: " in said and "n = 3 folds" in said
    assert {one.config["features"]: one.finished for one in run_folder.find(several.runs)} == {
        "leak": [2, 3],
        "weak": [1],
    }
    loss = {
        one.config["features"]: one.scores("val")["loss"] for one in run_folder.find(several.runs / "search")
    }
    assert loss["leak"].mean() < loss["weak"].mean()  # one choice for all folds would test the leak on fold 1


def test_the_search_does_not_depend_on_the_test_fold(several, tmp_path, capsys):
    """Other labels in the only fold that is tested: the same choice, from the same scores."""
    table = clip_table()
    tested = table["fold"] == 1
    table.loc[tested, "label"] = table.loc[tested, "label"].iloc[::-1].to_numpy()
    dataset = fill(tmp_path / "little" / "turned", table)
    shown = []
    for data, name in ((several.dataset, "a"), (str(dataset), "b")):
        wanted = change(
            several, f"DATASET={data}", "FEATURES=blank chroma mel", "FOLDS=1", f"RUNS={tmp_path / name}"
        )
        assert sweep.greedy_search(wanted) == 0
        shown.append(
            [
                line
                for line in capsys.readouterr().out.splitlines()
                if line.startswith(("mel", "chroma", "blank"))
            ]
        )
    assert shown[0] == shown[1] and len(shown[0]) >= 3


def test_a_sweeps_table_has_a_row_a_configuration_by_accuracy_with_its_interval(several):
    done, _ = sweep.train_all(list(sweep.product(change(several, "SEED=0 1"))))
    lines = sweep.table(done).splitlines()
    assert lines[0].split("  ")[0] == "Features" and lines[0].endswith("seeds")
    for word in ("Model", "accuracy %", "95 % CI"):
        assert word in lines[0]
    accuracy = {}
    for one in done:
        accuracy.setdefault(one.config["features"], []).append(one.scores()["accuracy"])
    best = max(accuracy, key=lambda features: np.mean(accuracy[features]))
    by_fold = np.mean(accuracy[best], axis=0)
    assert lines[1].startswith(best) and lines[1].endswith(" 2")
    assert f"{percent(by_fold.mean())} ± {percent(by_fold.std(ddof=1))}" in lines[1]
    assert len(lines) == 4 and lines[-1].startswith("Note: the best of 2 was chosen on test data")


def test_the_table_of_runs_that_score_no_test_fold_is_of_validation(several):
    wanted = change(several, "VAL=group", "SKIP_TEST=True")
    done, _ = sweep.train_all(list(sweep.product(wanted)))
    header, *_, note = sweep.table(done).splitlines()
    assert "  validation accuracy %  " in header
    assert note == "Note: the best of 2 was chosen on validation data, so its score is optimistic"


def test_rows_that_would_read_alike_are_named(several):
    done, _ = sweep.train_all(list(sweep.product(change(several, "FEATURES=mel", "VAL=none next"))))
    lines = sweep.table(done).splitlines()
    assert lines[0].endswith("run") and {line.split()[-1] for line in lines[1:3]} == {
        one.name for one in done
    }


def test_the_table_counts_the_epoch_that_validation_chose(several):
    wanted = change(several, "FEATURES=chroma", "MODEL=linear cnn4", "VAL=group")
    done, _ = sweep.train_all(list(sweep.product(wanted)))
    exact, learned = done
    for fold in learned.folds:  # the best epoch right, the last one wrong
        table = learned.predictions(fold)
        right = table["target"].map(CLASSES.index) + (table["selection"] == "last")
        run_folder.write_predictions(learned.fold(fold), table, np.eye(4)[right % 4], CLASSES)
    done = exact, learned = exact, run_folder.RunFolder(learned.path)
    assert (exact.selection(), learned.selection()) == ("last", "best")
    assert learned.scores()["accuracy"].tolist() == [1, 1, 1]
    (row,) = (line for line in sweep.table(done).splitlines() if "cnn4" in line)
    assert "100.0 ± 0.0" in row
    chosen = sweep.FoldSearch(1, parse_set("chroma"))
    assert "nested selection: 100.0 %" in sweep.nested_result([chosen], {1: learned})
    for val, score in (("group", 1), ("none", 0)):  # a search without VAL tests the last epoch
        options = parse(RunOptions, [f"VAL={val}", "SELECT=val_accuracy"])
        assert sweep._validation_score([learned], options, 1) == score


def test_the_rest_of_a_sweep_takes_as_long_as_what_was_done_says():
    left = sweep.RemainingTime([0.0, 10.0, 10.0, 20.0])
    assert str(left) == " (about 40 s for the 4 runs that are left)"
    left.done, left.taken = 2, 30.0  # the first was finished before, the second took three times as long
    assert left.seconds == 90
    assert str(left) == " (about 1 min 30 s for the 2 runs that are left)"
    left.done = 3
    assert str(left) == ""


def test_only_what_is_not_finished_is_expected_to_take_time(several):
    jobs = list(sweep.product(change(several, "MODEL=linear cnn4")))
    run.execute(jobs[0])
    expected = sweep.expected_seconds(jobs)
    assert expected[0] == 0 and all(seconds > 0 for seconds in expected[1:])
    assert sweep.expected_seconds(jobs[1:2]) == [0.0]  # a run alone has an estimate of its own


def test_reading_clips_and_checking_the_arithmetic_count_in_what_a_quick_run_will_take(several, monkeypatch):
    monkeypatch.setattr(sweep.compute, "step_seconds", lambda *_: 0.0)
    jobs = list(sweep.product(change(several, "FEATURES=mel mel+chroma", "MODEL=cnn4")))
    assert all(seconds > 0 for seconds in sweep.expected_seconds(jobs))
    monkeypatch.setattr(sweep, "QUICK_SECONDS", -1.0)
    assert sweep.expected_seconds(jobs) == [0.0, 0.0]


def test_a_recipe_of_ones_own_is_a_file(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("# What I like.\nMODEL=cnn4\n\nEPOCHS=7\n")
    assert recipes.recipe_words(str(file)) == ["MODEL=cnn4", "EPOCHS=7"]
    assert parse(RunOptions, [f"RECIPE={file}"]).epochs == 7
    with pytest.raises(RequestError, match=r"or the path of a \.txt file"):
        recipes.recipe_words(str(tmp_path / "other.txt"))
