"""Folds that are drawn: a source recording is in one fold, and every fold has clips of
each class. SEED= of a training draws them another time.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePath

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featurestack.base.files import hash_of
from featurestack.features_cache.clip_table import by_label, originals


def draw_folds(
    labels: Iterable[str],
    groups: ArrayLike,
    folds: int,
    seed: int,
    kept: Mapping[str, int],
    repeat: int = 0,
) -> NDArray[np.int64]:
    """Draw a fold from 1 to `folds` for each clip: a group is in one fold, and classes,
    of which a clip may have several, are spread evenly.

    `kept` maps groups to folds that they keep, which StratifiedGroupKFold cannot do.
    The others are drawn from the largest on, into the fold that holds least of their
    classes. Groups of equal size are ordered by a hash of their names without folders,
    so that the folds do not depend on the names of classes. Each `repeat` above 0 draws
    other folds: there a group may come before one that is up to twice as large.
    """
    split = by_label(pd.DataFrame({"label": [*labels]}, dtype=object))["label"]
    class_of, classes = pd.factorize(split.to_numpy())
    group_of, names = pd.factorize(np.asarray(groups, object))
    # a matrix of groups and classes would hold gigabytes of zeros
    coded = group_of[split.index] * len(classes) + class_of
    pairs, clips = np.unique(coded, return_counts=True)
    of_group, of_class = np.divmod(pairs, len(classes))
    share = clips / np.bincount(class_of)[of_class]
    first = np.searchsorted(of_group, np.arange(len(names) + 1))
    filled = np.zeros((folds, len(classes)))  # share of each class in each fold
    fold_of = np.array([kept.get(name, 0) for name in names])
    fold_of[fold_of > folds] = 0
    stand = fold_of[of_group] > 0
    np.add.at(filled, (fold_of[of_group[stand]] - 1, of_class[stand]), share[stand])
    of_all = filled.sum(axis=1)
    sizes = np.bincount(of_group, clips, len(names))
    drawing = f"{seed}.{repeat}" if repeat else f"{seed}"
    texts = [f"{drawing} {PurePath(str(name)).name}" for name in names]
    digests = [hash_of(text.encode()) for text in texts]
    if repeat:  # else groups that all differ in size would always be drawn alike
        uniform = [int(hex_digits[:8], 16) / 2**32 for hex_digits in digests]
        sizes = sizes * 2 ** np.array(uniform)
    by_digest = np.argsort(np.array(digests), kind="stable")
    largest_first = by_digest[np.argsort(-sizes[by_digest], kind="stable")]
    for group in largest_first:
        if fold_of[group]:
            continue
        labels_of_group = slice(first[group], first[group + 1])
        of_its_classes = filled[:, of_class[labels_of_group]] @ clips[labels_of_group]
        fold = np.lexsort((of_all.round(9), of_its_classes.round(9)))[0]
        filled[fold, of_class[labels_of_group]] += share[labels_of_group]
        of_all[fold] += share[labels_of_group].sum()
        fold_of[group] = fold + 1
    return fold_of[group_of]


def redrawn(clips: pd.DataFrame, repeat: int) -> pd.DataFrame:
    """The clip table with as many folds, drawn another time by group and class; the
    table itself for repeat 0.
    """
    if not repeat:
        return clips
    tested = originals(clips)
    number = tested["fold"].nunique()
    drawn = draw_folds(tested["label"], tested["group"], number, 0, {}, repeat)
    fold_of_group = dict(zip(tested["group"], drawn.tolist()))
    folds = clips["group"].map(fold_of_group).fillna(clips["fold"])
    return clips.assign(fold=folds.astype(clips["fold"].dtype))
