"""The section of the report on importance, its figures and its verdicts."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from featurestack.analysis.figures import drawn, figure
from featurestack.analysis.page import Report, Section
from featurestack.analysis.report.runs import Configuration, Problem
from featurestack.analysis.report.tables import declare, ends
from featurestack.analysis.sentences import unsigned
from featurestack.base.json_content import digest
from featurestack.base.options import report_line
from featurestack.base.quantities import percent, points
from featurestack.base.shell import make_command
from featurestack.comparison.metrics import largest_first
from featurestack.comparison.significance import (
    DIFFERENCE_INTERVAL,
    FAMILY_LEVEL,
    few_groups,
)
from featurestack.extras.importance import ImportanceOptions
from featurestack.extras.importance.importance import (
    FILE,
    FOLDER,
    Importance,
    base_of,
    importance_summary,
    measure_importance,
    read_importance,
)
from featurestack.results.dataset_folders import folder_of

RIDGE = "ridge"  # the model of importance
SIGNED = "PuOr"  # colours of gains and losses

declare(
    "importance_features",
    "a feature and a measure of it",
    text={"feature": "Feature", "measure": "Measure"},
    percent={"score": "{score} %"},
    points={"mean": "Points", **ends(DIFFERENCE_INTERVAL)},
    p={"p": f"p, clear below {FAMILY_LEVEL}"},
    file={"significant": "whether it is clear"},
)
declare(
    "importance_classes",
    "a class, a feature and a measure of it",
    text={"class": "Class", "feature": "Feature", "measure": "Measure"},
    points={"mean": "Points", **ends(DIFFERENCE_INTERVAL)},
)
declare(
    "importance_smaller",
    "a size of sets, the best set of this size",
    text={"features": "Set", "verdict": "Verdict"},
    percent={"score": "{score} %"},
    unsigned={"lost": "Points lost", **ends(DIFFERENCE_INTERVAL)},
    file={"agreed": "whether all folds chose it", "of": "score of all features"},
)


def make_importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth by itself and next to the others."""
    measured = measure_importance(options)
    print(importance_summary(measured))
    for label, text in verdicts(measured).items():
        print(f"{label}: {text}")
    print(report_line(options))


def importance(report: Report) -> Section | None:
    """The last call of `make importance`."""
    path = report.job.runs_folder / report.job.dataset / FOLDER
    if report.job.identity:
        path = folder_of(path, report.job.identity)
    if not (path / FILE).is_file():
        return None
    shown = read_importance(path)
    tables, found = shown.tables, report.found
    losses = tables["features"].query("measure == 'lost'")
    problems = []
    if found.main and not is_of(shown, found.main.best):
        words = [*report.job.given]
        words.append(f"FEATURES={' '.join(shown.features)}")
        command = make_command("importance", *words)
        text = (
            "measured on other clips, labels, groups or folds than the best"
            f" configuration: {command} measures it again"
        )
        problems = [Problem("importance", text)]
    return Section(
        "Importance",
        "Which features matter",
        tables={f"importance_{name}": table for name, table in tables.items()},
        values={
            "shown_call": shown,
            "base": base_of(shown.features),
            "no_intervals": bool(losses["low"].isna().all()),
        },
        problems=problems,
        leads=verdicts(shown),
    )


def is_of(measured: Importance, run: Configuration) -> bool:
    """Whether importance was measured on a run's clips, with the labels, groups and
    folds that it knows.
    """
    same = measured.tested == digest(sorted(run.clip_ids))
    classes = {*measured.tables["classes"]["class"]}
    same_labels = run.config.clips in ("", measured.data) and classes <= {*run.classes}
    return same and same_labels


# ---- figures


def losses_of(report: Report) -> dict[str, dict[str, Any]]:
    losses = report.tables["importance_features"].query("measure == 'lost'")
    if losses["low"].isna().all():
        return {}
    columns = {"feature": "name", "mean": "estimate", "significant": "filled"}
    names, note = drawn.without_shared(losses["feature"], losses["feature"])
    intervals = losses.assign(feature=names).rename(columns=columns)
    return {"importance": {"intervals": intervals, "note": note}}


def losses_by_class(report: Report) -> dict[str, dict[str, Any]]:
    classes = report.tables["importance_classes"].query("measure == 'lost'")
    names, note = drawn.without_shared(classes["feature"], classes["feature"])
    shown = classes.assign(feature=names)
    return {"importance_by_class": {"classes": shown, "note": note}}


def points_or_dot(value: float) -> str:
    """A difference from -1 to 1 in points: `+3`, `−12`, `·` if it rounds to 0."""
    text = points(round(value, 2), 0)
    return "·" if text == "0" else text


@figure(
    "Points by which the score falls without each feature, with the"
    f" {DIFFERENCE_INTERVAL}. A hollow mark is a loss that is not clear",
    drawn.height_of_rows,
    section="importance",
    data=losses_of,
)
def draw_importance(ax: Axes, *, intervals: pd.DataFrame) -> Axes:
    return drawn.draw_intervals(ax, intervals=intervals, label="points lost")


@figure(
    "Points by which the recall of a class falls without each feature. Of more than"
    f" {drawn.MANY_CLASSES} classes those in which the features differ most are shown."
    " Classes have few clips. importance_classes.csv has all numbers",
    lambda classes, **_: (
        1.2 + 0.19 * min(classes["class"].nunique(), drawn.MANY_CLASSES)
    ),
    section="importance",
    data=losses_by_class,
)
def draw_importance_by_class(ax: Axes, *, classes: pd.DataFrame) -> Axes:
    """Draw `mean` of classes (rows) and features (columns): gains violet, losses
    orange.
    """
    means = classes.pivot(index="class", columns="feature", values="mean")
    means = means.loc[classes["class"].unique(), classes["feature"].unique()]
    order = largest_first(means.fillna(0).to_numpy().std(axis=1))
    means = means.iloc[np.sort(order[: drawn.MANY_CLASSES])]
    bound = max(means.abs().max(axis=None), 0.01)  # has the darkest colour
    # the lighter two thirds of the colours, on which the text stays readable
    colours = colormaps[SIGNED](means.to_numpy() / bound / 3 + 0.5)
    return drawn.heat_map(ax, means.map(points_or_dot), colours)


# ---- verdicts


def verdicts(measured: Importance) -> dict[str, str]:
    """What is clearly lost without a feature, the largest loss first, and the smallest
    set that the interval allows us to call as good: label -> numbers.
    """
    losses = measured.tables["features"].query("measure == 'lost'")
    smaller = measured.tables["smaller"]
    if few := few_groups(measured.recordings):
        worst = losses.loc[losses["mean"].idxmax()]
        most = f"most without {worst['feature']}, {unsigned(worst['mean'])}"
        return {"Points lost": f"{most}; {few}"}
    if smaller.empty:
        return {"All features": "not clearly better than chance"}
    clear = losses[losses["significant"].astype(bool) & (losses["mean"] > 0)]
    clear = clear.sort_values("mean", ascending=False)
    lost = [f"{row.feature} {unsigned(row.mean)}" for row in clear.itertuples()]
    good = "no smaller set"
    for row in smaller[smaller["verdict"] == "as good"][:1].itertuples():
        good = (
            f"{row.features} {percent(row.score)} %, {unsigned(row.lost)} points less"
            f" ({DIFFERENCE_INTERVAL} {unsigned(row.low)} to {unsigned(row.high)})"
        )
    return {
        "Points lost without a feature": ", ".join(lost) or "none is clear",
        f"As good as all features, {percent(measured.every)} %": good,
    }
