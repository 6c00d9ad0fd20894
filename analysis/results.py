"""Run folders as plain arrays: the seam between `train.runs` and everything else in `analysis`.

Conventions: a `Run` is one configuration, its S seeds side by side, on the N clips that its finished
folds tested, in the order of their ids; K classes in the order of run.json. Runs that tested the same
clips therefore line up row by row. What cannot be read becomes a `Problem`, a sentence that names the
file and says what to do; everything else is still there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.soundness import (
    Unreadable,
    check_config,
    progress_text,
    read_fold,
    read_history,
    refuse_repeated_clips,
)
from train.runs import RunFolder
from train.scores import Floats, Ints

Words = NDArray[np.str_]


@dataclass(frozen=True)
class Problem:
    """Something about a run that the reader of a report must know."""

    run: str
    text: str
    unfinished: bool = False  # still training, or stopped before its first fold ended: no damage


@dataclass(frozen=True, eq=False)
class Run:
    """One configuration and what its seeds predicted for the test clips of the finished folds."""

    name: str  # the folder of its first seed
    folders: tuple[RunFolder, ...]  # (S,) one a seed, by seed
    classes: tuple[str, ...]  # (K,)
    categories: tuple[str, ...]  # (K,) each class's major category, '' for none
    clip_ids: Words  # (N,) sorted
    groups: Words  # (N,) source recordings
    folds: Ints  # (N,) the fold that tested the clip
    target: Ints  # (N,) class numbers
    checkpoints: dict[str, Floats]  # 'last', and 'best' where validation chose one: (S, N, K) each
    history: pd.DataFrame  # seed, fold, then the columns of history.csv: one row an epoch
    task: str = "classes"

    @property
    def config(self) -> dict[str, Any]:
        """run.json of the first seed."""
        return self.folders[0].config

    @property
    def features(self) -> str:
        return str(self.config["features"])

    @property
    def model(self) -> str:
        """Its name, and what stands beside it."""
        beside = self.config.get("options", {}).get("texture") == "on"
        return f"{self.config['model']} + texture" if beside else str(self.config["model"])

    @property
    def exact(self) -> bool:
        """Whether another seed would give the same: a linear model's loss has a single minimum."""
        return self.model.partition("@")[0] == "linear" and self.config.get("val", "none") == "none"

    @property
    def synthetic(self) -> bool:
        return bool(self.config.get("synthetic", False))

    @property
    def protocol(self) -> str:
        """How the run was trained and tested, in words."""
        return str(self.config.get("protocol") or f"{self.selection} epoch")

    @property
    def choice(self) -> str:
        """What runs must share to be ranked together: the clips set aside to choose, the epoch that counts.

        The protocol in words also tells the number of epochs, which two fair rivals need not share.
        """
        return f"{self.config['val']}, {self.selection}" if "val" in self.config else self.protocol

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(int(folder.config["seed"]) for folder in self.folders)

    @property
    def selection(self) -> str:
        """The checkpoint that counts: the best on validation where there is one, else the last."""
        return "best" if "best" in self.checkpoints else "last"

    @property
    def probabilities(self) -> Floats:
        """(S, N, K), rows sum to one."""
        return self.checkpoints[self.selection]

    @property
    def predicted(self) -> Ints:
        """(S, N) class numbers."""
        return self.probabilities.argmax(axis=2)

    @property
    def correct(self) -> Floats:
        """(N,) share of the seeds that were right about each clip."""
        return (self.predicted == self.target).mean(axis=0)

    @property
    def missing(self) -> tuple[int, ...]:
        """Folds of the protocol without predictions."""
        return tuple(fold for fold in self.folders[0].folds if fold not in set(self.folds.tolist()))


@dataclass(frozen=True)
class Results:
    """What a set of run folders holds."""

    runs: list[Run]
    problems: list[Problem]


def load(folders: Iterable[RunFolder]) -> Results:
    """Every configuration among the folders, in the order given, seeds of one side by side."""
    families: dict[str, list[Run]] = {}
    problems: list[Problem] = []
    for folder in folders:
        try:
            run = _read_run(folder, problems)
        except Unreadable as reason:
            problems.append(Problem(folder.name, str(reason), unfinished=_is_unfinished(folder)))
        else:
            families.setdefault(folder.config.get("family", folder.name), []).append(run)
    return Results([_side_by_side(seeds, problems) for seeds in families.values()], problems)


def _is_unfinished(folder: RunFolder) -> bool:
    """Whether the run's configuration is sound and it simply has no finished fold yet."""
    try:
        check_config(folder)
    except Unreadable:
        return False
    return not folder.finished


def _read_run(folder: RunFolder, problems: list[Problem]) -> Run:
    """One folder as a run of one seed; a damaged fold is left out and told in `problems`."""
    check_config(folder)
    if not folder.finished:
        raise Unreadable(progress_text(folder))
    folds = []
    for number in folder.finished:
        try:
            folds.append(read_fold(folder, number).assign(fold=number))
        except Unreadable as reason:
            problems.append(Problem(folder.name, f"fold {number} is left out: {reason}"))
    if not folds:
        raise Unreadable("none of its folds can be read, so the run is left out")
    clips = pd.concat(folds, ignore_index=True)
    refuse_repeated_clips(clips)
    history, damaged = read_history(folder)
    problems.extend(Problem(folder.name, text) for text in damaged)
    return _as_run(folder, clips, history)


def _as_run(folder: RunFolder, clips: pd.DataFrame, history: pd.DataFrame) -> Run:
    clips = clips.sort_values("clip_id", kind="stable")
    last = clips[clips["selection"] == "last"]
    checkpoints = {"last": np.stack(last["probabilities"].to_list())[None]}
    best = clips[clips["selection"] == "best"]
    if best["clip_id"].tolist() == last["clip_id"].tolist():
        checkpoints["best"] = np.stack(best["probabilities"].to_list())[None]
    number = {name: place for place, name in enumerate(folder.classes)}
    return Run(
        name=folder.name,
        folders=(folder,),
        classes=tuple(folder.classes),
        categories=tuple(one.get("category", "") for one in folder.config["classes"]),
        clip_ids=last["clip_id"].to_numpy(dtype=str),
        groups=last["group"].where(last["group"] != "", last["clip_id"]).to_numpy(dtype=str),
        folds=last["fold"].to_numpy(dtype=np.intp),
        target=last["target"].map(number).to_numpy(dtype=np.intp),
        checkpoints=checkpoints,
        history=history,
        task=folder.config["task"],
    )


def _side_by_side(seeds: Sequence[Run], problems: list[Problem]) -> Run:
    """The seeds of one configuration as one run; one that tested other clips is left out and named."""
    seeds = sorted(seeds, key=lambda run: run.seeds)
    fullest = max(seeds, key=lambda run: len(run.clip_ids))
    kept = [run for run in seeds if same_clips(run, fullest)]
    for run in seeds:
        if run not in kept:
            text = (
                f"seed {run.seeds[0]} is left out of the row of {fullest.name}: it has {len(run.clip_ids)} "
                f"test clips of {len(fullest.clip_ids)}; train its missing folds"
            )
            problems.append(Problem(run.name, text))
    shared = set.intersection(*(set(run.checkpoints) for run in kept))
    return replace(
        kept[0],
        folders=tuple(run.folders[0] for run in kept),
        checkpoints={
            name: np.concatenate([run.checkpoints[name] for run in kept]) for name in sorted(shared)
        },
        history=pd.concat([run.history for run in kept], ignore_index=True),
    )


def same_clips(run: Run, other: Run) -> bool:
    """Whether two runs tested the same clips, in the same folds, against the same classes."""
    return (
        run.classes == other.classes
        and np.array_equal(run.clip_ids, other.clip_ids)
        and np.array_equal(run.folds, other.folds)
        and np.array_equal(run.target, other.target)
    )


def on_categories(run: Run) -> Run | None:
    """A run over classes scored on the major categories, by summed probabilities; None without any."""
    if run.task != "classes" or not all(run.categories) or len(set(run.categories)) < 2:
        return None
    categories = sorted(set(run.categories))
    belongs = np.array([[of == category for category in categories] for of in run.categories], dtype=float)
    return replace(
        run,
        name=f"{run.name} (classes, summed)",
        classes=tuple(categories),
        categories=tuple(categories),
        target=belongs.argmax(axis=1)[run.target],
        checkpoints={name: values @ belongs for name, values in run.checkpoints.items()},
        task="categories",
    )
