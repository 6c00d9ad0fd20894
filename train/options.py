"""The options of this package's commands, with each default written once.

Options that can change predictions are in
`featurestack/results/training_options.py`, because run.json keeps them.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from featurestack.base import options
from featurestack.base.errors import RequestError, shortened
from featurestack.base.quantities import number_of, whole_number
from featurestack.results.training_options import (
    Device,
    TaskName,
    Training,
    of_networks,
)

NATIVE = "native"  # value of GRID: the size of the largest channel
DEVICES = get_args(Device)
LARGEST_GRID = 2**24  # values; 64 MB in float32 for each channel and clip


class RunOptions(Training, options.DatasetOptions, options.RunsOptions):
    """Options of one run: one feature set and one model, trained once for each test
    fold, or each of FOLDS. The options added here do not change predictions.
    """

    leading = (
        "dataset",
        "features",
        "model",
        "folds",
        "seed",
        "epochs",
        "task",
        "device",
    )

    folds: tuple[int, ...] = options.option(
        (), "test folds to train; by default all; later commands can add others"
    )
    curve: int = of_networks(
        20,
        "how often the test fold is scored for the learning curve, less often if that"
        " would cost more than a tenth of the training; these scores select nothing; 0"
        " scores it only at the end",
        least=0,
    )
    tag: str = options.option(
        "", "suffix of the run folder, if two runs would share its name"
    )
    note: str = options.option("", "sentence for run.json, the tracker and the report")
    tracker: Literal["", "tensorboard", "wandb"] = options.option(
        "", "tensorboard or wandb, in addition to the CSV files", extra=True
    )


def parse_grid(text: str) -> tuple[int, int]:
    """GRID=128x216 as rows and frames."""
    first, _, second = text.partition("x")
    rows, frames = whole_number(first), whole_number(second)
    if min(rows, frames) < 1 or rows * frames > LARGEST_GRID:
        expected = f"rows x frames, as in 128x216, at most {LARGEST_GRID:,} values"
        raise RequestError(f"GRID={shortened(text)}: expected {expected}")
    return rows, frames


def require_device(text: str) -> None:
    """RequestError if DEVICE names no kind of device."""
    if text.partition(":")[0] not in ("auto", *DEVICES):
        raise RequestError(f"DEVICE={text}: expected one of auto, {', '.join(DEVICES)}")


def parse_number(text: str, refusal: str, most: float = 1.0) -> float:
    """A number from 0 to `most`, else RequestError with the message `refusal`."""
    try:
        number = number_of(text, float)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise RequestError(refusal)
    return number


class TrainOptions(options.Options):
    """Every combination of the values given, one run each.

    FEATURES accepts several sets, separated by spaces. Every option that can change
    predictions, except DEVICE, accepts a list.
    """

    example = 'FEATURES="mel mel+mfcc" MODEL="resnet18 texturenet" SEED="0 1 2"'

    shared = RunOptions
    leading = RunOptions.leading
    lists = frozenset(options.fields(Training)) - {"features", "device"}
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """option of a run -> its value, or the list of its values for one of `lists`"""

    @classmethod
    def build(cls, given: Mapping[str, Any]) -> Self:
        return cls(given=dict(given))

    def runs(self) -> list[RunOptions]:
        """Every combination of the lists; FEATURES stay as given."""
        lists = {n: values for n, values in self.given.items() if n in self.lists}
        combinations = itertools.product(*lists.values())
        return [
            RunOptions(**{**self.given, **dict(zip(lists, values))})
            for values in combinations
        ]


class FitOptions(options.DatasetOptions, options.RunsOptions):
    """Feature sets, to which ridge is fitted."""

    features: str
    task: TaskName = options.option(
        "auto",
        "labels to predict: classes, categories or tags; auto decides by the labels",
    )
