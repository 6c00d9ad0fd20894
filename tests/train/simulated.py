"""A run that is scored on a second dataset from the same population."""

import numpy as np
import pandas as pd

from featurestack.results.tasks.classes import CLASSES
from featurestack.rooms.importance.tests.simulated import discriminant
from featurestack.train.other_dataset import compare_scores

FOLDS = 5


def answers(classes, target, logits, fold=1):
    """The table of predictions that `compare_scores` takes; a clip is a recording."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    table = pd.DataFrame(shifted / shifted.sum(axis=1, keepdims=True), columns=classes)
    names = np.arange(len(target)).astype(str)
    known = {"clip_id": names, "group": names, "fold": fold}
    return table.assign(**known, target=np.array(classes)[target])


def scored_elsewhere(classes, inputs, clips, rng, strength=0.35):
    """The comparisons of the folds' models together, and each alone, with the
    cross-validated score, if there is no fall.
    """
    names = [f"c{number}" for number in range(classes)]
    means = strength * rng.normal(size=(classes, inputs))

    def draw():
        target = np.arange(clips) % classes
        return means[target] + rng.normal(size=(clips, inputs)), target

    x, target = draw()
    other, there = draw()
    folds = np.arange(clips) // classes % FOLDS
    at_home = np.empty((clips, classes))
    of_models = []
    for fold in range(FOLDS):
        tested = folds == fold
        model = discriminant(x[~tested], target[~tested])
        at_home[tested] = model(x[tested])
        of_models.append(answers(names, there, model(other)))
    home = answers(names, target, at_home, folds + 1)
    together = of_models[0].copy()
    together[names] = np.mean([table[names] for table in of_models], axis=0)
    return [
        compare_scores(tables, home, names, CLASSES)
        for tables in ([together], of_models)
    ]
