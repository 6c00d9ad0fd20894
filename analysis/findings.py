"""The statistics of a dataset's runs, computed once: rankings, facts, tables.

A pure step between reading the run folders (`analysis.results`) and writing a report: the same results and
the same seed give the same findings.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import tables
from analysis.ablations import ablations, channel_importance
from analysis.facts import Facts, Threat, facts
from analysis.ranking import Ranking, rankings
from analysis.results import Problem, Results, Run

COMPARISON = (
    *("run", "accuracy", "accuracy_sd", "n", "accuracy_low", "accuracy_high", "features", "model", "seeds"),
    *("balanced_accuracy", "macro_f1", "log_loss", "difference", "p", "verdict", "reason"),
)


@dataclass(frozen=True, eq=False)
class Findings:
    """What a report says about runs; `tables` holds only those that have rows."""

    runs: tuple[Run, ...]  # every configuration, in the order of the comparison table
    main: Ranking | None
    facts: Facts
    problems: tuple[Problem, ...]  # what could not be read, then what is not ranked with the rest
    tables: dict[str, pd.DataFrame]


def findings(
    results: Results,
    *,
    named: bool = False,
    outdated: Collection[str] = (),
    threats: Sequence[Threat] = (),
) -> Findings:
    """What run folders hold; two of them may be `named` by RUN=. `outdated` runs, by name, do not lead."""
    ranked = rankings(results.runs, named=named, outdated=outdated)
    main = ranked[0] if ranked else None
    runs = [run for ranking in ranked for run in ranking.runs]
    attributions = []
    problems = list(results.problems)
    for run in runs:
        attribution, unread = channel_importance(run)
        attributions.append(attribution)
        problems += unread
    changes = ablations(main) if main else pd.DataFrame()
    said = facts(ranked, changes, problems, threats)
    made = {}
    if main:
        members = [(row.run, *member) for row in said.rows for member in row.members.items()]
        made = {
            "comparison": comparison(said),
            "metrics": tables.metrics(runs),
            "runs": tables.run_details(runs),
            "members": pd.DataFrame(members, columns=["run", "member", "accuracy"]),
            "recall_by_class": tables.recall_by_class(main.runs),
            "ablations": changes,
            "attribution": pd.concat(attributions, ignore_index=True),
            "literature": tables.literature(main),
        }
    for row in said.others:
        problems.append(Problem(row.run, f"not compared: other {row.reason} than {ranked[0].best.name}"))
    kept = {name: table for name, table in made.items() if len(table)}
    return Findings(tuple(runs), main, said, tuple(problems), kept)


def comparison(said: Facts) -> pd.DataFrame:
    """One row a configuration, best first, those that are not compared last."""
    table = pd.DataFrame([vars(row) for row in (*said.rows, *said.others)])
    table["seeds"] = table["seeds"].map(len)
    names = {"sd": "accuracy_sd", "low": "accuracy_low", "high": "accuracy_high"}
    return table.rename(columns=names)[list(COMPARISON)]
