"""Made datasets whose truth is known, and models cross-validated on feature sets of
them: what `bench.statements` counts false claims on.

A recording has one class. Each feature set has numbers of its own, drawn alike for all
sets, so that none is better than another, unless the first one is to be. Half of the
variance of a number is common to the clips of a recording.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featurestack.comparison.metrics import Floats, Ints, indicator
from featurestack.comparison.scores import ACCURACY, Predictions
from featurestack.results.training_options import STRENGTH

FOLDS = 5
STRENGTHS = np.geomspace(1e-2, 1e4, 7)  # of the ridge, chosen by leaving clips out
LINEAR = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=200))


class World(NamedTuple):
    """A kind of dataset."""

    name: str
    recordings: int
    clips: int  # of each recording
    classes: int
    numbers: int = 8  # of each feature set
    strength: float = 0.0  # distance of the classes' means, in deviations; 0 is noise
    better: float = 0.0  # by which the first set's is larger


class Dataset(NamedTuple):
    """One draw of a world."""

    target: Ints  # (N,)
    recording: Ints  # (N,)
    numbers: Sequence[Floats]  # (N, D) of each feature set


Fit = Callable[[Floats, Ints, int, Floats], Ints]  # numbers, target, classes, new ones


def ridge(x: Floats, target: Ints, classes: int, new: Floats) -> Ints:
    """The classes that an exact ridge predicts for new clips."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    x, new = (x - mean) / deviation, (new - mean) / deviation
    shares = np.eye(classes)[target]
    centre = shares.mean(axis=0)
    u, d, vt = np.linalg.svd(x, full_matrices=False)
    projected = u.T @ (shares - centre)
    errors = []
    for strength in STRENGTHS:
        kept = d**2 / (d**2 + strength)
        residual = shares - centre - u @ (kept[:, None] * projected)
        leverage = u**2 @ kept + 1 / len(x)
        errors.append(np.square(residual / (1 - leverage)[:, None]).sum())
    scale = d / (d**2 + STRENGTHS[int(np.argmin(errors))])
    weights = vt.T @ (scale[:, None] * projected)
    return (new @ weights + centre).argmax(axis=1)


def linear(x: Floats, target: Ints, classes: int, new: Floats) -> Ints:
    """The classes that `MODEL=linear`'s regression predicts for new clips."""
    return LINEAR.fit(x, target).predict(new)


def nearest(x: Floats, target: Ints, classes: int, new: Floats) -> Ints:
    """The classes of the nearest clips, which jump more than those of exact models."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    x, new = (x - mean) / deviation, (new - mean) / deviation
    distances = np.square(x).sum(axis=1) - 2 * new @ x.T
    return target[distances.argmin(axis=1)]


FITS: dict[str, Fit] = {"ridge": ridge, "linear": linear, "nearest": nearest}
EXACT = ("ridge", "linear")


def draw(world: World, sets: int, rng: np.random.Generator) -> Dataset:
    """A dataset of this world with that many feature sets."""
    recording = np.repeat(np.arange(world.recordings), world.clips)
    target = recording % world.classes
    means = rng.normal(size=(world.classes, world.numbers))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    if world.classes <= world.numbers:
        means = np.eye(world.classes, world.numbers)
    numbers = []
    for number in range(sets):
        x = rng.normal(size=(len(target), world.numbers))
        if world.clips > 1:
            common = rng.normal(size=(world.recordings, world.numbers))
            x = np.sqrt(0.5) * (x + common[recording])
        strength = world.strength + (world.better if number == 0 else 0)
        numbers.append(x + strength * means[target])
    return Dataset(target, recording, numbers)


def folds_of(dataset: Dataset, rng: np.random.Generator, folds: int = FOLDS) -> Ints:
    """(N,) folds that divide no recording, stratified by class."""
    recordings, first = np.unique(dataset.recording, return_index=True)
    fold = np.empty(len(recordings), int)
    start = 0
    for label in np.unique(dataset.target):
        own = rng.permutation(np.flatnonzero(dataset.target[first] == label))
        fold[own] = (np.arange(len(own)) + start) % folds
        start += len(own)
    return fold[dataset.recording]


def cross_validated(dataset: Dataset, fold: Ints, model: str = "ridge") -> Ints:
    """(N, M) the predictions of each feature set by models of the other folds."""
    classes = int(dataset.target.max()) + 1
    predicted = np.empty((len(fold), len(dataset.numbers)), int)
    for number, x in enumerate(dataset.numbers):
        for test in np.unique(fold):
            tested = fold == test
            predicted[tested, number] = FITS[model](
                x[~tested], dataset.target[~tested], classes, x[tested]
            )
    return predicted


def models_of(
    dataset: Dataset, model: str, drawings: int, rng: np.random.Generator
) -> list[Predictions]:
    """The predictions of each feature set, cross-validated on so many drawings of the
    folds, as the comparison takes them.
    """
    classes = int(dataset.target.max()) + 1
    folds = np.stack([folds_of(dataset, rng) for _ in range(drawings)])
    predicted = np.stack([cross_validated(dataset, fold, model) for fold in folds])
    return [
        Predictions(
            name=str(number),
            metric=ACCURACY,
            classes=(*map(str, range(classes)),),
            groups=dataset.recording,
            folds=folds,
            labels=indicator(dataset.target, classes),
            probabilities=np.eye(classes)[predicted[:, :, number]],
            exact=model in EXACT,
        )
        for number in range(len(dataset.numbers))
    ]


def of_drawings(models: Sequence[Predictions], drawings: int) -> list[Predictions]:
    """The same models on the first drawings only."""
    return [
        replace(
            model,
            folds=model.folds[:drawings],
            probabilities=model.probabilities[:drawings],
        )
        for model in models
    ]
