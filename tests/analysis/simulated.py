"""Runs drawn at random, equally good or not, and what a report says about them.

All runs share a part of each clip's difficulty; the rest is drawn for each run. Half of
the variance of either part is common to the clips of a recording. Three runs have mel,
mel+mfcc and mfcc; other numbers of runs have subsets of five features."""

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.stats import norm

from featurestack.analysis.report.runs import Configuration, rankings
from featurestack.analysis.report.tables import ablation_gains
from featurestack.comparison.scores import suited
from featurestack.results.run_folder import RunFolder
from featurestack.results.tasks import TASKS
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
    return Configuration(
        name=folder.name,
        dataset="simulated",
        features=features,
        model="resnet18",
        task=TASKS[trained.task],
        metric=suited(TASKS[trained.task].metric, labels),
        protocol="last epoch",
        folders=(folder,),
        classes=tuple(map(str, range(classes))),
        categories=("",) * classes,
        clip_ids=np.arange(len(labels)).astype(str),
        groups=groups.astype(str),
        folds=np.asarray(folds)[None],
        target=labels.argmax(axis=1),
        labels=labels,
        probabilities=probabilities[None],
        checkpoint="last",
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
    sizes = clips
    if isinstance(clips, int):
        sizes = [CLIPS_A_RECORDING] * (clips // CLIPS_A_RECORDING)
    recording = np.repeat(np.arange(len(sizes)), sizes)
    target = recording // FOLDS % classes
    shared = np.sqrt(1 - own) * correlated(sizes, rng)
    sets = ["mel", "mel+mfcc", "mfcc"]
    if count != 3:
        names = (combinations(FEATURES, size) for size in range(1, 6))
        sets = ["+".join(some) for of_size in names for some in of_size]
    runs = []
    for features in sets[:count]:
        easy = norm.ppf(accuracy + (better if features == different else 0))
        correct = shared + np.sqrt(own) * correlated(sizes, rng) < easy
        answers = np.where(correct, target, (target + 1) % classes)
        probabilities = np.eye(classes)[answers]
        labels = np.eye(classes, dtype=bool)[target]
        folds = recording % FOLDS + 1
        runs.append(simulated_run(features, recording, folds, labels, probabilities))
    return runs


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
        folds = recording % FOLDS + 1
        given = features, recording, folds, labels, probabilities
        runs.append(simulated_run(*given, task="tags"))
    return runs


def claims(runs):
    """The claims of a report on the runs, and whether it finds what is true."""
    ranking = rankings(runs)[0]
    gains = ablation_gains(ranking)
    clear = [own.p < ranking.level for own in ranking.differences]
    worse = {run.name for run, differs in zip(ranking.runs[1:], clear) if differs}
    more, less = "mel+mfcc-default", "mel-default"
    steps = [gain for gain in gains if (gain.less.name, gain.more.name) == (less, more)]
    claimed = any(gain.clear for gain in gains)
    return SimpleNamespace(
        overall=bool(worse),  # a run is clearly worse than the best
        ablations=claimed,
        any=bool(worse) or claimed,
        winner=ranking.best.name == more and all(clear),
        gain=any(gain.verdict == "clear gain" for gain in steps),  # of mfcc beside mel
        worse=less in worse,
    )
