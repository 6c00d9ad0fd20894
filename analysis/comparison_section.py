"""The figures of several runs beside each other."""

import pandas as pd

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.findings import Findings

# most sets in a figure that has a row for each set; the page's table has all runs
SETS_SHOWN = 24
SETS_BY_CLASS = 10  # rows of the figure of recalls
# kind of ablation -> its figure's file
STEMS = {"features": "additions", "augmentation": "augmentation"}


def submit_comparison(writer: FigureWriter, found: Findings) -> None:
    """Submit the figures of several runs; with PAPER=1 also those that the page shows
    in HTML.

    A figure of intervals is left out if no row has an interval.
    """
    rows = pd.DataFrame(found.rows)
    shown = rows[:SETS_SHOWN]
    if writer.paper:
        columns = {
            "label": "name",
            "accuracy": "estimate",
            "accuracy_low": "low",
            "accuracy_high": "high",
        }
        intervals = shown.rename(columns=columns).assign(
            filled=shown["verdict"] != "tied"
        )
        if intervals["low"].notna().any():
            writer.submit(
                "accuracy_by_set",
                intervals=intervals,
                line=found.chance,
                label=f"{found.score}, %",
            )
        if rows["features"].nunique() > 1 and rows["model"].nunique() > 1:
            best = rows.drop_duplicates(["features", "model"]).set_index(
                ["features", "model"]
            )
            grid = best[["accuracy", "accuracy_sd"]].unstack(sort=False)
            writer.submit(
                "accuracy_heat_map",
                accuracy=grid["accuracy"],
                deviation=grid["accuracy_sd"],
            )
    if len(rows) > 1 and "recall_by_class" in found.tables:
        best_run = found.runs[0]
        classes = [best_run.classes[place] for place in best_run.class_order]
        recall = found.tables["recall_by_class"].pivot_table(
            "recall", "run", "class", sort=False
        )
        first = shown[:SETS_BY_CLASS]
        recall = recall.reindex(index=first["run"], columns=classes)
        recall = recall.set_axis(first["label"])
        writer.submit("recall_by_set", recall=recall)
    ablations = found.tables.get("ablations", pd.DataFrame({"kind": []}))
    for kind, pairs in ablations.groupby("kind", sort=False):
        gains = pairs[:SETS_SHOWN].rename(columns={"difference": "estimate"})
        gains["name"] += gains["control"].map({True: " (control)", False: ""})
        if gains["model"].nunique() == 1:
            gains["name"] = gains["name"].str.replace(
                f" ({gains['model'].iloc[0]})", "", regex=False
            )
        gains["filled"] = gains["verdict"].str.startswith("clear")
        if gains["low"].notna().any():
            writer.submit(
                "intervals",
                STEMS[str(kind)],
                intervals=gains,
                label=f"points of {found.score}",
            )
