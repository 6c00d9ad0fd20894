"""The score of a configuration: the runs that differ in nothing but their seed. No
torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featurestack.commandline.quantities import percent
from featurestack.features_cache.table import label_indicator
from featurestack.results.bootstrap import accuracy_interval, fold_weights
from featurestack.results.tags import fold_ranks, precision_of_seeds

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder


@dataclass(frozen=True)
class Score:
    """Accuracy, with tags mAP: the mean over folds and seeds, its 95 % interval by
    recording (NaN for a single recording), and the folds' own means over seeds.
    """

    mean: float
    low: float
    high: float
    by_fold: "pd.Series[float]"

    def __str__(self) -> str:
        """
        >>> str(Score(0.835, 0.791, 0.87, pd.Series([0.83, 0.84])))
        '83.5 % (95 % CI 79.1 to 87.0)'
        """
        return f"{percent(self.mean)} %" + (
            f" (95 % CI {self.interval})" if self.interval else ""
        )

    @property
    def interval(self) -> str:
        """`79.1 to 87.0`; '' if there is none."""
        if np.isnan(self.low):
            return ""
        return f"{percent(self.low)} to {percent(self.high)}"


def configuration_score(seeds: Sequence["RunFolder"]) -> Score:
    """The score of a configuration's runs on their test clips, or on their validation
    clips if they skip the test folds.
    """
    tables = []
    for run in seeds:
        table = run.scored(split=run.scored_split)
        recordings = table["group"].where(table["group"] != "", table["clip_id"])
        tables.append(table.assign(group=recordings))
    if seeds[0].tags:
        return _precision(seeds, tables)
    return _accuracy(tables, seeds[0].classes)


def _precision(seeds: Sequence["RunFolder"], tables: Sequence[pd.DataFrame]) -> Score:
    classes = seeds[0].classes
    evidence = []
    for table in tables:
        folds = table["fold"].to_numpy()
        ranks = fold_ranks(table[classes].to_numpy(), folds)
        labels = label_indicator(table["target"], classes)
        evidence.append((labels, ranks, table["group"].to_numpy(str)))
    mean, low, high = precision_of_seeds(evidence)[-1]
    of_folds = pd.concat([run.scores(run.scored_split)["map"] for run in seeds])
    return Score(mean, low, high, of_folds.groupby(level=0).mean())


def _accuracy(tables: Sequence[pd.DataFrame], classes: Sequence[str]) -> Score:
    clips = pd.concat(tables, ignore_index=True)
    correct = clips[classes].idxmax(axis=1) == clips["target"]
    over_seeds = correct.groupby([clips["fold"], clips["group"], clips["clip_id"]])
    each = over_seeds.mean()
    by_fold = each.groupby("fold").mean()
    ((low, high),) = accuracy_interval(
        each.to_numpy()[:, None],
        each.index.get_level_values("group").to_numpy(dtype=str),
        fold_weights(each.index.get_level_values("fold").to_numpy()),
    )
    return Score(by_fold.mean(), low, high, by_fold)
