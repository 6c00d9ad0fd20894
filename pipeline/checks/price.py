"""The price of a leak: the accuracy that a split by clip adds to one by recording."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import percent
from featurestack.commandline.terminal import progress
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.statistics_table import clip_statistics
from featurestack.features_cache.table import has_tags, spans
from featurestack.pipeline import audio
from featurestack.pipeline.checks.artefacts import linear_accuracies
from featurestack.pipeline.checks.findings import NOTE, Finding
from featurestack.pipeline.datasets.folds import FOLDS, draw_folds
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.datasets.name_fields import FOLDS_OF_GROUPS, NameField
from featurestack.pipeline.features import Clip, Impossible, resolve_feature
from featurestack.results.linear import STRENGTH

# a leak's price is measured by the model `linear` on statistics of these features
PRICED = ("mel", "mfcc")
MOST_PRICED = 2000  # clips of which the price is measured; the fits take half a minute


def price_findings(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """The price of a leak: scores of a linear model by clip, and by group or by each
    field of the names that may be one.

    There is no price for more than MOST_PRICED clips, for clips without groups and
    fields, or if a fold has too few classes.
    """
    alone = not table["group"].duplicated().any()
    if not 0 < len(table) <= MOST_PRICED or (alone and not dataset.fields):
        return []
    splits = {dataset.groups or "source recording": table}
    if alone:
        splits = {field.where: by_field(table, field) for field in dataset.fields}
    clip_folds = draw_folds(table["label"], table["clip_id"], FOLDS, 0, {})
    by_clip = table.assign(group=table["clip_id"], fold=clip_folds)
    metric = "macro AUROC" if has_tags(table) else "accuracy"
    findings = []
    try:
        values = statistics_of(table, dataset)
        first = linear_accuracies(by_clip, values, STRENGTH)
        for unit, split in splits.items():
            second = linear_accuracies(split, values, STRENGTH)
            clips, groups = float(first.mean()), float(second.mean())
            new = "value of it" if alone else unit
            lost = (
                f"{percent(clips - groups)} points would be lost on a new {new}"
                if clips > groups
                else f"nothing would be lost on a new {new}"
            )
            what = (
                f"by clip {percent(clips)}, by {unit} {percent(groups)} % {metric}"
                f" (linear on {'+'.join(PRICED)}): {lost}"
            )
            findings.append(Finding("price", NOTE, what, [unit], of="option"))
    except (RequestError, Impossible):
        return findings
    return findings


def by_field(table: pd.DataFrame, field: NameField) -> pd.DataFrame:
    """The table with the field's values as groups: a fold each if they are few, else
    FOLDS drawn ones.
    """
    groups = field.of_clips(table)
    folds = pd.factorize(groups, sort=True)[0] + 1
    if len(field.values) > FOLDS_OF_GROUPS:
        folds = draw_folds(table["label"], groups, FOLDS, 0, {})
    return table.assign(group=groups, fold=folds)


def statistics_of(table: pd.DataFrame, dataset: Dataset) -> NDArray[np.float32]:
    """(N, D) row statistics of PRICED; Impossible if clips are too short for them."""
    variants = [resolve_feature(parse_channel(name)) for name in PRICED]
    rate, samples = dataset.sample_rate, dataset.samples
    for variant in variants:
        variant.shape(rate, samples)
    rows = zip(table["path"], spans(table))
    statistics = []
    for path, span in progress(rows, total=len(table), label="price", unit="clips"):
        clip = Clip(audio.load_clip(path, rate, samples, span), rate)
        maps = [variant.compute(clip)[None] for variant in variants]
        parts = [clip_statistics(values, "s") for values in maps]
        statistics.append(np.concatenate(parts, axis=1)[0])
    return np.stack(statistics)
