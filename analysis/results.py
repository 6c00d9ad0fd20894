"""Run folders as plain arrays: the seam between `results.run_folder` and everything else in `analysis`.

Conventions: a `Run` is one configuration, its S seeds side by side, on the N clips that its finished
folds tested, in the order of their ids; K classes in the order of run.json. Runs that tested the same
clips therefore line up row by row. What cannot be read becomes a `Problem`, a sentence that names the
file and says what to do; everything else is still there. A fold is judged alone, so that one damaged file
costs one fold.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError
from results.config import TRAIN_AGAIN
from results.run_folder import HISTORY_COLUMNS, PREDICTION_COLUMNS, RunFolder
from results.scores import Floats, Ints

NEEDED_KEYS = ("dataset", "features", "model", "task", "seed", "classes", "folds")


class UnreadableRun(RequestError):
    """A run or a fold that cannot be used; the message is the sentence for the reader.

    damaged     False if nothing is wrong with it: it has no test scores, or none yet
    unfinished  still training, or stopped before its first fold ended
    """

    def __init__(self, text: str, *, damaged: bool = True, unfinished: bool = False) -> None:
        super().__init__(text)
        self.damaged, self.unfinished = damaged, unfinished


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
    members: dict[str, Floats] = field(default_factory=dict)  # (S, N, K) of each member of an ensemble alone

    @property
    def config(self) -> dict[str, Any]:
        """run.json of the first seed."""
        return self.folders[0].config

    @property
    def options(self) -> dict[str, Any]:
        """What it was asked for; an ensemble of finished runs, which was not trained, has its members."""
        options: dict[str, Any] = self.config.get("options") or {"members": self.config.get("members")}
        return options

    def option_text(self, key: str) -> str:
        """An option's value in words; run.json leaves out what does nothing, and padding that is kept."""
        return str(self.options.get(key) or ("keep" if key == "padding" else "none"))

    @property
    def features(self) -> str:
        return str(self.config["features"])

    @property
    def channels(self) -> Counter[str]:
        """The channels of its feature set and how often each occurs."""
        return Counter(self.features.split("+"))

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
            run = read_run(folder, problems)
        except (RequestError, OSError) as reason:
            damaged, unfinished = getattr(reason, "damaged", True), getattr(reason, "unfinished", False)
            problems.append(Problem(folder.name, str(reason), unfinished, damaged))
        else:
            families.setdefault(folder.config.get("family", folder.name), []).append(run)
    return Results([merge_seeds(seeds, problems) for seeds in families.values()], problems)


def read_run(folder: RunFolder, problems: list[Problem]) -> Run:
    """One folder as a run of one seed; what is damaged is left out and named in `problems`."""
    lacking = [key for key in NEEDED_KEYS if key not in folder.config]
    if lacking:
        raise UnreadableRun(f"{folder.path / 'run.json'} lacks {', '.join(lacking)}: {TRAIN_AGAIN}")
    curves = []
    for fold in folder.folds:
        try:
            curves.append(folder.history(fold).assign(fold=fold))
        except (OSError, RequestError) as error:
            text = f"the learning curve of fold {fold} is left out: {error}"
            problems.append(Problem(folder.name, text, damaged=True))
    whole = [curve for curve in curves if len(curve)] or [pd.DataFrame(dtype=float)]
    history = pd.concat(whole, ignore_index=True).assign(seed=int(folder.config["seed"]))
    history = history.reindex(columns=["seed", "fold", *HISTORY_COLUMNS])
    if not folder.finished:
        epochs, last = history.groupby("fold").size(), folder.config.get("epochs", "?")
        reached = [f"fold {fold:g} is at epoch {number} of {last}" for fold, number in epochs.items()]
        raise UnreadableRun(
            f"no fold is finished yet ({'; '.join(reached) or 'no epoch has ended'}): continue its training",
            damaged=False,
            unfinished=True,
        )
    folds, damaged = [], []
    for number in folder.finished:
        try:
            folds.append(tested_clips(folder, number))
        except (RequestError, OSError) as reason:
            damaged.append(getattr(reason, "damaged", True))
            problems.append(Problem(folder.name, f"fold {number} is left out: {reason}", damaged=damaged[-1]))
    if not folds:
        raise UnreadableRun("none of its folds can be read, so the run is left out", damaged=any(damaged))
    clips = pd.concat(folds, ignore_index=True)
    twice = clips.loc[clips.duplicated(["clip_id", "selection"]), "clip_id"]
    if len(twice):
        raise UnreadableRun(
            f"{len(twice)} clips, {twice.iloc[0]!r} first, are tested twice, so no score can be trusted: "
            "train this run again under another TAG"
        )
    run = run_from_tables(folder, clips, history)
    for member in folder.members:
        try:
            alone = pd.concat([tested_clips(folder, int(fold), member) for fold in np.unique(run.folds)])
            alone = alone[alone["selection"] == run.selection].set_index("clip_id")
            run.members[member] = np.stack(alone.loc[run.clip_ids, "probabilities"].to_list())[None]
        except (RequestError, OSError, KeyError) as reason:
            text = f"the predictions of {member} alone are left out: {reason}"
            problems.append(Problem(folder.name, text, damaged=True))
    return run


def tested_clips(folder: RunFolder, fold: int, member: str = "") -> pd.DataFrame:
    """A fold's test clips: clip_id, group, selection, target, fold, `probabilities` (a row a cell)."""
    frame = folder.predictions(fold, member)
    test = (frame["split"] == "test").to_numpy()
    if not test.any():
        raise UnreadableRun(
            "its test fold was never scored (SKIP_TEST=1): it has validation predictions only", damaged=False
        )
    numbers = frame.iloc[:, len(PREDICTION_COLUMNS) :].to_numpy(dtype=float)[test]
    clips = frame.loc[test, ["clip_id", "group", "selection", "target"]].assign(fold=fold)
    return clips.assign(probabilities=list(numbers / numbers.sum(axis=1, keepdims=True)))


def run_from_tables(folder: RunFolder, clips: pd.DataFrame, history: pd.DataFrame) -> Run:
    """A run of one seed from the test predictions of its folds (see `tested_clips`) and its history."""
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
        categories=tuple(named.get("category", "") for named in folder.config["classes"]),
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
    fullest = max(seeds, key=lambda run: len(run.clip_ids))
    kept = [run for run in seeds if same_clips(run, fullest)]
    if len(seeds) > 1 and all(run.exact for run in seeds):
        kept, others = [fullest], ", ".join(str(run.seeds[0]) for run in seeds if run is not fullest)
        text = (
            f"an exact solution does not depend on the seed and is counted once; not counted: seed {others}"
        )
        problems.append(Problem(fullest.name, text))
    else:
        for run in seeds:
            if run not in kept:
                text = (
                    f"seed {run.seeds[0]} is left out of the row of {fullest.name}: it has "
                    f"{len(run.clip_ids)} test clips of {len(fullest.clip_ids)}; train its missing folds"
                )
                problems.append(Problem(run.name, text))

    def together(parts: list[dict[str, Floats]]) -> dict[str, Floats]:
        shared = set.intersection(*(set(part) for part in parts))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name in shared}

    return replace(
        kept[0],
        folders=tuple(run.folders[0] for run in kept),
        checkpoints=together([run.checkpoints for run in kept]),
        members=together([run.members for run in kept]),
        history=pd.concat([run.history for run in kept], ignore_index=True),
    )


def differing_options(first: Run, second: Run) -> set[str]:
    """The training options that two runs do not share; what run.json merely records does not count."""
    a, b = first.options, second.options
    return {key for key in (a.keys() | b.keys()) - {"seed"} if a.get(key) != b.get(key)}


def same_clips(run: Run, other: Run) -> bool:
    """Whether two runs tested the same clips of the same recordings, in the same folds and classes."""
    return run.classes == other.classes and all(
        np.array_equal(getattr(run, name), getattr(other, name))
        for name in ("clip_ids", "groups", "folds", "target")
    )


def on_folds(run: Run, folds: Ints) -> Run:
    """The run on its test clips of these folds alone."""
    kept = np.isin(run.folds, folds)
    clips = {name: getattr(run, name)[kept] for name in ("clip_ids", "groups", "folds", "target")}
    return replace(
        run,
        **clips,
        checkpoints={name: values[:, kept] for name, values in run.checkpoints.items()},
        members={name: values[:, kept] for name, values in run.members.items()},
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
        counted = [f"{number:,} of its test clips {what}" for what, number in changes.items() if number]
        if counted:
            again = "train it again, with a TAG of its own, to compare it"
            text = f"trained before the dataset changed: {', '.join(counted)}; {again}"
            problems.append(Problem(run.name, text))
    return problems
