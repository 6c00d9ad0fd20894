"""Does the importance of features travel? Their Shapley shares on several datasets, and
the rank correlation of these shares between datasets.

A share is a part of what all features give above none, so that datasets with different
numbers of classes compare.

Conventions: k datasets; F features that all of them measured; G source recordings of a
dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.analysis.report_inputs import ReportJob
from featurestack.analysis.significance import LEVEL
from featurestack.commandline.errors import RequestError
from featurestack.results.bootstrap import recording_sums
from featurestack.results.scores import Floats
from featurestack.rooms.importance.folder import ImportanceFolder, find_importance
from featurestack.rooms.importance.shapley import EXACT

FEWEST_SHARED = 3  # features whose order is compared
SEED = 0  # the same intervals in every report
REPLICATES = 1_000


@dataclass(frozen=True, eq=False)
class ImportanceShares:
    """The Shapley shares of features on several datasets, and whether their order
    agrees.
    """

    model: str
    shares: pd.DataFrame  # features by datasets; each column sums to 1
    correlation: float  # mean rank correlation of two datasets
    low: float
    high: float


def finished_calls(
    given: Sequence[ReportJob],
    runs: Path,
) -> tuple[str, dict[str, ImportanceFolder]]:
    """The model with which most datasets have a finished call of importance, and each
    dataset's call with most features; '' and none if there is no call.
    """
    calls: dict[str, dict[str, ImportanceFolder]] = {}  # model -> dataset -> folder
    for job in given:
        for folder in find_importance(runs, job.dataset):
            try:
                model, lacking = folder.config.model, folder.lacking
            except (RequestError, OSError):
                continue  # the dataset's own report names it
            of_model = calls.setdefault(model, {})
            known = of_model.get(job.dataset)
            if lacking:
                continue
            if known is None or len(folder.features) > len(known.features):
                of_model[job.dataset] = folder
    if not calls:
        return "", {}
    model = max(calls, key=lambda name: len(calls[name]))
    return model, calls[model]


def common_features(folders: Sequence[ImportanceFolder]) -> tuple[str, ...]:
    """The features that all calls measured, in the order of the first."""
    first, *others = folders
    return tuple(
        name
        for name in first.features
        if all(name in folder.features for folder in others)
    )


def shapley_by_recording(
    folder: ImportanceFolder,
    features: tuple[str, ...],
) -> Floats | None:
    """(G, F): each recording's part of the Shapley values of these features; None if
    the call did not fit all their subsets.
    """
    # above EXACT features only sampled subsets were fitted, not all of these features'
    exact = len(folder.features) <= EXACT or features == tuple(folder.features)
    if not exact:
        return None
    of_features = ImportanceFolder(folder.path, features)
    clips = of_features.clips
    values = of_features.contributions()["shapley"] / len(clips)
    return recording_sums(values, clips["group"].to_numpy())


def importance_shares(
    given: Sequence[ReportJob],
    runs: Path,
) -> ImportanceShares | None:
    """The Shapley shares of the features that all calls of importance have in common;
    None if fewer than two datasets, or three features, do.
    """
    model, folders = finished_calls(given, runs)
    if len(folders) < 2:
        return None
    common = common_features([*folders.values()])
    if len(common) < FEWEST_SHARED:
        return None
    columns = {}
    parts = []
    for dataset, folder in folders.items():
        values = shapley_by_recording(folder, common)
        if values is None:
            continue
        total = values.sum(axis=0)
        if total.sum() > 0:
            columns[dataset] = total / total.sum()
            parts.append(values)
    if len(columns) < 2:
        return None
    shares = pd.DataFrame(columns, index=list(common))
    order = shares.mean(axis=1).sort_values(ascending=False).index
    low, high = correlation_interval(parts)
    return ImportanceShares(
        model=model,
        shares=shares.loc[order],
        correlation=rank_correlation(shares.T.to_numpy()),
        low=low,
        high=high,
    )


def correlation_interval(parts: Sequence[Floats]) -> tuple[float, float]:
    """The interval of `rank_correlation` of the sums of k arrays (G, F): recordings of
    each dataset are drawn with replacement.
    """
    rng = np.random.default_rng(SEED)
    drawn = []
    for values in parts:
        recordings = len(values)
        even = np.full(recordings, 1 / recordings)
        times = rng.multinomial(recordings, even, REPLICATES)  # (REPLICATES, G)
        drawn.append(times @ values)
    sums = np.stack(drawn, axis=1)  # (REPLICATES, k, F)
    correlations = [rank_correlation(replicate) for replicate in sums]
    low, high = np.quantile(correlations, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def rank_correlation(values: Floats) -> float:
    """The mean over pairs of rows of `values` (k, features) of Spearman's rank
    correlation.
    """
    matrix = np.corrcoef(pd.DataFrame(values).rank(axis=1))
    return float(matrix[np.triu_indices(len(values), 1)].mean())
