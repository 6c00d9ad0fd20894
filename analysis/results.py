"""Run folders as plain arrays: the seam between `results.run_folder` and everything else in `analysis`.

Conventions: a `Run` is one configuration, its S seeds side by side, on the N clips that its finished
folds tested, in the order of their ids; K classes in the order of run.json. Runs that tested the same
clips therefore line up row by row. What cannot be read becomes a `Problem`, a sentence that names the
file and says what to do; everything else is still there. A fold is judged alone, so that one damaged file
costs one fold.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError
from results.run_folder import HISTORY_COLUMNS, PREDICTION_COLUMNS, RunFolder
from results.scores import Floats, Ints

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
    dataset: str
    features: str
    model: str
    task: str  # classes | categories
    folders: tuple[RunFolder, ...]  # (S,) one a seed, by seed
    classes: tuple[str, ...]  # (K,)
    categories: tuple[str, ...]  # (K,) each class's major category, '' for none
    clip_ids: Strings  # (N,) sorted
    groups: Strings  # (N,) source recordings
    folds: Ints  # (N,) the fold that tested the clip
    target: Ints  # (N,) class numbers
    checkpoints: dict[str, Floats]  # 'last', and 'best' where validation chose one: (S, N, K) each
    history: pd.DataFrame  # seed, fold, then the columns of history.csv: one row an epoch
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
    def channels(self) -> Counter[str]:
        """The channels of its feature set and how often each occurs."""
        return Counter(self.features.split("+"))

    @property
    def exact(self) -> bool:
        """Whether another seed would give the same."""
        return self.folders[0].exact

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
        return str(self.config["protocol"])

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
    def fold_seconds(self) -> float:
        """Seconds of training of a finished fold, the mean over folds and seeds; NaN if unknown."""
        if not self.trained:
            return float(self.config.get("fold_seconds", np.nan))
        finished = self.history[self.history["fold"].isin(self.folds)]
        return float(finished.groupby(["seed", "fold"])["seconds"].sum(min_count=1).mean())

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
            if run:
                families.setdefault(folder.family, []).append(run)
        except (RequestError, OSError) as error:
            problems.append(Problem(folder.name, str(error), damaged=True))
    return Results([merge_seeds(seeds, problems) for seeds in families.values()], problems)


def read_run(folder: RunFolder, problems: list[Problem]) -> Run | None:
    """One folder as a run of one seed, if a fold was tested; what is left out is named in `problems`."""

    def readable(what: str, read: Callable[..., pd.DataFrame], *which: object) -> pd.DataFrame:
        try:
            return read(*which)
        except (OSError, RequestError) as error:
            problems.append(Problem(folder.name, f"{what} left out: {error}", damaged=True))
            return pd.DataFrame()

    curves = {
        fold: readable(f"the learning curve of fold {fold} is", folder.history, fold) for fold in folder.folds
    }
    whole = [curve.assign(fold=fold) for fold, curve in curves.items() if len(curve)]
    history = pd.concat(whole or [pd.DataFrame(dtype=float)], ignore_index=True)
    history = history.assign(seed=int(folder.config["seed"])).reindex(
        columns=["seed", "fold", *HISTORY_COLUMNS]
    )
    if not folder.finished:
        last = folder.config.get("epochs", "?")
        reached = [
            f"fold {fold} is at epoch {len(curve)} of {last}" for fold, curve in curves.items() if len(curve)
        ]
        text = (
            f"no fold is finished yet ({'; '.join(reached) or 'no epoch has ended'}): continue its training"
        )
        problems.append(Problem(folder.name, text, unfinished=True))
        return None
    tables = {fold: readable(f"fold {fold} is", folder.predictions, fold) for fold in folder.finished}
    folds = [tested_clips(table, fold) for fold, table in tables.items() if len(table)]
    if not folds:
        problems.append(Problem(folder.name, "none of its folds can be read", damaged=True))
        return None
    clips = pd.concat(folds, ignore_index=True)
    if clips.empty:
        text = "its test folds were never scored (SKIP_TEST=1): it has validation predictions only"
        problems.append(Problem(folder.name, text))
        return None
    twice = clips.loc[clips.duplicated(["clip_id", "selection"]), "clip_id"]
    if len(twice):
        raise RequestError(
            f"{len(twice)} clips, {twice.iloc[0]!r} first, are tested twice, so no score can be trusted: "
            "train this run again under another TAG"
        )
    run = run_from_tables(folder, clips, history)
    for member in folder.members:
        text = f"the predictions of {member} alone are"
        alone = readable(text, folder.scored, None, "test", run.selection, member)
        if len(alone):
            rows = alone.set_index("clip_id").loc[run.clip_ids, folder.classes]
            run.members[member] = rows.to_numpy(dtype=float)[None]
    return run


def tested_clips(table: pd.DataFrame, fold: int) -> pd.DataFrame:
    """A fold's test clips: clip_id, group, selection, target, fold, `probabilities` (a row a cell)."""
    test = (table["split"] == "test").to_numpy()
    numbers = table.iloc[:, len(PREDICTION_COLUMNS) :].to_numpy(dtype=float)[test]
    clips = table.loc[test, ["clip_id", "group", "selection", "target"]].assign(fold=fold)
    return clips.assign(probabilities=list(numbers / numbers.sum(axis=1, keepdims=True)))


def run_from_tables(folder: RunFolder, clips: pd.DataFrame, history: pd.DataFrame) -> Run:
    """A run of one seed from the test predictions of its folds (see `tested_clips`) and its history."""
    clips = clips.sort_values("clip_id", kind="stable")
    by_epoch = {name: clips[clips["selection"] == name] for name in ("last", "best")}
    last = by_epoch["last"]
    number = {name: place for place, name in enumerate(folder.classes)}
    return Run(
        name=folder.name,
        dataset=folder.dataset,
        features=folder.config["features"],
        model=folder.config["model"],
        task=folder.config["task"],
        folders=(folder,),
        classes=tuple(folder.classes),
        categories=tuple(named.get("category", "") for named in folder.config["classes"]),
        clip_ids=last["clip_id"].to_numpy(dtype=str),
        groups=last["group"].where(last["group"] != "", last["clip_id"]).to_numpy(dtype=str),
        folds=last["fold"].to_numpy(dtype=np.intp),
        target=last["target"].map(number).to_numpy(dtype=np.intp),
        checkpoints={
            name: np.stack(rows["probabilities"].to_list())[None]
            for name, rows in by_epoch.items()
            if len(rows)
        },
        history=history,
    )


def merge_seeds(seeds: Sequence[Run], problems: list[Problem]) -> Run:
    """The seeds of one configuration as one run; one that tested other clips is left out and named."""
    seeds = sorted(seeds, key=lambda run: run.seeds)
    fullest = max(seeds, key=lambda run: len(run.clip_ids))
    if fullest.exact:
        kept, others = [fullest], ", ".join(str(run.seeds[0]) for run in seeds if run is not fullest)
        text = (
            f"an exact solution does not depend on the seed and is counted once; not counted: seed {others}"
        )
        problems += [Problem(fullest.name, text)] if others else []
    else:
        kept = [run for run in seeds if same_clips(run, fullest)]
        problems += [
            Problem(
                run.name,
                f"seed {run.seeds[0]} is left out of the row of {fullest.name}: it has "
                f"{len(run.clip_ids)} test clips of {len(fullest.clip_ids)}; train its missing folds",
            )
            for run in seeds
            if run not in kept
        ]

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
