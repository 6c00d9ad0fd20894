"""Ridge regression's answers to clips that are left out of the fit, and their scores.

Ridge regression leaves clips out exactly and without more fits
(`featurestack.linear.ridge`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.compare.metrics import Floats
from featurestack.features_cache.clip_table import classes_in, has_tags, label_indicator
from featurestack.linear import ridge


def targets_of(table: pd.DataFrame) -> NDArray[np.integer] | NDArray[np.bool_]:
    """(N,) class numbers; of tags (N, K) the labels that some clips have."""
    if not has_tags(table):
        return pd.factorize(table["label"], sort=True)[0]
    labels = label_indicator(table["label"], classes_in(table))
    return labels[:, labels.any(axis=0) & ~labels.all(axis=0)]


def answers_left_out(
    blocks: Sequence[NDArray[np.floating]],
    targets: NDArray[np.integer] | NDArray[np.bool_],
    groupings: Sequence[NDArray[np.generic]],
    kernel: str,
) -> list[Floats]:
    """For each grouping (N,), the answer (N, K) to each clip of the blocks (N, D) by
    the model without the clip's group, rounded, so that no rounding error ranks clips.
    """
    x = np.hstack(blocks)
    standard = ridge.standardisation(x, [block.shape[1] for block in blocks])
    exclusive = targets.ndim == 1
    log_loss = ridge.class_loss if exclusive else ridge.label_loss
    truth = np.eye(targets.max() + 1)[targets] if exclusive else targets.astype(float)
    counts = np.ones(len(x))
    left_out = []
    with threadpool_limits(1):  # sums have the same order on every machine
        kernels = ridge.kernels_of([kernel], standard.of(x), counts)
        for groups in groupings:
            tested = ridge.has_others(truth, groups)
            choice = ridge.choose(kernels, truth, counts, groups, tested, log_loss)
            left_out.append(choice.answers.round(9))
    return left_out


def scores_of_clips(
    targets: NDArray[np.integer] | NDArray[np.bool_], answers: Floats
) -> tuple[Floats, Floats]:
    """Scores and weights (N, K) whose mean is the accuracy, or macro AUROC. With tags,
    a clip's score for its label is the share of clips without it that answer lower.
    """
    if targets.ndim == 1:
        correct = answers.argmax(axis=1) == targets
        return correct[:, None].astype(float), np.ones((len(targets), 1))
    scores = np.zeros(targets.shape)
    for label, has in enumerate(targets.T):
        others = np.sort(answers[~has, label])
        labelled = answers[has, label]
        below = np.searchsorted(others, labelled) + np.searchsorted(
            others, labelled, "right"
        )
        scores[has, label] = below / (2 * len(others))
    return scores, targets / (targets.sum(axis=0) * targets.shape[1])
