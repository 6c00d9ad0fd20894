"""The statistics of a dataset's runs, computed once: rankings, the answer, the tables.

A pure step between reading the run folders (`analysis.results`) and writing a report: the same results and
the same generator give the same findings.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import ablations, tables
from analysis.answer import (
    NAMED,
    TOO_FEW,
    Answer,
    Line,
    answer,
    listed,
)
from analysis.facts import Facts, facts
from analysis.overview import describe_classes, overview_lines
from analysis.ranking import (
    NestedSelection,
    Ranking,
    nested_selection,
    not_compared,
    rankings,
)
from analysis.results import Problem, Results, Run, summed_to_categories
from analysis.significance import DRAWS, Friedman, described_tests, friedman


@dataclass(frozen=True, eq=False)
class Findings:
    """What a report says about runs; `tables` holds only those that have rows."""

    runs: tuple[Run, ...]  # every configuration, in the order of the comparison table
    rankings: tuple[Ranking, ...]  # the main one first
    answer: Answer
    facts: Facts
    overview: tuple[Line, ...]  # single features, combined, classes
    problems: tuple[Problem, ...]  # what could not be read, then what is not ranked with the rest
    tables: dict[str, pd.DataFrame]
    sentences: tuple[str, ...]  # which classes a channel or an augmentation helps or hurts
    nested: NestedSelection | None  # the score of selecting the best run, without its optimism
    friedman: Friedman | None
    tests: dict[str, tuple[str, str]]  # name of another test -> its title, when it applies

    @property
    def main(self) -> Ranking | None:
        return self.rankings[0] if self.rankings else None


def findings(
    results: Results, rng: np.random.Generator, *, named: bool = False, outdated: Collection[str] = ()
) -> Findings:
    """The findings of a set of run folders, `named` by RUN=; with none, the answer that says so.

    Runs that are `outdated`, by their names, do not lead.
    """
    ranked = tuple(rankings(results.runs, rng, named=named, outdated=outdated))
    main = ranked[0] if ranked else None
    read, damaged = _attributions(results.runs)
    by_class = differences_by_class(main, read, rng)
    importance = by_class["attribution"]
    of_main = _of_ranking(main, rng) if main else {}
    found = {
        "comparison": tables.comparison(ranked),
        **of_main,
        "categories": tables.comparison(category_rankings(results.runs, rng)),
        "checkpoints": _checkpoints([run for ranking in ranked for run in ranking.runs]),
        "additions_by_class": _stacked(by_class["additions"]),
        "augmentation_by_class": _stacked(by_class["augmentation"]),
        "attribution": _stacked(importance),
    }
    ranked_names = {run.name for run in main.runs} if main else set()
    overview = overview_lines(main, of_main["additions"]) if main else []
    return Findings(
        runs=tuple(run for ranking in ranked for run in ranking.runs),
        rankings=ranked,
        answer=answer(
            main,
            of_main["additions"] if main else pd.DataFrame(),
            len({problem.run for problem in results.problems if problem.damaged}),
        ),
        facts=facts(
            ranked,
            of_main["additions"] if main else pd.DataFrame(),
            of_main["augmentation"] if main else pd.DataFrame(),
            (*results.problems, *damaged),
        ),
        overview=tuple(overview),
        problems=(*results.problems, *damaged, *not_compared(ranked)),
        tables={name: table for name, table in found.items() if len(table)},
        sentences=(
            *_channel_sentences({name: importance[name] for name in importance if name in ranked_names}),
            *_pair_sentences(by_class["augmentation"]),
            *_pair_sentences(by_class["additions"]),
        ),
        nested=nested_selection(main) if main else None,
        friedman=friedman(main.fold_accuracy.T) if main else None,
        tests=described_tests(),
    )


def _of_ranking(main: Ranking, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    found = ablations.all_ablations(main, rng)
    return {
        "pairs": tables.pairs(main),
        "other_tests": tables.other_tests(main),
        "recall_by_class": tables.recall_by_class(main),
        "additions": found.features,
        "complementarity": tables.complementarity(main),
        "augmentation": found.augmentation,
        "literature": tables.literature(main),
    }


def category_rankings(runs: Sequence[Run], rng: np.random.Generator) -> list[Ranking]:
    """Runs trained on the categories beside runs over classes whose probabilities are summed to them."""
    summed = [summed_to_categories(run) for run in runs]
    of_categories = [run for run in runs if run.task == "categories"]
    return rankings([*of_categories, *(run for run in summed if run is not None)], rng)


def _checkpoints(runs: Sequence[Run]) -> pd.DataFrame:
    """Last, best and peeked side by side, of the runs that have a curve or a best epoch."""
    learned = [run for run in runs if "best" in run.checkpoints or run.history["epoch"].nunique() > 1]
    table = tables.checkpoints(learned)
    return table if len(table) and table[["best", "peeked"]].notna().to_numpy().any() else table.iloc[:0]


def _attributions(runs: Sequence[Run]) -> tuple[list[tuple[Run, pd.DataFrame]], list[Problem]]:
    read, problems = [], []
    for run in runs:
        table, damaged = ablations.read_attribution(run)
        problems += damaged
        if table is not None:
            read.append((run, table))
    return read, problems


def differences_by_class(
    main: Ranking | None,
    read: Sequence[tuple[Run, pd.DataFrame]],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> dict[str, dict[str, pd.DataFrame]]:
    """Attribution, augmentation, additions -> name -> table of differences by class; all are one family.

    `read` are runs and what `explain` left of them.
    """
    pairs = ablations.augmentation_pairs(main) if main else []
    names = ablations.pair_names(pairs, main.runs) if main else []
    augmented = {name: ablations.recall_change(*pair) for name, pair in zip(names, pairs, strict=True)}
    added = ablations.feature_changes(main) if main else {}
    channels = {
        (run.name, *key): change
        for run, table in read
        for key, change in ablations.channel_changes(run, table).items()
    }
    changes: dict[tuple[str, ...], ablations.Change] = {
        **{("augmentation", name): change for name, change in augmented.items()},
        **{("additions", name): change for name, change in added.items()},
        **{("attribution", *key): change for key, change in channels.items()},
    }
    found = ablations.class_differences(changes, rng, draws)
    return {
        "augmentation": {name: found["augmentation", name] for name in augmented},
        "additions": {name: found["additions", name] for name in added},
        "attribution": _importance(channels, found),
    }


def _importance(
    channels: dict[tuple[str, str, str], ablations.Change], found: dict[tuple[str, ...], pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Run -> its tables of all channels and methods, one below the other."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for (run, channel, method), change in channels.items():
        table = found["attribution", run, channel, method]
        table.insert(0, "channel", channel)
        table.insert(1, "method", method)
        explained = {"seeds": " ".join(map(str, change.seeds)), "selection": change.selection}
        parts.setdefault(run, []).append(table.assign(**explained))
    return {run: pd.concat(tables_, ignore_index=True) for run, tables_ in parts.items()}


def _stacked(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    filled = [table.assign(of=name) for name, table in parts.items() if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _channel_sentences(importance: dict[str, pd.DataFrame]) -> list[str]:
    return [
        f"In {name}, {describe_classes(rows, str(channel))} ({method} at test time)."
        for name, table in importance.items()
        if len(table)
        for (channel, method), rows in table.groupby(["channel", "method"], sort=False)
        if method == ablations.leading_method(table["method"]) != "removed"
    ]


def _pair_sentences(differences: dict[str, pd.DataFrame]) -> list[str]:
    """A sentence for each that changes a class significantly; one for all others, one for those untested."""
    untested = [name for name, table in differences.items() if table["low"].isna().all()]
    without_effect = [
        name for name, table in differences.items() if name not in untested and not table["differs"].any()
    ]
    found = [
        f"{describe_classes(table, name)}."
        for name, table in differences.items()
        if name not in without_effect + untested
    ]
    if without_effect:
        found.append(f"No class changes significantly: {listed(without_effect, NAMED)}.")
    if untested:
        found.append(f"{TOO_FEW} in every class, so none is tested: {listed(untested, NAMED)}.")
    return found
