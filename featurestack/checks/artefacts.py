"""Do level, padding, clipping and bandwidth predict the class? If they do, a score may
come from them and not from the sound.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from featurestack.base.errors import see
from featurestack.base.quantities import percent
from featurestack.base.terminal import progress
from featurestack.checks import WARNING, Finding
from featurestack.checks.clips import ARTEFACTS
from featurestack.checks.left_out import answers_left_out, scores_of_clips, targets_of
from featurestack.compare.average_precision import fold_ranks
from featurestack.compare.metrics import Floats
from featurestack.compare.significance import TRAINING_VARIANCE, accuracy_interval
from featurestack.features_cache.clip_table import has_tags, has_windows
from featurestack.linear import ridge

ARTEFACT_HELP = "make them the same in all classes"


def artefact_findings(table: pd.DataFrame) -> list[Finding]:
    """A warning if a model of only artefacts beats chance; none for windows."""
    targets = targets_of(table)
    if has_windows(table) or not targets.max(initial=0):
        return []
    groups = table["group"].to_numpy(dtype=str)
    folds = table["fold"].to_numpy()
    from_mean = table[ARTEFACTS].astype(float) - table[ARTEFACTS].mean()

    def accuracy(names: Sequence[str]) -> Floats:
        """(3,) accuracy, each fold left out, and its interval by recording."""
        # squares find a class whose measures lie between those of others
        columns = [from_mean[name].to_numpy() for name in names]
        blocks = [np.column_stack([column, column**2]) for column in columns]
        (answers,) = answers_left_out(blocks, targets, [folds], ridge.PLAIN)
        if has_tags(table):
            answers = fold_ranks(answers, folds)
        scores, weights = scores_of_clips(targets, answers)
        of_scores = np.repeat(groups, scores.shape[1])
        flat, counts = scores.reshape(-1, 1), weights.ravel()
        mean = np.average(scores, weights=weights)
        # tested clips train the models of others, so the accuracy varies more
        interval = accuracy_interval(flat, of_scores, counts, TRAINING_VARIANCE)
        return np.array([mean, *interval[0]])

    metric, constant = "accuracy", "always the commonest class"
    chance = float(table["label"].value_counts(normalize=True).max())
    if has_tags(table):
        metric, constant, chance = "macro AUROC", "chance", 0.5
    mean, low, high = accuracy(ARTEFACTS)
    if not low > chance:
        return []
    what = (
        f"a model of only artefacts reaches {percent(mean)} % {metric} (95 % interval"
        f" {percent(low)} to {percent(high)}; {constant}: {percent(chance)} %)"
    )
    measures = progress(ARTEFACTS, label="artefacts", unit="measures")
    alone = {name: accuracy([name]) for name in measures}
    first, *others = sorted(alone, key=lambda name: -alone[name][0])
    predicting = [first, *(name for name in others if alone[name][1] > chance)]
    names = [f"{name} {percent(alone[name][0])} %" for name in predicting]
    remedy = ARTEFACT_HELP + see("howto/datasets.md#artefacts")
    return [Finding("artefacts", WARNING, what, names, remedy, "measure", mean, chance)]
