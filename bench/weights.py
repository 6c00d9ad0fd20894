"""What an ensemble of two finished runs would answer, for every weight of the second, and its calibration.

    python -m bench.weights "mel+mfcc+chroma-cnn8 mel+mfcc+chroma-texture"

Members of an ensemble are trained with separate losses, so that the weight changes no training: averaged
logarithms of probabilities give what the ensemble would. The cross-fitted row takes for each fold the weight
of the least log loss on the clips of the other folds.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from tyro.conf import Positional

from commandline import RequestError, RunsOptions, main, mean_percent, text_table
from train import runs
from train.scores import Prediction, accuracy, calibration_error, cross_fitted_temperatures, log_loss, scaled

WEIGHTS = (0, 0.25, 0.5, 0.6, 0.67, 0.75, 0.9, 1)
FINE = np.linspace(0, 1, 21)  # that the cross-fitted weight is one of
TINY = 1e-9

Numbers = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class WeightsOptions(RunsOptions):
    """Which two runs."""

    run: Annotated[str, Positional]
    """two runs of the same clips: names, paths or unique prefixes"""


def weights(options: WeightsOptions) -> None:
    """Accuracy, log loss and calibration error of two runs' answers together, for every weight."""
    found = runs.select(options.runs, options.run)
    if len(found) != 2 or found[0].finished != found[1].finished:
        raise RequestError(
            f"{options.run} names {len(found)} runs: expected two with the same finished folds"
        )
    tables = [one.predictions().query("split == 'test' and selection == 'last'") for one in found]
    first, second = (table.sort_values("clip_id", ignore_index=True) for table in tables)
    target = first["target"].map(found[0].classes.index).to_numpy()
    folds = first["fold"].to_numpy()
    members = [table[found[0].classes].to_numpy() for table in (first, second)]
    rows = [(f"{weight:g}", *_scores(target, joined(members, weight), folds)) for weight in WEIGHTS]
    rows.append(("cross-fitted", *_scores(target, _cross_fitted(target, members, folds), folds)))
    print(text_table(rows, ("weight", "accuracy", "log loss", "calibration error", "after a temperature")))


def joined(members: list[Numbers], weight: float) -> Numbers:
    """Probabilities (N, K) of the ensemble, `weight` the second member's."""
    logits = (1 - weight) * np.log(members[0] + TINY) + weight * np.log(members[1] + TINY)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _cross_fitted(target: NDArray[np.intp], members: list[Numbers], folds: NDArray[np.intp]) -> Numbers:
    answers = np.stack([joined(members, weight) for weight in FINE])  # (weights, N, K)
    losses = -np.log(answers[:, np.arange(len(target)), target] + TINY)
    made = np.empty_like(answers[0])
    for fold in np.unique(folds):
        best = losses[:, folds != fold].sum(axis=1).argmin()
        made[folds == fold] = answers[best][folds == fold]
    return made


def _scores(target: NDArray[np.intp], answers: Numbers, folds: NDArray[np.intp]) -> tuple[str, ...]:
    temperatures = cross_fitted_temperatures(target, answers, folds)
    each = [(folds == fold, temperature) for fold, temperature in temperatures.items()]
    before = [Prediction(target[here], answers[here]) for here, _ in each]
    after = [Prediction(target[here], scaled(answers[here], temperature)) for here, temperature in each]
    loss, error, left = (
        f"{np.mean([metric(one) for one in predictions]):.3f}"
        for metric, predictions in (
            (log_loss, before),
            (calibration_error, before),
            (calibration_error, after),
        )
    )
    return mean_percent([accuracy(one) for one in before]), loss, error, left


if __name__ == "__main__":
    main([weights])
