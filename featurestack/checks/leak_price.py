"""The price of a leak: the accuracy that a split by clip adds to one by recording, or
by a field of the names.

Both splits have groups of the same sizes and classes, so that both models learn from
equally many clips.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.quantities import percent, plural
from featurestack.base.terminal import progress
from featurestack.checks import NOTE, WARNING, Finding
from featurestack.checks.left_out import answers_left_out, scores_of_clips, targets_of
from featurestack.compare.metrics import Floats
from featurestack.features_cache.clip_table import has_tags, spans
from featurestack.features_cache.feature_names import parse_channel
from featurestack.features_cache.row_statistics import over_time
from featurestack.linear import ridge
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.features import resolve_feature

PRICED = ("mel", "mfcc")  # a leak's price is measured on statistics of these
MOST_PRICED = 2000  # clips of which the price is measured: their kernel takes seconds
NEW_VALUES = "speakers, sites or devices"  # of a field of the names
SPLITS = 5  # random splits whose mean is the accuracy by clip


def price_findings(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """Accuracy by clip, and by group or a field that may be a group."""
    field = dataset.field
    recordings = table["group"]
    if not 0 < len(table) <= MOST_PRICED or (recordings.is_unique and not field):
        return []
    unit = dataset.groups or "source recording"
    new = plural(unit)
    groups, names = recordings, [unit]
    if field:
        unit = field.where
        new = "source recordings" if unit == "source recording" else NEW_VALUES
        groups = table["clip_id"].map(field.value_of)
        names = [unit, f"GROUP={field.group}"]
    if groups.nunique() < 2 or not targets_of(table).max(initial=0):
        return []
    try:
        values = statistics_of(table, dataset)
    except RequestError:
        return []
    by_clip, by_group = accuracies(values, table, groups)
    lost = is_lost(by_clip, by_group, len(table))
    metric = "macro AUROC" if has_tags(table) else "accuracy"
    model = f"ridge on {'+'.join(PRICED)}"
    scores = f"{percent(by_clip)} % by clip, {percent(by_group)} % by {unit}"
    what = f"no {'' if by_group > by_clip else 'clear '}loss with new {new}"
    what += f" ({scores}; {metric} of {model})"
    if lost:
        points = f"{percent(by_clip - by_group)} points"
        what = f"{model} scores {points} lower on new {new}"
        if not field:
            apart = f"{plural(unit)} are kept apart"
            what = f"{apart}; otherwise {model} would score {points} too high"
        what += f" ({metric} {scores})"
    severity = WARNING if field and lost else NOTE
    return [Finding("price", severity, what, names, about="the folds")]


def accuracies(
    values: Sequence[Floats], table: pd.DataFrame, groups: "pd.Series[str]"
) -> tuple[float, float]:
    """The accuracy by clip, a mean over random splits, and that by group."""
    targets = targets_of(table)
    splits = [groups, *random_splits(groups, table["label"])]
    groupings = [split.to_numpy(str) for split in splits]
    answers = answers_left_out(values, targets, groupings, ridge.MIXED)
    by_group, *by_clip = (
        np.average(scores, weights=weights)
        for scores, weights in (scores_of_clips(targets, each) for each in answers)
    )
    return float(np.mean(by_clip)), float(by_group)


def random_splits(
    groups: "pd.Series[str]", labels: "pd.Series[str]"
) -> "list[pd.Series[str]]":
    """Groups of clips at random, each with as many of each class as a real group."""
    rng = np.random.default_rng(0)
    of_class = groups.groupby(labels.to_numpy())
    return [of_class.transform(rng.permutation) for _ in range(SPLITS)]


def is_lost(by_clip: float, by_group: float, clips: int) -> bool:
    """Whether accuracy by clip is over two standard errors above that by group."""
    variance = (by_clip * (1 - by_clip) + by_group * (1 - by_group)) / clips
    return by_clip - by_group > 2 * np.sqrt(variance)


def statistics_of(table: pd.DataFrame, dataset: Dataset) -> list[Floats]:
    """(N, D) row statistics of each of PRICED; Impossible if clips are too short."""
    features = [resolve_feature(parse_channel(name)) for name in PRICED]
    rate = dataset.sample_rate
    rows = zip(table["path"], spans(table))
    statistics = []
    for path, span in progress(rows, total=len(table), label="price", unit="clips"):
        y = audio.load_clip(path, rate, dataset.samples, span, dataset.audio_channel)
        clip = Clip.decoded(y, rate)
        maps = [feature.compute(clip)[None] for feature in features]
        statistics.append([over_time(each)[0] for each in maps])
    return [np.array(each, float) for each in zip(*statistics)]
