"""What one choice changed, overall and by class: added features, an augmentation, a channel.

Conventions: two ranked runs are a pair where their options differ in the features alone, or in the
augmentation alone; they tested the same N clips. A difference is the second's share of correct clips less
the first's, seeds averaged, with a 95 % interval by bootstrap over source recordings. Verdicts are by the
sign-flip test, corrected together: all pairs of a ranking are one family, all classes of all tables another.

Of features, the larger set of a pair holds all channels of the smaller and more; pairs with a ranked set
between them are left out, since its steps say more. Channels count as often as they occur: mel+mel+mel adds
mel+mel to mel, a control.

`python -m train explain` leaves fold*/attribution.csv, one row a test clip, channel and method:
channel, method (permuted | marginalised), clip_id, correct (the share of its repeats that were correct),
selection (last | best; what an earlier explain left is of the last epoch).
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from analysis.ranking import Ranking
from analysis.results import Problem, Run
from analysis.significance import CLASSES_LEVEL, DRAWS, step_down
from results import bootstrap
from results.scores import Floats

CLASS_REPLICATES = 2_000  # K intervals a table: an end moves by a fifth of a point, as much as one clip of 40
METHODS = {  # of explain, as they lead: what becomes of the channel
    "permuted": "permuted among the test clips",
    "marginalised": "averaged out over its values in other clips",
    "removed": "set to a constant",  # by an earlier explain
}
SELECTIONS = {"last", "best"}  # that a checkpoint may be of
ATTRIBUTION_COLUMNS = ("channel", "method", "clip_id", "correct")

# What an augmentation is among the options; whatever else differs makes two runs no pair.
AUGMENTATION = frozenset({"augment", "copies"})


Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Change:
    """Two scores (N,) of one run's clips, to be compared class by class."""

    run: Run
    before: Floats
    after: Floats
    seeds: tuple[int, ...] = ()  # that `explain` has seen
    selection: str = ""  # last | best, whose weights it explained


def recall_change(first: Run, second: Run) -> Change:
    """Which clips two runs predicted correctly, seeds averaged."""
    return Change(first, first.correct, second.correct)


def class_differences(
    changes: Mapping[Key, Change], rng: np.random.Generator, draws: int = DRAWS
) -> dict[Key, pd.DataFrame]:
    """The differences of each change, class by class, all tested as one family.

    Columns: class, category, first, second, difference, low, high, p_adjusted, differs. A class without test
    clips is left out; one of fewer than FEWEST_RECORDINGS recordings has no interval and no verdict.
    """
    if not changes:
        return {}
    names = np.unique(np.concatenate([change.run.groups for change in changes.values()]))
    tables, sums = {}, []
    for key, change in changes.items():
        tables[key], by_recording = _class_estimates(change, rng)
        held = np.zeros((len(names), by_recording.shape[1]))
        held[np.searchsorted(names, np.unique(change.run.groups))] = by_recording
        sums.append(held)
    p_values = step_down(np.concatenate(sums, axis=1), draws)
    parts = np.split(p_values, np.cumsum([one.shape[1] for one in sums])[:-1])
    return {
        key: table.assign(p_adjusted=p, differs=(p < CLASSES_LEVEL) & table["low"].notna())
        for (key, table), p in zip(tables.items(), parts, strict=True)
    }


def _class_estimates(change: Change, rng: np.random.Generator) -> tuple[pd.DataFrame, Floats]:
    """The table of one change without its verdicts, and each recording's share (G, K) of the differences."""
    run = change.run
    tested = np.flatnonzero(np.bincount(run.target, minlength=len(run.classes)))
    of_class = (run.target[:, None] == tested).astype(float)
    difference = np.repeat((change.after - change.before)[:, None], len(tested), axis=1)
    drawn = bootstrap.resampled_means(
        difference, run.groups, weights=of_class, rng=rng, replicates=CLASS_REPLICATES
    )
    clips = of_class.sum(axis=0)
    recordings = (bootstrap.recording_sums(of_class, run.groups) > 0).sum(axis=0)
    table = pd.DataFrame(
        {
            "class": [run.classes[place] for place in tested],
            "category": [run.categories[place] for place in tested],
            "first": change.before @ of_class / clips,
            "second": change.after @ of_class / clips,
        }
    )
    table["difference"] = table["second"] - table["first"]
    table[["low", "high"]] = bootstrap.interval(drawn, recordings)
    return table, bootstrap.recording_sums(difference * of_class / clips, run.groups)


def augmentation_pairs(ranking: Ranking) -> list[tuple[Run, Run]]:
    """Ranked runs that differ in augmentation and in nothing else: (the one with less, the other)."""
    pairs = []
    for pair in combinations(ranking.runs, 2):
        different = differing_options(*pair)
        if different and different <= AUGMENTATION:
            without, other = sorted(pair, key=_augmentation_order)
            pairs.append((without, other))
    return pairs


def differing_options(first: Run, second: Run) -> set[str]:
    """The training options that two runs do not share; what run.json merely records does not count."""
    a, b = run_options(first), run_options(second)
    return {key for key in (a.keys() | b.keys()) - {"seed"} if a.get(key) != b.get(key)}


def run_options(run: Run) -> dict[str, Any]:
    """The options of the run; an ensemble, which was not trained, has its members instead."""
    options: dict[str, Any] = run.config.get("options") or {"members": run.config.get("members")}
    return options


def option_text(run: Run, key: str) -> str:
    """The value of an option in words; run.json leaves out what does nothing, and padding that is kept."""
    return str(run_options(run).get(key) or ("keep" if key == "padding" else "none"))


def _augmentation_order(run: Run) -> tuple[bool, int, str]:
    """Sorts no augmentation first, then the fewer and shorter, then no altered copies."""
    augment = option_text(run, "augment")
    return augment != "none", len(augment), str(run_options(run).get("copies") or "")


def setting(run: Run, runs: Sequence[Run], changed: Collection[str] = ()) -> str:
    """The run's model, and what tells it from those of `runs` with that model: `resnet18, augment none`.

    Left out are the features, the seed and the options in `changed`.
    """
    same = [other for other in runs if other.model == run.model]
    keys = set().union(*(differing_options(run, other) for other in same)) - {"features", *changed}
    return ", ".join([run.model, *(f"{key} {option_text(run, key)}" for key in sorted(keys))])


def pair_names(pairs: Sequence[tuple[Run, Run]], runs: Sequence[Run]) -> list[str]:
    """`chroma added to mel+mfcc (resnet18)`, `augment none → mask (mel, resnet18)`: each name once."""
    names = [_pair_name(*pair, runs) for pair in pairs]
    return [
        name if names.count(name) == 1 else f"{name}, {without.name}"
        for name, (without, _) in zip(names, pairs, strict=True)
    ]


def _pair_name(without: Run, other: Run, runs: Sequence[Run]) -> str:
    different = differing_options(without, other)
    where = setting(without, runs, different)
    if different == {"features"}:
        return f"{added_features(without, other)} added to {without.features} ({where})"
    return f"{option_changes(without, other)} ({without.features}, {where})"


@dataclass(frozen=True, eq=False)
class Ablations:
    """One row a pair of runs that differ in one choice: the columns of `paired_differences`."""

    features: pd.DataFrame  # of `feature_pairs`; `changed` are the added channels
    augmentation: pd.DataFrame  # of `augmentation_pairs`


def all_ablations(ranking: Ranking, rng: np.random.Generator, draws: int = DRAWS) -> Ablations:
    """Every ablation among the ranked runs, all tested as one family."""
    added = [(*pair, added_features(*pair)) for pair in feature_pairs(ranking)]
    augmented = [(*pair, option_changes(*pair)) for pair in augmentation_pairs(ranking)]
    table = paired_differences(ranking, [*added, *augmented], rng, draws)
    return Ablations(table[: len(added)], table[len(added) :].reset_index(drop=True))


def paired_differences(
    ranking: Ranking, pairs: Sequence[tuple[Run, Run, str]], rng: np.random.Generator, draws: int = DRAWS
) -> pd.DataFrame:
    """Each (run without, run with, what differs), tested as one family: with less without.

    Columns: name (see `pair_names`), without, with, model, changed, difference, low, high, p_adjusted,
    differs. The verdicts depend on these pairs alone, whatever else is ranked.
    """
    rows, differences = [], []
    weights = bootstrap.fold_weights(ranking.best.folds)
    names = pair_names([pair[:2] for pair in pairs], ranking.runs)
    for name, (without, other, words) in zip(names, pairs, strict=True):
        first, second = (run for run in ranking.runs if run in (without, other))
        pair = ranking.pair(first, second)
        sign = 1 if first is other else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        row = {"name": name, "without": without.name, "with": other.name, "model": without.model}
        row["changed"] = words
        rows.append(row | {"difference": sign * pair["difference"], "low": low, "high": high})
        differences.append(weights * (other.correct - without.correct))
    columns = ["name", "without", "with", "model", "changed", "difference", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    p = np.empty(0)
    if pairs:
        sums = bootstrap.recording_sums(np.stack(differences, axis=1), ranking.best.groups)
        p = step_down(sums, draws)
    return table.assign(p_adjusted=p, differs=(p < ranking.ablations_level) & ranking.testable)


def option_changes(without: Run, other: Run) -> str:
    """What differs, in words: `augment none → mask,shift`."""
    keys = sorted(differing_options(without, other))
    return "; ".join(f"{key} {option_text(without, key)} → {option_text(other, key)}" for key in keys)


def read_attribution(run: Run) -> tuple[pd.DataFrame | None, list[Problem]]:
    """What `explain` left of one epoch in the run's folders, with seed and fold; None where there is nothing.

    The epoch is the one that counts, or the last where that one was not explained in every fold. A fold
    without its table is no problem; a damaged table, or one of another epoch, is named and left out.
    """
    parts, problems = [], []
    for folder in run.folders:
        for fold in np.unique(run.folds):
            file = folder.fold(int(fold)) / "attribution.csv"
            if not file.is_file():
                continue
            try:
                part = pd.read_csv(file, dtype={"channel": str, "clip_id": str}, keep_default_na=False)
                part = part.assign(selection=part.get("selection", "last"), fold=fold)
                if unknown := set(part["selection"]) - SELECTIONS:
                    raise ValueError(f"selection {min(map(str, unknown))!r}, expected last or best")
                part = part[[*ATTRIBUTION_COLUMNS, "selection", "fold"]].astype({"correct": float})
                parts.append(part.assign(seed=int(folder.config["seed"])))
            except (OSError, ValueError, KeyError) as error:
                text = f"fold {fold}: attribution.csv is left out ({error}): run explain again"
                problems.append(Problem(folder.name, text))
    if not parts:
        return None, problems
    read = pd.concat(parts, ignore_index=True)
    selection = _compared_epoch(run, read)
    others = read[read["selection"] != selection]
    for folder in run.folders:
        of_another = others.loc[others["seed"] == folder.config["seed"], "fold"].unique()
        if len(of_another):
            folds = f"fold{'s'[: len(of_another) - 1]} {', '.join(map(str, of_another))}"
            text = (
                f"{folds}: attribution.csv is left out, of another epoch than {selection}: run explain again"
            )
            problems.append(Problem(folder.name, text))
    read = read[read["selection"] == selection].reset_index(drop=True)
    return (read if len(read) else None), problems


def _compared_epoch(run: Run, read: pd.DataFrame) -> str:
    """The selection that counts or else the last: the first of which a seed has every clip, or else any."""
    seeds = read.groupby(["seed", "selection"])["clip_id"]
    complete = {selection for (_, selection), ids in seeds if set(run.clip_ids) <= set(ids)}
    order = (run.selection, "last")
    found = (one for among in (complete, set(read["selection"])) for one in order if one in among)
    return next(found, "last")


def leading_method(methods: Iterable[str]) -> str | None:
    """The method that is shown: permutation before marginalisation, a constant only where nothing else is."""
    known = set(methods)
    return next((method for method in METHODS if method in known), None)


def channel_changes(run: Run, read: pd.DataFrame) -> dict[tuple[str, str], Change]:
    """(channel, method) -> the run's clips without the channel and with it, of the epoch that was read.

    The channel helps where the difference is positive. Only the seeds explained in every fold are compared.
    """
    selection = str(read["selection"].iloc[0])
    with_all = run.checkpoints[selection].argmax(axis=2) == run.target  # (S, N)
    found = {}
    for (channel, method), rows in read.groupby(["channel", "method"], sort=False):
        by_seed = rows.pivot_table("correct", "seed", "clip_id").reindex(columns=run.clip_ids).dropna()
        if len(by_seed):
            seeds = tuple(by_seed.index)
            after = with_all[[run.seeds.index(seed) for seed in seeds]].mean(axis=0)
            before = by_seed.mean().to_numpy(dtype=float)
            found[str(channel), str(method)] = Change(run, before, after, seeds, selection)
    return found


PAIRS_BY_CLASS = (
    8  # pairs compared class by class, those of the best sets: each costs a bootstrap of K columns
)


def channel_counts(run: Run) -> Counter[str]:
    """The channels of a run's feature set and how often each occurs."""
    return Counter(run.features.split("+"))


def feature_pairs(ranking: Ranking) -> list[tuple[Run, Run]]:
    """Every pair of sets one step apart, by rank: of the larger set first, then of the smaller."""
    counts = {run.name: channel_counts(run) for run in ranking.runs}

    def within(smaller: Run, larger: Run) -> bool:
        a, b = counts[smaller.name], counts[larger.name]
        return a < b and differing_options(smaller, larger) == {"features"}

    contained = {larger.name: [one for one in ranking.runs if within(one, larger)] for larger in ranking.runs}
    return [
        (smaller, larger)
        for larger in ranking.runs
        for smaller in contained[larger.name]
        if not any(within(smaller, between) for between in contained[larger.name])
    ]


def added_features(smaller: Run, larger: Run) -> str:
    """The channels that only the larger set has: `contrast`, `mel+mel`."""
    return "+".join((channel_counts(larger) - channel_counts(smaller)).elements())


def feature_changes(ranking: Ranking) -> dict[str, Change]:
    """Name of a pair -> the clips without and with the addition, of the first PAIRS_BY_CLASS pairs."""
    pairs = feature_pairs(ranking)
    names = pair_names(pairs, ranking.runs)
    return {
        name: recall_change(*pair) for name, pair in list(zip(names, pairs, strict=True))[:PAIRS_BY_CLASS]
    }
