"""The section of the report on importance, and its sentences on the first screen."""

from featurestack.analysis.sections import PageInputs, Section
from featurestack.rooms.importance import sentences
from featurestack.rooms.importance.tables import (
    importance_calls,
    importance_tables,
    submit_importance,
)


def importance(page: PageInputs) -> Section | None:
    """The shown call, the others' names, a problem for each unfinished one."""
    calls, problems = importance_calls(page.options.runs, page.job.dataset)
    if not calls:
        return Section("", "", problems=problems) if problems else None
    shown, *others = calls
    found = page.found
    tables = importance_tables(shown)
    submit_importance(page.writer, tables, shown.config.score)
    best = found.best["features"].split("+") if found.best else []
    if found.choice:
        best = found.choice.recommended.split("+")
    sets = {row["features"] for row in found.rows}
    matters = sentences.what_matters(tables["kept"].to_dict("records"), shown, best)
    return Section(
        "importance",
        "Importance",
        tables={f"importance_{name}": table for name, table in tables.items()},
        values={
            "measured": tables,
            "shown_call": shown,
            "shown_call_in_words": sentences.measured_features(shown),
            "rankings_differ": sentences.rankings_differ(len(sets)),
            "fitted_in_words": sentences.fitted_sets(
                shown.fitted_sets, len(shown.features)
            ),
            "other_calls": {
                other.path.name: (other, sentences.measured_features(other))
                for other in others
            },
        },
        problems=problems,
        leads={"What matters?": matters} if matters else {},
    )
