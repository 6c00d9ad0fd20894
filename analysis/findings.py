"""The statistics of a dataset's runs, computed once: rankings, tables, and the facts
that a report states.

`findings` takes the runs that `analysis.runs` has read; templates turn its results into
sentences.

Accuracies are from 0 to 1, differences from -1 to 1; NaN is an unknown number. A
difference to the best run is zero or below. A known interval excludes zero exactly if
the verdict is clear.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from featurestack.analysis import tables
from featurestack.analysis.ranking import Ranking, rankings
from featurestack.analysis.runs import Problem, Results, Run
from featurestack.results.config import Choice
from featurestack.scores.accuracy import ACCURACY
from featurestack.scores.significance import standard_error

State = Literal["none", "one", "untested", "chance", "tie", "winner"]
Row = dict[str, Any]  # one row of a table

HARDEST = 3  # classes that count as hardest; more if several tie
# columns of comparison.csv that the runs may have, before those of their metric
COMPARISON = [
    "run",
    "accuracy",
    "accuracy_sd",
    "n",
    "accuracy_low",
    "accuracy_high",
    "features",
    "model",
    "seeds",
    "balanced_accuracy",
    "macro_f1",
    "log_loss",
    "difference",
    "error",
    "p",
    "verdict",
    "reason",
]


@dataclass(frozen=True)
class Said:
    """A warning of a report: its sentence, and the page that explains it."""

    code: str
    title: str
    text: str
    page: str
    of_check: bool = False  # `check` prints it too


@dataclass(frozen=True)
class NewValues:
    """What clips of new speakers, sites or devices lose, as `check` measured."""

    # `new speakers, sites or devices score 30.7 points less (95.7 % by clip, …)`
    measured: str
    options: tuple[str, ...] = ()  # the words that group by the field


@dataclass(frozen=True, eq=False)
class Findings:
    """The facts that a report states about runs."""

    state: State
    # those of reading first, then runs outside the main ranking
    problems: Sequence[Problem] = ()
    warnings: Sequence[Said] = ()
    new_values: NewValues | None = None
    main: Ranking | None = None
    # every configuration, in the order of the comparison table
    runs: Sequence[Run] = ()
    # the main ranking in its order; columns of `compared` and `run_details`
    rows: Sequence[Row] = ()
    others: Sequence[Row] = ()  # configurations outside the main ranking, same columns
    # those of one run may be empty
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    groups: str = ""  # the dataset's word for a group, '' for a source recording
    recordings: int = 0  # number of source recordings, or other groups

    # rows of `class_report`, the lowest recall (tags: average precision) first
    hardest: Sequence[Row] = ()
    gains: Sequence[Row] = ()  # rows of `ablations`
    old_runs: int = 0  # the number of runs of other data, which are left out

    @property
    def group(self) -> str:
        return self.groups or "recording"

    @property
    def unit(self) -> str:
        """The word for what the bootstrap draws and the sign-flip tests flip."""
        return self.groups or "source recording"

    @property
    def several_labels(self) -> bool:
        """Whether clips have several labels or none."""
        return self.main is not None and self.main.best.task.multilabel

    @property
    def score(self) -> str:
        """The name of the score that runs are ranked by."""
        return self.main.metric.title if self.main else ACCURACY.title

    @property
    def chance(self) -> float:
        """The score of a prediction that knows nothing."""
        return self.main.chance if self.main else np.nan

    @property
    def choice(self) -> Choice | None:
        """That of the best, if it is a choice of features inside the folds."""
        return self.main.best.choice if self.main else None

    @property
    def best(self) -> Row | None:
        return self.rows[0] if self.rows else None

    @property
    def alike(self) -> Sequence[Row]:
        """Rows of the feature sets that are trained alike, best first."""
        return [self.rows[place] for place in self.main.alike] if self.main else []

    def warns(self, code: str) -> bool:
        """Whether there is a warning of this code."""
        return any(warning.code == code for warning in self.warnings)

    @property
    def tied(self) -> list[Row]:
        """Rows that do not differ clearly from the best."""
        return [row for row in self.rows if row["verdict"] == "tied"]


def findings(
    results: Results,
    *,
    groups: str = "",
) -> Findings:
    """Rank the runs and test them.

    groups  the dataset's word for a group, '' for a source recording
    """
    # the sets that a choice of features trained were joined by scores: the choice
    # counts each on the folds that had no part in it
    choices = [run.choice for run in results.runs if run.choice]
    members = {name for choice in choices for name in choice.runs}
    own = [run for run in results.runs if not (run.joined_from and run.name in members)]
    ranked = rankings(own)
    found = statistics(ranked) if ranked else Findings("none")
    return replace(
        found,
        problems=[*results.problems, *set_apart(ranked)],
        groups=groups,
    )


def statistics(ranked: Sequence[Ranking]) -> Findings:
    """The findings that the rankings themselves hold, the main one first."""
    main = ranked[0]
    runs = [run for ranking in ranked for run in ranking.runs]
    metrics = tables.metrics(runs)
    details = tables.run_details(runs)
    table = compared(ranked, metrics)
    every = table.merge(details.drop(columns="seeds"), on="run").to_dict("records")
    rows = every[: len(main.runs)]
    changes = pd.DataFrame()
    if len(main.runs) > 1:
        from featurestack.analysis.ablations import ablations

        changes = ablations(main)
    reports = {run.name: tables.class_report(run) for run in runs}
    options = [{"run": run.name, **tables.settings(run)} for run in runs]
    made = {
        "metrics": metrics,
        "runs": details,
        "settings": pd.DataFrame(options).fillna(""),
        "ablations": changes,
        **tables_of_ranking(main, table, reports),
    }
    kept = {name: own for name, own in made.items() if len(own)}
    for run in runs:
        kept |= tables_of_run(run, reports[run.name])
    report = reports[main.best.name][:-2].query("support > 0")
    lowest = report.nsmallest(HARDEST, main.metric.class_score, keep="all")
    tied = "tied" in [row["verdict"] for row in rows]
    return Findings(
        state=state_of(main, tied=tied),
        main=main,
        runs=runs,
        rows=rows,
        others=every[len(rows) :],
        tables=kept,
        recordings=len(main.shares),
        hardest=lowest.to_dict("records"),
        gains=changes.to_dict("records"),
    )


def set_apart(ranked: Sequence[Ranking]) -> list[Problem]:
    """A problem for each run outside the main ranking: why it is not compared."""
    problems = []
    for ranking in ranked[1:]:
        for run in ranking.runs:
            why = f"other {ranking.reason} than {ranked[0].best.name}"
            if ranking.reason == "joined":
                why = (
                    f"joined from {run.joined_from} features that were tested one by"
                    " one on these folds"
                )
            problems.append(Problem(run.name, f"not compared: {why}"))
    return problems


def tables_of_ranking(
    main: Ranking,
    table: pd.DataFrame,
    reports: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """The tables that compare runs: comparison.csv;
    recall_by_class.csv, with tags precision_by_class.csv, every class by every run of
    the main ranking.

    table    all rows of `compared`
    reports  run -> its `tables.class_report`
    """
    score = main.metric.name
    further = [column[0] for column in main.metric.score_columns]
    columns = dict.fromkeys((*COMPARISON, *further))
    comparison = table[[name for name in columns if name in table]]
    by_run = [
        reports[run.name][:-2].assign(run=run.name, category=run.categories)
        for run in main.runs
    ]
    of_class = main.metric.class_score
    return {
        "comparison": comparison.rename(
            columns=lambda name: re.sub("^accuracy", score, name)
        ),
        f"{of_class.removeprefix('average_')}_by_class": pd.concat(by_run)[
            ["run", "class", "category", of_class]
        ],
    }


def tables_of_run(run: Run, report: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of one run's classes and errors."""
    made = {f"{run.name}.classes": report}
    if run.task.metric.errors == "confusion":
        made[f"{run.name}.confused"] = tables.confused_pairs(run)
    return made


def state_of(main: Ranking, *, tied: bool) -> State:
    """The state of the main ranking; `tied` if a run does not differ clearly."""
    if main.testable and not main.against_chance.clear:
        return "chance"
    if len(main.runs) == 1:
        return "one"
    if not main.testable:
        return "untested"
    return "tie" if tied else "winner"


def compared(ranked: Sequence[Ranking], metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each configuration: the main ranking in its order, then the other
    rankings.

    Columns: those of the comparison table, one for each metric, label, exact (another
    seed would give the same predictions), accuracy_low and _high, difference_low and
    _high. `difference` is to the best of the main ranking, and NaN in the other
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
        if ranking.joined_from:
            unsure = "joined"
        reason = ranking.reason or ("alone" if len(runs) == 1 else unsure)
        clear = differences[:, 3] < ranking.level
        verdict = np.where(clear, "clearly worse", "tied")
        verdict[0] = "best"
        part = pd.DataFrame(
            {
                "run": run.name,
                "label": ranking.labels[run.name],
                "features": run.features,
                "model": run.model,
                "seeds": len(run.seeds),
                "exact": run.exact,
            }
            for run in runs
        )
        part = part.assign(accuracy=ranking.accuracy, reason=reason)
        part["verdict"] = "not compared" if reason else verdict
        part[["accuracy_low", "accuracy_high"]] = ranking.interval
        part[["difference", "difference_low", "difference_high", "p"]] = differences
        part["error"] = errors
        parts.append(part)
    return with_metrics(pd.concat(parts, ignore_index=True), ranked, metrics)


def with_metrics(
    table: pd.DataFrame, ranked: Sequence[Ranking], metrics: pd.DataFrame
) -> pd.DataFrame:
    """The table with every metric, and the folds' scores of the one that ranks."""
    scores = {ranking.metric.name for ranking in ranked}
    ranked_by = metrics["metric"].isin(scores)
    accuracy = metrics[ranked_by].rename(columns={"sd": "accuracy_sd"})
    means = metrics[~ranked_by].pivot(index="run", columns="metric", values="score")
    return table.merge(accuracy[["run", "accuracy_sd", "n"]]).merge(means, on="run")
