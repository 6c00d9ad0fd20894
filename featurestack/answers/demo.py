"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

STEPS are commands that a user could type: each is printed with its seconds and with
what it made. A second demo finds everything done.
"""

import contextlib
import io
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from featurestack import functions
from featurestack.commandline.errors import make_command
from featurestack.commandline.next_step import State, next_step
from featurestack.commandline.options import (
    DataOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
)
from featurestack.commandline.quantities import counted, duration, size
from featurestack.interface import clips

DATASET = "synth"
FEATURES = "mel mfcc chroma tempogram"  # those that a step reads
# two minutes of training: without weights from elsewhere, few of the usual 40 epochs
SHORT = {"grid": "64x108", "epochs": "6", "weights": "none"}
OWN = "   (the same on a folder of your own, one sub-folder per class)"


class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """The demo's folders and processes."""

    jobs: int | None = option(
        None, "processes for extraction; by default one per core", least=1, most=10000
    )


class DemoStep(NamedTuple):
    """One command of the demo.

    given   options of the command other than its dataset
    shared  options that the demo hands on
    take    does it by the functions of `featurestack`; what it made, in a few words
    """

    command: str
    given: Mapping[str, str]
    shared: tuple[str, ...]
    take: Callable[..., str]


def synthesise(**given: Any) -> str:
    table = clips(**given)
    classes = counted(table["label"].nunique(), "class")
    folds = counted(table["fold"].nunique(), "fold")
    return f"{counted(len(table), 'clip')}, {classes} in five pairs, {folds}"


def extract(**given: Any) -> str:
    with contextlib.redirect_stdout(io.StringIO()):  # a bar is enough
        cache = functions.extract(**given)
    bytes_ = sum(file.stat().st_size for file in cache.folder.glob("*.h5"))
    features = counted(len(cache.features), "feature")
    return f"{features} of each clip, {size(bytes_)} in {cache.folder}"


def train(epochs: str, **given: Any) -> str:
    from featurestack.results.run_folder import configuration_score
    from featurestack.train.options import FROM_SCRATCH

    run = functions.fit(epochs=int(epochs), quiet=True, **given)
    usual = FROM_SCRATCH["epochs"]
    return (
        f"ResNet-18 {configuration_score([run])}; a short training, {epochs} epochs"
        f" instead of {usual}"
    )


def compare(features: str, **given: Any) -> str:
    from featurestack.results.run_folder import configuration_score

    runs = functions.fit(features=features.split(), quiet=True, **given)
    return ", ".join(f"{run.name} {configuration_score([run])}" for run in runs)


def report(**given: Any) -> str:
    return f"tables, figures and a page in {functions.report(**given).page.parent}"


STEPS = (
    DemoStep("data", {}, ("data",), synthesise),
    DemoStep("features", {"features": FEATURES}, ("data", "jobs"), extract),
    DemoStep(
        "train",
        {"features": "mel+mfcc+chroma", "model": "resnet18", **SHORT},
        ("data", "runs"),
        train,
    ),
    # a linear model on row statistics finds rhythm in the tempogram but not in mel
    DemoStep(
        "train",
        {"features": "mel mel+chroma+tempogram", "model": "linear"},
        ("data", "runs"),
        compare,
    ),
    DemoStep("analysis", {}, ("data", "runs", "reports"), report),
)


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract four features, train ResNet-18 and a linear model,
    analyse.
    """
    print("From nothing to a report, on sounds that are made here:", flush=True)
    for step in STEPS:
        given = {"dataset": DATASET, **step.given}
        words = [f"{name.upper()}={text}" for name, text in given.items()]
        words += option_words(options, step.shared)
        print(f"$ {make_command(step.command, *words)}", flush=True)
        places = {name: getattr(options, name) for name in step.shared}
        begun = time.monotonic()
        made = step.take(**given, **places)
        print(f"  {made}   ({duration(time.monotonic() - begun)})", flush=True)
    # it is there already; of one dataset it is a `Built`
    built: Any = functions.report(**{"dataset": DATASET, **places})
    print()
    for remark in built.remarks:
        print(f"  {remark}")
    print(f"{DATASET}: {built.headline}")
    print(f"report: {built.page.resolve()}")
    command, _ = next_step(State((), synthetic=True))
    print(f"next:   {command}{OWN}")
    return 0 if built.whole else 1
