"""What one choice did, by class: an augmentation, a channel, the epoch that was picked.

Conventions: two runs that tested the same N clips; a difference is the second's share of right clips less
the first's, seeds averaged, with a 95 % interval by bootstrap over source recordings; over K classes
p-values are corrected together by Holm's method.

`python -m train explain` leaves fold*/attribution.csv, one row a test clip, channel and method:
channel, method (removed | permuted), clip_id, correct (the share of its repeats that were right).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis import bootstrap
from analysis.answer import listed
from analysis.ranking import Ranking
from analysis.results import Problem, Run
from analysis.significance import LEVEL, holm
from train.scores import Floats

CLASS_REPLICATES = 2_000  # K intervals a table: an end moves by a fifth of a point, as much as one clip of 40
ATTRIBUTION_COLUMNS = ("channel", "method", "clip_id", "correct")
NAMED = 3  # classes named in a sentence, each way

# What an augmentation is among the options; whatever else differs makes two runs no pair.
AUGMENTATION = frozenset({"augment", "copies"})


def by_class(first: Run, second: Run, rng: np.random.Generator) -> pd.DataFrame:
    """Recall of each class in two runs: the columns of `class_differences`."""
    return class_differences(first, first.correct, second.correct, rng)


def class_differences(run: Run, before: Floats, after: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """Two scores (N,) of one run's clips, class by class; a class without test clips is left out.

    Columns: class, category, first, second, difference, low, high, p_holm, differs.
    """
    tested = np.flatnonzero(np.bincount(run.target, minlength=len(run.classes)))
    belongs = (run.target[:, None] == tested).astype(float)
    drawn = bootstrap.resampled_means(
        np.repeat((after - before)[:, None], len(tested), axis=1),
        run.groups,
        weights=belongs,
        rng=rng,
        replicates=CLASS_REPLICATES,
    )
    clips = belongs.sum(axis=0)
    recordings = np.array([len(set(run.groups[run.target == place])) for place in tested])
    p_values = [
        bootstrap.p_value(drawn[:, [column]][~np.isnan(drawn[:, column])], groups)[0]
        for column, groups in enumerate(recordings)
    ]
    table = pd.DataFrame(
        {
            "class": [run.classes[place] for place in tested],
            "category": [run.categories[place] for place in tested],
            "first": before @ belongs / clips,
            "second": after @ belongs / clips,
        }
    )
    table["difference"] = table["second"] - table["first"]
    table[["low", "high"]] = bootstrap.interval(drawn)
    table["p_holm"] = holm(np.array(p_values))
    return table.assign(differs=table["p_holm"] < LEVEL)


def checkpoints(runs: Sequence[Run]) -> pd.DataFrame:
    """Accuracy of the last epoch, of the best on validation, and peeked, side by side, one row a run.

    `peeked` is each fold's best epoch on its own test fold: the literature reports it, nothing here uses it.
    """
    return pd.DataFrame([{"run": run.name, **_checkpoint_row(run)} for run in runs])


def _checkpoint_row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in ("last", "best"):
        predictions = run.checkpoints.get(name)
        folds = np.full(1, np.nan)
        if predictions is not None:
            correct = (predictions.argmax(axis=2) == run.target).mean(axis=0)
            folds = np.array([correct[run.folds == fold].mean() for fold in np.unique(run.folds)])
        row |= {name: folds.mean(), f"{name}_sd": folds.std(ddof=1) if len(folds) > 1 else np.nan}
    return row | {"peeked": _peeked(run), "n": len(np.unique(run.folds))}


def _peeked(run: Run) -> float:
    """Mean over folds of the highest test accuracy of any epoch; NaN where a fold has no curve."""
    highest = run.history.groupby(["seed", "fold"])["test_accuracy"].max()
    cells = [(seed, fold) for seed in run.seeds for fold in np.unique(run.folds)]
    return float(np.mean([highest.get(cell, np.nan) for cell in cells]))


def augmentation_pairs(ranking: Ranking) -> list[tuple[Run, Run]]:
    """Ranked runs that differ in augmentation and in nothing else: (the plainer one, the other)."""
    pairs = []
    for pair in combinations(ranking.runs, 2):
        different = differing(*pair)
        if different and different <= AUGMENTATION:
            plainer, other = sorted(pair, key=_plainness)
            pairs.append((plainer, other))
    return pairs


def differing(first: Run, second: Run) -> set[str]:
    """The training options that two runs do not share; what run.json merely records does not count."""
    a, b = options_of(first), options_of(second)
    return {key for key in (a.keys() | b.keys()) - {"seed"} if a.get(key) != b.get(key)}


def options_of(run: Run) -> dict[str, Any]:
    """What the run was asked for; a fusion, which was not trained, has its members instead."""
    options: dict[str, Any] = run.config.get("options") or {"members": run.config.get("members")}
    return options


def _plainness(run: Run) -> tuple[bool, int, str]:
    """Sorts no augmentation first, then the fewer and shorter, then no altered copies."""
    augment = str(options_of(run).get("augment") or "none")
    return augment != "none", len(augment), str(options_of(run).get("copies") or "")


def augmentation_effects(ranking: Ranking) -> pd.DataFrame:
    """One row a pair of `augmentation_pairs`, the columns of `paired`."""
    return paired(ranking, [(*pair, changed(*pair)) for pair in augmentation_pairs(ranking)])


def paired(ranking: Ranking, pairs: Sequence[tuple[Run, Run, str]]) -> pd.DataFrame:
    """The ranking's verdict on each (plainer run, other run, what differs): the other less the plainer.

    Columns: without, with, changed, difference, low, high, p_holm of the whole ranking, differs.
    """
    rows = []
    for plainer, other, words in pairs:
        first, second = (run for run in ranking.runs if run in (plainer, other))
        pair = ranking.pair(first, second)
        sign = 1 if first is other else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        row = {"without": plainer.name, "with": other.name, "changed": words}
        row |= {"difference": sign * pair["difference"], "low": low, "high": high}
        rows.append(row | {"p_holm": pair["p_holm"], "differs": pair["differs"]})
    columns = ["without", "with", "changed", "difference", "low", "high", "p_holm", "differs"]
    return pd.DataFrame(rows, columns=columns)


def changed(plainer: Run, other: Run) -> str:
    """What differs, in words: `augment none → mask,shift`."""
    keys = sorted(differing(plainer, other))
    a, b = options_of(plainer), options_of(other)
    return "; ".join(f"{key} {a.get(key) or 'none'} → {b.get(key) or 'none'}" for key in keys)


def read_attribution(run: Run) -> tuple[pd.DataFrame | None, list[Problem]]:
    """What `explain` left in the run's folders, all seeds and folds; None where there is nothing to read.

    A fold without its table is no problem where no fold has one; a damaged table is named.
    """
    parts, problems = [], []
    for folder in run.folders:
        for fold in np.unique(run.folds):
            file = folder.fold(int(fold)) / "attribution.csv"
            if not file.is_file():
                continue
            try:
                part = pd.read_csv(file, dtype={"channel": str, "clip_id": str}, keep_default_na=False)
                parts.append(part[list(ATTRIBUTION_COLUMNS)].astype({"correct": float}))
            except (OSError, ValueError, KeyError) as error:
                text = f"fold {fold}: attribution.csv is left out ({error}): run explain again"
                problems.append(Problem(folder.name, text))
    return (pd.concat(parts, ignore_index=True) if parts else None), problems


def attribution(run: Run, read: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What each channel is worth to each class: channel, method, then the columns of `class_differences`.

    `first` is the recall without the channel and `second` with it, both of the last epoch, so a positive
    difference says that it helps. A channel and method that do not cover every test clip are left out.
    """
    whole = (run.checkpoints["last"].argmax(axis=2) == run.target).mean(axis=0)
    tables = []
    for (channel, method), rows in read.groupby(["channel", "method"], sort=False):
        without = rows.groupby("clip_id")["correct"].mean().reindex(run.clip_ids).to_numpy(dtype=float)
        if not np.isnan(without).any():
            table = class_differences(run, without, whole, rng)
            table.insert(0, "channel", channel)
            table.insert(1, "method", method)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def in_words(differences: pd.DataFrame, what: str) -> str:
    """`chroma helps rooster and dog, hurts rain`: the classes where the difference holds, largest first."""
    certain = differences[differences["differs"]].sort_values("difference", key=abs, ascending=False)
    parts = [
        f"{verb} {listed(certain.loc[certain['difference'] * sign > 0, 'class'].tolist(), NAMED)}"
        for verb, sign in (("helps", 1), ("hurts", -1))
        if (certain["difference"] * sign > 0).any()
    ]
    return f"{what} {', '.join(parts)}" if parts else f"{what} makes no class certainly better or worse"
