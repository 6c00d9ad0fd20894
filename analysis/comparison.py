"""What the page and the papers show of several runs: the figures that compare them, and the pivot table."""

import numpy as np
import pandas as pd

from analysis.error_browser import by_category
from analysis.facts import Configuration, Facts
from analysis.figures import FigureWriter
from analysis.findings import Findings
from analysis.ranking import Ranking

SETS_SHOWN = 24  # rows of a figure; the table beside it has all runs

Pivot = dict[str, dict[str, Configuration]]


def accuracy_grid(facts: Facts) -> Pivot:
    """Features -> model -> the best such run, both by their best accuracy; empty for one model or set."""
    made: Pivot = {}
    for row in facts.rows:
        made.setdefault(row.features, {}).setdefault(row.model, row)
    models = {row.model for row in facts.rows}
    return made if len(made) > 1 and len(models) > 1 else {}


def submit_comparison(writer: FigureWriter, found: Findings, ranking: Ranking) -> None:
    """Every figure of several runs that the page shows, and for papers those that it shows as HTML."""
    rows = found.facts.rows[:SETS_SHOWN]
    pivot = accuracy_grid(found.facts)
    if writer.paper:
        numbers = pd.DataFrame(map(vars, rows))
        writer.submit(
            "accuracy_by_set",
            names=numbers["label"].tolist(),
            estimate=numbers["accuracy"].to_numpy(float),
            low=numbers["low"].to_numpy(float),
            high=numbers["high"].to_numpy(float),
            filled=(numbers["verdict"] != "tied").to_numpy(),
            line=found.facts.chance,
        )
    if writer.paper and pivot:
        models = list(dict.fromkeys(row.model for row in found.facts.rows))
        accuracy, deviation = (
            np.array(
                [[getattr(of_set.get(model), name, np.nan) for model in models] for of_set in pivot.values()]
            )
            for name in ("accuracy", "sd")
        )
        writer.submit(
            "accuracy_heat_map", features=[*pivot], models=models, accuracy=accuracy, deviation=deviation
        )
    if len(rows) > 1:
        classes = [ranking.best.classes[place] for place in by_category(ranking.best)]
        recall = found.tables["recall_by_class"].pivot_table("recall", "run", "class", sort=False)
        writer.submit(
            "recall_by_set",
            names=[row.label for row in rows],
            classes=classes,
            recall=recall.loc[[row.run for row in rows], classes].to_numpy(dtype=float),
        )
    stems = {"features": "additions", "augmentation": "augmentation"}
    for kind, pairs in found.tables.get("ablations", pd.DataFrame({"kind": []})).groupby("kind", sort=False):
        gains = pairs[:SETS_SHOWN]
        names = gains["name"] + gains["control"].map({True: " (control)", False: ""})
        if gains["model"].nunique() == 1:
            names = names.str.replace(f" ({gains['model'].iloc[0]})", "", regex=False)
        writer.submit(
            "intervals",
            stems[str(kind)],
            names=names.tolist(),
            estimate=gains["difference"].to_numpy(),
            low=gains["low"].to_numpy(),
            high=gains["high"].to_numpy(),
            filled=gains["verdict"].str.startswith("clear").to_numpy(),
        )
    for run, table in found.tables.get("attribution", pd.DataFrame({"of": []})).groupby("of", sort=False):
        loss = table.pivot_table(index="class", columns="channel", values="difference", sort=False)
        writer.submit(
            "channel_importance",
            f"{run}.attribution",
            classes=list(loss.index),
            channels=list(loss.columns),
            loss=loss.to_numpy(dtype=float),
        )
