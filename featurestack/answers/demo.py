"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

Each step is a command that a user could type: it is printed with its seconds and with
what it made. A second demo finds everything done.
"""

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

from featurestack.base.options import (
    DataOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
)
from featurestack.base.quantities import counted, duration, size
from featurestack.base.shell import make_command
from featurestack.base.terminal import silenced, status_of

DATASET = "synth"
DEMO_FEATURES = "mel mfcc chroma tempogram"  # those that a step reads
# a minute of training: without weights from elsewhere, few of the usual 40 epochs
SHORT = {"grid": "32x40", "batch": 16, "epochs": 15, "weights": "none"}
OWN = "   (the same on a folder of your own, one sub-folder per class)"


class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """The demo's folders and processes."""

    jobs: int | None = option(
        None, "processes for extraction; by default one per core", least=1, most=10000
    )


@contextlib.contextmanager
def step(
    options: DemoOptions, word: str, *shared: str, **given: Any
) -> Iterator[tuple[dict[str, Any], Callable[[str], None]]]:
    """Print a command with its options, including those that the demo hands on. The
    body runs it and tells in a few words what it made.
    """
    given = {"dataset": DATASET, **given}
    words = [f"{name.upper()}={text}" for name, text in given.items()]
    command = make_command(word, *words, *option_words(options, shared))
    print(f"$ {command}", flush=True)
    made: list[str] = []
    begun = time.monotonic()
    yield {**given, **{name: getattr(options, name) for name in shared}}, made.append
    took = duration(time.monotonic() - begun)
    print(f"  {' '.join(made)}   ({took})", flush=True)


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract four features, train ResNet-18 and a linear model,
    analyse.
    """
    from featurestack.analysis.report.build import build_report
    from featurestack.analysis.report.jobs import AnalysisOptions, jobs
    from featurestack.features_cache.cache import cache_of
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.extract import extract_features
    from featurestack.pipeline.options import FeaturesCommand, SourceOptions
    from featurestack.results.run_folder import tested_run
    from featurestack.results.training_options import FROM_SCRATCH
    from featurestack.train.options import RunOptions
    from featurestack.train.training import execute

    print("From nothing to a report on synthetic sounds:", flush=True)
    with step(options, "data", "data") as (given, tell):
        table = load(SourceOptions(**given)).table
        classes = counted(table["label"].nunique(), "class")
        folds = counted(table["fold"].nunique(), "fold")
        tell(f"{counted(len(table), 'clip')}, {classes} in five pairs, {folds}")
    with step(options, "features", "data", "jobs", features=DEMO_FEATURES) as (
        given,
        tell,
    ):
        with contextlib.redirect_stdout(io.StringIO()):  # a bar is enough
            extract_features(FeaturesCommand(**given))
        cache = cache_of(DATASET, options.data)
        bytes_ = sum(file.stat().st_size for file in cache.folder.glob("*.h5"))
        features = counted(len(cache.features), "feature")
        tell(f"{features} of each clip, {size(bytes_)} in {cache.folder}")
    stack = {"features": "mel+mfcc+chroma", "model": "resnet18"}
    with step(options, "train", "data", "runs", **stack, **SHORT) as (given, tell):
        run = execute(RunOptions(**given))  # a line for each fold
        tell(
            f"ResNet-18 {tested_run([run]).score}; a short training,"
            f" {given['epochs']} epochs instead of {FROM_SCRATCH['epochs']}"
        )
    # a linear model on row statistics finds rhythm in the tempogram but not in mel
    two = {"features": "mel mel+chroma+tempogram", "model": "linear"}
    with step(options, "train", "data", "runs", **two) as (given, tell):
        sets = given["features"].split()
        with silenced():
            runs = [execute(RunOptions(**given | {"features": one})) for one in sets]
        tell(", ".join(f"{run.name} {tested_run([run]).score}" for run in runs))
    with step(options, "analysis", "data", "runs", "reports") as (given, tell):
        (job,) = jobs(AnalysisOptions(**given))
        report = build_report(job)
        tell(f"tables, figures and a page in {report.page.parent}")
    print()
    for remark in report.remarks:
        print(f"  {remark}")
    print(f"{DATASET}: {report.headline} These are synthetic data.")
    print(*(line for line in report.lines if line.startswith("report:")), sep="\n")
    print(f"next:   {make_command('answer', 'DATASET=my sounds')}{OWN}")
    return status_of(report.whole)
