"""`make stress`: its table, its sentence, its section of the report.

What a change costs is tested like the difference between two runs: by sign flips of
source recordings, all changes of a run as one family.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from featurestack.analysis.runs import Problem
from featurestack.analysis.sections import PageInputs, Section
from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.quantities import either, percent, points
from featurestack.commandline.terminal import text_table
from featurestack.feature_importance.importance import gain_tests
from featurestack.predict.options import StressOptions
from featurestack.results.run_folder import RunFolder
from featurestack.robustness.stress import FILE, Stress, measure_stress, read_stress
from featurestack.scores.bootstrap import accuracy_interval


def stress_table(run: RunFolder, stress: Stress) -> pd.DataFrame:
    """A row for each change: run, change, accuracy with its interval, claimed (mean
    highest probability), lost (against the unchanged clips) with interval and p, and
    clear.
    """
    tested = run.scored()
    groups = tested["group"].where(tested["group"] != "", tested["clip_id"]).to_numpy()
    each = stress.changes
    right = np.array([of.right for of in each.values()], float).T
    intervals = accuracy_interval(right, groups, np.ones(len(right)), run.spread)
    table = pd.DataFrame({"run": run.name, "change": [*each]})
    table["accuracy"] = right.mean(axis=0)
    table[["low", "high"]] = intervals
    table["claimed"] = [np.mean(of.claimed) for of in each.values()]
    table[["lost", "lost_low", "lost_high", "p"]] = np.nan
    table["clear"] = False
    if len(each) > 1:
        tests = gain_tests(right[:, :1] - right[:, 1:], groups)
        names = ["mean", "low", "high", "p"]
        table.loc[1:, ["lost", "lost_low", "lost_high", "p"]] = tests[names].to_numpy()
        clear = tests["significant"] & (tests["mean"] > 0)
        table.loc[1:, "clear"] = clear.to_numpy()
    return table


def what_breaks(table: pd.DataFrame) -> str:
    """A sentence on what the run does not survive: its clear losses, the largest
    first.
    """
    run, before = table["run"].iloc[0], percent(table["accuracy"].iloc[0])
    clear = table[table["clear"]].sort_values("lost", ascending=False, kind="stable")
    if clear.empty:
        return f"No change clearly costs {run} accuracy; unchanged it has {before} %."
    broken = [
        f"{row.change} ({percent(row.accuracy)} %, and claims {percent(row.claimed)})"
        for row in clear.itertuples()
    ]
    return f"{run} does not survive {either(broken)}; unchanged it has {before} %."


def interval(low: float, high: float, text: Callable[[float], str]) -> str:
    """`55.1 to 68.4`; "" if it is not known."""
    return f"{text(low)} to {text(high)}" if np.isfinite(low) else ""


def stress_summary(table: pd.DataFrame) -> str:
    """The table as text, and its sentence."""
    rows = []
    for row in table.itertuples():
        scores = percent(row.accuracy), interval(row.low, row.high, percent)
        lost = points(-row.lost) if row.Index else ""
        ends = interval(-row.lost_high, -row.lost_low, points)
        mark = "clear" if row.clear else ""
        rows.append([row.change, *scores, percent(row.claimed), lost, ends, mark])
    header = ("", "accuracy", "95 % interval", "claims", "points", "95 % interval", "")
    return f"{text_table(rows, header)}\n{what_breaks(table)}"


def make_stress(options: StressOptions) -> None:
    """Measure what breaks a run."""
    run, stress = measure_stress(options)
    print(stress_summary(stress_table(run, stress)))
    command = make_command("analysis", f"DATASET={options.dataset or run.dataset}")
    print(f"next: {command} (the table in the report)")


def stress(page: PageInputs) -> Section | None:
    """The runs of the report that were stressed."""
    tables, problems = [], []
    for folder in [folder for run in page.found.runs for folder in run.folders]:
        if (folder.path / FILE).is_file():
            try:
                tables.append(stress_table(folder, read_stress(folder)))
            except RequestError as error:
                problems.append(Problem(folder.name, str(error)))
    if not tables:
        return Section("", "", problems=problems)
    return Section(
        "stress",
        "Stress",
        tables={"stress": pd.concat(tables, ignore_index=True)},
        values={"stressed": [what_breaks(table) for table in tables]},
        problems=problems,
        leads={"What breaks it?": what_breaks(tables[0])},
    )
