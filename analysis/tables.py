"""The tables of a report as data frames: unrounded numbers, accuracies from 0 to 1.

Every score is averaged over the seeds of a configuration first. `n` counts folds, `_sd` is the sample
standard deviation over them (empty for one fold). Nothing here writes; `analysis.formats` does.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.answer import seed_deviation
from analysis.ranking import Ranking, kept_out
from analysis.results import Run, on_categories
from analysis.significance import PAIR_TESTS, Pair, friedman, holm
from train.scores import Floats, all_metrics, class_scores, confusion_matrix

CONFUSED_PAIRS = 20


def comparison(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """One row a configuration, the main ranking first, best first; `kept_out` says why a run is not in it."""
    reasons = {problem.run: problem.text for problem in kept_out(rankings)}
    rows = [
        _comparison_row(ranking, place) | {"ranking": number, "kept_out": reasons.get(run.name, "")}
        for number, ranking in enumerate(rankings, start=1)
        for place, run in enumerate(ranking.runs)
    ]
    return pd.DataFrame(rows)


def _comparison_row(ranking: Ranking, place: int) -> dict[str, Any]:
    run = ranking.runs[place]
    by_fold = fold_scores(run)
    mean, deviation = by_fold.mean(), by_fold.std(ddof=1)
    low, high = ranking.interval[place]
    others = [name for name in by_fold.columns if name != "accuracy"]
    return {
        "run": run.name,
        "accuracy": mean["accuracy"],
        "accuracy_sd": deviation["accuracy"],
        "n": len(by_fold),
        "accuracy_low": low,
        "accuracy_high": high,
        **{
            key: value
            for name in others
            for key, value in ((name, mean[name]), (f"{name}_sd", deviation[name]))
        },
        "seeds": len(run.seeds),
        "seed_sd": seed_deviation(run) if len(run.seeds) > 1 else np.nan,
        "clips": len(run.clip_ids),
        "rank": place + 1,
        "verdict": _verdict(ranking, run),
        **_costs(run),
        "features": run.features,
        "model": run.model,
        "task": run.task,
        "protocol": run.protocol,
        "checkpoint": run.selection,
        "missing_folds": " ".join(map(str, run.missing)),
        "synthetic": run.synthetic,
    }


def _verdict(ranking: Ranking, run: Run) -> str:
    if len(ranking.runs) == 1:
        return "alone"
    if run is ranking.best:
        return "best" if not ranking.tied else "tied"
    return "tied" if run in ranking.tied else "worse"


def _costs(run: Run) -> dict[str, float]:
    """What a run cost, seeds averaged; NaN where its run.json does not say."""
    configs = [folder.config for folder in run.folders]
    extraction = configs[0].get("extraction") or {}
    return {
        "parameters": configs[0].get("parameters", np.nan),
        "extraction_seconds": extraction.get("seconds", np.nan),
        "extraction_megabytes": extraction.get("megabytes", np.nan),
        "training_seconds": float(np.mean([config.get("seconds", np.nan) for config in configs])),
    }


def fold_scores(run: Run) -> pd.DataFrame:
    """Every metric (columns) in each fold (rows), seeds averaged."""
    rows = {}
    for fold in np.unique(run.folds):
        here = run.folds == fold
        seeds = [all_metrics(run.target[here], values[here]) for values in run.probabilities]
        rows[int(fold)] = {name: float(np.mean([one[name] for one in seeds])) for name in seeds[0]}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")


def pairs(ranking: Ranking) -> pd.DataFrame:
    """The one verdict a pair: a (the higher), b, difference, its interval, p-values, and the words."""
    table = ranking.pairs.copy()
    words = np.where(table["differs"], table["a"] + " is better", "no difference shown")
    return table.drop(columns="differs").assign(verdict=words)


def appendix(ranking: Ranking) -> pd.DataFrame:
    """Every pair by the other tests: p-values corrected by Holm within each test, and Nemenyi's."""
    table = ranking.pairs[["a", "b", "difference"]].copy()
    looks = [_pair(ranking, a, b) for a, b in combinations(range(len(ranking.runs)), 2)]
    for name, test in PAIR_TESTS.items():
        p_values = np.array([test.p_value(look) for look in looks], dtype=float)
        table[f"{name}_p_holm"] = holm(p_values)
    ranks = friedman(ranking.fold_accuracy.T)
    if ranks is not None:
        table["nemenyi_p"] = ranks.nemenyi[np.triu_indices(len(ranking.runs), k=1)]
    return table


def _pair(ranking: Ranking, a: int, b: int) -> Pair:
    first, second = ranking.runs[a], ranking.runs[b]
    folds = len(ranking.folds)
    return Pair(
        correct_a=first.predicted[0] == first.target,
        correct_b=second.predicted[0] == second.target,
        folds_a=ranking.fold_accuracy[a],
        folds_b=ranking.fold_accuracy[b],
        test_share=1 / (folds - 1) if folds > 1 else np.nan,
    )


def per_class(run: Run) -> pd.DataFrame:
    """Precision, recall, F1 and test clips of each class over all folds, seeds averaged."""
    seeds = [class_scores(run.target, predicted, len(run.classes)) for predicted in run.predicted]
    scores = {name: np.mean([one[name] for one in seeds], axis=0) for name in ("precision", "recall", "f1")}
    columns = {"class": run.classes, "category": run.categories, **scores}
    return pd.DataFrame(columns).assign(clips=seeds[0]["support"].astype(int))


def recall_by_class(ranking: Ranking) -> pd.DataFrame:
    """Recall of every run in every class, run by run, best first: columns run, class, category, recall."""
    parts = [per_class(run)[["class", "category", "recall"]] for run in ranking.runs]
    for run, part in zip(ranking.runs, parts, strict=True):
        part.insert(0, "run", run.name)
    return pd.concat(parts, ignore_index=True)


def per_category(run: Run) -> pd.DataFrame | None:
    """The same for the major categories, by summed probabilities; None where classes have none."""
    summed = run if run.task == "categories" else on_categories(run)
    if summed is None:
        return None
    return per_class(summed).drop(columns="category").rename(columns={"class": "category"})


def confusion(run: Run) -> Floats:
    """Counts (K, K), rows the true class, seeds averaged: each row sums to the class's test clips."""
    counts = [confusion_matrix(run.target, predicted, len(run.classes)) for predicted in run.predicted]
    return np.mean(counts, axis=0)


def confused_pairs(run: Run, most: int = CONFUSED_PAIRS) -> pd.DataFrame:
    """The most frequent confusions: true class, predicted class, clips, share of the true class's clips."""
    counts = confusion(run)
    clips = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    true, predicted = np.unravel_index(order[counts.ravel()[order] > 0], counts.shape)
    names = np.array(run.classes, dtype=object)
    return pd.DataFrame(
        {
            "true": names[true],
            "predicted": names[predicted],
            "clips": counts[true, predicted],
            "share": counts[true, predicted] / clips[true],
        }
    )
