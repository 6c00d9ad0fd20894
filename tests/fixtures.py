"""Fixtures of training and analysis. What is made once is made for all of
pytest-xdist's processes, which only read it.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.analysis import sections
from featurestack.analysis.figures import write_figure
from featurestack.analysis.report import build, tables
from featurestack.analysis.report.build import build_report
from featurestack.analysis.report.jobs import AnalysisOptions, jobs
from featurestack.analysis.report.runs import load_runs
from featurestack.base.files import Lock
from featurestack.base.json_content import digest
from featurestack.cli.parser import options_from
from featurestack.features_cache import external
from featurestack.results.run_folder import RunFolder, write_config, write_predictions
from featurestack.train import training
from tests.analysis.made_runs import (
    made_clips,
    make_run,
    make_runs,
    no_figures,
    of_sets,
)
from tests.golden.commands import ROOT
from tests.run_configs import named, run_config
from tests.train import sounds
from tests.train.small_cache import (
    FILLED,
    change,
    clip_table,
    fill,
    fill_with_tags,
    small_options,
)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Calls `make` with a folder of this name in the first process that asks; the path
    that it returned.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def path(name, make):
        folder, made = base / name, base / f"{name}.made"
        with Lock(base / f"{name}.lock"):
            if not made.exists():
                folder.mkdir(exist_ok=True)
                made.write_text(str(make(folder)))
        return Path(made.read_text())

    return path


# A little cache, options of a short run on it, and runs


@pytest.fixture(scope="session")
def cache_folder(made_once):
    return made_once(
        "cached",
        lambda folder: fill(folder / "little" / "features", clip_table(), FILLED),
    )


@pytest.fixture(scope="session")
def tags_cache(made_once):
    """A cache of clips with several labels or none."""
    return made_once(
        "tags_cache", lambda folder: fill_with_tags(folder / "mixed" / "features")
    )


@pytest.fixture
def options(cache_folder, tmp_path):
    return small_options(cache_folder, tmp_path / "runs")


@pytest.fixture(scope="session")
def trained_run(cache_folder, made_once):
    """The run of `options`; tests only read it."""

    def make(folder):
        return training.execute(small_options(cache_folder, folder / "runs")).path

    return RunFolder(made_once("trained_run", make))


@pytest.fixture
def run_copy(trained_run, options):
    """A copy of the run of `options` at its own path, which tests may change."""
    path = options.runs / "little" / trained_run.name
    shutil.copytree(trained_run.path, path)
    return RunFolder(path)


@pytest.fixture(scope="session")
def sounds_run(made_once):
    """A run on sounds that are easy to separate, beside their cache and their files;
    further runs may join it.
    """
    path = made_once("sounds_run", lambda folder: sounds.train_run(folder).path)
    return RunFolder(path)


@pytest.fixture(scope="session")
def short_clips_run(made_once):
    """A linear run on clips that are mostly far shorter than the longest, beside their
    cache and files.
    """

    def make(folder):
        given = {"model": "linear", "padding": "drop"}
        return sounds.train_run(folder, short=True, **given).path

    return RunFolder(made_once("short_clips_run", make))


@pytest.fixture
def shrunk_cache(tmp_path):
    """Options of a linear run that was trained on 48 clips; the cache now has 39 of
    them.
    """
    folder = fill(tmp_path / "little" / "features", clip_table())
    options = change(small_options(folder, tmp_path / "runs"), model="linear")
    training.execute(options)
    shutil.rmtree(folder)
    table = clip_table()
    left_out = table["clip_id"].str.endswith("-3") & (table["label"] != "cat")
    fill(folder, table[~left_out])
    return options


# Made-up runs


@pytest.fixture
def without_figures():
    with no_figures():
        yield


@pytest.fixture
def made_runs(tmp_path):
    """Made-up runs over shared clips, written and loaded: made(MadeRun(...), ...,
    clips=400, classes=10, folds=3).
    """

    def make(*runs, dataset="made", **given):
        clips = made_clips(**({"clips": 400, "classes": 10, "folds": 3} | given))
        return make_runs(tmp_path, clips, runs, dataset)

    return make


@pytest.fixture
def run_of_rows(tmp_path):
    """Writes and reads a run of these test clips: rows of clip_id, group, fold, target,
    probabilities.
    """

    def write(name, classes, rows, **config):
        folder = RunFolder(tmp_path / "hand" / name)
        columns = ["clip_id", "group", "fold", "target", "probabilities"]
        table = pd.DataFrame(rows, columns=columns)
        by_fold = table.assign(split="test", selection="last").groupby("fold")
        standard = {"dataset": "hand", "features": name, "classes": named(*classes)}
        standard |= {"folds": tuple(by_fold.groups), "family": digest([name, config])}
        write_config(folder.path, run_config(**(standard | config)))
        for fold, here in by_fold:
            probabilities = np.array(here["probabilities"].tolist(), np.float32)
            write_predictions(folder.fold(fold), here, probabilities, classes)
        ((run,), _) = load_runs([folder])
        return run

    return write


@dataclass(frozen=True)
class TonesProject:
    """A folder with audio files of tones, a cache of two random features, and made-up
    runs.
    """

    root: Path
    table: pd.DataFrame

    def options(self, **given):
        folders = {name: self.root / name for name in ("data", "runs", "reports")}
        return options_from(AnalysisOptions, {"dataset": "tones"} | folders | given)


CLASS_NAMES = ("<script>alert(1)</script>", "犬", "rain & wind", "$x$")


def tones(root):
    """The clip table of the project in this folder."""
    table = made_clips(clips=40, classes=4, names=CLASS_NAMES)
    table["path"] = [str(root / f"{clip}.wav") for clip in table["clip_id"]]
    return table


def make_tones_project(root):
    """Fill this folder, and return it."""
    table = tones(root)
    time = np.arange(8000) / 8000
    # the first clip's file is not there
    for path, label in zip(table["path"][1:], table["label"][1:]):
        tone = 0.3 * np.sin(2 * np.pi * 220 * (1 + CLASS_NAMES.index(label)) * time)
        soundfile.write(path, tone, 8000)
    cache = root / "data" / "tones" / "features"
    external.create_cache(cache, table, dataset="tones", sample_rate=8000, duration=1.0)
    rng = np.random.default_rng(0)
    ids = table["clip_id"].tolist()
    external.write_feature(cache, "mel", rng.normal(size=(40, 16, 30)), ids)
    external.write_feature(cache, "rms", rng.random((40, 1, 30)), ids)
    for made in of_sets(mel=0.8, mel_rms=0.6, rms=0.5):
        folder = make_run(root / "runs", table, made, "tones")
    for file in folder.glob("fold*/predictions.csv"):
        file.unlink()
    return root


# declared columns that only some metrics have
OF_SOME_REPORTS = {"average_precision", "low", "high", "prevalence", "auroc"}
OF_SOME_REPORTS |= {"recall_low", "recall_high"}


@pytest.fixture(scope="session")
def tones_project(made_once):
    """40 tones of four classes with awkward names, and three runs, of which one has no
    finished fold.
    """
    root = made_once("tones_project", make_tones_project)
    return TonesProject(root, tones(root))


def with_every_column(name, table):
    """`columns_of`, which here also refuses a table without a declared column."""
    columns = tables.columns_of(name, table)
    _, _, kind = name.rpartition(".")
    declared = tables.TABLES[f"<run>.{kind}" if kind != name else name].columns
    lacks = {own.name for own in declared} - {*table} - OF_SOME_REPORTS
    if lacks:
        raise ValueError(
            f"{name}.csv lacks declared columns: {', '.join(sorted(lacks))}"
        )
    return columns


def with_its_row(own, name, stem, *rest, **given):
    """`write_figure`, which here also refuses a figure without a row in formats.md."""
    run, _, kind = stem.rpartition(".")
    row = f"`<run>.{kind}`" if run else f"`{kind}`"
    if row not in (ROOT / "docs/reference/formats.md").read_text(encoding="utf-8"):
        raise ValueError(f"docs/reference/formats.md has no row for the figure {row}")
    return write_figure(own, name, stem, *rest, **given)


# in every report that a test writes
build.columns_of, sections.write_figure = with_every_column, with_its_row


@pytest.fixture(scope="session")
def report_page(tones_project, made_once):
    """The page of the project's report, made once."""

    def make(_):
        (job,) = jobs(tones_project.options())
        return build_report(job).page

    return made_once("report_page", make)
