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
from featurestack.pipeline.checks.findings import NOTE, WARNING, Finding
from featurestack.pipeline.datasets.folds import FOLDS, draw_folds
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.datasets.name_fields import FOLDS_OF_GROUPS, NameField
from featurestack.pipeline.features import Clip, Impossible, resolve_feature
from featurestack.results.training_options import STRENGTH

# a leak's price is measured by the model `linear` on statistics of these features
PRICED = ("mel", "mfcc")
MOST_PRICED = 2000  # clips of which the price is measured; the fits take half a minute


def price_findings(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """Scores of a linear model by clip, and by group or fields that may be groups."""
    alone = not table["group"].duplicated().any()
    if not 0 < len(table) <= MOST_PRICED or (alone and not dataset.fields):
        return []
    splits = {dataset.groups or "source recording": table}
    words: dict[str, list[str]] = {}
    if alone:
        splits = {field.where: by_field(table, field) for field in dataset.fields}
        words = {field.where: field.options for field in dataset.fields}
    metric = "macro AUROC" if has_tags(table) else "accuracy"
    findings = []
    try:
        values = statistics_of(table, dataset)
        for unit, split in splits.items():
            clips = float(linear_accuracies(by_clip(split), values, STRENGTH).mean())
            groups = float(linear_accuracies(split, values, STRENGTH).mean())
            clear = is_lost(clips, groups, len(table))
            new = "speaker, site or device" if alone else unit
            what = price(unit, clips, groups, metric, new, clear=clear)
            severity = WARNING if alone and clear else NOTE
            names = [unit, *words.get(unit, ())]
            findings.append(Finding("price", severity, what, names, about="the folds"))
    except (RequestError, Impossible):
        return findings
    return findings


def by_clip(split: pd.DataFrame) -> pd.DataFrame:
    """The table with folds that split groups, but have as many clips of each class."""
    rng = np.random.default_rng(0)
    folds = split.groupby("label")["fold"].transform(rng.permutation)
    return split.assign(group=split["clip_id"], fold=folds)


def is_lost(by_clip: float, by_group: float, clips: int) -> bool:
    """Whether accuracy by clip is over two standard errors above that by group."""
    variance = (by_clip * (1 - by_clip) + by_group * (1 - by_group)) / clips
    return by_clip - by_group > 2 * np.sqrt(variance)


def price(
    unit: str,
    by_clip: float,
    by_group: float,
    metric: str,
    new: str,
    *,
    clear: bool,
) -> str:
    """The gain of a split by clip over a split by `unit`, in words.

    >>> price("speaker", 0.953, 0.502, "accuracy", "speaker", clear=True)[-37:]
    'a new speaker scores 45.1 points less'
    """
    change = "about the same"
    if clear:
        change = f"{percent(by_clip - by_group)} points less"
    return (
        f"by clip {percent(by_clip)}, by {unit} {percent(by_group)} % {metric} (linear"
        f" on {'+'.join(PRICED)}): a new {new} scores {change}"
    )


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
    rate, samples = dataset.sample_rate, dataset.samples
    for variant in variants:
        variant.shape(rate, samples)
    rows = zip(table["path"], spans(table))
    statistics = []
    for path, span in progress(rows, total=len(table), label="price", unit="clips"):
        y = audio.load_clip(path, rate, samples, span, dataset.audio_channel)
        clip = Clip(y, rate)
        maps = [variant.compute(clip)[None] for variant in variants]
        parts = [clip_statistics(values, "s") for values in maps]
        statistics.append(np.concatenate(parts, axis=1)[0])
    return np.stack(statistics)
