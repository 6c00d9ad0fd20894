"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

Each step is a command that a user could type: it is printed, and prints what it prints
for them. A second demo finds everything done.
"""

from collections.abc import Mapping
from typing import Any

from featurestack.base.options import (
    DataOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
    text_of,
)
from featurestack.base.shell import make_command
from featurestack.base.terminal import status_of

DATASET = "synth"
FEATURES = "mel mfcc chroma tempogram"  # those that a step reads
EPOCHS = 6  # two minutes
TRAININGS: tuple[Mapping[str, Any], ...] = (
    {
        "features": "mel+mfcc+chroma",
        "model": ["resnet18"],
        "grid": ["64x108"],
        "epochs": [EPOCHS],
        "weights": ["none"],
    },
    # a linear model on row statistics finds rhythm in the tempogram but not in mel
    {"features": "mel mel+chroma+tempogram", "model": ["linear"]},
)
OWN = "   (the same on a folder of your own, one sub-folder per class)"


class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """The demo's folders and processes."""

    jobs: int | None = option(
        None, "processes for extraction; by default one per core", least=1, most=10000
    )


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract four features, train ResNet-18 and a linear model,
    analyse.
    """
    from featurestack.analysis.report import build_report
    from featurestack.analysis.report_jobs import AnalysisOptions, jobs
    from featurestack.pipeline.datasets.load import make_dataset
    from featurestack.pipeline.extract import extract_features
    from featurestack.pipeline.options import AlterOptions, FeaturesCommand
    from featurestack.results.training_options import FROM_SCRATCH
    from featurestack.train.options import TrainOptions
    from featurestack.train.training import train

    def step(word: str, *shared: str, **given: Any) -> dict[str, Any]:
        """Print a command and return its options, which are `given` and `shared`."""
        given = {"dataset": DATASET, **given}
        words = [f"{name.upper()}={text_of(value)}" for name, value in given.items()]
        words += option_words(options, shared)
        print(f"\n$ {make_command(word, *words)}", flush=True)
        return given | {name: getattr(options, name) for name in shared}

    usual = FROM_SCRATCH["epochs"]
    print("From nothing to a report, on sounds that are made here.")
    print(f"ResNet-18 is trained for {EPOCHS} epochs instead of {usual}.", flush=True)
    make_dataset(AlterOptions(**step("data", "data")))
    given = step("features", "data", "jobs", features=FEATURES)
    extract_features(FeaturesCommand(**given))
    for training in TRAININGS:
        train(TrainOptions(given=step("train", "data", "runs", **training)))
    given = step("analysis", "data", "runs", "reports")
    (job,) = jobs(AnalysisOptions(**given))
    report = build_report(job)
    for remark in report.remarks:
        print(f"  {remark}")
    print(f"{DATASET}: {report.headline} These are synthetic data.")
    print(*(line for line in report.lines if line.startswith("report:")), sep="\n")
    print(f"next:   {make_command('answer', 'DATASET=my sounds')}{OWN}")
    return status_of(report.whole)
