"""The statistics of a dataset's runs, computed once: rankings, tables, and the facts
that a report states.

`findings` takes the runs that `analysis.runs` has read; templates turn its results into
sentences.

Accuracies are from 0 to 1, differences from -1 to 1; NaN is an unknown number. A
difference to the best run is below zero if the run is worse; a known interval excludes
zero exactly if the verdict is clear.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any, Literal

import numpy as np
import pandas as pd

from featurestack.analysis import tables
from featurestack.analysis.ablations import ablations
from featurestack.analysis.ranking import Ranking, nested_selection, rankings
from featurestack.analysis.runs import Problem, Results, Run
from featurestack.analysis.significance import (
    FEWEST_RECORDINGS,
    LEVEL,
    detectable,
    standard_error,
)
from featurestack.results.bootstrap import fold_weights
from featurestack.results.importance_folder import ImportanceFolder

State = Literal["none", "one", "untested", "chance", "tie", "winner"]
Row = dict[str, Any]  # one row of a table

# classes are uneven from this ratio of clips in the largest to clips in the smallest
UNEVEN = 1.5
HARDEST = 3  # classes that count as hardest; more if several tie
# columns that the runs may have: tags lack balanced_accuracy, other tasks the last two
COMPARISON = [
    *(
        "run",
        "accuracy",
        "accuracy_sd",
        "n",
        "accuracy_low",
        "accuracy_high",
        "features",
        "model",
        "seeds",
    ),
    *(
        "balanced_accuracy",
        "macro_f1",
        "log_loss",
        "difference",
        "error",
        "p",
        "verdict",
        "reason",
    ),
    *("macro_auroc", "lwlrap"),
]


@dataclass(frozen=True)
class Threat:
    """Something that may make the result wrong."""

    # duplicates | artefacts | field | price | extracted before | failed | changed |
    # added | uneven | unequal recordings
    kind: str
    # a count; artefacts: accuracy from them alone; uneven: clips of the smallest class
    value: float = 0
    # the count of all; artefacts: chance; uneven: clips of the largest class
    of: float = 0
    # artefacts that predict the class; changes of the clips since extraction; a
    # sentence on a field of the names, or on the price of a leak
    names: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Findings:
    """The facts that a report states about runs."""

    state: State
    # those of reading first, then runs outside the main ranking
    problems: Sequence[Problem] = ()
    # reason or kind of problem -> number of runs
    excluded: Mapping[str, int] = field(default_factory=dict)
    threats: Sequence[Threat] = ()
    main: Ranking | None = None
    # every configuration, in the order of the comparison table
    runs: Sequence[Run] = ()
    # the main ranking, best first; columns of `compared` and `run_details`
    rows: Sequence[Row] = ()
    others: Sequence[Row] = ()  # configurations outside the main ranking, same columns
    # those of one run may be empty
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    groups: str = ""  # the dataset's word for a group, '' for a source recording
    recordings: int = 0  # number of source recordings, or other groups
    # accuracy of always predicting the commonest class; tags: mean prevalence
    chance: float = np.nan
    chance_p: float = np.nan  # p of the best run against chance
    # smallest difference to the second run found with a power of 80 %
    detectable: float = np.nan
    # recordings that a verdict takes; 0 if there are enough, or if unknown
    recordings_needed: int = 0
    # accuracy if the run for each fold is selected on the other folds
    # accuracy of the run chosen on the other folds; NaN for tags, whose mAP of a fold
    # is on another scale than the mAP of all folds
    nested: float = np.nan
    perfect: float = 1.0  # what a perfect order of the clips would get, see `Ranking`
    # rows of `class_report`, the lowest recall (tags: average precision) first
    hardest: Sequence[Row] = ()
    gains: Sequence[Row] = ()  # rows of `ablations`
    importance: ImportanceFolder | None = None  # the shown call of `make importance`
    kept: Sequence[Row] = ()  # rows of `importance.kept_set`

    @property
    def group(self) -> str:
        return self.groups or "recording"

    @property
    def unit(self) -> str:
        """The word for what the bootstrap draws and the sign-flip tests flip."""
        return self.groups or "source recording"

    @property
    def tags(self) -> bool:
        """Whether clips have several labels or none."""
        return self.main is not None and self.main.best.tags

    @property
    def score(self) -> str:
        """The name of the score that runs are ranked by."""
        return "mAP" if self.tags else "accuracy"

    @property
    def best(self) -> Row | None:
        return self.rows[0] if self.rows else None

    @property
    def losses_part(self) -> bool:
        """Whether the losses in `kept` differ by more than their intervals; the largest
        is the first then.
        """
        return all(more["low"] > less["high"] for more, less in pairwise(self.kept[1:]))

    @property
    def tied(self) -> list[Row]:
        """Rows of the other runs that do not differ clearly from the best."""
        return [row for row in self.rows if row["verdict"] == "tied"]


def findings(
    results: Results,
    *,
    named: bool = False,
    outdated: Collection[str] = (),
    threats: Sequence[Threat] = (),
    groups: str = "",
) -> Findings:
    """Rank the runs, test them and find what threatens the result.

    named     whether RUN= chose the runs; two such runs are one planned comparison
    outdated  names of runs whose ranking comes last
    threats   threats to validity that the cache shows
    groups    the dataset's word for a group, '' for a source recording
    """
    ranked = rankings(results.runs, named=named, outdated=outdated)
    runs = [run for ranking in ranked for run in ranking.runs]
    problems = list(results.problems)
    reasons: dict[str, str] = {
        problem.run: problem.kind for problem in problems if problem.kind
    }
    for ranking in ranked[1:]:
        for run in ranking.runs:
            reasons[run.name] = ranking.reason
            problems.append(
                Problem(
                    run.name,
                    f"not compared: other {ranking.reason} than {ranked[0].best.name}",
                )
            )
    excluded = Counter(reasons.values())
    if not ranked:
        return Findings("none", problems, excluded, threats, groups=groups)

    main = ranked[0]
    metrics = tables.metrics(runs)
    details = tables.run_details(runs)
    table = compared(ranked, metrics)
    every = table.merge(details.drop(columns="seeds"), on="run").to_dict("records")
    rows = every[: len(main.runs)]
    members = [
        (row["run"], *member) for row in rows for member in row["members"].items()
    ]
    changes = ablations(main)
    reports = {run.name: tables.class_report(run) for run in runs}
    tagged = main.best.tags
    score = "average_precision" if tagged else "recall"
    recall = pd.concat(
        reports[run.name][:-2].assign(run=run.name, category=run.categories)
        for run in main.runs
    )
    comparison = table[[name for name in COMPARISON if name in table]]
    if tagged:
        comparison = comparison.rename(
            columns=lambda name: re.sub("^accuracy", "map", name)
        )
    made = {
        "comparison": comparison,
        "metrics": metrics,
        "runs": details,
        "members": pd.DataFrame(
            members, columns=["run", "member", "map" if tagged else "accuracy"]
        ),
        f"{'precision' if tagged else 'recall'}_by_class": recall[
            ["run", "class", "category", score]
        ],
        "ablations": changes,
        "literature": tables.literature(main),
    }
    kept = {name: table for name, table in made.items() if len(table)}
    for run in runs:
        kept[f"{run.name}.classes"] = reports[run.name]
        kept[f"{run.name}.{'false_alarms' if run.tags else 'confused'}"] = (
            tables.confused_pairs(run)
        )
        if run.tags:
            kept[f"{run.name}.together"] = tables.labels_together(run)

    report = reports[main.best.name][:-2].query("support > 0")
    fewest = int(report["support"].min())
    most = int(report["support"].max())
    recordings = len(main.shares)
    effective = round(1 / float(main.shares @ main.shares))
    present = list(threats)
    if most >= UNEVEN * fewest and not tagged:
        present.append(Threat("uneven", fewest, most))
    if effective < recordings / 2:
        present.append(Threat("unequal recordings", effective, recordings))

    state: State = "one" if len(rows) == 1 else "untested"
    shown = np.nan
    needed = 0
    chance, chance_p = main.chance
    if not main.testable:
        needed = FEWEST_RECORDINGS
    elif len(rows) > 1:
        state = "tie" if "tied" in table["verdict"].array else "winner"
        difference = main.differences[:, 0] / main.unit
        shown, ratio = detectable(
            difference,
            main.shares,
            float(main.tests.critical[0]),
            len(main.best.clip_ids),
            main.level,
        )
        if state == "tie" and ratio > 1:
            # two digits of an estimate
            needed = ceil(float(f"{ratio * recordings:.1e}"))
    low = main.interval[0, 0]
    better = chance_p < LEVEL and main.accuracy[0] > chance and not low <= chance
    if main.testable and not better:
        state = "chance"
    return Findings(
        state=state,
        problems=problems,
        excluded=excluded,
        threats=present,
        main=main,
        runs=runs,
        rows=rows,
        others=every[len(rows) :],
        tables=kept,
        groups=groups,
        recordings=recordings,
        chance=chance,
        chance_p=chance_p,
        detectable=shown,
        recordings_needed=needed,
        nested=(
            nested_selection(main.fold_accuracy, main.fold_accuracy)
            if len(rows) > 1 and not tagged
            else np.nan
        ),
        perfect=main.perfect,
        hardest=report.nsmallest(HARDEST, score, keep="all").to_dict("records"),
        gains=changes.to_dict("records"),
    )


def compared(ranked: Sequence[Ranking], metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each configuration: the main ranking, best first, then the other
    rankings.

    Columns: those of the comparison table, one for each metric, label, exact (another
    seed would give the same predictions), control (a feature occurs more than once in
    its set), members (name -> accuracy alone), accuracy_low and _high, difference_low
    and _high. `difference` is to the best of the main ranking, and NaN in the other
    rankings; its interval is corrected like p, `error` is its standard error.
    """
    parts = []
    for ranking in ranked:
        runs = ranking.runs
        differences = np.full((len(runs), 4), np.nan)
        errors = np.full(len(runs), np.nan)
        if not ranking.reason:
            differences[1:] = np.clip(ranking.tests.numbers(ranking.unit), -1, 1)
            if not ranking.testable:
                differences[:, 3] = np.nan  # not compared: no p
            errors[1:] = standard_error(
                ranking.differences / ranking.unit, ranking.shares
            )
        unsure = "" if ranking.testable else "few recordings"
        reason = ranking.reason or ("alone" if len(runs) == 1 else unsure)
        verdict = np.where(differences[:, 3] < ranking.level, "clearly worse", "tied")
        weights = fold_weights(ranking.best.folds)
        verdict[0] = "best"
        part = pd.DataFrame(
            {
                "run": run.name,
                "label": ranking.labels[run.name],
                "features": run.features,
                "model": run.model,
                "seeds": len(run.seeds),
                "exact": run.exact,
                "control": max(run.channels.values()) > 1,
                # each member's mean accuracy over folds and seeds; tags: mAP
                "members": {
                    name: (
                        float(tables.seed_scores(run, values).mean())
                        if run.tags
                        else float(
                            weights @ (values.argmax(axis=2) == run.target).mean(axis=0)
                        )
                    )
                    for name, values in run.members.items()
                },
            }
            for run in runs
        )
        part = part.assign(accuracy=ranking.accuracy, reason=reason)
        part["verdict"] = "not compared" if reason else verdict
        part[["accuracy_low", "accuracy_high"]] = ranking.interval
        part[["difference", "difference_low", "difference_high", "p"]] = differences
        part["error"] = errors
        parts.append(part)
    ranked_by = metrics["metric"].isin(["accuracy", "map"])
    accuracy = metrics[ranked_by].rename(columns={"sd": "accuracy_sd"})
    means = metrics[~ranked_by].pivot(index="run", columns="metric", values="mean")
    table = pd.concat(parts, ignore_index=True)
    return table.merge(accuracy[["run", "accuracy_sd", "n"]]).merge(means, on="run")
