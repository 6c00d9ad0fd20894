"""What the page shows of one run: facts, confused pairs, classes, figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import formats, metrics, page, tables
from analysis.browser import by_category
from analysis.figures import Saved, save
from analysis.results import Run

CONFUSED_SHOWN = 8

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class RunSection:
    """One run, ready for the page's templates."""

    name: str
    accuracy: float
    accuracy_sd: float
    facts: list[tuple[str, str]]
    note: str
    confused: Rows
    per_class: Rows
    per_category: Rows
    wide_figures: list[Saved] = field(default_factory=list)
    small_figures: list[Saved] = field(default_factory=list)


def section(run: Run, row: Mapping[str, Any], folder: Path, *, drawn: bool, rates: bool) -> RunSection:
    """Write the run's tables, and its figures where `drawn`, into the report's folder; `row` is its comparison."""
    per_class, per_category, confused = (
        tables.per_class(run),
        tables.per_category(run),
        tables.confused_pairs(run),
    )
    stem = f"{run.name}"
    formats.write(per_class, folder / "tables", f"{stem}.classes")
    formats.write(confused, folder / "tables", f"{stem}.confused")
    wide, small = _figures(run, folder, rates=rates) if drawn else ([], [])
    return RunSection(
        name=run.name,
        accuracy=row["accuracy"],
        accuracy_sd=row["accuracy_sd"],
        facts=_facts(run, row),
        note=str(run.config.get("note") or ""),
        confused=_rows(confused.head(CONFUSED_SHOWN)),
        per_class=_rows(per_class),
        per_category=_rows(per_category) if per_category is not None and run.task == "classes" else [],
        wide_figures=wide,
        small_figures=small,
    )


def _rows(table: pd.DataFrame) -> Rows:
    return table.to_dict("records")


def _facts(run: Run, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    config = run.config
    folds = f"{row['n']} of {len(run.folders[0].folds)}"
    shown = [
        ("Balanced accuracy", f"{page.percent(row['balanced_accuracy'])} %"),
        ("Macro precision, recall, F1", " · ".join(page.decimals(row[f"macro_{key}"]) for key in ("precision", "recall", "f1"))),
        ("Top 3", f"{page.percent(row['top3'])} %"),
        ("Log loss", page.decimals(row["log_loss"])),
        ("Calibration error", page.decimals(row["calibration_error"])),
        ("Folds done", folds),
        ("Seeds", ", ".join(map(str, run.seeds))),
        ("Protocol", run.protocol),
        ("Task", run.task),
        ("Model", f"{run.model}, {page.count(row['parameters'])} parameters"),
        ("Grid", str(config.get("grid", ""))),
        ("Epochs", str(config.get("epochs", ""))),
        ("Augmentation", str(config.get("augment", ""))),
        ("Training", page.seconds(row["training_seconds"])),
        ("Machine", _machine(config)),
    ]  # fmt: skip
    return [(name, value) for name, value in shown if value]


def _machine(config: Mapping[str, Any]) -> str:
    machine = config.get("machine") or ""
    if isinstance(machine, Mapping):
        machine = ", ".join(str(value) for value in machine.values() if value)
    precision = config.get("precision") or ""
    return f"{machine}{f', {precision}' if machine and precision else ''}"


def histories(run: Run) -> dict[int, pd.DataFrame]:
    """Fold -> its learning curve, seeds averaged epoch by epoch."""
    if run.history.empty:
        return {}
    mean = run.history.drop(columns="seed").groupby(["fold", "epoch"], as_index=False).mean()
    return {int(str(fold)): frame for fold, frame in mean.groupby("fold")}


def _figures(run: Run, folder: Path, *, rates: bool) -> tuple[list[Saved], list[Saved]]:
    stem, order = run.name, by_category(run)
    save(
        "confusion",
        folder,
        stem=f"{stem}.confusion",
        inline=False,  # the error browser shows it, alive
        counts=tables.confusion(run)[np.ix_(order, order)],
        classes=[run.classes[place] for place in order],
        categories=[run.categories[place] for place in order],
        rates=rates,
    )
    curves = histories(run)
    wide = [save("learning_curves", folder, stem=f"{stem}.curves", history=curves)] if curves else []
    bins = metrics.reliability(metrics.predict(run.target, run.probabilities.mean(axis=0)))
    small = save(
        "reliability",
        folder,
        stem=f"{stem}.reliability",
        confidence=bins["confidence"],
        accuracy=bins["accuracy"],
        share=bins["clips"] / bins["clips"].sum(),
        error=metrics.scores(run.target, run.probabilities.mean(axis=0))["calibration_error"],
    )
    return wide, [small]
