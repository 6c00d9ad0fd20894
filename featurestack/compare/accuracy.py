"""One label a clip: the tasks CLASSES and CATEGORIES (the label's category instead),
their score ACCURACY with its interval and chance, and the temperature that calibrates
probabilities. `scores.significance` tests differences between runs.

Conventions as in `scores.metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.compare.metrics import (
    DECIDED_COLUMNS,
    SMALLEST_PROBABILITY,
    Evaluation,
    Floats,
    Ints,
    Labels,
    Probabilities,
    RankingMetric,
    TestedRun,
    balanced_accuracy,
    decided_scores,
    largest_first,
    macro_f1,
)
from featurestack.compare.significance import accuracy_interval, recording_sums
from featurestack.compare.tasks import Task
from featurestack.features_cache.table import refuse_class_names

# ---- scores of one set of predictions


def accuracy(evaluation: Evaluation) -> float:
    """Share of clips whose most probable class is the true one."""
    correct = (evaluation.labels & evaluation.decided).any(axis=1)
    return float(correct.mean())


def log_loss(evaluation: Evaluation) -> float:
    """Mean negative natural logarithm of the true class's probability."""
    of_true_class = evaluation.probabilities[evaluation.labels].astype(np.float64)
    losses = -np.log(np.maximum(of_true_class, SMALLEST_PROBABILITY))
    return float(losses.mean())


def most_confused(counts: Ints | Floats, pairs: int = 3) -> list[tuple[int, int]]:
    """The most frequent errors (true, predicted) in a matrix (K, K)."""
    errors = counts - np.diag(counts.diagonal())
    worst = largest_first(errors.ravel())[:pairs].tolist()
    return [divmod(place, len(errors)) for place in worst if errors.flat[place]]


# ---- the metric


class Accuracy(RankingMetric):
    """The share of clips that are predicted right; every clip counts alike."""

    def score(self, labels: Labels, probabilities: Probabilities, folds: Ints) -> float:
        clips = np.arange(len(labels))
        correct = labels[clips, probabilities.argmax(axis=1)]
        return float(correct.mean())

    def clip_scores(
        self, labels: Labels, probabilities: Probabilities, clips: pd.DataFrame
    ) -> Floats:
        """1 if the true class's probability is the highest, shared by ties."""
        highest = probabilities == probabilities.max(axis=1, keepdims=True)
        return (labels & highest).sum(axis=1) / highest.sum(axis=1)

    def compared(self, runs: Sequence[TestedRun]) -> tuple[Floats, ...]:
        """Sums by recording are whole numbers, so that ties are exact."""
        first = runs[0]
        correct = np.stack([run.correct for run in runs], axis=1)  # (N, R)
        seeds = lcm(*(len(run.probabilities) for run in runs))
        every = np.ones(len(correct))
        spread = np.array([run.folders[0].spread for run in runs])
        interval = accuracy_interval(correct, first.groups, every, spread)
        by_recording = recording_sums(np.rint(correct * seeds), first.groups)
        return correct.mean(axis=0), interval, by_recording, seeds * every

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """The accuracy of the best constant answer, the same in every recording: in
        recordings with one class each, its own hits would vary more than any run's.
        """
        accuracy = (worth @ run.labels).max() / worth.sum()
        by_recording = recording_sums(worth[:, None], run.groups)[:, 0]
        return accuracy * by_recording

    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """With intervals of recall, by recording; NaN for a class without a clip."""
        tested: Labels = np.any(run.labels, axis=0)
        of_class = run.labels[:, tested].astype(float)
        correct = np.repeat(run.correct[:, None], of_class.shape[1], axis=1)
        intervals = np.full((len(tested), 2), np.nan)
        intervals[tested] = accuracy_interval(correct, run.groups, of_class)
        return decided_scores(run).assign(
            recall_low=intervals[:, 0], recall_high=intervals[:, 1]
        )

    def error_lines(self, run: TestedRun) -> list[str]:
        """One line with the most frequent errors."""
        counts = run.labels.T.astype(int) @ run.decisions[0]
        errors = [
            f"{run.classes[true]} predicted as {run.classes[predicted]} "
            f"({counts[true, predicted]} of {counts[true].sum()})"
            for true, predicted in most_confused(counts)
        ]
        return [f"most confused: {'; '.join(errors) or 'none'}"]


ACCURACY = Accuracy(
    name="accuracy",
    title="accuracy",
    heading="Accuracy",
    history={
        "loss": log_loss,
        "accuracy": accuracy,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    },
    scores={
        "accuracy": accuracy,
        "balanced_accuracy": balanced_accuracy,
        "macro_f1": macro_f1,
        "log_loss": log_loss,
    },
    class_score="recall",
    meaning="the share of test clips that are predicted correctly",
    chance_meaning="the share of the commonest class",
    errors="confusion",
    pooled=False,
    class_columns=(("class", "Class", "text"), *DECIDED_COLUMNS),
)


# ---- the tasks


@dataclass(frozen=True)
class Classes(Task):
    """One label a clip: softmax, accuracy; targets (N,), -1 for no class."""

    name: str
    column: str
    metric = ACCURACY
    multilabel = False

    def refuse(self, table: pd.DataFrame) -> None:
        names = table[self.column]
        if (names == "").any():
            clip = table["clip_id"][names == ""].iloc[0]
            raise RequestError(
                f"TASK={self.name}: clip {clip} has no category, the column of the"
                " dataset's CSV; give TASK=classes"
            )
        if names.nunique() < 2:
            raise RequestError(
                f"one class only ({names.iloc[0]}): training needs two or more"
            )
        refuse_class_names(names)

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        pairs = pd.DataFrame(
            {"name": table[self.column], "category": table["category"]}
        )
        return pairs.drop_duplicates("name").sort_values("name").to_dict("records")

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        return pd.Index(classes).get_indexer(text)


CLASSES = Classes("classes", "label")
CATEGORIES = Classes("categories", "category")


# ---- calibration: the temperature divides the logits (Guo et al. 2017), which changes
# confidences, not predictions

# tried temperatures; the least loss is interpolated between them
TEMPERATURES = np.geomspace(0.2, 5, 17)
FEWEST_CLIPS = 30  # the temperature of fewer clips is 1


def scaled(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Probabilities (N, K) with their logits divided by the temperature; above 1
    confidence falls.

    >>> scaled(np.array([[0.8, 0.2]]), 0.5).round(2)
    array([[0.94, 0.06]])
    """
    positive = np.maximum(probabilities, SMALLEST_PROBABILITY)
    logits = np.log(positive) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    divided = raised / raised.sum(axis=1, keepdims=True)
    return divided.astype(probabilities.dtype)


def fit_temperature(target: Ints, probabilities: Probabilities) -> float:
    """The temperature of the least log loss on clips that trained no model: at the
    vertex of the parabola through the least tried one and its neighbours; 1 if there
    are fewer clips than FEWEST_CLIPS.
    """
    if len(target) < FEWEST_CLIPS:
        return 1.0
    clips = np.arange(len(target))
    positive = np.maximum(probabilities, SMALLEST_PROBABILITY, dtype=np.float64)
    logits = np.log(positive)
    logits -= logits.max(axis=1, keepdims=True)
    of_true_class = logits[clips, target]
    losses = []
    for temperature in TEMPERATURES:
        total = np.exp(logits / temperature).sum(axis=1)
        losses.append((np.log(total) - of_true_class / temperature).mean())
    place = int(np.clip(np.argmin(losses), 1, len(losses) - 2))
    below, least, above = losses[place - 1 : place + 2]
    curvature = below - 2 * least + above
    step = 0.0
    if curvature > 0:
        step = 0.5 * (below - above) / curvature
    step = np.clip(step, -1, 1)
    ratio = TEMPERATURES[1] / TEMPERATURES[0]
    return float(TEMPERATURES[place] * ratio**step)
