"""The folder of `make importance`: the last call, which a report reads. No torch.

    runs/<dataset>/importance/
        importance.json   configuration, written last
        scores.csv        one row for each test clip: clip_id, group, fold, target, then
                          one column for each set of features that was fitted

A clip's part of the score is 1 if its class was predicted, else 0; with tags it is the
clip's part of mAP. Averaged over the clips, the parts give the score. The column `none`
has no feature: the commonest class, or the labels' shares with tags.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from featurestack.results.config import (
    Record,
    SoundClass,
    checked,
    distinct_names,
    read_config,
)
from featurestack.results.run_folder import damage_named
from featurestack.scores.tasks.base import labels_of
from featurestack.scores.tasks.registry import task_of

FOLDER = "importance"
NONE = "none"
CLIP_COLUMNS = {"clip_id": str, "group": str, "fold": int, "target": str}
BASE = "mel"
REMEDY = "remove the folder and measure it again"


class ImportanceConfig(Record):
    """The content of importance.json."""

    dataset: str
    hash: str  # of the features, their values, the clips, folds and options
    synthetic: bool
    model: str
    task: str
    classes: tuple[SoundClass, ...] = checked(check=distinct_names)
    features: tuple[str, ...]
    # feature sets of which these are the best by their scores on the tested folds
    composed_from: int = checked(0, default=0)

    @property
    def score(self) -> str:
        return task_of(self.task).metric.title

    @property
    def base(self) -> str:
        """The feature that the others are added to: mel, or the first."""
        return BASE if BASE in self.features else self.features[0]

    @property
    def sets(self) -> Mapping[str, tuple[str, ...]]:
        """Column of scores.csv -> the features of the fit: all, each without one, each
        alone, each beside the base.
        """
        features = self.features
        fits = [features]
        fits += [tuple(f for f in features if f != left_out) for left_out in features]
        fits += [(name,) for name in features]
        fits += [(self.base, name) for name in features if name != self.base]
        return {NONE: ()} | {self.column(*fit): fit for fit in fits}

    def column(self, *features: str) -> str:
        """The features of a set, in the order in which they were given."""
        return "+".join(name for name in self.features if name in features)

    def without(self, feature: str) -> str:
        return self.column(*(name for name in self.features if name != feature))


@dataclass(frozen=True)
class ImportanceFolder:
    """The scores of one call."""

    path: Path

    @cached_property
    def config(self) -> ImportanceConfig:
        file = self.path / "importance.json"
        with damage_named(file, REMEDY):
            content = json.loads(file.read_text(encoding="utf-8"))
        return read_config(content, ImportanceConfig, str(file), REMEDY)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """N rows: CLIP_COLUMNS, then a column for each of the config's `sets`."""
        file = self.path / "scores.csv"
        types = CLIP_COLUMNS | dict.fromkeys(self.config.sets, float)
        with damage_named(file, REMEDY):
            return pd.read_csv(
                file, dtype=types, usecols=[*types], keep_default_na=False
            )

    @property
    def labels(self) -> pd.DataFrame:
        """(N, K): whether a test clip has each class that one has."""
        names = [entry.name for entry in self.config.classes]
        labels = labels_of(task_of(self.config.task), self.scores["target"], names)
        table = pd.DataFrame(labels, columns=names)
        return table.loc[:, table.any()]
