"""What the page and the papers show of several runs: the figures that compare them, and the pivot table."""

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
    if writer.paper:
        submit_for_papers(writer, found.facts)
    if len(rows) > 1:
        classes = [ranking.best.classes[place] for place in by_category(ranking.best)]
        recall = found.tables["recall_by_class"].pivot_table("recall", "run", "class", sort=False)
        writer.submit(
            "recall_by_set",
            names=[row.label for row in rows],
            classes=classes,
            recall=recall.loc[[row.run for row in rows], classes].to_numpy(dtype=float),
        )
    for kind, stem in (("features", "additions"), ("augmentation", "augmentation")):
        gains = pd.DataFrame([gain for gain in found.facts.gains if gain["kind"] == kind][:SETS_SHOWN])
        if len(gains):
            several = gains["model"].nunique() > 1
            named = zip(gains["name"], gains["model"], gains["control"], strict=True)
            writer.submit(
                "intervals",
                stem,
                names=[
                    (name if several else name.removesuffix(f" ({model})"))
                    + (" (control)" if control else "")
                    for name, model, control in named
                ],
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


def submit_for_papers(writer: FigureWriter, facts: Facts) -> None:
    """Accuracy by feature set, as the first screen shows it, and the pivot as a heat map."""
    rows = pd.DataFrame([vars(row) for row in facts.rows[:SETS_SHOWN]])
    writer.submit(
        "accuracy_by_set",
        names=rows["label"].tolist(),
        estimate=rows["accuracy"].to_numpy(float),
        low=rows["low"].to_numpy(float),
        high=rows["high"].to_numpy(float),
        filled=(rows["verdict"] != "tied").to_numpy(),
        line=facts.chance,
    )
    if table := accuracy_grid(facts):
        models = list(dict.fromkeys(row.model for row in facts.rows))
        best = pd.DataFrame([vars(row) for of_set in table.values() for row in of_set.values()])
        grids = [best.pivot(index="features", columns="model", values=name) for name in ("accuracy", "sd")]
        accuracy, deviation = (grid.loc[[*table], models].to_numpy() for grid in grids)
        writer.submit(
            "accuracy_heat_map", features=[*table], models=models, accuracy=accuracy, deviation=deviation
        )
