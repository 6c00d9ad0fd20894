"""The section of the report on importance, its figures and its sentences."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite, isnan
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.comparison import draw_intervals
from featurestack.analysis.figures.drawing import (
    COLUMN_WIDTH,
    MANY_CLASSES,
    MARKERS,
    SERIES,
    differing_most,
    figure,
    grid_lines,
    heat_map,
    row_height,
    shorten,
    signed_colours,
)
from featurestack.analysis.page import listed
from featurestack.analysis.sections import PageInputs, Section
from featurestack.analysis.sentences import either, unsigned
from featurestack.commandline.quantities import counted, percent, plural
from featurestack.rooms.importance.folder import ImportanceFolder
from featurestack.rooms.importance.tables import importance_calls, importance_tables

UNIT = "nats per clip"
NAMED = 4  # features of the kept set whose loss the first screen states

Row = Mapping[str, Any]


def importance(page: PageInputs) -> Section | None:
    """The shown call, the others' names, a problem for each unfinished one."""
    calls, problems = importance_calls(page.options.runs, page.job.dataset)
    if not calls:
        return Section("", "", problems=problems) if problems else None
    shown, *others = calls
    found = page.found
    tables = importance_tables(shown)
    shares = tables["features"].query("measure == 'shapley'")
    if shares["low"].notna().any():
        columns = {"feature": "name", "mean": "estimate", "significant": "filled"}
        page.writer.submit("importance", intervals=shares.rename(columns=columns))
    page.writer.submit("importance_by_class", classes=tables["classes"])
    score = shown.config.score
    page.writer.submit("importance_sets", sets=tables["sets"], score=score)
    best = found.best["features"].split("+") if found.best else []
    if found.choice:
        best = found.choice.recommended.split("+")
    sets = {row["features"] for row in found.rows}
    matters = what_matters(tables["kept"].to_dict("records"), shown, best)
    return Section(
        "importance",
        "Importance",
        tables={f"importance_{name}": table for name, table in tables.items()},
        values={
            "measured": tables,
            "shown_call": shown,
            "shown_call_in_words": measured_features(shown),
            "rankings_differ": rankings_differ(len(sets)),
            "fitted_in_words": fitted_sets(shown),
            "other_calls": {
                other.path.name: (other, measured_features(other)) for other in others
            },
        },
        problems=problems,
        leads={"What matters?": matters} if matters else {},
    )


# ---- figures


figure(
    "Share of each feature in the information that all give, with its interval; hollow:"
    " no clear difference from 0",
    row_height("intervals", 0.7, 0.2),
    name="importance",
)(partial(draw_intervals, scale=1, label=UNIT))


@figure(
    f"Share of each feature by class, in {UNIT}; bold: clear; up to {MANY_CLASSES}"
    " classes, those in which the features differ most",
    lambda classes, **_: 1.2 + 0.19 * min(classes["class"].nunique(), MANY_CLASSES),
)
def draw_importance_by_class(ax: Axes, *, classes: pd.DataFrame) -> Axes:
    """Draw Shapley values of classes (rows) and features (columns)."""
    shares = square(classes, "mean")
    kept = differing_most(shares.to_numpy().T)
    shares = shares.iloc[kept]
    clear = square(classes, "significant").to_numpy()[kept]
    colours = signed_colours(shares.to_numpy(), least=0.01)
    return heat_map(ax, shares.map(two_decimals), colours, bold=clear, turn=45)


def square(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of a table as a matrix by its first two columns."""
    names = list(table.columns[:2])
    cells = table.set_index(names)[column]
    return cells.unstack(sort=False)


def two_decimals(value: float) -> str:
    """A number with two decimals and no leading zero: `.25`, `-.25`."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.2f}")


@figure(
    "Accuracy of the best set of each size, selected on the other folds, by extraction"
    " time; the line joins those above every faster one",
    lambda **_: 2.8,
    COLUMN_WIDTH,
)
def draw_importance_sets(
    ax: Axes, *, sets: pd.DataFrame, score: str = "accuracy"
) -> Axes:
    """Draw the table `sets` by extraction time, or by size without all times."""
    x = "size"
    xlabel = "features"
    if sets["milliseconds"].notna().all():
        x = "milliseconds"
        xlabel = "ms per clip"
    sets = sets.assign(x=sets[x], y=100 * sets["accuracy"]).sort_values("x")
    best_so_far = sets["y"].cummax().shift(fill_value=0)
    front = sets[sets["y"] > best_so_far]
    ax.plot(front["x"], front["y"], color=SERIES[0], drawstyle="steps-post")
    ax.plot(sets["x"], sets["y"], "o", color=SERIES[0])
    for best in front.itertuples():
        ax.annotate(
            str(best.size),
            (best.x, best.y),
            (0, 6),
            textcoords="offset points",
            ha="center",
        )
    ax.set(xlabel=xlabel, ylabel=f"{score}, %")
    grid_lines(ax)
    return ax


@figure(
    "Score against the number of training recordings; dashes: 95 % interval of the"
    " accuracy",
    lambda **_: 2.8,
    COLUMN_WIDTH,
)
def draw_curve(ax: Axes, *, curve: pd.DataFrame, group: str = "recording") -> Axes:
    """Draw `make curve`; `group` is the dataset's word for a recording."""
    scores = {"map": "mAP", "accuracy": "accuracy"}
    score = next(name for name in scores if name in curve)
    titles = {name: shorten(name) for name in curve["features"]}
    for number, (features, rows) in enumerate(curve.groupby("features", sort=False)):
        colour = SERIES[number % len(SERIES)]
        marker = MARKERS[number % len(MARKERS)]
        x, y = rows["recordings"], 100 * rows[score]
        ax.plot(x, y, color=colour, marker=marker, label=titles[str(features)])
        if "low" in rows:
            ax.vlines(x, 100 * rows["low"], 100 * rows["high"], color=colour)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xticks(sorted(set(curve["recordings"])))
    ax.minorticks_off()
    ax.set_xlabel(f"training {plural(group)}")
    ax.set_ylabel(f"{scores[score]}, %")
    grid_lines(ax)
    ax.legend()
    return ax


# ---- sentences


def between(low: float, high: float) -> str:
    return f"{unsigned(low)} to {unsigned(high)}" if isfinite(low) else ""


def measured_features(folder: ImportanceFolder) -> str:
    """`5 features, by linear`."""
    return f"{counted(len(folder.features), 'feature')}, by {folder.config.model}"


def lost_points(lost: float, low: float, high: float) -> str:
    """`1.2 points less, 0.1 to 2.3`; a negative loss is a gain."""
    if lost < 0:
        interval = between(-high, -low)
        text = f"{unsigned(-lost)} points more"
    else:
        interval = between(low, high)
        text = f"{unsigned(lost)} points less"
    return f"{text}, {interval}" if interval else text


def what_matters(
    kept: Sequence[Row], folder: ImportanceFolder, best: Sequence[str]
) -> str:
    """The set to keep, what is lost without each of its features, and features of the
    best configuration that were not measured. `kept` are rows of `tables.kept_set`.
    """
    if not kept:
        return composed_importance(folder)
    chosen, *losses = kept
    every = measured_features(folder)
    score = folder.config.score
    fitted = fitted_sets(folder)
    fitted = f"{fitted} " if fitted else ""
    if chosen["features"] == "+".join(map(str, folder.features)):
        first = (
            f"No smaller set {fitted}keeps 95 % of what all {every}, give above chance"
            f" ({percent(chosen['of'])} % {score})."
        )
    else:
        less = lost_points(chosen["lost"], chosen["low"], chosen["high"])
        accuracy, of = percent(chosen["accuracy"]), percent(chosen["of"])
        first = (
            f"A smaller set is nearly as good: {chosen['features']} reaches"
            f" {accuracy} % {score}; all {every}, reach {of} % ({less}). Each fold's"
            " set was chosen on the other folds"
        )
        if chosen["folds"] < 1:
            first += f"; {percent(chosen['folds'], 0)} % of the folds chose this one"
        first += "."
    sentences = [first]
    if losses:
        sentences.append(lost_by_feature(losses))
    measured = {*map(str, folder.features)}
    unmeasured = [name for name in dict.fromkeys(best) if name not in measured]
    if unmeasured:
        sentences.append(
            f"Importance was not measured for {listed(unmeasured)}, which the best"
            " configuration has."
        )
    return " ".join(sentences)


def lost_by_feature(rows: Sequence[Row]) -> str:
    """The loss without each feature, and which losses cannot be ordered."""
    parts: list[str] = []
    for row in rows[:NAMED]:
        lost = f"without {row['without']} {unsigned(row['lost'])}"
        if not parts:
            lost = f"Without {row['without']} {unsigned(row['lost'])} points are lost"
        if not isnan(row["low"]):
            lost += f" ({unsigned(row['low'])} to {unsigned(row['high'])})"
        parts.append(lost)
    text = ", ".join(parts)
    if len(rows) > NAMED:
        text += "; the section lists the other losses"
    for names in open_orders(rows):
        text += f"; which of {either(names)} matters more is open"
    return f"{text}."


def open_orders(rows: Sequence[Row]) -> list[list[str]]:
    """Features whose losses follow each other and do not differ clearly, by group."""
    groups: list[list[str]] = []
    for row in rows:
        if groups and not row["clear"]:
            groups[-1].append(row["without"])
        else:
            groups.append([row["without"]])
    return [names for names in groups if len(names) > 1]


def fitted_sets(folder: ImportanceFolder) -> str:
    """The number of feature sets that were fitted; empty if all were."""
    fitted = len(folder.values()) - 1
    every = 2 ** len(folder.features) - 1
    if fitted >= every:
        return ""
    return f"of the {fitted:,} of {every:,} sets that were fitted"


def composed_importance(folder: ImportanceFolder) -> str:
    """Says that the measured features were chosen on the tested folds."""
    if not folder.config.composed_from:
        return ""
    return (
        f"These {len(folder.features)} features are the best of"
        f" {folder.config.composed_from} on these test folds; no test or interval here"
        " corrects that, so no set to keep is named."
    )


def rankings_differ(feature_sets: int) -> str:
    """Why the ranking of runs may differ from this one; '' if one set was trained."""
    if feature_sets < 2:
        return ""
    return (
        "A comparison of runs trains the chosen model anew for each set, so it may rank"
        " features differently."
    )
