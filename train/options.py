"""The options of this package's commands, with each default written once.

Options that can change predictions are in `results/training_options.py`, because
run.json keeps them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Literal, Self

from featurestack.commandline.errors import RequestError, shortened
from featurestack.commandline.options import (
    DatasetOptions,
    Options,
    RunsOptions,
    fields,
    option,
)
from featurestack.commandline.quantities import whole_number
from featurestack.results.training_options import FIRST, Training
from featurestack.train.recipes import recipe_words

of_networks = functools.partial(option, needs="steps")

LARGEST_GRID = 2**24  # values; 64 MB in float32 for each channel and clip


class Execution(Options):
    """How a run is computed, followed and called; nothing here changes its
    predictions.
    """

    folds: tuple[int, ...] = option(
        (), "test folds to train, all by default; later calls may add others"
    )
    recipe: str = option(
        "",
        "named setting, or a .txt file of your own: its values replace the defaults of"
        " other options",
        expands=recipe_words,
        sweep=FIRST,
    )
    curve: int = of_networks(
        20,
        "how often the test fold is scored for the learning curve, less often if that"
        " would cost more than a tenth of the training; no choice uses these scores; 0"
        " scores at the end only",
        least=0,
    )
    resident: Literal["auto", "gpu", "ram", "stream"] = of_networks(
        "auto", "memory for the features while training; results are the same"
    )
    retrain: bool = option(
        False,
        "train a run of other clips or feature values again in its place; the old one"
        " stays until the new one is finished",
    )
    wait: bool = option(
        False,
        "wait for another process that trains the same fold instead of being refused",
    )
    min_accuracy: float = option(
        0.0,
        "exit status 1 if the score of the finished folds is below this, as 0.8; for"
        " tests of a program",
        least=0,
        most=1,
    )
    tag: str = option("", "suffix of the folder's name, for runs that would share it")
    note: str = option("", "sentence for run.json, the tracker and the report")
    tracker: str = of_networks("", "tensorboard, wandb, or both, besides the CSV files")
    tracker_dir: str = of_networks(
        "", "folder of the tracker's files; by default inside the run folder"
    )


class RunOptions(Execution, Training, DatasetOptions, RunsOptions):
    """One run: one feature set and one model, trained once for each test fold or for
    those of FOLDS.
    """

    leading = (
        *("dataset", "features", "model", "recipe", "folds", "seed", "epochs"),
        *("task", "device", "retrain"),
    )


def swept_options() -> list[str]:
    """The options that a sweep takes as lists, besides FEATURES, the outermost loop
    first.
    """
    places = {}
    for name, field in fields(RunOptions).items():
        place = field.metadata.get("sweep")
        if place is not None:
            places[name] = place
    return sorted(places, key=places.__getitem__)


def parse_grid(text: str, name: str = "GRID") -> tuple[int, int]:
    """`128x216` as rows and frames; RequestError that names the option `name` for
    anything else.
    """
    first, _, second = text.partition("x")
    rows, frames = whole_number(first), whole_number(second)
    if min(rows, frames) < 1 or rows * frames > LARGEST_GRID:
        expected = f"rows x frames, as in 128x216, at most {LARGEST_GRID:,} values"
        raise RequestError(f"{name}={shortened(text)}: expected {expected}")
    return rows, frames


def parse_number(text: str, refusal: str, most: float = 1.0) -> float:
    """A number from 0 to `most`; RequestError with the sentence `refusal` for anything
    else.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise RequestError(refusal)
    return number


class SweepOptions(Options):
    """Several runs: every combination of the values given.

    RECIPE, FEATURES and the options that can change predictions take lists, except
    DEVICE and SKIP_TEST.
    """

    example = 'FEATURES="mel mel+mfcc" MODEL="resnet18 texture" SEED="0 1 2"'

    shared = RunOptions
    leading = ("dataset", "features", "model", "seed", "recipe", "max", "folds")
    max: int = option(
        1, "most named features in one set: 2 adds every pair", least=1, most=10
    )
    yes: bool = option(False, "start more than 100 runs without asking")
    given: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """field -> text of a run's option, or of a list of its values"""

    @classmethod
    def build(cls, given: Mapping[str, str]) -> Self:
        known = fields(RunOptions)
        of_runs = {name: text for name, text in given.items() if name in known}
        own = {name: text for name, text in given.items() if name not in known}
        return dataclasses.replace(super().build(own), given=of_runs)

    def runs(self) -> list[RunOptions]:
        """Every combination of the lists, parsed as a run with its recipe; FEATURES
        stay as given.
        """
        lists = {
            name: dict.fromkeys(self.given[name].split() or [""])
            for name in swept_options()
            if name in self.given
        }
        combinations = itertools.product(*lists.values())
        return [
            RunOptions.build({**self.given, **dict(zip(lists, values))})
            for values in combinations
        ]
