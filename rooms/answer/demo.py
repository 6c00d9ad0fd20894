"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

STEPS are commands that a user could type: each is printed with its seconds and with
what it made. A second demo finds everything done.
"""

import contextlib
import io
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from featurestack.commandline.errors import Failed
from featurestack.commandline.options import (
    DataOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
)
from featurestack.commandline.quantities import counted, duration, percent, size
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import silenced

if TYPE_CHECKING:
    from featurestack.analysis.options import AnalysisOptions
    from featurestack.analysis.report_inputs import Built

Texts = Mapping[str, str]  # option -> its text
DATASET = "synth"


class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """The demo's folders and processes."""

    jobs: int | None = option(
        None, "processes for extraction; by default one per core", least=1, most=10000
    )


class DemoStep(NamedTuple):
    """One command of the demo.

    given   options of the command beside its dataset
    shared  options that the demo hands on
    take    does it; returns what it made, in a few words
    """

    command: str
    given: Texts
    shared: tuple[str, ...]
    take: Callable[[Texts], str]


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract every feature, train two feature sets, measure
    importance, analyse.
    """
    print("From nothing to a report, on sounds that are made here:", flush=True)
    for step in STEPS:
        given = {"dataset": DATASET, **step.given}
        for word in option_words(options, step.shared):
            name, _, text = word.partition("=")
            given[name.lower()] = text
        words = [f"{name.upper()}={text}" for name, text in given.items()]
        print(f"$ {make_command(step.command, *words)}", flush=True)
        begun = time.monotonic()
        made = step.take(given)
        print(f"  {made}   ({duration(time.monotonic() - begun)})", flush=True)
    return conclude(given)


# ---- the steps


def synthesise(given: Texts) -> str:
    """Make the clips."""
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.options import SourceOptions

    dataset = load(SourceOptions.build(given))
    classes = counted(dataset.table["label"].nunique(), "class")
    folds = counted(dataset.table["fold"].nunique(), "fold")
    clips = counted(len(dataset.table), "clip")
    return f"{clips} of {dataset.duration:g} s, {classes} in five pairs, {folds}"


def extract(given: Texts) -> str:
    """Extract every feature, with a bar."""
    from featurestack.features_cache.cache import open_cache
    from featurestack.pipeline import extract as extraction
    from featurestack.pipeline.options import FeaturesCommand

    options = FeaturesCommand.build(given)
    with contextlib.redirect_stdout(io.StringIO()):
        status = extraction.extract_features(options, propose=False)
    if status:
        raise Failed("clips failed: the command above names them")
    cache = open_cache(options.dataset, options.data)
    bytes_ = sum(file.stat().st_size for file in cache.folder.glob("*.h5"))
    features = counted(len(cache.features), "feature")
    return f"{features} of each clip, {size(bytes_)} in {cache.folder}"


def sweep(given: Texts) -> str:
    """Train each feature set on each fold."""
    from featurestack.results.run_folder import configuration_score
    from featurestack.train.options import SweepOptions
    from featurestack.train.sweep import product, train_all

    with silenced():
        runs, failures = train_all(product(SweepOptions.build(given)))
    for error in failures.values():
        raise error
    scores = [f"{run.name} {configuration_score([run])}" for run in runs]
    return ", ".join(scores)


def measure(given: Texts) -> str:
    """Fit every subset of the features."""
    from featurestack.rooms.importance.measure import measure_importance
    from featurestack.rooms.importance.options import ImportanceOptions
    from featurestack.rooms.importance.tables import importance_tables

    with silenced():
        folder = measure_importance(ImportanceOptions.build(given))
        kept = importance_tables(folder)["kept"].iloc[0]
    return (
        f"{kept['features']} {percent(kept['accuracy'])} %, all"
        f" {counted(len(folder.features), 'feature')} {percent(kept['of'])} %"
    )


def make_report(given: Texts) -> tuple["Built", "AnalysisOptions"]:
    """The report, made anew only if something has changed; and its options."""
    from featurestack.analysis.options import AnalysisOptions
    from featurestack.analysis.report import build_report
    from featurestack.analysis.report_inputs import jobs, unchanged

    options = AnalysisOptions.build(given)
    (job,) = jobs(options)
    return unchanged(job, options) or build_report(job, options), options


def report(given: Texts) -> str:
    """Make the report and the entry page."""
    from featurestack.analysis.overview import build_overview

    built, options = make_report(given)
    build_overview(options)
    return f"tables, figures and a page in {built.page.parent}"


STEPS = (
    DemoStep("data", {}, ("data",), synthesise),
    DemoStep("features", {}, ("data", "jobs"), extract),
    # a linear model on row statistics finds rhythm in the tempogram but not in mel
    DemoStep(
        "sweep",
        {"features": "mel mel+chroma+tempogram", "model": "linear"},
        ("data", "runs"),
        sweep,
    ),
    DemoStep(
        "importance",
        {"features": "mel mfcc chroma tempogram"},
        ("data", "runs"),
        measure,
    ),
    DemoStep("analysis", {}, ("data", "runs", "reports"), report),
)


# ---- after the steps


def conclude(given: Texts) -> int:
    """Print the finding, the page and the next command; 1 if the report lacks a part.

    given  the options of the report
    """
    built, _ = make_report(given)
    print()
    for remark in built.remarks:
        print(f"  {remark}")
    print(f"{DATASET}: {built.headline}")
    print(f"report: {built.page.resolve()}")
    print(f"next:   {built.next_command}")
    return 0 if built.whole else 1
