"""Tested windows of recordings: what they join to by rules from the other folds, and
the rules for new audio. No torch.

A dataset lacks the windows that hold less than half of an event, and so a recording's
windows in it tell where events begin and end. Rules and scores therefore come from
every part of the tested recordings, which training predicts at its end. A run folder
keeps these windows:

    tested_windows.csv   fold, file (the recording's name in the dataset), start, end,
        then one probability column per class, as in predictions.csv

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
from featurestack.results.run_folder import RunFolder, damage_named
from featurestack.results.scores import Ints
from featurestack.results.windows import (
    BACKGROUND,
    Annotated,
    block_groups,
    label_windows,
    middles,
    read_annotated,
)
from featurestack.storage.files import replace_file

TESTED_FILE = "tested_windows.csv"
PLACES = ["fold", "file", "start", "end"]  # its columns before those of the classes
TIME_DIGITS, PROBABILITY_DIGITS = 6, 5  # decimals in it

Rules = dict[str, JoiningRule]  # by class


class Decided(NamedTuple):
    """The decisions about tested windows, and the detections that they join to."""

    chosen: pd.DataFrame  # (W, K) whether a class is predicted
    detections: pd.DataFrame  # columns of `join_by_rules`


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

    @classmethod
    def everywhere(
        cls,
        tested: pd.DataFrame,
        annotated: Annotated,
        cache: Cache,
    ) -> "FoldWindows":
        """Windows of every part of the tested recordings.

        tested  (W) PLACES, then the probabilities of the classes
        """
        paths = dict(zip(recordings_of(cache.clips), cache.clips["path"]))
        windows = tested[PLACES].assign(file=tested["file"].map(paths))
        windows["label"] = label_windows(windows, annotated.events)
        steps = windows.groupby(["fold", "file"])["start"].diff()
        # windows of equal hop, but for a recording's last one; NaN for one window each
        hop = round(float(steps.median()), TIME_DIGITS)
        return cls.of(
            windows,
            tested.drop(columns=PLACES),
            annotated,
            annotated.hop if np.isnan(hop) else hop,
        )

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


def recordings_of(clips: pd.DataFrame) -> pd.Series:
    """The name of each window's recording; a window is called `recording@12.5`."""
    return clips["clip_id"].str.rpartition("@")[0]


def write_tested(folder: Path, tested: pd.DataFrame) -> None:
    """Write TESTED_FILE: PLACES, then the probabilities of the classes."""
    digits = dict.fromkeys(tested.columns, PROBABILITY_DIGITS)
    digits |= dict.fromkeys(PLACES, TIME_DIGITS)
    table = tested.astype(dict.fromkeys(tested.columns.drop(PLACES), float))
    text = table.round(digits).to_csv(index=False, lineterminator="\n")
    replace_file(folder / TESTED_FILE, text)


def read_tested(run: RunFolder) -> pd.DataFrame | None:
    """PLACES and the probabilities of every window of the tested recordings; None if
    the run has none. RequestError if the file is damaged.
    """
    file = run.path / TESTED_FILE
    if not file.is_file():
        return None
    remedy = f"remove {file}, and the windows of the dataset alone count"
    with damage_named(file, remedy):
        table = pd.read_csv(file, dtype={"file": str}, keep_default_na=False)
        if list(table) != [*PLACES, *run.classes]:
            raise ValueError(
                f"its columns are not run.json's {len(run.classes)} classes"
            )
        numbers = table.drop(columns="file").to_numpy(float)
        if not np.isfinite(numbers).all():
            raise ValueError("it holds numbers that are not finite")
    return table


def windows_of_dataset(
    run: RunFolder,
    cache: Cache,
    annotated: Annotated,
    selection: str,
    temperature: float,
) -> FoldWindows:
    """The windows of a run's dataset."""
    tested = run.scored(selection=selection)
    clips = cache.clips.iloc[cache.positions(tested["clip_id"])]
    values = tested[run.classes].to_numpy(np.float32)
    probabilities = pd.DataFrame(
        run.task.scaled(values, temperature), columns=run.classes
    )
    folds = tested["fold"].to_numpy()
    return FoldWindows.of_clips(clips, folds, probabilities, annotated)


def windows_of_run(
    run: RunFolder,
    cache: Cache,
    annotated: Annotated,
    selection: str,
    temperature: float,
) -> FoldWindows:
    """Windows of every part of the tested recordings, or of the dataset alone if these
    were not predicted with the weights of this selection.
    """
    tested = read_tested(run) if selection == run.selection() else None
    if tested is None:
        return windows_of_dataset(run, cache, annotated, selection, temperature)
    values = tested[run.classes].to_numpy(np.float32)
    tested[run.classes] = run.task.scaled(values, temperature)
    return FoldWindows.everywhere(tested, annotated, cache)


def joining_of_run(
    run: RunFolder,
    cache: Cache,
    selection: Epoch,
    temperature: float,
) -> Joining | None:
    """The joining rules for new audio, chosen on all windows tested so far; None if
    the clips are no windows of `make windows`.
    """
    annotated = annotated_recordings(cache)
    if annotated is None:
        return None
    windows = windows_of_run(run, cache, annotated, selection, temperature)
    return Joining(length=annotated.length, hop=windows.hop, rules=windows.rules())
