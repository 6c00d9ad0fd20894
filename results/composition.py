"""Whether a feature set was composed by scores of the folds that it will test.

A report is flattered if features are trained one by one, the best are joined, and the
joined set is tested on the same folds as if it had been named beforehand. Neither an
interval nor a test corrects such a choice. So a run notes, before it begins, that its
features are exactly the best of all features that were tested singly. It notes this if
such a set happens by chance in at most one of ten cases: the best 2 of 5, the best 3 of
6. Sets that were composed in another way are not recognised.
"""

from collections.abc import Sequence
from math import comb
from pathlib import Path

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.results.config import RunConfig
from featurestack.results.folders import find

FEWEST_SETS = 10  # sets of so many features that could have been composed


def composed_from(features: Sequence[str], runs: Path, task: str) -> int:
    """The number of single features in `runs` of which these are the best by one
    model, on all folds; 0 if they are not.
    """
    members = {*features}
    largest = 0
    if len(members) < 2:
        return largest
    for scores in single_scores(runs, task).values():
        ranked = sorted(scores, key=lambda name: -scores[name])
        chosen = {*ranked[: len(members)]}
        choices = comb(len(scores), len(members))
        if chosen == members and choices >= FEWEST_SETS:
            largest = max(largest, len(scores))
    return largest


def single_scores(runs: Path, task: str) -> dict[str, dict[str, float]]:
    """Model -> single feature -> its mean score over all folds, of finished runs."""
    scores: dict[str, dict[str, float]] = {}
    for folder in find(runs.parent, runs.name):
        try:
            config = folder.config
            single = isinstance(config, RunConfig) and "+" not in config.features
            whole = folder.finished == folder.folds
            if config.task != task or not single or not whole:
                continue
            column = f"test_{folder.task.score}"
            last = [folder.history(fold)[column].iloc[-1] for fold in folder.finished]
            score = float(np.mean(last))
        except (RequestError, OSError):
            continue  # a report names damaged runs
        of_model = scores.setdefault(config.model, {})
        known = of_model.get(config.features, -np.inf)
        of_model[config.features] = max(known, score)
    return scores
