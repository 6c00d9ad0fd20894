"""SEED= draws the folds of a run where a dataset's folds are drawn, and only there."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis.report.runs import load_runs, rankings
from featurestack.base.options import part_of
from featurestack.comparison.compare import compare
from featurestack.features_cache import index_file
from featurestack.features_cache.cache import Cache
from featurestack.predict.bundle import bundle_of_run
from featurestack.results import run_folder
from featurestack.results.run_folder import find
from featurestack.train import training
from featurestack.train.fits import DRAWINGS, read_features
from featurestack.train.options import FitOptions
from featurestack.train.plan import make_plan
from tests.golden.commands import command, done, inside
from tests.noise import write_clips
from tests.processes import python
from tests.refusal import refused
from tests.train.small_cache import change, clip_table, fill, run_with, small_options


@pytest.fixture(scope="module")
def drawn_cache(tmp_path_factory):
    """The small cache, as if its folds had been drawn."""
    folder = tmp_path_factory.mktemp("drawn") / "little" / "features"
    cache = Cache(fill(folder, clip_table(), "mel chroma"))
    settings = cache.settings | {"folds_drawn": 1}
    index_file.refresh(folder, cache.sources, settings)
    return folder


@pytest.fixture
def drawn_options(drawn_cache, tmp_path):
    return small_options(drawn_cache, tmp_path / "runs")


def ridge_of(options, **changes):
    return run_with(options, model="ridge", **changes)


def folds_of(run):
    return run.predictions()["fold"].sort_index()


@pytest.fixture(scope="module")
def runs_of_seeds(drawn_cache, tmp_path_factory):
    """Features -> their runs of three seeds."""
    options = small_options(drawn_cache, tmp_path_factory.mktemp("seeds"))
    return {
        features: [ridge_of(options, seed=n, features=features) for n in range(3)]
        for features in ("mel", "chroma")
    }


def test_each_seed_has_folds_of_its_own_that_split_no_recording(runs_of_seeds):
    runs = runs_of_seeds["mel"]
    table = clip_table().set_index("clip_id")
    assert folds_of(runs[0]).equals(table["fold"].sort_index().rename_axis(None))
    for run in runs:
        rows = run.predictions()
        assert sorted(rows.index) == sorted(table.index)
        assert rows.groupby("group")["fold"].nunique().max() == 1
        assert (pd.crosstab(rows["fold"], rows["target"]) == 4).all(axis=None)
        assert run.config.sounds.keys() == {"1", "2", "3"}
    parts = {tuple(pd.factorize(folds_of(run))[0]) for run in runs}
    assert len(parts) == 3
    first, second = runs[0].config, runs[1].config
    assert (first.clips, first.family) == (second.clips, second.family)
    assert first.hash != second.hash
    assert first.sounds != second.sounds


def test_a_seed_draws_the_same_folds_in_every_process_and_for_every_feature(
    drawn_options, drawn_cache
):
    code = (
        "from pathlib import Path; from featurestack.features_cache.cache import Cache;"
        "from featurestack.features_cache.folds import redrawn;"
        f"print(*redrawn(Cache(Path({str(drawn_cache)!r})).clips, 1)['fold'])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1"}  # here it is drawn
    printed = python("-c", code, environment=environment).stdout
    tables = [
        make_plan(change(drawn_options, model="ridge", seed=1, features=features)).table
        for features in ("mel", "chroma")
    ]
    assert printed.split() == [*map(str, tables[0]["fold"])]
    assert tables[1]["fold"].equals(tables[0]["fold"])


def test_seeds_are_one_row_whose_answers_are_averaged_by_clip(runs_of_seeds):
    every = [run for runs in runs_of_seeds.values() for run in runs]
    loaded, problems = load_runs(every)
    assert problems == []
    (ranking,) = rankings(loaded)
    assert [run.seeds for run in ranking.runs] == [(0, 1, 2)] * 2
    assert ranking.drawings == 3
    run = ranking.best
    each = [run_folder.tested_run([folder]).parts for folder in run.folders]
    assert run.parts == pytest.approx(np.mean(each, axis=0))
    table = training.table(every).splitlines()
    assert [line.split()[-1] for line in table[1:3]] == ["3", "3"]
    # a list of runs is one model: its scores are those of the row
    found = compare(runs_of_seeds)
    rows = [
        (run.features, run.score.value, run.score.low, run.score.high)
        for run in ranking.runs
    ]
    columns = ["model", "score", "low", "high"]
    assert [*found.table[columns].itertuples(index=False, name=None)] == rows
    assert "3 drawings of 3 folds" in found.sentence
    alone = compare({features: own[1] for features, own in runs_of_seeds.items()})
    assert "drawings" not in alone.sentence


def test_fits_are_repeated_on_the_drawings_of_the_seeds(drawn_options):
    """What importance and the choice of an answer read equals runs of five seeds."""
    options = part_of(drawn_options, FitOptions, features="mel")
    _, fits = read_features(options, least=1)
    fits = replace(fits, repeats=True)
    runs = [ridge_of(drawn_options, seed=seed) for seed in range(DRAWINGS)]
    assert fits.protocol == "5 drawings of 3 folds"
    found, trained = fits.repeated("mel"), run_folder.tested_run(runs)
    # runs order their clips by name
    by_name = np.argsort(fits.plan.cache.clips["clip_id"][fits.tested_clips])
    assert np.array_equal(found.groups[by_name], trained.groups)
    assert np.array_equal(found.folds[:, by_name], trained.folds)
    assert np.array_equal(found.decisions[:, by_name], trained.decisions)
    ours, theirs = found.score, trained.score
    assert (ours.value, ours.interval) == (theirs.value, theirs.interval)


def test_runs_of_other_drawings_are_compared_and_runs_of_other_folds_are_not(
    drawn_options, tmp_path
):
    mel = ridge_of(drawn_options)
    chroma = ridge_of(drawn_options, features="chroma", seed=1)
    compare({"mel": mel, "chroma": chroma})
    assert len(rankings(load_runs([mel, chroma])[0])) == 1
    table = clip_table()
    turned = table.assign(fold=np.where(table["fold"] == 1, 2, 1))
    other = fill(tmp_path / "other" / "little" / "features", turned, "chroma")
    hand = ridge_of(drawn_options, dataset=str(other), features="chroma")
    assert len(rankings(load_runs([mel, hand])[0])) == 2
    with refused("they have other folds"):
        compare({"mel": mel, "hand": hand})


def test_folds_are_validated_and_bundled_within_a_drawing(drawn_options, runs_of_seeds):
    run = runs_of_seeds["mel"][1]
    split = make_plan(change(drawn_options, seed=1, val="next")).split(1)
    fold_of = folds_of(run)
    assert {*fold_of[split.test]} == {1}
    assert {*fold_of[split.val]} == {2}
    _, models = bundle_of_run(run)
    assert [*models] == [1, 2, 3]


def test_a_run_of_a_seed_before_its_folds_were_drawn_is_another(
    drawn_options, drawn_cache
):
    """An index of before does not say whether the folds were drawn."""
    cache = Cache(drawn_cache)
    settings = {k: v for k, v in cache.settings.items() if k != "folds_drawn"}
    try:
        index_file.refresh(drawn_cache, cache.sources, settings)
        former = [run_with(drawn_options, epochs=1, seed=seed) for seed in (0, 1)]
    finally:
        index_file.refresh(drawn_cache, cache.sources, cache.settings)
    now = [run_with(drawn_options, epochs=1, seed=seed) for seed in (0, 1, 2)]
    assert now[0].path == former[0].path
    assert now[1].path != former[1].path
    assert folds_of(former[1]).equals(folds_of(former[0]))
    assert not folds_of(now[1]).equals(folds_of(former[1]))
    ((run,), problems) = load_runs([now[0], now[1], now[2]])
    assert (run.seeds, problems) == ((0, 1, 2), [])


# ---- what says whether folds were drawn

SEEDS = "train DATASET={} FEATURES=rms MODEL=ridge SEED='0 1 2'"


def edit(file):
    """Give some clips other folds, as a person does."""
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows.loc[:2, "fold"] = rows["fold"][:3].map(lambda own: "12"[own < "2"])
    rows.to_csv(file, index=False)


def extract(words=""):
    done(f"features DATASET=birds FEATURES=rms JOBS=1 {words}")


def drawn_folds():
    extract()


def edited_folds_with_another_clip():
    """`check` adds its row to the edited file."""
    extract()
    edit(Path("data/birds/folds.csv"))
    write_clips(Path("birds"), "ant", clips=9)
    command("check DATASET=birds")
    assert "ant_8" in Path("data/birds/folds.csv").read_text()
    extract()


def one_fold_for_each_speaker():
    extract("GROUP='_(.)'")


def folds_of_a_table():
    files = sorted(Path("birds").rglob("*.wav"))
    rows = [f"{file},{file.parent.name},{n % 4 + 1}" for n, file in enumerate(files)]
    Path("birds.csv").write_text("\n".join(["filename,label,fold", *rows]))
    done("features DATASET=birds.csv FEATURES=rms JOBS=1")


@pytest.mark.parametrize(
    ("way", "trained"),
    [
        (drawn_folds, 3),
        (edited_folds_with_another_clip, 1),
        (one_fold_for_each_speaker, 1),
        (folds_of_a_table, 1),
    ],
)
def test_only_drawn_folds_are_drawn_again(tmp_path, way, trained):
    write_clips(tmp_path / "birds", "ant", "bee", "cat", clips=8)
    with inside(tmp_path):
        way()
        place = "birds.csv" if way is folds_of_a_table else "birds"
        said = done(SEEDS.format(place)).err
        runs = find("runs")
        drawings = {tuple(folds_of(run)) for run in runs}
    assert len(runs) == len(drawings) == trained
    assert ("one seed is trained" in said) == (trained == 1)
