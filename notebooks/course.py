"""The first cell of every notebook: `from course import *`.

`check("tone", answer)` passes, or raises NotYet: a notebook shows one sentence that
says what to look at without the answer. `reveal(prediction, found)` prints a prediction
beside the result. The right answers stand below, one function for each question.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from scipy.fft import dct

import featurestack as fs
from featurestack.train.models.resnet import basic_block

HERE = Path.cwd()
FOLDER = HERE.parent if (HERE.parent / "pyproject.toml").exists() else HERE  # a clone
DATA, RUNS, REPORTS = FOLDER / "data", FOLDER / "runs", FOLDER / "reports"
__all__ = ["DATA", "REPORTS", "RUNS", "Path", "answered", "check"]
__all__ += ["fs", "np", "pd", "plt", "reveal"]


class NotYet(AssertionError):
    """An answer that is missing or wrong; Jupyter shows the sentence alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


class Question(NamedTuple):
    right: Any  # the right answer: a function, or a value
    tried: Sequence[Iterable[Any]]  # the arguments of each trial
    hint: str  # the sentence after a wrong answer
    within: float  # how far numbers may lie from the right ones
    value: Callable[..., Any]  # (answer, *arguments) -> what is compared

    def compare(self, answer: Any) -> None:
        for arguments in self.tried:
            given = self.value(answer, *arguments)
            right = self.value(self.right, *arguments)
            need(same(given, right, self.within), self.hint)


QUESTIONS: dict[str, Question] = {}


def called(answer: Any, *arguments: Any) -> Any:
    """The answer of a function, or a value that is an answer itself."""
    given = answer(*arguments) if callable(answer) else answer
    need(not is_open(given), "the function still returns ...")
    return given


def question(
    name: str,
    *tried: Iterable[Any],
    within: float = 1e-6,
    value: Callable[..., Any] = called,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of the right answer; its docstring is what a wrong one is told."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        right = function if signature(function).parameters else function()
        hint = " ".join(str(function.__doc__).split())
        QUESTIONS[name] = Question(right, tried or ((),), hint, within, value)
        return function

    return decorate


def check(name: str, answer: Any) -> None:
    """Check the answer to a question; NotYet says what to look at if it is wrong."""
    need(not is_open(answer), "there is no answer here: put one where ... stands")
    QUESTIONS[name].compare(answer)
    print("Right.")


def answered(name: str, answer: Any) -> None:
    """Say nothing if the answer to an earlier question is right; else NotYet, so that a
    cell that uses it does not fail in another way.
    """
    need(not is_open(answer), f"this cell uses the answer to {name!r}: give it first")
    QUESTIONS[name].compare(answer)


def reveal(prediction: Any, found: Any) -> None:
    """Print a prediction beside the result; a wrong one is no error. Lists and
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
    """Whether `...` still stands in an answer."""
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


# ---- 1 Listen and look


def of_tone(answer: Any, pitch: float) -> Any:
    spectrum = fs.compute(fs.tone(pitch), "stft")
    return called(answer, spectrum.values, spectrum.rows)


@question("tone", (220,), (1000,), (5000,), within=22, value=of_tone)
def peak_hertz(spectrum, hertz):
    """the tone is the row with the highest level of the whole clip; give one number"""
    return hertz[spectrum.mean(axis=1).argmax()]


@question("frames", (22_050, 512), (11_025, 441), (220, 512))
def frames(samples, hop_length):
    """this is not librosa's number: the first frame is centred on the first sample"""
    return 1 + samples // hop_length


PARTS = np.random.default_rng(0).normal(size=(2, 500))


@question("harmonic share", PARTS, PARTS * [[3], [1]], PARTS * [[1], [0]])
def harmonic_share(harmonic, percussive):
    """energy is the sum of squares: compare with the sum of both energies"""
    energies = [np.sum(np.square(part, dtype=float)) for part in (harmonic, percussive)]
    return energies[0] / sum(energies)


# ---- 2 Describe


@question(
    "loudness",
    *([name] for name in ("rms", "zcr", "centroid", "mel", "chroma")),
    value=lambda answer, name: name in answer,
)
def unchanged():
    """compute each of the five features again, before and after; give a set of names"""
    return {"zcr", "centroid", "chroma"}


@question("mfcc", [np.random.default_rng(1).normal(-30, 9, (128, 5))])
def mfcc(mel):
    """transform the rows of each frame, orthonormally (norm of dct), and keep 40"""
    return dct(mel, type=2, norm="ortho", axis=0)[:40]


@question(
    "fisher",
    (np.array([[0.0, 5], [2, 1], [10, 3], [12, 3]]), np.array(["a", "a", "b", "b"])),
)
def fisher(x, labels):
    """divide the variance of the classes' means by the mean of the variances within the
    classes, each divided by n as np.var does; the second of two columns here gives 0
    """
    classes = [x[labels == label] for label in np.unique(labels)]
    between = np.var([values.mean(axis=0) for values in classes], axis=0)
    return between / np.mean([values.var(axis=0) for values in classes], axis=0)


# ---- 3 Cache and train


CLIPS = pd.DataFrame({"group": [str(number // 3) for number in range(30)]})


@question(
    "leaked",
    (CLIPS[:15], CLIPS[15:]),
    (CLIPS[:10], CLIPS[10:]),
    (CLIPS[::2], CLIPS[1::2]),
)
def leaked(training, testing):
    """return the set of the groups that both tables have, all of them and no others"""
    return set(training["group"]) & set(testing["group"])


ANSWERS = pd.DataFrame({"target": [*"abca"], "a": 0.4, "b": 0.3, "c": 0.3})


@question("accuracy", (ANSWERS, [*"abc"]), (ANSWERS[:1], [*"abc"]))
def accuracy(predictions, classes):
    """compare the class of the highest probability with the target, from 0 to 1"""
    return (predictions[classes].idxmax(axis=1) == predictions["target"]).mean()


# ---- 4 Stacks of three


CURVES = ([0.2, np.nan, 0.7, np.nan, 0.6], [0.3, 0.5])


@question("optimism", *([pd.DataFrame({"test_accuracy": curve})] for curve in CURVES))
def optimism(history):
    """highest minus last; epochs in which the test fold was not scored are empty"""
    scored = history["test_accuracy"].dropna()
    return scored.max() - scored.iloc[-1]


# ---- 4b What ResNet-18 does


def of_block(answer: Any) -> Any:
    """Whether the shape stays, a ReLU is last, and without weights relu(x) is left."""
    import torch

    x = torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(0))
    network = called(answer, 8).eval()
    y = network(x).detach()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    return [y.shape == x.shape, (y >= 0).all(), torch.allclose(network(x), x.relu())]


@question("block", value=of_block)
def block(channels):
    """pad the 3x3 convolutions, so that the shape stays; add the input; a ReLU comes
    last
    """
    return basic_block(channels, channels, 1)


@question("block parameters", (64, 64), (64, 128), (3, 5))
def parameters(inputs, width):
    """a batch norm has two numbers per channel, a convolution here no bias; the 1x1
    shortcut, where the channels change, has weights too
    """
    layers = 9 * inputs * width + 9 * width * width + 4 * width
    shortcut = inputs * width + 2 * width
    return layers + (shortcut if inputs != width else 0)


DOG_AND_HEN = pd.DataFrame(
    {"target": ["dog", "hen"], "dog": [0.35, 0.4], "hen": [0.25, 0.3], "rain": 0.4}
)


@question(
    "categories", (DOG_AND_HEN, {"dog": "animals", "hen": "animals", "rain": "nature"})
)
def category_accuracy(rows, category):
    """add the probabilities of a category before you compare"""
    predicted = rows[list(category)].T.groupby(category).sum().T.idxmax(axis=1)
    return float((predicted == rows["target"].map(category)).mean())


# ---- 5 Compare


SCORES_BY_FOLD = np.array([[0.5, 0.6, 0.7, 0.5, 0.6], [0.6, 0.8, 0.7, 0.7, 0.6]])


@question("difference", SCORES_BY_FOLD)
def difference(one, other):
    """how much more the second has, fold by fold: mean and deviation of the
    differences; five folds are a sample, so divide by n - 1 (ddof=1)
    """
    gained = np.subtract(other, one)
    return gained.mean(), gained.std(ddof=1)


@question("mcnemar", (5, 5), (1, 9), (9, 1), (0, 6), (12, 20))
def p_value(b, c):
    """toss a fair coin b + c times; the test has two sides, and is at most 1"""
    return stats.binomtest(b, b + c).pvalue if b + c else 1.0


# ---- 6 Own sounds


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


@question("groups", value=of_names)
def group():
    """kettle-2024-05-01-a and -b are one recording; another day or a tap is another"""
    return r"([a-z]+-\d+-\d+-\d+)"


@question("half width", (0.8, 50), (0.8, 100), (0.8, 400), within=1e-3)
def half_width(accuracy, n):
    """that is not half of a 95 % interval: one standard error holds in 68 %"""
    return 1.96 * (accuracy * (1 - accuracy) / n) ** 0.5


# ---- 7 Several labels

SCORES, PRESENT = np.array([0.7, 0.1, 0.8, 0.9]), np.array([True, False, False, True])


@question("average precision", (SCORES, SCORES > 0.5), (SCORES, PRESENT))
def average_precision(scores, present):
    """sort by score; only the places of clips with the label count"""
    order = present[np.argsort(-scores)]
    precision = np.cumsum(order) / np.arange(1, len(order) + 1)
    return precision[order].mean()


def of_f1(answer: Any, scores: Any, present: Any) -> float:
    chosen = scores > called(answer, scores, present)
    return 2 * (chosen & present).sum() / max(1, chosen.sum() + present.sum())


@question("threshold", (SCORES / 2, PRESENT), (SCORES, PRESENT), value=of_f1)
def threshold(scores, present):
    """another threshold gives a higher F1: try them all"""
    limits = scores.min() - 1, *scores
    return max(limits, key=lambda limit: of_f1(limit, scores, present))
