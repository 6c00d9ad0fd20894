"""Learning curves and importance of datasets whose truth is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from featurestack.features_cache.splits import draw_groups
from featurestack.rooms.importance.folder import PARTS, Fit
from featurestack.rooms.importance.sentences import doubling
from featurestack.rooms.importance.tables import learning_curve

FOLDS = 5
NEW_CLIPS = 3_000


def discriminant(x, target):
    """Shrunken linear discriminant analysis: x (N, D) -> logits (N, K)."""
    classes = range(target.max() + 1)
    means = np.stack([x[target == name].mean(axis=0) for name in classes])
    rest = x - means[target]
    covariance = rest.T @ rest / len(x) + 0.2 * np.eye(x.shape[1])
    directions = np.linalg.solve(covariance, means.T)
    offsets = (means.T * directions).sum(axis=0) / 2
    return lambda tested: tested @ directions - offsets


# classes, inputs of which the last are useless, useless, strength, wrong labels, clips
CURVES = {
    "20 inputs": (10, 20, 0, 0.6, 0.0, 300),
    "wrong labels": (5, 20, 0, 0.8, 0.2, 300),
    "useless inputs": (2, 60, 56, 0.5, 0.0, 200),
    "weak inputs": (10, 100, 0, 0.25, 0.0, 300),
    "many weak inputs": (20, 120, 0, 0.25, 0.0, 400),
    "easy classes": (10, 20, 0, 1.5, 0.0, 400),
}


def drawn_clips(design, means, clips, rng):
    classes, inputs, _, _, wrong, _ = design
    target = np.arange(clips) % classes
    x = means[target] + rng.normal(size=(clips, inputs))
    other = rng.integers(0, classes, clips)
    return x, np.where(rng.random(clips) < wrong, other, target)


def learning_curves(design, reports, rng):
    """For each report: the last row of its curve, its sentence, and the true gain of
    the next doubling.
    """
    classes, inputs, useless, strength, _, clips = design
    means = strength * rng.normal(size=(classes, inputs))
    means[:, inputs - useless :] = 0
    new, truth = drawn_clips(design, means, NEW_CLIPS, rng)
    accuracy = []
    for size in (clips, 2 * clips):
        trained = [drawn_clips(design, means, size * 4 // 5, rng) for _ in range(8)]
        right = [discriminant(*each)(new).argmax(axis=1) == truth for each in trained]
        accuracy.append(np.mean(right))
    found = []
    for _ in range(reports):
        last = learning_curve(curve_folder(design, means, rng)).iloc[-1]
        found.append((last, doubling(last, "recordings"), accuracy[1] - accuracy[0]))
    return found


def curve_folder(design, means, rng):
    """The folder of importance of one feature set whose parts were fitted too."""
    clips = design[-1]
    x, target = drawn_clips(design, means, clips, rng)
    fold = np.arange(clips) // design[0] % FOLDS
    table = pd.DataFrame({"group": np.arange(clips).astype(str), "fold": fold})
    table["label"] = target.astype(str)
    scores = {}
    recordings = []
    for part in (*PARTS, ""):
        hits = np.empty(clips)
        counts = []
        for number in range(FOLDS):
            trained = table[fold != number]
            if part:
                drawn = np.random.default_rng([0, number])
                left_out = draw_groups(trained, 1 - PARTS[part], drawn)
                trained = trained[~trained["group"].isin(left_out)]
            model = discriminant(x[trained.index], target[trained.index])
            tested = fold == number
            hits[tested] = model(x[tested]).argmax(axis=1) == target[tested]
            counts.append(len(trained))
        scores[Fit(frozenset({"x"}), part)] = np.stack([hits, hits])
        recordings.append(np.mean(counts))
    return SimpleNamespace(
        features=["x"],
        clips=table,
        scores=scores,
        config=SimpleNamespace(recordings=tuple(recordings)),
    )
