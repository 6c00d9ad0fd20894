"""All that the statistics say about a dataset's runs, computed once: rankings, the answer, the tables.

A pure step between reading the run folders (`analysis.results`) and writing a report: the same results and
the same generator give the same findings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import additions, effects, literature, tables
from analysis.answer import NAMED, Answer, answer, listed
from analysis.complementarity import complementarity
from analysis.glance import Line, glance
from analysis.ranking import CorrectedWinner, Ranking, corrected_winner, kept_out, rankings
from analysis.results import Problem, Results, Run, on_categories
from analysis.significance import FRIEDMAN_APPLIES, PAIR_TESTS, Friedman, friedman


@dataclass(frozen=True, eq=False)
class Findings:
    """What a report says about runs; `tables` holds only those that have rows."""

    runs: tuple[Run, ...]  # every configuration, in the order of the comparison table
    rankings: tuple[Ranking, ...]  # the main one first
    answer: Answer
    glance: tuple[Line, ...]  # (heading, sentence): features alone, together, classes
    problems: tuple[Problem, ...]  # what could not be read, then what is not ranked with the rest
    tables: dict[str, pd.DataFrame]
    sentences: tuple[str, ...]  # which classes a channel or an augmentation helps or hurts
    winner: CorrectedWinner | None  # the best run's score, charged for having been chosen
    friedman: Friedman | None
    tests: dict[str, str]  # test of the appendix -> when it applies

    @property
    def main(self) -> Ranking | None:
        return self.rankings[0] if self.rankings else None


def findings(results: Results, rng: np.random.Generator) -> Findings:
    """The findings of a set of run folders; with none, just the answer that says so."""
    ranked = tuple(rankings(results.runs, rng))
    main = ranked[0] if ranked else None
    read, damaged = _attributions(results.runs)
    worth = {run.name: effects.attribution(run, table, rng) for run, table in read}
    augmented = _augmented(main, rng)
    grown = additions.by_class(additions.pairs(main), rng) if main else {}
    of_main = _of_ranking(main) if main else {}
    found = {
        "comparison": tables.comparison(ranked),
        **of_main,
        "categories": tables.comparison(category_rankings(results.runs, rng)),
        "checkpoints": _checkpoints([run for ranking in ranked for run in ranking.runs]),
        "additions_by_class": _stacked(grown),
        "augmentation_by_class": _stacked(augmented),
        "attribution": _stacked(worth),
    }
    return Findings(
        runs=tuple(run for ranking in ranked for run in ranking.runs),
        rankings=ranked,
        answer=answer(main),
        glance=tuple(glance(main, of_main["additions"])) if main else (),
        problems=(*results.problems, *damaged, *kept_out(ranked)),
        tables={name: table for name, table in found.items() if len(table)},
        sentences=(*_channel_sentences(worth), *_of_pairs(augmented), *_of_pairs(grown)),
        winner=corrected_winner(main) if main else None,
        friedman=friedman(main.fold_accuracy.T) if main else None,
        tests={name: test.applies for name, test in PAIR_TESTS.items()} | {"nemenyi": FRIEDMAN_APPLIES},
    )


def _of_ranking(main: Ranking) -> dict[str, pd.DataFrame]:
    return {
        "pairs": tables.pairs(main),
        "other_tests": tables.appendix(main),
        "recall_by_class": tables.recall_by_class(main),
        "additions": additions.additions(main),
        "complementarity": complementarity(main),
        "augmentation": effects.augmentation_effects(main),
        "literature": literature.beside(main),
    }


def category_rankings(runs: Sequence[Run], rng: np.random.Generator) -> list[Ranking]:
    """Runs trained on the categories beside runs over classes whose probabilities are summed to them."""
    summed = [on_categories(run) for run in runs]
    of_categories = [run for run in runs if run.task == "categories"]
    return rankings([*of_categories, *(run for run in summed if run is not None)], rng)


def _checkpoints(runs: Sequence[Run]) -> pd.DataFrame:
    """Last, best and peeked side by side, of the runs that have a curve or a best epoch."""
    learned = [run for run in runs if "best" in run.checkpoints or run.history["epoch"].nunique() > 1]
    table = effects.checkpoints(learned)
    return table if len(table) and table[["best", "peeked"]].notna().to_numpy().any() else table.iloc[:0]


def _attributions(runs: Sequence[Run]) -> tuple[list[tuple[Run, pd.DataFrame]], list[Problem]]:
    read, problems = [], []
    for run in runs:
        table, damaged = effects.read_attribution(run)
        problems += damaged
        if table is not None:
            read.append((run, table))
    return read, problems


def _augmented(main: Ranking | None, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Of each pair of runs that differ in augmentation only, the classes."""
    pairs = effects.augmentation_pairs(main) if main else []
    return {
        f"{effects.changed(plainer, other)} ({plainer.features})": effects.by_class(plainer, other, rng)
        for plainer, other in pairs
    }


def _stacked(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    tables_ = [table.assign(of=name) for name, table in parts.items() if len(table)]
    return pd.concat(tables_, ignore_index=True) if tables_ else pd.DataFrame()


def _channel_sentences(worth: dict[str, pd.DataFrame]) -> list[str]:
    return [
        f"In {name} {effects.in_words(rows, str(channel))} ({method})."
        for name, table in worth.items()
        if len(table)
        for (channel, method), rows in table.groupby(["channel", "method"], sort=False)
    ]


def _of_pairs(differences: dict[str, pd.DataFrame]) -> list[str]:
    """A sentence for each that certainly changed a class, one for all that did not."""
    idle = [name for name, table in differences.items() if not table["differs"].any()]
    found = [f"{effects.in_words(table, name)}." for name, table in differences.items() if name not in idle]
    return [*found, f"No class is certainly better or worse by {listed(idle, NAMED)}."] if idle else found
