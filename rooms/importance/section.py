"""The section of the report on importance, and its sentences."""

from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import Any

from featurestack.analysis.page import listed
from featurestack.analysis.sections import PageInputs, Section
from featurestack.analysis.sentences import either, unsigned
from featurestack.commandline.quantities import counted, percent
from featurestack.rooms.importance.folder import ImportanceFolder
from featurestack.rooms.importance.tables import importance_calls, importance_tables

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
