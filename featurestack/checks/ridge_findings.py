"""Findings by ridge regression, which leaves clips out exactly and without more fits:

artefacts   do level, padding, clipping and bandwidth predict the class? If they do,
            a score may come from them and not from the sound
price       the accuracy that a split by clip adds to one by recording, or by a
            field of the names. Both splits have groups of the same sizes and
            classes, so that both models learn from equally many clips

Uneven classes count the same in fit and score, as in balanced accuracy.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack import ridge
from featurestack.base.errors import RequestError, see
from featurestack.base.quantities import percent, plural
from featurestack.base.terminal import progress
from featurestack.checks import NOTE, WARNING, Finding
from featurestack.checks.clips import ARTEFACTS
from featurestack.comparison.average_precision import fold_ranks
from featurestack.comparison.metrics import Floats, class_weights, indicator
from featurestack.comparison.scores import ACCURACY, suited
from featurestack.comparison.significance import TRAINING_VARIANCE, accuracy_interval
from featurestack.features_cache import clip_table
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.features_cache.row_statistics import over_time
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.datasets.name_fields import RECORDING
from featurestack.pipeline.features import resolve_feature

ARTEFACT_HELP = "make them the same in all classes"
PRICED = ("mel", "mfcc")  # a leak's price is measured on statistics of these
MOST_PRICED = 2000  # clips of which the price is measured: their kernel takes seconds
NEW_VALUES = "speakers, sites or devices"  # what a field of the file names may contain
RANDOM_SPLITS = 5  # random splits whose mean is the accuracy by clip


def targets_of(table: pd.DataFrame) -> NDArray[np.integer] | NDArray[np.bool_]:
    """(N,) class numbers or, for tags, (N, K) the labels that some but not all clips
    have.
    """
    if not clip_table.has_tags(table):
        return pd.factorize(table["label"], sort=True)[0]
    labels = clip_table.label_indicator(table["label"], clip_table.classes_in(table))
    return labels[:, labels.any(axis=0) & ~labels.all(axis=0)]


def judged_by(
    targets: NDArray[np.integer] | NDArray[np.bool_],
) -> tuple[str, Floats]:
    """The name of the score, and each clip's weight (N,) in fit and score."""
    weights = np.ones(len(targets))
    if targets.ndim == 2:
        return "macro AUROC", weights
    labels = indicator(targets.astype(np.intp), int(targets.max()) + 1)
    metric = suited(ACCURACY, labels)
    if metric.balanced:
        weights = labels @ class_weights(labels.sum(axis=0))
    return metric.title, weights


def logits_left_out(
    blocks: Sequence[NDArray[np.floating]],
    targets: NDArray[np.integer] | NDArray[np.bool_],
    groupings: Sequence[NDArray[np.generic]],
    kernel: str,
) -> list[Floats]:
    """For each grouping (N,), the predictions (N, K) for the clips of the blocks (N,
    D), each by the model without the clip's group. They are rounded, so that rounding
    errors rank no clips.
    """
    x = np.hstack(blocks)
    standard = ridge.standardisation(x, [block.shape[1] for block in blocks])
    exclusive = targets.ndim == 1
    log_loss = ridge.class_loss if exclusive else ridge.label_loss
    truth = np.eye(targets.max() + 1)[targets] if exclusive else targets.astype(float)
    _, counts = judged_by(targets)
    left_out = []
    with threadpool_limits(1):  # sums have the same order on every machine
        kernels = ridge.kernels_of([kernel], standard.of(x), counts)
        for groups in groupings:
            tested = ridge.has_others(truth, groups)
            choice = ridge.choose(kernels, truth, counts, groups, tested, log_loss)
            left_out.append(choice.answers.round(9))
    return left_out


def scores_of_clips(
    targets: NDArray[np.integer] | NDArray[np.bool_], logits: Floats
) -> tuple[Floats, Floats]:
    """Scores and weights (N, K) whose mean is the accuracy, of uneven classes balanced
    accuracy, or macro AUROC. With tags, a clip's score for its label is the share of
    clips without the label for which the model predicts a lower value.
    """
    if targets.ndim == 1:
        correct = logits.argmax(axis=1) == targets
        return correct[:, None].astype(float), judged_by(targets)[1][:, None]
    scores = np.zeros(targets.shape)
    for label, has in enumerate(targets.T):
        others = np.sort(logits[~has, label])
        labelled = logits[has, label]
        below = np.searchsorted(others, labelled) + np.searchsorted(
            others, labelled, "right"
        )
        scores[has, label] = below / (2 * len(others))
    return scores, targets / (targets.sum(axis=0) * targets.shape[1])


def artefact_findings(table: pd.DataFrame) -> list[Finding]:
    """A warning if a model of only artefacts beats chance; none for windows."""
    targets = targets_of(table)
    if clip_table.has_windows(table) or not targets.max(initial=0):
        return []
    groups = table["group"].to_numpy(dtype=str)
    folds = table["fold"].to_numpy()
    from_mean = table[ARTEFACTS].astype(float) - table[ARTEFACTS].mean()

    def accuracy(names: Sequence[str]) -> Floats:
        """(3,) accuracy of models that each leave one fold out, and its interval by
        recording.
        """
        # squares find a class whose measures lie between those of others
        columns = [from_mean[name].to_numpy() for name in names]
        blocks = [np.column_stack([column, column**2]) for column in columns]
        (logits,) = logits_left_out(blocks, targets, [folds], ridge.PLAIN)
        if clip_table.has_tags(table):
            logits = fold_ranks(logits, folds)
        scores, weights = scores_of_clips(targets, logits)
        of_scores = np.repeat(groups, scores.shape[1])
        flat, counts = scores.reshape(-1, 1), weights.ravel()
        mean = np.average(scores, weights=weights)
        # tested clips train the models of others, so the accuracy varies more
        interval = accuracy_interval(flat, of_scores, counts, TRAINING_VARIANCE)
        return np.array([mean, *interval[0]])

    (metric, weights), constant, chance = judged_by(targets), "chance", 0.5
    if targets.ndim == 1:
        by_class = np.bincount(targets, weights)
        chance = float(by_class.max() / len(targets))
    if metric == ACCURACY.title:
        constant = "always the commonest class"
    mean, low, high = accuracy(ARTEFACTS)
    if not low > chance:
        return []
    what = (
        f"a model trained only on artefacts reaches {percent(mean)} % {metric} (95 %"
        f" interval {percent(low)} to {percent(high)}; {constant}: {percent(chance)} %)"
    )
    measures = progress(ARTEFACTS, label="artefacts", unit="measures")
    alone = {name: accuracy([name]) for name in measures}
    first, *others = sorted(alone, key=lambda name: -alone[name][0])
    predicting = [first, *(name for name in others if alone[name][1] > chance)]
    names = [f"{name} {percent(alone[name][0])} %" for name in predicting]
    remedy = ARTEFACT_HELP + see("howto/datasets.md#artefacts")
    return [Finding("artefacts", WARNING, what, names, remedy, "measure", mean, chance)]


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
        new = plural(unit) if unit == RECORDING else NEW_VALUES
        groups = table["clip_id"].map(field.value_of)
        names = [unit, f"GROUP={field.group}"]
    if groups.nunique() < 2 or not targets_of(table).max(initial=0):
        return []
    try:
        values = statistics_of(table, dataset)
    except RequestError:
        return []
    by_clip, by_group = accuracies(values, table, groups)
    targets = targets_of(table)
    metric, weights = judged_by(targets)
    # independent clips of equal weight with the variance of these
    lost = is_lost(by_clip, by_group, weights.sum() ** 2 / np.square(weights).sum())
    model = f"ridge on {'+'.join(PRICED)}"
    scores = f"{percent(by_clip)} % by clip, {percent(by_group)} % by {unit}"
    costs = "costs nothing" if by_group >= by_clip else "has no clear cost"
    what = f"splitting by {unit} {costs}: {percent(by_group)} %, against"
    what += f" {percent(by_clip)} % in random splits of the same sizes"
    what += f" ({metric} of {model})"
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
    """The accuracy by clip, averaged over random splits, and the accuracy by group."""
    targets = targets_of(table)
    splits = [groups, *random_splits(groups, table["label"])]
    groupings = [split.to_numpy(str) for split in splits]
    logits = logits_left_out(values, targets, groupings, ridge.MIXED)
    by_group, *by_clip = (
        np.average(scores, weights=weights)
        for scores, weights in (scores_of_clips(targets, each) for each in logits)
    )
    return float(np.mean(by_clip)), float(by_group)


def random_splits(
    groups: "pd.Series[str]", labels: "pd.Series[str]"
) -> "list[pd.Series[str]]":
    """Random groups of clips, each with as many clips of each class as a real group."""
    rng = np.random.default_rng(0)
    of_class = groups.groupby(labels.to_numpy())
    return [of_class.transform(rng.permutation) for _ in range(RANDOM_SPLITS)]


def is_lost(by_clip: float, by_group: float, clips: float) -> bool:
    """Whether the accuracy by clip is more than two standard errors above that by
    group.
    """
    variance = (by_clip * (1 - by_clip) + by_group * (1 - by_group)) / clips
    return by_clip - by_group > 2 * np.sqrt(variance)


def statistics_of(table: pd.DataFrame, dataset: Dataset) -> list[Floats]:
    """(N, D) row statistics of each of PRICED; Impossible if clips are too short."""
    features = [resolve_feature(parse_feature_name(name)) for name in PRICED]
    rate = dataset.sample_rate
    rows = zip(table["path"], clip_table.spans(table))
    statistics = []
    for path, span in progress(rows, total=len(table), label="price", unit="clips"):
        y = audio.load_clip(path, rate, dataset.samples, span)
        clip = Clip.decoded(y, rate)
        maps = [feature.compute(clip)[None] for feature in features]
        statistics.append([over_time(each)[0] for each in maps])
    return [np.array(each, float) for each in zip(*statistics)]
