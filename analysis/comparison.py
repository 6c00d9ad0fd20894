"""What the page and the papers show of several runs: the figures that compare them, and the pivot table."""

import json

import numpy as np
import pandas as pd

from analysis.error_browser import by_category
from analysis.facts import Configuration, Facts
from analysis.figures import FigureWriter
from analysis.findings import Findings
from analysis.ranking import Ranking
from analysis.results import Run

SETS_SHOWN = 24  # rows of a figure; the table beside it has all runs

Pivot = dict[str, dict[str, Configuration]]


def accuracy_grid(facts: Facts) -> Pivot:
    """Features -> model -> the best such run, both by their best accuracy; empty for one model or set."""
    made: Pivot = {}
    for row in facts.rows:
        made.setdefault(row.features, {}).setdefault(row.model, row)
    models = {row.model for row in facts.rows}
    return made if len(made) > 1 and len(models) > 1 else {}


def families(ranking: Ranking) -> list[list[Run]]:
    """The runs that share every option but the features, each family best first, that of the best run first.

    Ensembles of finished runs, which have members in place of options, are the last family.
    """
    made: dict[str, list[Run]] = {}
    for run in sorted(ranking.runs, key=lambda run: not run.trained):
        options = {key: value for key, value in run.options.items() if key not in ("features", "seed")}
        kind = json.dumps(options, sort_keys=True, default=str) if run.trained else "ensembles"
        made.setdefault(kind, []).append(run)
    return list(made.values())


def submit_comparison(writer: FigureWriter, found: Findings, ranking: Ranking) -> None:
    """Every figure of several runs that the page shows, and for papers those that it shows as HTML."""
    rows = found.facts.rows
    if writer.paper:
        submit_for_papers(writer, found.facts)
    if len(rows) > 1:
        classes = [ranking.best.classes[place] for place in by_category(ranking.best)]
        recall = found.tables["recall_by_class"].pivot_table("recall", "run", "class", sort=False)
        recall = recall.loc[[row.run for row in rows[:SETS_SHOWN]]].reindex(columns=classes)
        writer.submit(
            "recall_by_set",
            names=[row.label for row in rows[:SETS_SHOWN]],
            classes=classes,
            recall=recall.to_numpy(dtype=float),
        )
    for kind, stem in (("features", "additions"), ("augmentation", "augmentation")):
        gains = [gain for gain in found.facts.gains if gain.kind == kind][:SETS_SHOWN]
        if gains:
            several = len({gain.model for gain in gains}) > 1
            writer.submit(
                "intervals",
                stem,
                names=[
                    (gain.name if several else gain.name.removesuffix(f" ({gain.model})"))
                    + (" (control)" if gain.control else "")
                    for gain in gains
                ],
                estimate=np.array([gain.difference for gain in gains]),
                low=np.array([gain.low for gain in gains]),
                high=np.array([gain.high for gain in gains]),
                filled=np.array([gain.verdict.startswith("clear") for gain in gains]),
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
        filled=(rows["verdict"] != "clearly worse").to_numpy(),
        line=facts.chance,
    )
    if table := accuracy_grid(facts):
        models = list(dict.fromkeys(row.model for row in facts.rows))
        scores = [[table[features].get(model) for model in models] for features in table]
        writer.submit(
            "accuracy_heat_map",
            features=list(table),
            models=models,
            accuracy=np.array([[row.accuracy if row else np.nan for row in line] for line in scores]),
            deviation=np.array([[row.sd if row else np.nan for row in line] for line in scores]),
        )
