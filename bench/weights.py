"""An ensemble of finished runs: of two for every weight of the second, of more each alone and all together.

    python -m bench.weights "mel+mfcc+chroma-cnn8 mel+mfcc+chroma-texture"
    python -m bench.weights "mel+mfcc+chroma-resnet18 mel+mfcc+chroma-texture waveform-aclnet"

Members of an ensemble are trained with separate losses, so that the weight changes no training: averaged
logarithms of probabilities give what the ensemble would, on the folds that all of the runs have finished. The
cross-fitted row takes for each fold the weights of the least log loss on the clips of the other folds; below
the table it is set beside each member, with the interval over source recordings that a report has.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commandline.commands import main
from commandline.options import RunsOptions, option
from commandline.registry import RequestError
from commandline.terminal import mean_percent, percent, points, text_table
from results import bootstrap, run_folder
from results.scores import (
    Prediction,
    accuracy,
    calibration_error,
    cross_fitted_temperatures,
    log_loss,
    scaled,
)

WEIGHTS = (0, 0.25, 0.5, 0.6, 0.67, 0.75, 0.9, 1)
STEPS = {2: 20, 3: 10}  # of the weights from 0 to 1 that are tried in cross-fitting, by members; else 5
TINY = 1e-9

Numbers = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class WeightsOptions(RunsOptions):
    """Which runs."""

    run: str = option(
        dataclasses.MISSING,
        "two or more runs of the same clips: names, paths or unique prefixes",
        positional=True,
    )


def weights(options: WeightsOptions) -> None:
    """Accuracy, log loss and calibration error of the runs' answers together."""
    found = run_folder.select(options.runs, options.run)
    common = sorted(set.intersection(*(set(one.finished) for one in found)))
    if len(found) < 2 or not common:
        raise RequestError(
            f"{options.run} names {len(found)} runs: expected two or more that have finished a fold in common"
        )
    counting = "split == 'test' and selection == '{}'"
    tables = [one.predictions().query(counting.format(one.selection())) for one in found]
    tables = [table[table["fold"].isin(common)].sort_values("clip_id") for table in tables]
    target = tables[0]["target"].map(found[0].classes.index).to_numpy()
    folds = tables[0]["fold"].to_numpy()
    weight = bootstrap.fold_weights(folds)
    members = [table[found[0].classes].to_numpy() for table in tables]
    if len(found) == 2:
        answers = {f"{weight:g}": joined(members, (1 - weight, weight)) for weight in WEIGHTS}
    else:
        answers = {one.name: member for one, member in zip(found, members, strict=True)}
        answers["all, equal weights"] = joined(members, [1 / len(members)] * len(members))
    answers["cross-fitted"] = cross_fitted(target, members, folds)
    rows = [(name, *_scores(target, answer, folds)) for name, answer in answers.items()]
    print(text_table(rows, ("weight", "accuracy", "log loss", "calibration error", "after a temperature")))
    print(f"{len(target)} clips of folds {', '.join(map(str, common))}")
    groups = tables[0]["group"].to_numpy(str)
    right, *each = (one.argmax(axis=1) == target for one in (answers["cross-fitted"], *members))
    low, high = interval(right, weight, groups, lowest=0.0)
    print(f"cross-fitted: 95 % CI {percent(low)} to {percent(high)}")
    for run, member in zip(found, each, strict=True):
        gain = right.astype(float) - member
        low, high = interval(gain, weight, groups)
        difference = f"{points((gain * weight).sum())} points (95 % CI {points(low)} to {points(high)})"
        print(f"cross-fitted less {run.name}: {difference}")


def interval(
    values: Numbers, weight: NDArray[np.float64], groups: NDArray[np.str_], lowest: float = -1.0
) -> Numbers:
    """Of the weighted mean of `values` (N,), over source recordings."""
    drawn = bootstrap.resampled_means(
        values[:, None].astype(float), groups, weights=weight, rng=np.random.default_rng(0)
    )
    return bootstrap.interval(drawn, len(set(groups)), lowest=lowest)[0]


def joined(members: Sequence[Numbers], shares: Sequence[float]) -> Numbers:
    """Probabilities (N, K) of the ensemble, each member weighed by its share."""
    logits = sum(share * np.log(member + TINY) for share, member in zip(shares, members, strict=True))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def cross_fitted(target: NDArray[np.intp], members: list[Numbers], folds: NDArray[np.intp]) -> Numbers:
    """Probabilities (N, K): each fold's by the weights that the other folds chose."""
    steps = STEPS.get(len(members), 5)
    counts = itertools.product(range(steps + 1), repeat=len(members))
    shares = [[count / steps for count in one] for one in counts if sum(one) == steps]
    answers = np.stack([joined(members, share) for share in shares])  # (weights, N, K)
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
