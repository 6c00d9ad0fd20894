"""Which clips come from one source recording."""

import re
from pathlib import PurePath

import pandas as pd

from commandline import RequestError
from pipeline.datasets.dataset import Source


def with_groups(source: Source, group: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with every group known, and what a user should know about it.

    `group` is a column of the source's file, or a pattern searched in file names without their
    extension, whose parentheses hold the group. Without it the source's own groups stand; a clip
    that has none is a group of its own.
    """
    table = source.table
    notes: tuple[str, ...] = ()
    if group is not None and source.columns is not None and group in source.columns.columns:
        table = table.assign(group=source.columns[group].to_numpy())
    elif group is not None:
        table = table.assign(group=_from_names(table["path"], group, source))
    alone = table["group"] == ""
    if group is not None and alone.any():
        notes = (
            f"GROUP={group} fits {len(table) - alone.sum()} of {len(table)} clips; the others stand alone",
        )
    return table.assign(group=table["group"].where(~alone, table["clip_id"])), notes


def _from_names(paths: "pd.Series[str]", pattern: str, source: Source) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise RequestError(f"GROUP={pattern} is no pattern: {error}; as in GROUP='(.*)-[A-Z]'") from None
    found = [expression.search(PurePath(path).stem) for path in paths]
    if not any(found):
        columns = "" if source.columns is None else f" and no column of {', '.join(source.columns.columns)}"
        raise RequestError(
            f"GROUP={pattern} fits no file name, the first is {PurePath(paths.iloc[0]).stem!r},{columns} "
            "expected a pattern whose parentheses hold the source recording, as in GROUP='(.*)-[A-Z]'"
        )
    return ["" if match is None else "-".join(match.groups("") or [match[0]]) for match in found]
