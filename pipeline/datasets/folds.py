"""Groups and folds: clips of one source recording are a group; missing folds are drawn.

They are kept next to the cache in `folds.csv`, with one row per clip: clip_id, group,
fold, and the GROUP= and LABEL= that later commands need not repeat.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePath

import pandas as pd

from featurestack.base.errors import RequestError, closest, nearest
from featurestack.base.quantities import counted, enumerated, spelt_alike
from featurestack.base.table_files import csv_text, read_table
from featurestack.features_cache import clip_table
from featurestack.features_cache.folds import draw_folds
from featurestack.pipeline.datasets.readers import split_labels, whole_folds
from featurestack.pipeline.options import SourceOptions

FOLDS = 5
FEW_GROUPS = 10  # groups, such as speakers or sites, that get a fold each, at most
FOLD_COLUMNS = ["clip_id", "group", "fold", "grouped_by", "labelled_by"]


def read_folds(path: Path) -> pd.DataFrame:
    """The rows of a dataset's folds.csv; RequestError for a table of something else."""
    kept = pd.DataFrame(columns=FOLD_COLUMNS)
    if path.exists():  # a group may be called NA
        kept = read_table(path, na_texts=())
    if [*kept] != FOLD_COLUMNS:  # another table of this name would lose its columns
        raise RequestError(
            f"{path} was not written by this program: move it, or give another NAME="
            " or DATA="
        )
    return kept


def last_option(kept: pd.DataFrame, column: str) -> str:
    """The GROUP= or LABEL= of an earlier command, '' if there is none."""
    return "".join(kept[column].iloc[-1:])


def with_folds(
    table: pd.DataFrame,
    path: Path,
    kept: pd.DataFrame,
    options: SourceOptions,
    *,
    edited: bool,
    write: Callable[[str], None],
) -> tuple[pd.DataFrame, list[str], bool]:
    """The table with every group and fold, notes for the user, and whether the folds
    were drawn: not given by the source, by groups or by hand.

    If there are few groups, each gets a fold; with GROUP= these replace the source's
    folds. Otherwise the source's folds are kept, or folds are drawn by group.

    path    the dataset's folds.csv, whose groups count if nothing else states them;
            RequestError if it was `edited` and contradicts GROUP= or the table
    kept    its rows, also of clips that are missing now
    write   replaces its text, or refuses to
    """
    fold_of = whole_folds(kept.rename(columns={"clip_id": "filename"}))
    before = last_option(kept, "grouped_by")
    by_hand = before == path.name  # its groups were written by hand
    group = options.group
    if group is None:
        group = "" if by_hand else before
    stated = group or (table["group"].str.strip() != "").any()
    table, notes = with_groups(table, group)
    in_file = kept[FOLD_COLUMNS].reset_index(drop=True)  # its index counted lines
    kept = kept.assign(group=kept["group"].where(kept["group"] != "", kept["clip_id"]))
    written = table["clip_id"].map(dict(zip(kept["clip_id"], kept["group"])))
    others = written.notna() & (written != table["group"])
    if not stated and (by_hand or not before):
        table["group"] = written.where(others, table["group"])
        by_hand = bool(others.any())
    elif (edited or by_hand) and others.any():
        clip, theirs, ours = table["clip_id"], written, table["group"]
        first = others.idxmax()
        raise RequestError(
            f"{path} was edited and has other groups than"
            f" {f'GROUP={group}' if group else 'the dataset'}: {clip[first]} is in"
            f" {theirs[first]!r}, not in {ours[first]!r}: correct it, or delete the"
            " file"
        )
    else:
        by_hand = False
    if group and options.group is None:
        notes.append(f"GROUP={group} as last given; GROUP= removes it")
    table["grouped_by"] = path.name if by_hand else group
    table["labelled_by"] = options.label or ""
    tested = clip_table.originals(table)
    groups = tested["group"].nunique()
    # a clip of unknown group is its own group, which gets no fold to itself
    named = tested["group"][tested["group"] != tested["clip_id"]].nunique()
    few = groups < len(tested) and (groups == 1 or 1 < named <= FEW_GROUPS)
    note, is_drawn = "the dataset's own", False
    if (table["fold"] == 0).any() or (group and few):
        folds = named if few else min(FOLDS, groups)
        kept_folds = dict(zip(kept["group"], fold_of))
        as_before = by_hand or group == before
        if as_before and len(kept):  # other folds may have been written by hand
            folds = max(named * few * (not by_hand), *fold_of)
            here = kept.assign(fold=fold_of)[kept["clip_id"].isin(table["clip_id"])]
            if reason := invalid(here):
                raise RequestError(f"{path}: {reason}: correct it, or delete the file")
        drawn = draw_folds(
            tested["label"], tested["group"], folds, options.seed, kept_folds
        )
        fold_of_group = dict(zip(tested["group"], drawn))
        # a group that is never tested may have any fold
        table["fold"] = [fold_of_group.get(group, 1) for group in table["group"]]
        by = f"group ({groups:,} groups)"
        if tested["group"].is_unique:
            by = "clip (GROUP= keeps clips of one recording together)"
        note = f"one per group, {folds} in all" if few else f"{folds}, drawn by {by}"
        is_drawn = folds < groups and not (few or by_hand or edited)
        if by_hand:
            note = f"{folds}, by the groups that are written there"
    elif not (group or options.label or path.exists()):
        return table, notes, False
    # missing clips stay listed, as they may come back
    away = kept[~kept["clip_id"].isin(table["clip_id"])]
    rows = pd.concat([away, table], ignore_index=True)[FOLD_COLUMNS].astype(str)
    if not rows.equals(in_file):
        write(csv_text(rows))
    return table, [*notes, f"folds: {note}, kept in {path}"], is_drawn


def invalid(rows: pd.DataFrame) -> str:
    """Why nothing can be tested by the folds of folds.csv; '' if it can."""
    tested = rows.groupby("group")["fold"].unique()
    spread = tested[tested.map(len) > 1]
    if len(spread):
        numbers = " and ".join(map(str, sorted(spread.iloc[0])))
        return f"the group {spread.index[0]!r} is in the folds {numbers}"
    return "" if rows["fold"].nunique() > 1 else "all clips are in one fold"


def stated(table: pd.DataFrame, option: str, words: str) -> list[str]:
    """Each clip's text by GROUP= or LABEL=, '' if it has none: from a column, or from a
    pattern in file names, or in paths if it fits no name.
    """
    columns = table.columns.drop(["clip_id", "path"])
    if words in columns:
        return table[words].fillna("").astype(str).tolist()
    others = columns.drop([*clip_table.KNOWN_COLUMNS], errors="ignore")
    # a word that is a pattern would fit only itself
    named = len(others) or closest(words, ["group", "label"])
    if words.isdecimal() or (words.isidentifier() and named):
        names = [*others, "group", "label"]
        raise RequestError(f"{option}={words}: {nearest('column', words, names)}")
    try:
        pattern = re.compile(words)
    except re.error as error:
        raise RequestError(
            f"{option}={words} is not a valid regular expression: {error}; expected one"
            f" such as {option}='(.*)-[A-Z]'"
        ) from None
    if not pattern.groups:
        kind = "source recording" if option == "GROUP" else "class"
        raise RequestError(
            f"{option}={words} has no parentheses: put them around the {kind}, as in"
            f" {option}='(.*)-[A-Z]'"
        )
    values = list[str]()
    stems = [PurePath(path).stem for path in table["path"]]
    for texts in (stems, table["filename"]):
        if not any(values):
            matches = map(pattern.search, texts)
            values = ["-".join(m.groups("")) if m else "" for m in matches]
    return values


def with_labels(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """The table with classes by LABEL=; RequestError if a pattern gives a clip none."""
    if not label:
        return table
    classes = split_labels(pd.Series(stated(table, "LABEL", label), table.index))
    absent = table["filename"][classes == ""].tolist()
    if absent and label not in table:
        raise RequestError(
            f"LABEL={label} gives {counted(len(absent), 'clip')} of {len(table):,} no"
            f" class, {absent[0]!r} first: expected a column, or a pattern whose"
            " parentheses hold the class of every file name"
        )
    return table.assign(label=classes, category="")


def with_groups(table: pd.DataFrame, group: str) -> tuple[pd.DataFrame, list[str]]:
    """The table with every group (a clip without one is its own), and notes on them."""
    if group:
        table = regrouped(table, group)
    alone = table["group"].str.strip() == ""
    if group and alone.all():
        raise RequestError(
            f"GROUP={group} matches no file name, the first is"
            f" {table['filename'].iloc[0]!r}, and no path within the dataset; expected"
            " a column, or a pattern whose parentheses hold the source recording;"
            " `check` proposes one"
        )
    table = clip_table.with_own_groups(table)
    notes = []
    if alone.any() and not alone.all():
        source = f"GROUP={group}" if group else "the column group"
        fitting = f"{source} matches {(~alone).sum()} of {counted(len(table), 'clip')}"
        others = f"the others, such as {table['clip_id'][alone].iloc[0]}"
        notes.append(f"{fitting}; {others}, are groups of their own")
    if not group:
        return table, notes
    groups_of_class = clip_table.by_label(table).groupby("label")["group"].nunique()
    if groups_of_class.max() == 1:
        raise RequestError(
            f"GROUP={group} makes each class one group, such as"
            f" {table['group'].iloc[0]!r}, so no class is both trained and tested: give"
            " a column or a pattern that differs between source recordings"
        )
    for names in spelt_alike(table["group"]):
        notes.append(f"GROUP={group}: {enumerated(names)} are different groups")
    return table, notes


def regrouped(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """The table with the groups of GROUP=, which are those of originals: a clip that is
    only trained on takes the new group of the clips whose group its table names,
    whatever its own file is called. RequestError if there is none, or several.
    """
    now = pd.Series(stated(table, "GROUP", group), table.index)
    clips = clip_table.originals(table)
    former = clip_table.with_own_groups(table)["group"]
    stated_groups = now[clips.index]
    blank = stated_groups.str.strip() == ""
    new = stated_groups.mask(blank, clips["clip_id"])
    groups = new.groupby(former[clips.index]).unique()
    copies = table.index.difference(clips.index)
    for copy in copies:
        named = groups.get(former[copy], [])
        if len(named) != 1:
            raise RequestError(
                f"GROUP={group}: {table['clip_id'][copy]} is marked train_only, and its"
                f" group {former[copy]!r} has {counted(len(named), 'new group')}"
                " of tested clips: leave GROUP= out, or give the original's group in"
                " the table"
            )
        now[copy] = named[0]
    return table.assign(group=now)
