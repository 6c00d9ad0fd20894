"""Whether clips can be trained on and tested. Pure functions of the clip table."""

import pandas as pd

from featurestack.features_cache.table import has_windows, originals

FEW_GROUPS = 10  # most groups that get a fold each


def untrainable(clips: pd.DataFrame) -> str:
    """Why no model can be trained and tested on these clips, and what helps; '' if one
    can.

    Every command asks it before it extracts or trains anything.
    """
    clips = originals(clips)
    if reason := too_few_classes(clips):
        return reason
    if clips["fold"].nunique() > 1:
        return ""
    groups = clips["group"].nunique()
    if has_windows(clips):
        way = "events BLOCK=120 makes a group of each two minutes of a recording"
    elif groups == 1:
        way = "add clips of a second source recording, or distinguish them by GROUP="
    elif groups <= FEW_GROUPS:
        way = "FOLDS_BY=group makes a fold of each group"
    else:
        way = "without the column fold in the table, folds are drawn"
    return f"one fold only, and testing needs two: {way}"


def too_few_classes(clips: pd.DataFrame) -> str:
    """Why these clips have too few classes to learn, and what helps; '' if they have
    two, or are parts of recordings: these may all hold the one sound that is looked
    for.
    """
    labels = clips["label"].unique()
    if len(labels) > 1 or has_windows(clips):
        return ""
    named = ", ".join(labels) or "no label"
    return (
        f"one class only ({named}), and training needs two: a sub-folder each, or a CSV"
        " with a label for each file as DATASET="
    )
