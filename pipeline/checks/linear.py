"""Findings by a linear classifier: what artefacts predict, and the price of a leak.

Level, padding, clipping and bandwidth should not predict the class: if they do, a score
may come from them and not from the sound. The price of a leak is the accuracy that a
split by clip adds to one by recording.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import mean_percent, percent
from featurestack.commandline.terminal import progress
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.row_statistics import over_time
from featurestack.features_cache.splits import fold_split
from featurestack.features_cache.table import (
    classes_in,
    has_tags,
    has_windows,
    label_indicator,
    spans,
)
from featurestack.linear.logistic import fit
from featurestack.pipeline import audio
from featurestack.pipeline.checks import NOTE, WARNING, Finding
from featurestack.pipeline.checks.measures import ARTEFACTS
from featurestack.pipeline.datasets.folds import FOLDS, draw_folds
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.datasets.name_fields import FOLDS_OF_GROUPS, NameField
from featurestack.pipeline.features import Clip, resolve_feature
from featurestack.results.training_options import STRENGTH
from featurestack.scores.tags import auroc

OF_ARTEFACTS = 1.0  # C of the classifier of a handful of numbers
ARTEFACT_HELP = "make them the same in all classes: docs/howto/datasets.md#artefacts"
# a leak's price is measured by the model `linear` on statistics of these features
PRICED = ("mel", "mfcc")
MOST_PRICED = 2000  # clips of which the price is measured; the fits take half a minute


def linear_accuracies(
    table: pd.DataFrame, values: NDArray[np.floating], strength: float = OF_ARTEFACTS
) -> NDArray[np.float64]:
    """(folds,) test accuracies of a logistic regression on `values` (clips, d); for
    tags macro AUROC of classes that every side has. RequestError if folds lack classes.
    """
    tagged = has_tags(table)
    if tagged:
        names = classes_in(table)
        targets = label_indicator(table["label"], names)
    else:
        targets, names = pd.factorize(table["label"], sort=True)
    row_of = pd.Index(table["clip_id"]).get_indexer
    splits = [fold_split(table, fold) for fold in sorted(table["fold"].unique())]
    rows = [(row_of(split.train), row_of(split.test)) for split in splits]
    if tagged:
        shares = [targets[side].mean(axis=0) for both in rows for side in both]
        known = np.all([(share > 0) & (share < 1) for share in shares], axis=0)
        targets = targets[:, known]
        classes = targets.shape[1]
        learnable = targets.size > 0
    else:
        classes = len(names)
        learnable = all(len({*targets[train]}) > 1 for train, _ in rows)
    if not (rows and learnable):
        raise RequestError("a classifier needs clips of two classes in every fold")
    scores = []
    for train, test in rows:
        model = fit(values[train], targets[train], classes, strength)
        logits = model.logits(values[test])
        if tagged:
            scores.append(auroc(targets[test], logits).mean())
        else:
            scores.append((logits.argmax(axis=1) == targets[test]).mean())
    return np.array(scores)


def artefact_findings(table: pd.DataFrame) -> list[Finding]:
    """A finding on the accuracy of a linear classifier of artefacts alone; none for
    windows of recordings, whose level shows whether they hold an event.
    """
    if has_windows(table):
        return []
    try:
        scores = linear_accuracies(table, table[ARTEFACTS].to_numpy(float))
    except RequestError:
        return []
    metric, constant = "accuracy", "always the commonest class"
    chance = float(table["label"].value_counts(normalize=True).max())
    if has_tags(table):
        metric, constant, chance = "macro AUROC", "chance", 0.5
    mean = float(scores.mean())

    def above_chance(scores: NDArray[np.float64]) -> bool:
        return bool(scores.mean() - 2 * scores.std(ddof=1) > chance)

    what = (
        "a linear classifier of artefacts alone reaches"
        f" {mean_percent(scores.tolist())} {metric} (n = {len(scores)} folds;"
        f" {constant}: {percent(chance)} %)"
    )
    found = Finding("artefacts", NOTE, what, ARTEFACTS, "", "measure", mean, chance)
    if not above_chance(scores):
        return [found]
    alone = {
        name: linear_accuracies(table, table[[name]].to_numpy(float))
        for name in progress(ARTEFACTS, label="artefacts", unit="measures")
    }
    first, *others = sorted(alone, key=lambda name: -alone[name].mean())
    predicting = [first, *(name for name in others if above_chance(alone[name]))]
    names = [f"{name} {percent(alone[name].mean())} %" for name in predicting]
    return [replace(found, severity=WARNING, names=names, remedy=ARTEFACT_HELP)]


def price_findings(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """Scores of a linear model by clip, and by group or a field that may be a group."""
    field = dataset.field
    alone = table["group"].is_unique
    if not 0 < len(table) <= MOST_PRICED or (alone and not field):
        return []
    unit = new = dataset.groups or "source recording"
    split = table
    names = [unit]
    if field:
        unit, new = field.where, "speaker, site or device"
        split = by_field(table, field)
        names = [unit, *field.options]
    try:
        values = statistics_of(table, dataset)
        clips, groups = (
            # folds of few clips would count as much as those of many
            float(
                np.average(
                    linear_accuracies(folded, values, STRENGTH), weights=sizes(folded)
                )
            )
            for folded in (by_clip(split), split)
        )
    except RequestError:
        return []
    lost = is_lost(clips, groups, len(table))
    change = f"{percent(clips - groups)} points less" if lost else "about the same"
    metric = "macro AUROC" if has_tags(table) else "accuracy"
    what = (
        f"by clip {percent(clips)}, by {unit} {percent(groups)} % {metric} (linear on"
        f" {'+'.join(PRICED)}): a new {new} scores {change}"
    )
    severity = WARNING if field and lost else NOTE
    return [Finding("price", severity, what, names, about="the folds")]


def sizes(table: pd.DataFrame) -> NDArray[np.intp]:
    """(folds,) the number of clips of each fold."""
    counts: NDArray[np.intp] = table["fold"].value_counts().sort_index().to_numpy()
    return counts


def by_clip(split: pd.DataFrame) -> pd.DataFrame:
    """The table with folds that split groups, but have as many clips of each class."""
    rng = np.random.default_rng(0)
    folds = split.groupby("label")["fold"].transform(rng.permutation)
    return split.assign(group=split["clip_id"], fold=folds)


def is_lost(by_clip: float, by_group: float, clips: int) -> bool:
    """Whether accuracy by clip is over two standard errors above that by group."""
    variance = (by_clip * (1 - by_clip) + by_group * (1 - by_group)) / clips
    return by_clip - by_group > 2 * np.sqrt(variance)


def by_field(table: pd.DataFrame, field: NameField) -> pd.DataFrame:
    """The table with the field's values as groups, and folds of these groups."""
    groups = field.of_clips(table)
    folds = pd.factorize(groups, sort=True)[0] + 1
    if len(field.values) > FOLDS_OF_GROUPS:
        folds = draw_folds(table["label"], groups, FOLDS, 0, {})
    return table.assign(group=groups, fold=folds)


def statistics_of(table: pd.DataFrame, dataset: Dataset) -> NDArray[np.float32]:
    """(N, D) row statistics of PRICED; Impossible if clips are too short for them."""
    variants = [resolve_feature(parse_channel(name)) for name in PRICED]
    rate = dataset.sample_rate
    rows = zip(table["path"], spans(table))
    statistics = []
    for path, span in progress(rows, total=len(table), label="price", unit="clips"):
        y = audio.load_clip(path, rate, dataset.samples, span, dataset.audio_channel)
        clip = Clip(y, rate)
        parts = [over_time(variant.compute(clip)[None]) for variant in variants]
        statistics.append(np.hstack(parts))
    return np.vstack(statistics).astype(np.float32)
