"""A task: the share of a clip, from 0 to 1, that whales fill, and its score."""

from typing import ClassVar

import numpy as np
import pandas as pd

from featurestack.scores.accuracy import Accuracy
from featurestack.scores.bootstrap import accuracy_interval, recording_sums
from featurestack.scores.metrics import Prediction, metric
from featurestack.scores.ranking_metric import Compared
from featurestack.scores.tasks.base import Task


@metric("share")
def closeness(prediction: Prediction) -> float:
    """1 without the mean absolute error."""
    return 1 - float(np.abs(prediction.labels - prediction.probabilities).mean())


@metric("share", "loss")
def squared_error(prediction: Prediction) -> float:
    return float(((prediction.labels - prediction.probabilities) ** 2).mean())


class Closeness(Accuracy):
    title = "closeness"
    heading = "Closeness"
    class_score = "closeness"
    class_heading = "Closeness"
    score_columns = ()
    class_columns = (
        ("closeness", "Closeness", "decimals"),
        ("support", "Clips", "number"),
    )
    sentences = dict.fromkeys(
        ("chance", "classes", "method"), lambda found: "Of shares."
    )

    def pooled_score(self, labels, probabilities, folds):
        return 1 - float(np.abs(labels - probabilities).mean())

    def correct(self, run):
        return 1 - np.abs(run.labels - run.probabilities).mean((0, 2))

    def compared(self, runs):
        first = runs[0]
        values = np.stack([run.correct for run in runs], axis=1)
        every = np.ones(len(values))
        return Compared(
            values.mean(axis=0),
            accuracy_interval(values, first.groups, every),
            recording_sums(values, first.groups),
            every,
        )

    def chance_values(self, run, worth):
        close = worth * (1 - np.abs(run.labels - run.labels.mean())[:, 0])
        return recording_sums(close[:, None], run.groups)[:, 0]

    def decision_scores(self, run):
        return {"support": np.array([len(run.labels)])}

    def class_scores(self, run):
        return {"closeness": self.seed_scores(run)[:1]}

    def class_intervals(self, run):
        return pd.DataFrame({"closeness_low": [np.nan]})


class Share(Task):
    name = "share"
    column = "label"
    score = "closeness"
    metrics = "share"
    history: ClassVar = {"loss": squared_error, "closeness": closeness}
    printed_scores = ("loss", "closeness")
    loss = "binary_cross_entropy"
    activation_call = "logits.sigmoid()"
    multilabel = False
    by_temperature = False
    fewest_classes = 1
    unfit: ClassVar = {}
    metric = Closeness()

    def refuse_clips(self, table):
        table["label"].astype(float)

    def class_entries(self, table):
        return [{"name": "share", "category": ""}]

    def targets(self, text, classes):
        return text.astype(float).to_numpy()[:, None]

    def indicator(self, targets, classes):
        return targets

    def known(self, text, classes):
        return np.ones(len(text), bool)

    def activation(self, logits):
        return logits.sigmoid()

    def sound(self, probabilities):
        return np.isfinite(probabilities).all(axis=1)

    def predicted(self, probabilities, above, classes):
        return [f"{share:.2f}" for share in probabilities[:, 0]]

    def decisions(self, probabilities, labels, folds=None):
        return np.zeros(probabilities.shape, bool)


SHARE = Share()
