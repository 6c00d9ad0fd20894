"""Run folders as plain arrays: the seam between `results.run_folder` and everything else in `analysis`.

Conventions: a `Run` is one configuration, its S seeds side by side, on the N clips that its finished
folds tested, in the order of their ids; K classes in the order of run.json. Runs that tested the same
clips therefore line up row by row. What cannot be read becomes a `Problem`, a sentence that names the
file and says what to do; everything else is still there. A fold is judged alone, so that one damaged file
costs one fold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError
from results.config import TRAIN_AGAIN
from results.run_folder import HISTORY_COLUMNS, PREDICTION_COLUMNS, RunFolder
from results.scores import Floats, Ints

NEEDED_KEYS = ("dataset", "features", "model", "task", "seed", "classes", "folds")


class UnreadableRun(Exception):
    """A run or a fold that cannot be used; the message is the sentence for the reader.

    damaged  False where nothing is wrong with it: it has no test scores, or none yet
    """

    def __init__(self, text: str, *, damaged: bool = True) -> None:
        super().__init__(text)
        self.damaged = damaged


def check_config(folder: RunFolder) -> None:
    """Raise UnreadableRun unless run.json has everything that an analysis asks it for."""
    try:
        config = folder.config
    except (RequestError, OSError) as error:
        raise UnreadableRun(str(error)) from None
    lacking = [key for key in NEEDED_KEYS if key not in config]
    if lacking:
        raise UnreadableRun(f"{folder.path / 'run.json'} lacks {', '.join(lacking)}: {TRAIN_AGAIN}")


def _progress(folder: RunFolder) -> str:
    """How far a run without a finished fold has come."""
    reached = []
    for fold in folder.folds:
        try:
            epochs = len(folder.history(fold))
        except (OSError, RequestError):
            continue
        if epochs:
            reached.append(f"fold {fold} is at epoch {epochs} of {folder.config.get('epochs', '?')}")
    return f"no fold is finished yet ({'; '.join(reached) or 'no epoch has ended'}): let it train on"


def read_fold(folder: RunFolder, fold: int) -> pd.DataFrame:
    """Checked test predictions: clip_id, group, selection, target, `probabilities` (a row a cell)."""
    try:
        frame = folder.predictions(fold)
    except (RequestError, OSError) as reason:
        raise UnreadableRun(str(reason)) from None
    again = f"remove {folder.fold(fold) / 'predictions.csv'} and train again, the other folds are kept"
    numbers = frame.iloc[:, len(PREDICTION_COLUMNS) :].to_numpy(dtype=float)
    test = (frame["split"] == "test").to_numpy()
    if not test.any() and (frame["split"] == "val").any():
        raise UnreadableRun(
            "its test fold was never scored (SKIP_TEST=1): it has validation predictions only", damaged=False
        )
    if not (test & (frame["selection"] == "last").to_numpy()).any():
        raise UnreadableRun(f"it holds no test predictions of the last epoch; {again}")
    clips = frame.loc[test, ["clip_id", "group", "selection", "target"]].copy()
    clips["probabilities"] = list(numbers[test] / numbers[test].sum(axis=1, keepdims=True))
    return clips


def _refuse_repeated_clips(clips: pd.DataFrame) -> None:
    """Raise UnreadableRun where two folds tested the same clip."""
    twice = clips.loc[clips.duplicated(["clip_id", "selection"]), "clip_id"]
    if len(twice):
        raise UnreadableRun(
            f"{len(twice)} clips, {twice.iloc[0]!r} first, are tested twice, so no score can be trusted: "
            "train this run again under another TAG"
        )


def read_history(folder: RunFolder) -> tuple[pd.DataFrame, list[str]]:
    """All epochs of all folds (seed, fold, HISTORY_COLUMNS), and a sentence for each damaged file."""
    parts, problems = [], []
    for fold in folder.folds:
        try:
            history = folder.history(fold)[list(HISTORY_COLUMNS)].astype(float)
        except (OSError, RequestError) as error:
            problems.append(f"the learning curve of fold {fold} is left out: {error}")
        else:
            history.insert(0, "fold", fold)
            parts.append(history)
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in ("fold", *HISTORY_COLUMNS)})
    whole = pd.concat([part for part in parts if len(part)] or [empty], ignore_index=True)
    whole.insert(0, "seed", int(folder.config["seed"]))
    return whole, problems


Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Problem:
    """Something about a run that the reader of a report must know."""

    run: str
    text: str
    unfinished: bool = False  # still training, or stopped before its first fold ended: no damage
    damaged: bool = False  # a run or a fold had to be left out: the exit status is 1


@dataclass(frozen=True, eq=False)
class Run:
    """One configuration and what its seeds predicted for the test clips of the finished folds."""

    name: str  # the folder of its first seed
    folders: tuple[RunFolder, ...]  # (S,) one a seed, by seed
    classes: tuple[str, ...]  # (K,)
    categories: tuple[str, ...]  # (K,) each class's major category, '' for none
    clip_ids: Strings  # (N,) sorted
    groups: Strings  # (N,) source recordings
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
        return str(self.config["model"])

    @property
    def exact(self) -> bool:
        """Whether another seed would give the same: a linear model's loss has a single minimum."""
        return self.model.partition("@")[0] == "linear" and self.config.get("val", "none") == "none"

    @property
    def trained(self) -> bool:
        """False for an ensemble of finished runs."""
        return "members" not in self.config

    @property
    def synthetic(self) -> bool:
        return bool(self.config.get("synthetic", False))

    @property
    def protocol(self) -> str:
        """How the run was trained and tested, in words."""
        return str(self.config.get("protocol") or f"{self.selection} epoch")

    @property
    def selection_protocol(self) -> str:
        """What runs must share to be ranked together: the validation clips, and the epoch that counts.

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
        """(N,) share of the seeds that predicted each clip correctly."""
        return (self.predicted == self.target).mean(axis=0)

    @property
    def seed_deviation(self) -> float:
        """Standard deviation of the accuracy over seeds; 0 where only one was trained."""
        accuracies = (self.predicted == self.target).mean(axis=1)
        return float(accuracies.std(ddof=1)) if len(accuracies) > 1 else 0.0

    @property
    def fold_seconds(self) -> float:
        """Seconds of training of a finished fold, the mean over folds and seeds; NaN where one is unknown."""
        if not self.trained:
            return float(self.config.get("fold_seconds", np.nan))
        known = self.history.groupby(["seed", "fold"])["seconds"].sum(min_count=1)
        cells = [(seed, fold) for seed in self.seeds for fold in np.unique(self.folds)]
        return float(np.mean([known.get(cell, np.nan) for cell in cells]))

    @property
    def trained_on(self) -> str:
        """What the seconds depend on: the GPU's name, else the threads; '' where run.json does not say."""
        gpu, threads = (self.config.get("machine") or {}).get("gpu"), self.config.get("threads")
        return str(gpu or (f"{threads} thread{'s' if threads != 1 else ''}" if threads else ""))

    @property
    def missing_folds(self) -> tuple[int, ...]:
        """Folds of the protocol without predictions."""
        return tuple(fold for fold in self.folders[0].folds if fold not in set(self.folds.tolist()))


@dataclass(frozen=True)
class Results:
    """What a set of run folders holds."""

    runs: list[Run]
    problems: list[Problem]


def load_runs(folders: Iterable[RunFolder]) -> Results:
    """Every configuration among the folders, in the order given, seeds of one side by side."""
    families: dict[str, list[Run]] = {}
    problems: list[Problem] = []
    for folder in folders:
        try:
            run = _read_run(folder, problems)
        except UnreadableRun as reason:
            unfinished = _is_unfinished(folder)
            problems.append(Problem(folder.name, str(reason), unfinished, damaged=reason.damaged))
        else:
            families.setdefault(folder.config.get("family", folder.name), []).append(run)
    return Results([merge_seeds(seeds, problems) for seeds in families.values()], problems)


def _is_unfinished(folder: RunFolder) -> bool:
    """Whether the run's configuration is valid and it simply has no finished fold yet."""
    try:
        check_config(folder)
    except UnreadableRun:
        return False
    return not folder.finished


def _read_run(folder: RunFolder, problems: list[Problem]) -> Run:
    """One folder as a run of one seed; a damaged fold is left out and named in `problems`."""
    check_config(folder)
    if not folder.finished:
        raise UnreadableRun(_progress(folder), damaged=False)
    folds, damaged = [], False
    for number in folder.finished:
        try:
            folds.append(read_fold(folder, number).assign(fold=number))
        except UnreadableRun as reason:
            damaged |= reason.damaged
            text = f"fold {number} is left out: {reason}"
            problems.append(Problem(folder.name, text, damaged=reason.damaged))
    if not folds:
        raise UnreadableRun("none of its folds can be read, so the run is left out", damaged=damaged)
    clips = pd.concat(folds, ignore_index=True)
    _refuse_repeated_clips(clips)
    history, sentences = read_history(folder)
    problems.extend(Problem(folder.name, text, damaged=True) for text in sentences)
    return run_from_tables(folder, clips, history)


def run_from_tables(folder: RunFolder, clips: pd.DataFrame, history: pd.DataFrame) -> Run:
    """A run of one seed from the checked predictions of its folds (see `read_fold`) and its history."""
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


def merge_seeds(seeds: Sequence[Run], problems: list[Problem]) -> Run:
    """The seeds of one configuration as one run; one that tested other clips is left out and named."""
    seeds = sorted(seeds, key=lambda run: run.seeds)
    if len(seeds) > 1 and all(run.exact for run in seeds):
        seeds = [_one_of_exact(seeds, problems)]
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


def _one_of_exact(seeds: Sequence[Run], problems: list[Problem]) -> Run:
    """The seed with the most test clips, the first of several: the others found the same minimum."""
    kept = max(seeds, key=lambda run: len(run.clip_ids))
    others = ", ".join(str(run.seeds[0]) for run in seeds if run is not kept)
    text = f"an exact solution does not depend on the seed, so it is counted once; not counted: seed {others}"
    problems.append(Problem(kept.name, text))
    return kept


def same_clips(run: Run, other: Run) -> bool:
    """Whether two runs tested the same clips, in the same folds, against the same classes."""
    return (
        run.classes == other.classes
        and np.array_equal(run.clip_ids, other.clip_ids)
        and np.array_equal(run.folds, other.folds)
        and np.array_equal(run.target, other.target)
    )


def summed_to_categories(run: Run) -> Run | None:
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


def outdated_runs(runs: Sequence[Run], clips: pd.DataFrame) -> list[Problem]:
    """Of each run that tested clips which the cache has no longer, or with another class or fold, how many.

    `clips` is the cache's table. To train again takes another folder: the run's own keeps what it is.
    """
    today = clips[clips["copy_of"] == ""].set_index("clip_id")
    problems = []
    for run in runs:
        now = today.reindex(run.clip_ids)
        gone = now["fold"].isna().to_numpy()
        name = now["category" if run.task == "categories" else "label"].to_numpy()
        moved = ~gone & ((name != np.array(run.classes)[run.target]) | (now["fold"].to_numpy() != run.folds))
        changes = {"are not there any more": gone.sum(), "have another class or fold now": moved.sum()}
        told = [f"{number:,} of its test clips {what}" for what, number in changes.items() if number]
        if told:
            again = "train it again, with a TAG of its own, to compare it"
            text = f"trained before the dataset changed: {', '.join(told)}; {again}"
            problems.append(Problem(run.name, text))
    return problems
