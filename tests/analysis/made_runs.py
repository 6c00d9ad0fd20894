"""Run folders of made-up predictions, whose skill is known.

Each clip has a difficulty that all runs share in part, as real networks do; a run of skill 0.7 is right
about exactly 70 % of the clips, the easiest for it. What it is wrong about goes to a neighbouring class
every second time, so that a confusion matrix has a pattern.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results import Problem, Results, Run, merge_seeds, run_from_tables
from results import run_folder
from results.config import digest, label
from results.run_folder import RunFolder

CATEGORIES = ("animals", "nature", "human", "interior", "exterior")
CLIPS_A_GROUP = 2
SHARED_DIFFICULTY = 0.8  # of the variance: real runs on ESC agree about four clips of five


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """What one made-up run should look like."""

    features: str = "mel"
    skill: float = 0.7
    """The share of the clips that it is right about."""
    model: str = "resnet18"
    seed: int = 0
    task: str = "classes"
    val: str = "none"
    augment: str = "default"
    by_class: Mapping[str, float] = field(default_factory=dict)
    """Added to how easy the clips of these classes are, in standard deviations."""
    folds: tuple[int, ...] | None = None
    """The finished folds; all of the protocol's where not given."""
    own: float = 1 - SHARED_DIFFICULTY
    """The share of a clip's difficulty that is this run's alone."""


def made_clips(
    clips: int = 2000, classes: int = 50, folds: int = 5, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """A clip table: clip_id, label, category, fold, group; classes and folds as even as they can be."""
    names = list(names or (f"class{number:02d}" for number in range(classes)))
    group = np.arange(clips) // CLIPS_A_GROUP
    label = group % len(names)
    fold = group // len(names) % folds + 1
    return pd.DataFrame(
        {
            "clip_id": [f"{fold}-{one:05d}" for one, fold in enumerate(fold)],
            "label": np.array(names, dtype=object)[label],
            "category": np.array(CATEGORIES, dtype=object)[label * len(CATEGORIES) // len(names)],
            "fold": fold,
            "group": [f"g{one}" for one in group],
        }
    )


def make_run(runs: Path, clips: pd.DataFrame, made: MadeRun, dataset: str = "made") -> Path:
    """Write one run folder below runs/<dataset>/ and return it."""
    config, folds = _content(clips, made, dataset)
    folder = runs / dataset / config["name"]
    run_folder.write_config(folder, config)
    names = [one["name"] for one in config["classes"]]
    for fold, (rows, probabilities, history) in folds.items():
        run_folder.start_history(folder / f"fold{fold}", history)
        run_folder.write_predictions(folder / f"fold{fold}", rows, probabilities, names)
    return folder


def results_of(runs: Path, clips: pd.DataFrame, made: Sequence[MadeRun], dataset: str = "made") -> Results:
    """What `load` would give for the folders that `make_run` would write, without any file: much faster."""
    families: dict[str, list[Run]] = {}
    for config, folds in sorted(
        (_content(clips, one, dataset) for one in made), key=lambda one: one[0]["name"]
    ):
        folder = RunFolder(runs / dataset / config["name"])
        folder.__dict__["config"] = config  # as if it had been read
        tables, curves = [], []
        for fold, (rows, probabilities, history) in folds.items():
            shares = probabilities.astype(float)
            tables.append(
                rows.assign(probabilities=list(shares / shares.sum(axis=1, keepdims=True)), fold=fold)
            )
            lines = "\n".join([",".join(run_folder.HISTORY_COLUMNS), *history])
            curves.append(pd.read_csv(StringIO(lines)).astype(float).assign(seed=config["seed"], fold=fold))
        history_columns = ["seed", "fold", *run_folder.HISTORY_COLUMNS]
        run = run_from_tables(
            folder, pd.concat(tables), pd.concat(curves, ignore_index=True)[history_columns]
        )
        families.setdefault(config["family"], []).append(run)
    problems: list[Problem] = []
    return Results([merge_seeds(seeds, problems) for seeds in families.values()], problems)


def _content(
    clips: pd.DataFrame, made: MadeRun, dataset: str
) -> tuple[dict, dict[int, tuple[pd.DataFrame, NDArray[np.float32], list[str]]]]:
    """run.json, and of each finished fold the rows and probabilities of its predictions and its history."""
    classes = _classes(clips, made.task)
    all_folds = sorted(int(fold) for fold in clips["fold"].unique())
    config = _config(made, dataset, classes, all_folds)
    names = [one["name"] for one in classes]
    labels = clips["category" if made.task == "categories" else "label"]
    target = np.array([names.index(label) for label in labels])
    probabilities = predict(clips, target, names, made)
    folds = {}
    for fold in made.folds or all_folds:
        here = (clips["fold"] == fold).to_numpy()
        accuracy = float((probabilities[here].argmax(axis=1) == target[here]).mean())
        rows = clips.loc[here, ["clip_id", "group"]].assign(
            split="test", selection="last", target=[names[one] for one in target[here]]
        )
        values = probabilities[here]
        if made.val != "none":
            rows = pd.concat([rows, rows.assign(selection="best")])
            values = np.concatenate([values, values])
        folds[fold] = (rows, values, _history(accuracy, config["epochs"], made))
    return config, folds


def _classes(clips: pd.DataFrame, task: str) -> list[dict[str, str]]:
    if task == "categories":
        return [{"name": name, "category": name} for name in sorted(clips["category"].unique())]
    pairs = clips[["label", "category"]].drop_duplicates().sort_values("label")
    return [{"name": name, "category": category} for name, category in pairs.itertuples(index=False)]


def _config(made: MadeRun, dataset: str, classes: list[dict[str, str]], folds: list[int]) -> dict:
    configuration = {
        "dataset": dataset,
        "features": made.features,
        "model": made.model,
        "task": made.task,
        "augment": made.augment,
        "val": made.val,
        "epochs": 20,
        "grid": "128x216",
    }
    differences = [
        *([made.task] if made.task != "classes" else []),
        *([f"val.{made.val}"] if made.val != "none" else []),
        *([f"augment.{made.augment}"] if made.augment != "default" else []),
        *([f"s{made.seed}"] if made.seed else []),
    ]
    hash_ = digest([configuration, made.seed])
    return {
        **configuration,
        "options": {**configuration, "seed": made.seed},
        "seed": made.seed,
        "select": "val_loss",
        "synthetic": True,
        "folds": folds,
        "classes": classes,
        "family": digest(configuration),
        "hash": hash_,
        "name": label(made.features, made.model, differences, hash_),
        "protocol": "last epoch" if made.val == "none" else f"best epoch on VAL={made.val}",
        "sample_rate": 44100,
        "duration": 5.0,
        "channels": [
            {"stored": name, "dtype": "float16", "rows": [0, 0]} for name in made.features.split("+")
        ],
        "parameters": 11_000_000 + 3136 * len(made.features.split("+")),
        "seconds": 300.0 + 60 * len(made.features.split("+")),
        "extraction": {
            "seconds": 20.0 * len(made.features.split("+")),
            "megabytes": 110.0 * len(made.features.split("+")),
        },
        "note": "made up, for tests and benchmarks",
    }


def predict(
    clips: pd.DataFrame, target: NDArray[np.intp], names: Sequence[str], made: MadeRun
) -> NDArray[np.float32]:
    """Probabilities (N, K) float32 of a run of this skill; equal arguments give equal numbers."""
    shared = np.random.default_rng(0)
    configuration = "\n".join((made.features, made.model, made.augment))
    alone = np.random.default_rng([made.seed, *configuration.encode()])
    groups = clips["group"].astype("category").cat.codes.to_numpy()
    difficulty = (
        np.sqrt(1 - made.own)
        * 0.7071
        * (shared.normal(size=groups.max() + 1)[groups] + shared.normal(size=len(clips)))
    )
    difficulty += np.sqrt(made.own) * alone.normal(size=len(clips))
    difficulty -= clips["label"].map(dict(made.by_class)).fillna(0).to_numpy(dtype=float)
    right = np.zeros(len(clips), dtype=bool)
    right[np.argsort(difficulty)[: round(made.skill * len(clips))]] = True
    anywhere = (target + alone.integers(1, len(names), size=len(clips))) % len(names)
    beside = np.where((target ^ 1) < len(names), target ^ 1, anywhere)
    chosen = np.where(right, target, np.where(alone.random(len(clips)) < 0.5, beside, anywhere))
    logits = alone.normal(size=(len(clips), len(names)))
    rows = np.arange(len(clips))
    logits[rows, target] += 2.0  # a wrong prediction still has the truth near the top
    logits[rows, chosen] = logits.max(axis=1) + np.abs(alone.normal(size=len(clips))) * 2 + 0.01
    # Doubled, the confidences are about as high as a network's.
    powers = np.exp(2 * (logits - logits.max(axis=1, keepdims=True)))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def _history(accuracy: float, epochs: int, made: MadeRun) -> list[str]:
    """A curve that rises to the fold's accuracy, its best a little before the end."""
    rng = np.random.default_rng([made.seed, round(accuracy * 1e6)])
    rows = []
    for epoch in range(1, epochs + 1):
        reached = 1 - np.exp(-4 * epoch / epochs)
        test = accuracy if epoch == epochs else accuracy * reached + 0.02 * rng.random()
        parts = {"test": test, **({"val": test} if made.val != "none" else {})}
        row = {"epoch": epoch, "lr": 2e-3 * (1 - epoch / epochs), "seconds": 1.0}
        row |= {"train_loss": 2 * (1 - reached) + 0.1, "train_accuracy": 0.99 * reached}
        for part, value in parts.items():
            row |= {f"{part}_{name}": value for name in ("accuracy", "precision", "recall", "f1")}
            row[f"{part}_loss"] = 2 * (1 - value)
        rows.append(run_folder.history_row(row))
    return rows
