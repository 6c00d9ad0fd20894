"""The section of the report on importance, its figures and its sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from featurestack.analysis.figures import figure, row_height
from featurestack.analysis.figures.drawn import MANY_CLASSES, draw_intervals, heat_map
from featurestack.analysis.page import Report, Section
from featurestack.analysis.run_arrays import Run
from featurestack.analysis.sentences import unsigned
from featurestack.base.json_content import digest
from featurestack.base.options import report_line
from featurestack.base.quantities import counted, percent, points
from featurestack.base.shell import make_command, without
from featurestack.compare.metrics import largest_first
from featurestack.compare.significance import DIFFERENCE_INTERVAL, few_groups
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

RIDGE = "ridge"  # the model of importance
SIGNED = "PuOr"  # colours of gains and losses
NAMED = 4  # features whose loss the first screen states

Row = Mapping[str, Any]


def make_importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth by itself and next to the others."""
    measured = measure_importance(options)
    print(importance_summary(measured))
    print(*what_matters(measured))
    print(report_line(options))


def importance(report: Report) -> Section | None:
    """The last call of `make importance`."""
    path = report.job.runs_folder / report.job.dataset / FOLDER
    if not (path / FILE).is_file():
        return None
    shown = read_importance(path)
    tables, found = shown.tables, report.found
    losses = tables["features"].query("measure == 'lost'")
    sentences = what_matters(shown)
    if found.main and not is_of(shown, found.main.best):
        words = [*without(report.job.given, "RUN")]
        words.append(f"FEATURES={' '.join(shown.features)}")
        command = make_command("importance", *words)
        sentences.append(
            "Importance was measured on other clips, labels, groups or folds than the"
            f" best configuration: {command} measures it again."
        )
    return Section(
        "importance",
        "Importance",
        tables={f"importance_{name}": table for name, table in tables.items()},
        values={
            "measured": tables,
            "shown_call": shown,
            "base": base_of(shown.features),
            "no_intervals": bool(losses["low"].isna().all()),
        },
        leads={"What matters?": " ".join(sentences)} if sentences else {},
    )


def is_of(measured: Importance, run: Run) -> bool:
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
    return {"importance": {"intervals": losses.rename(columns=columns)}}


def losses_by_class(report: Report) -> dict[str, dict[str, Any]]:
    classes = report.tables["importance_classes"].query("measure == 'lost'")
    return {"importance_by_class": {"classes": classes}}


def points_or_dot(value: float) -> str:
    """A difference from -1 to 1 in points: `+3`, `−12`, `·` if it rounds to 0."""
    text = points(round(value, 2), 0)
    return "·" if text == "0" else text


@figure(
    "Points by which the score falls without each feature, with the"
    f" {DIFFERENCE_INTERVAL}. The loss at a hollow mark is not clear",
    row_height("intervals", 0.7, 0.2),
    section="importance",
    data=losses_of,
)
def draw_importance(ax: Axes, *, intervals: pd.DataFrame) -> Axes:
    return draw_intervals(ax, intervals=intervals, label="points lost")


@figure(
    "Points by which the recall of a class falls without each feature. Of more than"
    f" {MANY_CLASSES} classes those in which the features differ most are shown. A"
    " class has few clips. importance_classes.csv has all numbers",
    lambda classes, **_: 1.2 + 0.19 * min(classes["class"].nunique(), MANY_CLASSES),
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
    means = means.iloc[np.sort(order[:MANY_CLASSES])]
    bound = max(means.abs().max(axis=None), 0.01)  # has the darkest colour
    # the lighter two thirds of the colours, on which the text stays readable
    colours = colormaps[SIGNED](means.to_numpy() / bound / 3 + 0.5)
    return heat_map(ax, means.map(points_or_dot), colours)


# ---- sentences


def what_matters(measured: Importance) -> list[str]:
    """Sentences on the smaller set, and on what is lost without each feature."""
    losses = measured.tables["features"].query("measure == 'lost'")
    every = f"{counted(len(measured.features), 'feature')}, by ridge"
    tables = measured.tables
    if tables["smaller"].empty:
        if few := few_groups(measured.recordings):
            worst = losses.loc[losses["mean"].idxmax()]
            text = (
                f"{few}: the score falls most without {worst['feature']}, by"
                f" {unsigned(worst['mean'])} points, which cannot be judged."
            )
            return [text]
        return [f"All {every}, are not clearly better than chance."]
    of_features = lost_by_feature(losses.to_dict("records"))
    return [smaller_set(tables["smaller"], every), of_features]


def smaller_set(table: pd.DataFrame, features: str) -> str:
    """The smallest set that the interval allows us to call as good, from the table of
    `smaller_sets`; `features` are all features, in words.
    """
    every = f"all {features} ({percent(table['of'].iloc[0])} %)"
    good = table[table["verdict"] == "as good"].to_dict("records")
    if not good:
        return f"None of the smaller sets could be shown to be as good as {every}."
    row = good[0]
    lost = (
        f"{unsigned(row['lost'])} points ({DIFFERENCE_INTERVAL} {unsigned(row['low'])}"
        f" to {unsigned(row['high'])})"
    )
    return (
        f"{row['features']} {percent(row['score'])} % is as good as {every}: it loses"
        f" {lost}, which is within a twentieth of what all give above chance."
    )


def lost_by_feature(rows: Sequence[Row]) -> str:
    """The features without which the loss is clear, the largest loss first."""
    clear = [row for row in rows if row["significant"] and row["mean"] > 0]
    clear.sort(key=lambda row: -row["mean"])
    if not clear:
        return "The score does not clearly fall without any one of them."
    losses = [
        f"by {unsigned(row['mean'])} points without {row['feature']}"
        f" ({DIFFERENCE_INTERVAL} {unsigned(row['low'])} to {unsigned(row['high'])})"
        for row in clear[:NAMED]
    ]
    text = f"The score falls {', '.join(losses)}"
    if len(clear) > NAMED:
        text += f", and clearly without {len(clear) - NAMED} more"
    if len(clear) < len(rows):
        text += "; it does not clearly fall without any other"
    return f"{text}."
