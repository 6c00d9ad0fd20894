"""Tested windows of recordings: what they join to by rules from the other folds, and
the rules for new audio. No torch.

Conventions: W windows, K classes, as in `results.windows`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurestack.features_cache import Cache
from featurestack.results.config import Epoch, Joining, JoiningRule
from featurestack.results.detections import fit_rules
from featurestack.results.joining import join_by_rules, together
from featurestack.results.run_folder import RunFolder
from featurestack.results.scores import Ints
from featurestack.results.windows import (
    BACKGROUND,
    Annotated,
    block_groups,
    middles,
    read_annotated,
)

Rules = dict[str, JoiningRule]  # by class


class Decided(NamedTuple):
    """The decisions about tested windows, and what they join to."""

    chosen: pd.DataFrame  # (W, K) whether a class is predicted
    detections: pd.DataFrame  # as in `join_by_rules`


@dataclass(frozen=True)
class FoldWindows:
    """The windows that the folds tested, and the annotated events of their groups."""

    windows: pd.DataFrame  # (W) file, start, end, label, fold
    probabilities: pd.DataFrame  # (W, K)
    events: pd.DataFrame  # EVENT_COLUMNS, fold
    hop: float  # seconds from window to window

    @classmethod
    def of(
        cls,
        windows: pd.DataFrame,
        probabilities: pd.DataFrame,
        annotated: Annotated,
        hop: float,
    ) -> "FoldWindows":
        """Windows in any order; events of other classes and groups are left out."""
        order = np.lexsort((windows["start"], windows["file"]))
        windows = windows.iloc[order].reset_index(drop=True)
        probabilities = probabilities.iloc[order].reset_index(drop=True)
        groups = block_groups(windows, annotated.block)
        fold_of_group = windows["fold"].groupby(groups).first()
        events = annotated.events
        events = events.assign(
            fold=block_groups(events, annotated.block).map(fold_of_group)
        )
        known = events["label"].isin(probabilities.columns) & events["fold"].notna()
        return cls(windows, probabilities, events[known].reset_index(drop=True), hop)

    @classmethod
    def of_clips(
        cls,
        clips: pd.DataFrame,
        folds: Ints,
        probabilities: pd.DataFrame,
        annotated: Annotated,
    ) -> "FoldWindows":
        """The windows of a dataset.

        clips  (W) rows of a cache's clips; folds (W,); probabilities (W, K)
        """
        windows = clips[["path", "start", "end", "label"]]
        windows = windows.rename(columns={"path": "file"}).assign(fold=folds)
        windows["label"] = windows["label"].replace("", BACKGROUND)
        return cls.of(windows, probabilities, annotated, annotated.hop)

    def cross_fitted(self) -> Decided:
        """The decisions about each fold's windows, by rules of the other folds."""
        folds = np.unique(self.windows["fold"])
        return self.decided({fold: self.rules_without(fold) for fold in folds})

    def decided(self, rules_of_fold: Mapping[int, Rules]) -> Decided:
        """The decisions about each fold's windows, by the rules of the fold."""
        chosen = self.probabilities > 1  # none
        parts = []
        for fold, rules in rules_of_fold.items():
            inside = (self.windows["fold"] == fold).to_numpy()
            own = self.probabilities[inside]
            middle = middles(self.windows[inside], self.hop)
            parts.append(join_by_rules(middle, own, rules))
            for name, rule in rules.items():
                chosen.loc[inside, name] = own[name] > rule.threshold
        return Decided(chosen, together(parts))

    def rules_without(self, fold: int) -> Rules:
        """The rules that are best on the windows of the other folds."""
        others = FoldWindows(
            self.windows[self.windows["fold"] != fold],
            self.probabilities[(self.windows["fold"] != fold).to_numpy()],
            self.events[self.events["fold"] != fold],
            self.hop,
        )
        return others.rules()

    def rules(self) -> Rules:
        """The rule of each class that is best on these windows."""
        middle = middles(self.windows, self.hop)
        return fit_rules(middle, self.probabilities, self.events)


def annotated_recordings(cache: Cache) -> Annotated | None:
    """Events, length and hop behind the cache's windows, for the cache's recordings
    alone; None if the clips are no windows of `make windows`.
    """
    annotated = read_annotated(Path(str(cache.settings["source"])))
    if annotated is None:
        return None
    events = annotated.events
    return annotated._replace(events=events[events["file"].isin(cache.clips["path"])])


def windows_of_run(
    run: RunFolder, cache: Cache, selection: str, temperature: float
) -> FoldWindows | None:
    """The tested windows of a run's dataset; None if the clips are no windows of `make
    windows`.
    """
    annotated = annotated_recordings(cache)
    if annotated is None:
        return None
    tested = run.scored(selection=selection)
    clips = cache.clips.iloc[cache.positions(tested["clip_id"])]
    values = tested[run.classes].to_numpy(np.float32)
    probabilities = pd.DataFrame(
        run.task.scaled(values, temperature), columns=run.classes
    )
    folds = tested["fold"].to_numpy()
    return FoldWindows.of_clips(clips, folds, probabilities, annotated)


def joining_of_run(
    run: RunFolder, cache: Cache, selection: Epoch, temperature: float
) -> Joining | None:
    """The joining rules for new audio, chosen on all windows tested so far; None if
    the clips are no windows of `make windows`.
    """
    annotated = annotated_recordings(cache)
    windows = windows_of_run(run, cache, selection, temperature)
    if annotated is None or windows is None:
        return None
    return Joining(length=annotated.length, hop=annotated.hop, rules=windows.rules())
