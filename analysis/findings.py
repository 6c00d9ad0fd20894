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
    rankings: tuple[Ranking, ...]  # the main one first
    facts: Facts
    problems: tuple[Problem, ...]  # what could not be read, then what is not ranked with the rest
    tables: dict[str, pd.DataFrame]

    @property
    def main(self) -> Ranking | None:
        return self.rankings[0] if self.rankings else None


def findings(
    results: Results,
    seed: int = 0,
    *,
    named: bool = False,
    outdated: Collection[str] = (),
    threats: Sequence[Threat] = (),
) -> Findings:
    """What run folders hold; two of them may be `named` by RUN=. `outdated` runs, by name, do not lead."""
    ranked = tuple(rankings(results.runs, seed, named=named, outdated=outdated))
    runs = [run for ranking in ranked for run in ranking.runs]
    importance = [channel_importance(run) for run in runs]
    problems = [*results.problems, *(problem for _, found in importance for problem in found)]
    changes = ablations(ranked[0]) if ranked else pd.DataFrame()
    found = facts(ranked, changes, problems, threats)
    made = {}
    if ranked:
        main = ranked[0]
        made = {
            "comparison": comparison(found),
            "metrics": tables.metrics(runs),
            "runs": tables.run_details(runs),
            "members": pd.DataFrame(
                [(row.run, *member) for row in found.rows for member in row.members.items()],
                columns=["run", "member", "accuracy"],
            ),
            "recall_by_class": tables.recall_by_class(main.runs),
            "ablations": changes,
            "attribution": pd.concat([table for table, _ in importance], ignore_index=True),
            "literature": tables.literature(main),
        }
    outside = [
        Problem(row.run, f"not compared: other {row.reason} than {ranked[0].best.name}")
        for row in found.others
    ]
    kept = {name: table for name, table in made.items() if len(table)}
    return Findings(tuple(runs), ranked, found, (*problems, *outside), kept)


def comparison(found: Facts) -> pd.DataFrame:
    """One row a configuration, best first, those that are not compared last."""
    rows = [
        vars(row)
        | {"accuracy_sd": row.sd, "accuracy_low": row.low, "accuracy_high": row.high, "seeds": len(row.seeds)}
        for row in (*found.rows, *found.others)
    ]
    return pd.DataFrame(rows)[list(COMPARISON)]
