"""Runs drawn at random, equally good or not, and what a report says about them.

All runs share a part of each clip's difficulty; the rest is drawn for each run. Half of
the variance of either part is common to the clips of a recording. Three runs have mel,
mel+mfcc and mfcc; other numbers of runs have subsets of five features. If there are ten
or more, the last two have no augmentation, so that ablations of it can be claimed.
"""

from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from scipy.stats import norm

from featurestack.analysis.ablations import ablations
from featurestack.analysis.power import power_of_second
from featurestack.analysis.ranking import rankings
from featurestack.analysis.runs import Run
from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.results.run_folder import RunFolder
from featurestack.results.tasks.registry import task_of
from featurestack.results.training_options import Training
from tests.run_configs import run_config

FEATURES = ("mel", "mfcc", "chroma", "rms", "zcr")
CLIPS_A_RECORDING = 2
FOLDS = 5
# share of a clip's difficulty that is a run's alone: runs then agree on four clips of
# five
OWN = 0.3


def correlated(sizes, rng, columns=()):
    """Standard normal numbers (N, *columns); the clips of a recording share half of the
    variance.

    `sizes` are the numbers of clips of the recordings.
    """
    recording = np.repeat(np.arange(len(sizes)), sizes)
    shared = rng.normal(size=(len(sizes), *columns))[recording]
    return np.sqrt(0.5) * (shared + rng.normal(size=(len(recording), *columns)))


def simulated_run(features, groups, folds, labels, probabilities, **options):
    """A run of these predictions that has no files."""
    classes = labels.shape[1]
    options = {"task": "classes", **options}
    trained = Training(features=features, model="resnet18", **options)
    folder = RunFolder(Path("simulated") / f"{features}-{trained.augment}")
    vars(folder)["config"] = run_config(trained, folds=tuple(range(1, 6)))
    return Run(
        name=folder.name,
        dataset="simulated",
        features=features,
        model="resnet18",
        task=task_of(trained.task),
        protocol="last epoch",
        folders=(folder,),
        classes=tuple(map(str, range(classes))),
        categories=("",) * classes,
        clip_ids=np.arange(len(labels)).astype(str),
        groups=groups.astype(str),
        folds=folds,
        target=labels.argmax(axis=1),
        labels=labels,
        checkpoints={"last": probabilities[None]},
        history=pd.DataFrame(columns=["fold", "seed", "seconds"], dtype=float),
    )


def simulated_runs(
    count,
    clips,
    classes,
    rng,
    better=0.0,
    *,
    own=OWN,
    accuracy=0.75,
    different="mel+mfcc",
):
    """Equally good runs, but the expected accuracy of the `different` one is higher by
    `better`.

    clips  the number of clips, two of each recording, or the number of clips of each
           recording
    own    the share of a clip's difficulty that is a run's alone: with more, runs
           differ on more clips
    """
    sizes = (
        [CLIPS_A_RECORDING] * (clips // CLIPS_A_RECORDING)
        if isinstance(clips, int)
        else clips
    )
    recording = np.repeat(np.arange(len(sizes)), sizes)
    target = recording // FOLDS % classes
    shared = np.sqrt(1 - own) * correlated(sizes, rng)
    if count == 3:
        configurations = [
            (features, "default") for features in ("mel", "mel+mfcc", "mfcc")
        ]
    else:
        sets = [
            "+".join(names)
            for size in range(1, 6)
            for names in combinations(FEATURES, size)
        ]
        plain = 2 if count >= 10 else 0
        configurations = [
            *product(sets[: count - plain], ["default"]),
            *product(sets[:plain], ["none"]),
        ]
    runs = []
    for features, augment in configurations:
        easy = norm.ppf(accuracy + (better if features == different else 0))
        correct = shared + np.sqrt(own) * correlated(sizes, rng) < easy
        probabilities = np.eye(classes)[
            np.where(correct, target, (target + 1) % classes)
        ]
        labels = np.eye(classes, dtype=bool)[target]
        folds = recording % FOLDS + 1
        runs.append(
            simulated_run(
                features, recording, folds, labels, probabilities, augment=augment
            )
        )
    return runs


def binary_differences(recordings, clips, more, less, rng, *, together=0.5):
    """(recordings,) differences of two runs in correct clips, and their true mean.

    more, less  shares of the clips that only the second, only the first run has right
    together    share of the variance that the clips of a recording have in common
    """
    shared = rng.normal(size=(recordings, 1))
    own = rng.normal(size=(recordings, clips))
    place = norm.cdf(np.sqrt(together) * shared + np.sqrt(1 - together) * own)
    gained = (place < more).sum(axis=1)
    lost = (place > 1 - less).sum(axis=1)
    return gained - lost, more - less


def interval_holds(recordings, clips, more, less, rng, **given):
    """Whether the 95 % interval of one simulated difference holds the truth, and its
    width.
    """
    differences, truth = binary_differences(recordings, clips, more, less, rng, **given)
    found = sign_flip_tests(
        differences[:, None],
        np.full(recordings, 1 / recordings),
        LEVEL,
        draws=1000,
        unit=recordings * clips,
    )
    _, low, high, _ = found.numbers(recordings * clips)[0]
    return low <= truth <= high, high - low


def simulated_tag_runs(count, sizes, rng, classes=10, better=0.0):
    """Equally good runs of clips with several labels, but the scores of mel part a
    label from none by `better` more; `sizes` are the clips of each recording.
    """
    recording = np.repeat(np.arange(len(sizes)), sizes)
    # recordings differ in their labels
    lean = rng.normal(size=(len(sizes), classes))[recording]
    drawn = rng.random((len(recording), classes))
    labels = drawn < norm.cdf(norm.ppf(rng.uniform(0.05, 0.3, classes)) + lean)
    shared = np.sqrt(1 - OWN) * correlated(sizes, rng, (classes,))
    runs = []
    for features in ("mel", "mfcc", "chroma")[:count]:
        score = shared + np.sqrt(OWN) * correlated(sizes, rng, (classes,))
        skill = 1.5 + (better if features == "mel" else 0)
        probabilities = norm.cdf(skill * labels + score - 1)
        runs.append(
            simulated_run(
                features,
                recording,
                recording % 5 + 1,
                labels,
                probabilities,
                task="tags",
            )
        )
    return runs


def claims(runs, *, named=False):
    """The claims of a report on the runs, and whether it finds what is true."""
    ranking = rankings(runs, named=named)[0]
    gains = ablations(ranking)
    clear = ranking.tests.p < ranking.level
    worse = {run.name for run, differs in zip(ranking.runs[1:], clear) if differs}
    step = gains[
        (gains["with"] == "mel+mfcc-default") & (gains["without"] == "mel-default")
    ]
    claimed = bool(gains["verdict"].str.startswith("clear").any())
    return SimpleNamespace(
        overall=bool(worse),  # a run is clearly worse than the best
        ablations=claimed,
        any=bool(worse) or claimed,
        winner=ranking.best.name == "mel+mfcc-default" and bool(clear.all()),
        gain=bool((step["verdict"] == "clear gain").any()),  # of mfcc beside mel
        worse="mel-default" in worse,
        # The difference that the report says its data can show, against the next run.
        detectable=power_of_second(ranking)[0],
    )


# A design has five features. Each is a view of one of two signals, or of none: its
# signal, and the strength of the signal's class means.
DESIGNS = {
    "two redundant, one complementary": [
        (0, 1.5),
        (0, 1.5),
        (1, 1.0),
        (None, 0),
        (None, 0),
    ],
    "five equal": [(0, 0.6), (1, 0.6), (2, 0.6), (3, 0.6), (4, 0.6)],
    "all redundant": [(0, 1.0)] * 5,
    "one real": [(0, 1.0), (None, 0), (None, 0), (None, 0), (None, 0)],
}
DIMENSIONS = 3  # a feature has so many
OWN_NOISE = 0.3  # a feature's own noise, beside its signal's
SUBSETS = [
    frozenset(names)
    for size in range(len(FEATURES) + 1)
    for names in combinations(FEATURES, size)
]


class SimulatedFeatures:
    """A population of clips with FEATURES, by one of DESIGNS; every recording has one
    class.
    """

    def __init__(self, design, rng, classes=5):
        self.views = DESIGNS[design]
        self.classes = classes
        self.means = rng.normal(size=(len(FEATURES), classes, DIMENSIONS))

    def draw(self, sizes, rng):
        """Features (N, 5, DIMENSIONS) and classes (N,) of recordings of `sizes`
        clips.
        """
        classes = np.arange(len(sizes)) // FOLDS % self.classes
        target = np.repeat(classes, sizes)
        signals = correlated(sizes, rng, (len(FEATURES), DIMENSIONS))
        own = correlated(sizes, rng, (len(FEATURES), DIMENSIONS))
        x = np.empty_like(signals)
        for place, (signal, strength) in enumerate(self.views):
            x[:, place] = own[:, place]
            if signal is not None:
                means = strength * self.means[signal, target]
                x[:, place] = means + signals[:, signal] + OWN_NOISE * own[:, place]
        return x, target


def fitted_subsets(x, target, tests):
    """For each of `tests`, features (T, 5, DIMENSIONS): subset -> log probabilities
    (T, K) by linear discriminant analysis of x (N, 5, DIMENSIONS).
    """
    classes = np.unique(target)
    means = np.stack([x[target == name].mean(axis=0) for name in classes])
    flat = (x - means[target]).reshape(len(x), -1)
    covariance = flat.T @ flat / len(x) + 0.1 * np.eye(flat.shape[1])
    owner = np.repeat(FEATURES, DIMENSIONS)
    answers = [{} for _ in tests]
    for subset in SUBSETS:
        used = np.isin(owner, list(subset))
        centres = means.reshape(len(classes), -1)[:, used]
        directions = np.linalg.solve(covariance[np.ix_(used, used)], centres.T)
        offsets = (centres.T * directions).sum(axis=0) / 2
        for test, answer in zip(tests, answers):
            logits = test.reshape(len(test), -1)[:, used] @ directions - offsets
            answer[subset] = logits - logsumexp(logits, axis=1, keepdims=True)
    return answers


def simulated_importance(population, sizes, rng, new=None):
    """A folder of importance that has no files, of a data set of recordings of `sizes`
    clips, and the accuracy of each subset on `new` clips, (features, classes).
    """
    x, target = population.draw(sizes, rng)
    recording = np.repeat(np.arange(len(sizes)), sizes)
    folds = recording % FOLDS + 1
    values = {subset: np.empty(len(target)) for subset in SUBSETS}
    hits = {subset: np.empty(len(target)) for subset in SUBSETS}
    accuracy = dict.fromkeys(SUBSETS, 0.0)
    for fold in range(1, FOLDS + 1):
        tested = folds == fold
        tests = [x[tested], *([new[0]] if new else [])]
        of_test, *of_new = fitted_subsets(x[~tested], target[~tested], tests)
        for subset, answers in of_test.items():
            values[subset][tested] = answers[np.arange(len(answers)), target[tested]]
            hits[subset][tested] = answers.argmax(axis=1) == target[tested]
        for answers in of_new:
            for subset in SUBSETS:
                right = answers[subset].argmax(axis=1) == new[1]
                accuracy[subset] += right.mean() / FOLDS
    folder = SimpleNamespace(
        features=list(FEATURES),
        clips=pd.DataFrame({"group": recording, "fold": folds}),
        values=lambda score="probability": hits if score == "correct" else values,
        config=SimpleNamespace(
            extraction={name: SimpleNamespace(seconds=1.0) for name in FEATURES},
            clips=len(target),
            composed_from=0,
        ),
    )
    return folder, accuracy


def intervals_hold(kept, truth):
    """Whether each interval of a `kept_set` holds what is lost in truth: subset ->
    accuracy.
    """
    hold = []
    for row in kept.itertuples():
        chosen = frozenset(row.features.split("+"))
        more, less = frozenset(FEATURES), chosen
        if row.without:
            more, less = chosen, chosen - {row.without}
        hold.append(row.low <= truth[more] - truth[less] <= row.high)
    return hold
