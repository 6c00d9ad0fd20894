"""What the page shows of one run: facts, confused pairs, classes, figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import formats, page, tables
from analysis.blocks import Block
from analysis.browser import by_category
from analysis.figures import Saved, save
from analysis.grid import Grid, grid
from analysis.results import Run
from train.scores import Prediction, calibration_error, reliability

CONFUSED_SHOWN = 8

CLASS_COLUMNS = {
    "precision": ("Precision", "decimals"),
    "recall": ("Recall", "decimals"),
    "f1": ("F1", "decimals"),
    "clips": ("Clips", "number"),
}


@dataclass(frozen=True)
class RunSection:
    """One run, ready for the page's templates; `beside` stand next to the confused pairs."""

    name: str
    features: str
    model: str
    accuracy: float
    accuracy_sd: float
    facts: list[tuple[str, str]]
    note: str
    figures: list[Saved]
    confused: Grid
    beside: list[Saved]
    blocks: list[Block]
    exact: bool  # another seed would change nothing
    again: list[str]  # NAME=value words of what to train next
    why: str  # what that would show


def section(run: Run, row: Mapping[str, Any], folder: Path, *, drawn: bool, rates: bool) -> RunSection:
    """Write a run's tables, and its figures where `drawn`, into the folder; `row` is its comparison."""
    confused = tables.confused_pairs(run)
    formats.write(confused, folder / "tables", f"{run.name}.confused")
    columns = {
        "true": ("True", "text"),
        "predicted": ("Said", "text"),
        "clips": ("Clips", "number"),
        "share": ("% of class", "percent"),
    }
    blocks = _by_class(run, folder)
    if drawn:
        blocks.append(
            Block(
                "Confusion matrix as a picture", figures=[_confusion(run, folder, rates=rates)], folded=True
            )
        )
    again, why = train_next(run)
    return RunSection(
        name=run.name,
        features=run.features,
        model=run.model,
        accuracy=row["accuracy"],
        accuracy_sd=row["accuracy_sd"],
        facts=_facts(run, row),
        note=str(run.config.get("note") or ""),
        figures=_curves(run, folder) if drawn else [],
        confused=grid(f"{page.slug(run.name)}-confused", confused.head(CONFUSED_SHOWN), columns),
        beside=[_reliability(run, folder)] if drawn else [],
        blocks=blocks,
        exact=run.exact,
        again=again,
        why=why,
    )


def train_next(run: Run) -> tuple[list[str], str]:
    """The words that train a run's missing folds, else its next seed, else a network; and why."""
    named = [f"FEATURES={run.features}", f"MODEL={run.config['model']}"]
    own = list(run.config.get("command", named))
    if run.missing and "command" in run.config:
        return [*own, *(f"SEED={seed}" for seed in run.seeds[:1] if seed)], "trains its missing folds"
    if run.exact:
        return named[:1], "a network on the same features"
    return [*own, f"SEED={max(run.seeds) + 1}"], "another seed shows the training noise"


def _by_class(run: Run, folder: Path) -> list[Block]:
    """Scores of each class, and of each major category where the run was not trained on those."""
    per_class, per_category = tables.per_class(run), tables.per_category(run)
    formats.write(per_class, folder / "tables", f"{run.name}.classes")
    columns = {"class": ("Class", "text"), "category": ("Category", "text"), **CLASS_COLUMNS}
    if not any(run.categories) or run.task == "categories":
        del columns["category"]
    made = [
        Block("Every class", grids=[grid(f"{page.slug(run.name)}-classes", per_class, columns)], folded=True)
    ]
    if per_category is not None and run.task == "classes":
        formats.write(per_category, folder / "tables", f"{run.name}.categories")
        columns = {"category": ("Category", "text"), **CLASS_COLUMNS}
        shown = grid(f"{page.slug(run.name)}-categories", per_category, columns)
        about = "Probabilities of the classes of each category, summed."
        made.append(Block("Major categories", about, grids=[shown], folded=True))
    return made


def _facts(run: Run, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    config = run.config
    macro = [page.decimals(row[f"macro_{key}"]) for key in ("precision", "recall", "f1")]
    model = run.model
    if row["parameters"] == row["parameters"]:
        model += f", {page.count(row['parameters'])} parameters"
    shown = [
        ("Balanced accuracy", f"{page.percent(row['balanced_accuracy'])} %"),
        ("Macro precision, recall, F1", " · ".join(macro)),
        ("Top 3", f"{page.percent(row['top3'])} %"),
        ("Log loss", page.decimals(row["log_loss"])),
        ("Calibration error, mean of folds", page.decimals(row["calibration_error"])),
        ("Folds", f"{row['n']} of {len(run.folders[0].folds)}"),
        ("Seeds" if len(run.seeds) > 1 else "Seed", ", ".join(map(str, run.seeds))),
        ("Protocol", run.protocol),
        ("Task", run.task),
        ("Model", model),
        *([] if run.exact else _schedule(config)),
        ("Training", page.seconds(row["training_seconds"])),
        ("Machine", _machine(config)),
    ]
    return [(name, value) for name, value in shown if value]


def _schedule(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What only a model that learns by epochs, from a grid, has a use for."""
    names = {"grid": "Grid", "epochs": "Epochs", "augment": "Augmentation"}
    return [(words, str(config.get(key) or "")) for key, words in names.items()]


def _machine(config: Mapping[str, Any]) -> str:
    """`x86_64, 2 cores, bf16`: what run.json says of where the run was trained."""
    machine = config.get("machine") or {}
    words = {"processor": "{}", "cores": "{} cores", "gpu": "{}"}
    known = [words.get(key, f"{key} {{}}").format(value) for key, value in machine.items() if value]
    return ", ".join([*known, *filter(None, [str(config.get("precision") or "")])])


def histories(run: Run) -> dict[int, pd.DataFrame]:
    """Fold -> its learning curve, seeds averaged epoch by epoch; empty where there was one epoch at most."""
    if run.history["epoch"].nunique() < 2:
        return {}
    mean = run.history.drop(columns="seed").groupby(["fold", "epoch"], as_index=False).mean()
    return {int(fold): frame for fold, frame in mean.groupby("fold")}


def _confusion(run: Run, folder: Path, *, rates: bool) -> Saved:
    order = by_category(run)
    return save(
        "confusion",
        folder,
        stem=f"{run.name}.confusion",
        counts=tables.confusion(run)[np.ix_(order, order)],
        classes=[run.classes[place] for place in order],
        categories=[run.categories[place] for place in order],
        rates=rates,
        title=run.name,
    )


def _curves(run: Run, folder: Path) -> list[Saved]:
    curves = histories(run)
    return [save("learning_curves", folder, stem=f"{run.name}.curves", history=curves)] if curves else []


def _reliability(run: Run, folder: Path) -> Saved:
    """All seeds' predictions below each other: each counts as much as the others."""
    target = np.tile(run.target, len(run.seeds))
    prediction = Prediction(target, run.probabilities.reshape(-1, len(run.classes)))
    bins = reliability(prediction)
    return save(
        "reliability",
        folder,
        stem=f"{run.name}.reliability",
        confidence=bins["confidence"],
        accuracy=bins["accuracy"],
        share=bins["clips"] / bins["clips"].sum(),
        error=calibration_error(prediction),
    )
