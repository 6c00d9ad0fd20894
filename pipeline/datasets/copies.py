"""Rows for altered copies of clips, after all originals."""

import pandas as pd

from pipeline.alter import draw, kinds


def with_copies(table: pd.DataFrame, copies: int, alter: str, seed: int) -> pd.DataFrame:
    """The table followed by `copies` altered copies of every clip, `<id>~1` of all clips first.

    A copy has its original's path, label, group and fold. What is done to it depends on the seed, the
    clip's id and the copy's number alone, so more copies or more clips change none that are there.
    """
    if not copies:
        return table
    chosen = kinds(alter)
    altered = [
        table.assign(
            clip_id=table["clip_id"] + f"~{number}",
            copy_of=table["clip_id"],
            alteration=[draw(clip, number, chosen, seed) for clip in table["clip_id"]],
        )
        for number in range(1, copies + 1)
    ]
    return pd.concat([table, *altered], ignore_index=True)


def kept_copies(table: pd.DataFrame, cached: pd.DataFrame) -> pd.DataFrame:
    """The originals of `table` followed by the copies in `cached` whose original is still among them.

    Path, label, category, fold and group are those that the original has now.
    """
    copies = cached[(cached["copy_of"] != "") & cached["copy_of"].isin(set(table["clip_id"]))]
    if not len(copies):
        return table
    now = table.set_index("clip_id").loc[copies["copy_of"]]
    refreshed = copies.assign(
        **{column: now[column].to_numpy() for column in ("path", "label", "category", "fold", "group")}
    )
    return pd.concat([table, refreshed], ignore_index=True)
