"""The section of the report on importance, and its sentences on the first screen."""

from pathlib import Path

from featurestack.analysis.runs import Problem
from featurestack.analysis.sections import PageInputs, Section
from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import make_command
from featurestack.importance import sentences
from featurestack.importance.folder import ImportanceFolder, find_importance
from featurestack.importance.tables import importance_tables, submit_importance


def importance(page: PageInputs) -> Section | None:
    """The shown call of `make importance`, the names of the others, and a problem for
    each unfinished or damaged one.
    """
    calls, problems = importance_calls(page.options.runs, page.dataset)
    if not calls:
        return Section("", "", problems=problems) if problems else None
    shown, *others = calls
    found = page.found
    tables = importance_tables(shown)
    submit_importance(page.writer, tables, shown.config.score, found.group)
    best = found.best["features"].split("+") if found.best else []
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
            "doubling": sentences.doubling,
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


def importance_calls(
    runs: Path,
    dataset: str,
) -> tuple[list[ImportanceFolder], list[Problem]]:
    """The finished calls of `make importance`, the one with most classes, features and
    the latest first; and a problem for each other call.
    """
    calls = {}  # folder -> sort key
    problems = []
    for folder in find_importance(runs, dataset):
        try:
            lacking = folder.lacking
        except RequestError as error:
            problems.append(Problem(folder.path.name, str(error), "damaged"))
            continue
        if lacking:
            remove = make_command("train remove", f"RUN={folder.path}")
            text = (
                f"a call of importance is unfinished, {counted(len(lacking), 'fit')}"
                f" left: repeat it, or remove it with {remove}"
            )
            problems.append(Problem(folder.path.name, text))
        else:
            time = (folder.path / "importance.json").stat().st_mtime
            calls[folder] = folder.labels.shape[1], len(folder.features), time
    return sorted(calls, key=calls.__getitem__, reverse=True), problems
