"""The section of one run, its figures and settings, and the figures of several."""

import numpy as np
import pandas as pd

from featurestack.analysis import tables
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.findings import Findings, Row
from featurestack.analysis.runs import Run
from featurestack.commandline.quantities import count, duration, percent, rounded
from featurestack.scores.calibration import reliability

RELIABILITY_BINS = 10  # with more bins, some hundred predictions leave too few in each
# most sets in a figure that has a row for each set; the page's table has all runs
SETS_SHOWN = 24
# column -> its heading among the facts of a run
SCORES = {
    "macro_auroc": "Macro AUROC",
    "lwlrap": "lwlrap",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss",
}
SETS_BY_CLASS = 10  # rows of the figure of recalls
# kind of ablation -> its figure's file
STEMS = {"features": "additions", "augmentation": "augmentation"}


def fold_histories(run: Run) -> dict[int, pd.DataFrame]:
    """Fold -> mean learning curve of the seeds; empty without two epochs."""
    by_epoch = run.history.drop(columns="seed").groupby(["fold", "epoch"])
    mean = by_epoch.mean().reset_index()
    if mean["epoch"].nunique() <= 1:
        return {}
    return dict(list(mean.groupby("fold")))


def run_facts(run: Run, row: Row) -> dict[str, str]:
    """Facts of one run that are known: heading -> text; `row` as in `Findings`."""
    model = run.model
    if pd.notna(row["parameters"]):
        model += f", {count(row['parameters'])} parameters"
    machine: list[str | None] = []
    if run.trained:
        at = run.trained.machine
        machine = [at.processor, f"{at.cores} cores" if at.cores else "", at.gpu]
        if run.trained.computed:
            machine.append(run.trained.computed.precision)
    balanced = row.get("balanced_accuracy", np.nan)
    unlike = pd.notna(balanced) and percent(balanced) != percent(row["accuracy"])
    scores = {
        heading: rounded(row[name])
        for name, heading in SCORES.items()
        if pd.notna(row.get(name, np.nan))
    }
    seconds = row["fold_seconds"]
    seeds = "none: an exact solution" if run.exact else ", ".join(map(str, run.seeds))
    facts = {
        "Balanced accuracy": f"{percent(balanced)} %" if unlike else "",
        **scores,
        "Folds": f"{row['n']} of {len(run.config.folds)}",
        "Seeds" if len(run.seeds) > 1 else "Seed": "" if run.foreign else seeds,
        "Protocol": run.protocol,
        "Model": "" if run.foreign else model,
        "Training, per fold": duration(seconds) if pd.notna(seconds) else "",
        "Machine": ", ".join(filter(None, machine)),
    }
    return {heading: text for heading, text in facts.items() if text}


def submit_run(writer: FigureWriter, run: Run, *, best: bool) -> None:
    """Submit the figures of one run.

    `best` adds the reliability diagram to a run of one label a clip, papers the
    confusion matrix.
    """
    if history := fold_histories(run):
        metric = run.task.metric
        writer.submit(
            "learning_curves",
            f"{run.name}.curves",
            history=history,
            title=f"{metric.title} of the fold" if metric.pooled else metric.title,
        )
    if run.task.metric.errors == "confusion" and best:
        # the predictions of all seeds together
        target = np.tile(run.target, len(run.seeds))
        together = run.probabilities.reshape(-1, len(run.classes))
        writer.submit(
            "reliability",
            f"{run.name}.reliability",
            **reliability(target, together, RELIABILITY_BINS),
        )
    if run.task.metric.errors == "confusion" and writer.for_print:
        matrix = tables.confusion_by_category(run)
        writer.submit("confusion_matrix", f"{run.name}.confusion", **matrix)


def submit_comparison(writer: FigureWriter, found: Findings) -> None:
    """Submit the figures of several runs; with PAPER=1 also those that the page shows
    in HTML.

    A figure of intervals is left out if no row has an interval.
    """
    rows = pd.DataFrame(found.rows)
    shown = rows[:SETS_SHOWN]
    if writer.for_print:
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
