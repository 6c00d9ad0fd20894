"""The first cell of every notebook: `from course import *`.

`check("tone", answer)` passes, or raises NotYet: a notebook shows one sentence that
says what to look at without the answer. `reveal(prediction, found)` prints a prediction
next to the result. A check calls an answer with the arguments below and compares what
it returns; the right functions are in answers.py, which students do not get.
"""

import hashlib
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import featurestack as fs
from featurestack.analysis.figures import STYLE
from featurestack.base.quantities import counted

HERE = Path.cwd()
FOLDER = HERE.parent if (HERE.parent / "pyproject.toml").exists() else HERE  # a clone
DATA, RUNS, REPORTS = FOLDER / "data", FOLDER / "runs" / "course", FOLDER / "reports"
# In a clone, a dataset's folder and models/ are relative to it, as in a terminal there.
os.chdir(FOLDER)
sys.path.append(str(HERE))  # this module's own folder
plt.style.use(STYLE)  # one style for the report's figures and the notebooks
__all__ = ["DATA", "REPORTS", "RUNS", "Path", "answered", "beside", "check"]
__all__ += ["draw_block", "draw_kernels", "draw_stack", "fs", "legend_beside"]
__all__ += ["np", "pd", "plt", "reveal", "sounds_of"]


class NotYet(AssertionError):
    """An answer that is missing or wrong; Jupyter shows only the sentence."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def called(answer: Any, *arguments: Any) -> Any:
    """The answer of a function, or a value that is an answer itself."""
    given = answer(*arguments) if callable(answer) else answer
    need(not is_open(given), "the function still returns ...")
    return given


def failure(error: Exception, answer: Any) -> str:
    """An error in words, and the line of the answer's own code where it was raised."""
    module = getattr(answer, "__module__", None)
    frames = traceback.walk_tb(error.__traceback__)
    own = [pair for pair in frames if pair[0].f_globals.get("__name__") == module]
    lines = [f" in `{frame.line}`" for frame in traceback.StackSummary.extract(own)]
    return f"{type(error).__name__}: {error}{''.join(lines[-1:])}"


class Question(NamedTuple):
    hint: str  # the sentence after a wrong answer
    tried: list[tuple[tuple[Any, ...], Any]]  # arguments -> what is right for them
    within: float = 1e-6  # how far numbers may lie from the right ones
    value: Callable[..., Any] = called  # (answer, *arguments) -> what is compared

    def compare(self, answer: Any) -> None:
        for arguments, right in self.tried:
            try:
                given = self.value(answer, *arguments)
            except NotYet:
                raise
            except Exception as error:  # the student's code raises anything
                raise NotYet(f"your answer failed: {failure(error, answer)}") from error
            need(same(given, right, self.within), self.hint)


def check(name: str, answer: Any) -> None:
    """Check the answer to a question; NotYet says what to look at if it is wrong."""
    need(not is_open(answer), "there is no answer here: replace the ...")
    QUESTIONS[name].compare(answer)
    print("Right.")


def answered(name: str, answer: Any) -> None:
    """Say nothing if the answer to an earlier question is right; else raise NotYet, so
    that a cell that uses it does not fail in another way.
    """
    need(not is_open(answer), f"this cell uses the answer to {name!r}: give it first")
    QUESTIONS[name].compare(answer)


def reveal(prediction: Any, found: Any) -> None:
    """Print a prediction next to the result; a wrong one is not an error. Lists and
    dictionaries are compared item by item; a list in `found` holds results that are
    equally right.
    """
    need(not is_open(prediction), "write a prediction first; a wrong one costs nothing")
    pairs = [("", prediction, found)]
    if isinstance(prediction, list):
        prediction, found = (dict(enumerate(x, 1)) for x in (prediction, found))
    if isinstance(prediction, dict):
        pairs = [(f"{key}: ", prediction[key], value) for key, value in found.items()]
    for name, predicted, value in pairs:
        print(f"{name}you predicted {shown(predicted)}, found: {shown(value)}")


def shown(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(shown, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def is_open(answer: Any) -> bool:
    """Whether an answer still has `...`."""
    if isinstance(answer, dict):
        return any(map(is_open, answer.values()))
    if isinstance(answer, list | tuple | set):
        return any(map(is_open, answer))
    return answer is ...


def need(holds: Any, sentence: str) -> None:
    if not holds:
        raise NotYet(sentence)


def same(given: Any, right: Any, within: float) -> bool:
    if isinstance(right, set | str | bool):
        return bool(given == right)
    try:
        numbers = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        return False
    alike = numbers.shape == np.shape(right)
    return alike and np.allclose(numbers, right, rtol=0, atol=within)


# ---- The dataset's classes


class Sounds(NamedTuple):
    """The classes of a dataset that the sessions look at, by what they show."""

    pairs: dict[str, tuple[str, str]]  # pairs that a feature should separate
    beats: str  # a rhythm
    tones: str  # partials
    bells: str  # a tone, to be separated from the next
    knocks: str  # short sounds
    own: tuple[str, ...]  # recordings that stand in for the student's own

    @property
    def classes(self) -> list[str]:
        return sorted({label for pair in self.pairs.values() for label in pair})


SYNTHETIC = Sounds(
    {
        "chimes": ("chimes_in_c", "chimes_in_f_sharp"),
        "beats": ("steady_beat", "galloping_beat"),
        "drones": ("hollow_drone", "bright_drone"),
        "noises": ("hiss", "rumble"),
        "bursts": ("knocks", "swells"),
    },
    beats="galloping_beat",
    tones="bright_drone",
    bells="chimes_in_c",
    knocks="knocks",
    own=("knocks", "hiss", "steady_beat"),
)
ESC10 = Sounds(  # ESC-50 has these classes too
    {
        "animals": ("dog", "rooster"),
        "people": ("crying_baby", "sneezing"),
        "motors": ("chainsaw", "helicopter"),
        "water": ("rain", "sea_waves"),
        "ticks": ("clock_tick", "crackling_fire"),
    },
    beats="clock_tick",
    tones="crying_baby",
    bells="crying_baby",
    knocks="clock_tick",
    own=("dog", "rain", "clock_tick"),
)


def sounds_of(table: pd.DataFrame) -> Sounds:
    """The classes to look at in a table of clips: those of the synthetic dataset or of
    ESC-10, else the first ten in pairs.
    """
    labels = sorted(set(table.label.dropna()))
    for sounds in (SYNTHETIC, ESC10):
        if {*sounds.classes} <= {*labels}:
            return sounds
    need(len(labels) > 1, "the course needs two classes or more")
    pairs = dict(enumerate(zip(labels[:10:2], labels[1:10:2])))
    named = {" or ".join(pair): pair for pair in pairs.values()}
    first, second = labels[:2]
    return Sounds(named, first, second, second, first, tuple(labels[:3]))


# ---- The same sets on other sounds

MEASURED = Path(fs.__file__).resolve().parents[1] / "docs/tables/course.csv"


def beside(found: dict[str, float]) -> pd.DataFrame:
    """Accuracy by feature set in percent: `found` on fold 1, then as it was measured
    with the same settings, on fold 1 and on several folds with its interval.
    """
    columns = {"yours, fold 1": 100 * pd.Series(found)}
    if not MEASURED.exists():  # without a clone
        return pd.DataFrame(columns)
    measured = pd.read_csv(MEASURED)
    kinds = [name for name in ("dataset", "model") if measured[name].nunique() > 1]
    for values, rows in measured.groupby(kinds, sort=False):
        rows = rows.set_index("features").dropna(axis=1)
        name, folds = ", ".join(values), rows.columns.str.startswith("fold").sum()
        columns[f"{name}, fold 1"] = rows["fold1"]
        columns[f"{name}, {counted(folds, 'fold')}"] = pd.Series(
            [
                f"{r.accuracy:.1f} ({r.low:.0f} to {r.high:.0f})"
                for r in rows.itertuples()
            ],
            rows.index,
        )
    table = pd.DataFrame(columns).round(1).astype(object).fillna("")
    return table.sort_index(key=lambda names: names.str.len())


# ---- Pictures


def legend_beside(ax: Any, **given: Any) -> None:
    """A legend to the right of what is drawn."""
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), **given)


def draw_stack(x: Any, names: list[str]) -> None:
    """The channels (3, rows, frames) of a clip, and all three as red, green and blue
    of one image.
    """
    low, high = np.percentile(x, (2, 98), axis=(1, 2), keepdims=True)
    shares = np.clip((np.asarray(x) - low) / (high - low), 0, 1)
    _, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True, layout="constrained")
    for ax, name, share, colour in zip(
        axes, names, shares, ("Reds", "Greens", "Blues")
    ):
        ax.imshow(share, origin="lower", aspect="auto", cmap=f"{colour}_r")
        ax.set(title=name, xlabel="frame of the grid")
    axes[3].imshow(np.moveaxis(shares, 0, 2), origin="lower", aspect="auto")
    axes[3].set(title="what the network gets", xlabel="frame of the grid")
    axes[0].set_ylabel("row of the grid")


def draw_block() -> None:
    """A residual block: its layers from left to right, and the skip connection."""
    layers = "conv\n3x3", "batch\nnorm", "ReLU", "conv\n3x3", "batch\nnorm", "+", "ReLU"
    _, ax = plt.subplots(figsize=(9, 2), layout="constrained")
    arrow = {"arrowstyle": "->", "linewidth": 1.2}
    box = {"boxstyle": "round", "facecolor": "#e8eef5", "edgecolor": "#5a6b7d"}
    for place, name in enumerate(["input", *layers, "output"]):
        is_layer = name in layers
        ax.text(
            place, 0, name, ha="center", va="center", bbox=box if is_layer else None
        )
        if place:
            ax.annotate("", (place - 0.38, 0), (place - 0.62, 0), arrowprops=arrow)
    skip = {**arrow, "connectionstyle": "arc3,rad=-0.25", "color": "#b3501b"}
    ax.annotate("", (6, 0.3), (0, 0.3), arrowprops=skip)
    ax.text(3, 1.35, "skip connection", ha="center", color="#b3501b")
    ax.set(xlim=(-0.5, 8.5), ylim=(-0.5, 1.7))
    ax.axis("off")


def draw_kernels(**weights: Any) -> None:
    """The first 16 kernels (kernels, channels, 7, 7) of each convolution, over their
    first channel; a convolution is a row with shades of its own.
    """
    size = 9, 0.75 * len(weights)
    _, axes = plt.subplots(len(weights), 16, figsize=size, layout="constrained")
    for row, (name, kernels) in zip(axes, weights.items()):
        bound = np.abs(kernels[:16, 0]).max()
        for ax, kernel in zip(row, kernels[:, 0]):
            ax.imshow(kernel, cmap="PuOr", vmin=-bound, vmax=bound)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")


# ---- What is compared, where it is not what a function returns


def of_tone(answer: Any, pitch: float) -> Any:
    spectrum = fs.compute(fs.tone(pitch), "stft")
    return called(answer, spectrum.values, spectrum.rows)


def digest(answer: Any) -> str:
    """A set of names as a fingerprint, from which nobody can read it."""
    need(isinstance(answer, set), "give a set of names")
    return hashlib.sha256(" ".join(sorted(answer)).encode()).hexdigest()[:16]


def of_mfcc(answer: Any, mel: Any) -> Any:
    given = np.asarray(called(answer, mel))
    need(given.ndim == 2, "return 40 rows, with a column for each frame")
    return [*given.shape, *given[[0, 1, 2, -1], 0]]


def of_maps(answer: Any, training: Any, tested: Any) -> Any:
    """Shape, mean and deviation of each row, and one value."""
    given = np.asarray(called(answer, training, tested))
    need(given.shape == tested.shape, "return as many values as `tested` has")
    return [*given.mean(axis=(0, 2)), *given.std(axis=(0, 2)), given[0, 0, 0]]


def of_block(answer: Any) -> Any:
    """Whether the shape stays, a ReLU is last, and without weights relu(x) is left."""
    import torch

    x = torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(0))
    network = called(answer, 8).eval()
    y = network(x).detach()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    return [y.shape == x.shape, (y >= 0).all(), torch.allclose(network(x), x.relu())]


def of_names(pattern: str) -> list[bool]:
    """Which of three names have the same source recording as the first."""
    days = "kettle-2024-05-01-b", "kettle-2024-06-11-a", "tap-2024-05-01-a"
    named = []
    for name in ("kettle-2024-05-01-a", *days):
        found = re.search(pattern, name)
        if found is None or not found.groups():
            raise NotYet(f"in {name} the pattern finds no part in parentheses")
        named.append(found[1])
    return [name == named[0] for name in named[1:]]


def of_f1(answer: Any, scores: Any, present: Any) -> float:
    chosen = scores > called(answer, scores, present)
    return 2 * (chosen & present).sum() / max(1, chosen.sum() + present.sum())


# ---- The questions


PARTS = np.random.default_rng(0).normal(size=(2, 500))
MEL = np.random.default_rng(1).normal(-30, 9, (128, 5))
FISHER = np.array([[0.0, 5], [2, 1], [10, 3], [12, 3]]), np.array([*"aabb"])
CLIPS = pd.DataFrame({"group": [str(number // 3) for number in range(30)]})
ANSWERS = pd.DataFrame({"target": [*"abca"], "a": 0.4, "b": 0.3, "c": 0.3})
MAPS = np.arange(24.0).reshape(2, 3, 4), np.arange(12.0).reshape(1, 3, 4) ** 2
UP_AND_DOWN = pd.DataFrame({"test_accuracy": [0.2, np.nan, 0.7, np.nan, 0.6]})
UP = pd.DataFrame({"test_accuracy": [0.3, 0.5]})
DOG_AND_HEN = pd.DataFrame(
    {"target": ["dog", "hen"], "dog": [0.35, 0.4], "hen": [0.25, 0.3], "rain": 0.4}
)
CATEGORIES = {"dog": "animals", "hen": "animals", "rain": "nature"}
FOLDS = [0.5, 0.6, 0.7, 0.5, 0.6], [0.6, 0.8, 0.7, 0.7, 0.6]
SCORES, PRESENT = np.array([0.7, 0.1, 0.8, 0.9]), np.array([True, False, False, True])
LOSSES = [2.3, 1.9, 2.1, 1.8, 1.9, 2.0, 1.9, 1.2]

QUESTIONS: dict[str, Question] = {
    "tone": Question(
        "find the row with the highest level of the whole clip; give its frequency, Hz",
        [((220,), 220), ((1000,), 1000), ((5000,), 5000)],
        within=22,
        value=of_tone,
    ),
    "frames": Question(
        "this is not librosa's number, which is whole: the first frame is centred on"
        " the first sample",
        [((220_500, 512), 431), ((11_025, 441), 26), ((220, 512), 1)],
    ),
    "harmonic share": Question(
        "energy is the sum of squares: compare with the sum of both energies",
        [((PARTS[0], 3 * PARTS[0]), 0.1), ((PARTS[0], 0 * PARTS[1]), 1.0)],
    ),
    "loudness": Question(
        "a name is missing or wrong: compute each of the five features again, before"
        " and after",
        [((), "a9076784578ddf5c")],
        value=digest,
    ),
    "mfcc": Question(
        "transform the rows of each frame, orthonormally (norm of dct), and keep 40",
        [((MEL,), [40, 5, -343.007, 1.907, 7.461, -2.234])],
        within=1e-3,
        value=of_mfcc,
    ),
    "fisher": Question(
        "divide the variance of the classes' means by the mean of the variances within"
        " the classes, each divided by n as np.var does; the second of two columns here"
        " gives 0",
        [(FISHER, [25, 0])],
    ),
    "megabytes": Question(
        "a float16 has two bytes; a megabyte is a million bytes here",
        [((2000, 128, 431), 220.672), ((10, 1, 50), 0.001)],
    ),
    "leaked": Question(
        "return the set of the groups that both tables have, all of them and no others",
        [
            ((CLIPS[:15], CLIPS[15:]), set()),
            ((CLIPS[:10], CLIPS[10:]), {"3"}),
            ((CLIPS[::2], CLIPS[1::2]), set("0123456789")),
        ],
    ),
    "accuracy": Question(
        "compare the class of the highest probability with the target, from 0 to 1",
        [((ANSWERS, [*"abc"]), 0.5), ((ANSWERS[:1], [*"abc"]), 1.0)],
    ),
    "standardised": Question(
        "mean and deviation belong to a row, over the clips and frames of training;"
        " nothing is measured on the tested clips",
        [
            (
                MAPS,
                [
                    -0.655386,
                    3.276928,
                    12.452325,
                    0.573462,
                    2.021694,
                    3.484385,
                    -1.228848,
                ],
            ),
            ((MAPS[0], MAPS[0]), [0, 0, 0, 1, 1, 1, -1.228848]),
        ],
        within=1e-4,
        value=of_maps,
    ),
    "optimism": Question(
        "highest minus last; epochs in which the test fold was not scored are empty",
        [((UP_AND_DOWN,), 0.1), ((UP,), 0.0)],
    ),
    "block": Question(
        "pad the 3x3 convolutions, so that the shape stays; add the input; a ReLU comes"
        " last",
        [((), [True, True, True])],
        value=of_block,
    ),
    "block parameters": Question(
        "a batch norm has two numbers per channel, a convolution here no bias; the 1x1"
        " shortcut, where the channels change, has weights too",
        [((64, 64), 73_984), ((64, 128), 230_144), ((3, 5), 405)],
    ),
    "stopping": Question(
        "count the epochs from 1; every lower loss starts the count of patience again;"
        " without a stop all epochs are trained",
        [((LOSSES, 2), (6, 4)), ((LOSSES, 1), (3, 2)), ((LOSSES, 4), (8, 8))],
    ),
    "categories": Question(
        "add the probabilities of a category before you compare",
        [((DOG_AND_HEN, CATEGORIES), 1.0)],
    ),
    "difference": Question(
        "how much more the second has, fold by fold: mean and deviation of the"
        " differences; five folds are a sample, so divide by n - 1 (ddof=1)",
        [((np.array(FOLDS[0]), np.array(FOLDS[1])), (0.1, 0.1))],
    ),
    "mcnemar": Question(
        "toss a fair coin b + c times; the test has two sides, and is at most 1",
        [((5, 5), 1), ((1, 9), 11 / 512), ((9, 1), 11 / 512), ((0, 6), 1 / 32)],
    ),
    "groups": Question(
        "kettle-2024-05-01-a and -b are one recording; another day or a tap is another",
        [((), [True, False, False])],
        value=of_names,
    ),
    "half width": Question(
        "that is not half of a 95 % interval: one standard error holds in 68 %",
        [((0.8, 50), 0.1109), ((0.8, 100), 0.0784), ((0.8, 400), 0.0392)],
        within=1e-3,
    ),
    "average precision": Question(
        "sort by score; only the places of clips with the label count",
        [((SCORES, SCORES > 0.5), 1.0), ((SCORES, PRESENT), 5 / 6)],
    ),
    "threshold": Question(
        "another threshold gives a higher F1: try them all",
        [((SCORES / 2, PRESENT), 0.8), ((SCORES, PRESENT), 0.8)],
        value=of_f1,
    ),
}
