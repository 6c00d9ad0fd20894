"""What the page and the papers show of one run: its tables, figures and settings."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import tables
from analysis.clips import THUMBNAIL_COLUMNS, THUMBNAIL_ROWS, mean_pool, read_clip
from analysis.error_browser import by_category
from analysis.figures import FigureWriter
from analysis.figures.run import SamplePrediction
from analysis.page import say
from analysis.results import Problem, Run
from features_cache import Cache
from results.scores import Prediction, reliability

RELIABILITY_BINS = 10  # of a few hundred predictions, more would be thin
SAMPLES_EACH = 4
TOP = 3


def run_tables(run: Run) -> dict[str, pd.DataFrame]:
    """Scores by class, and the pairs of classes that are confused most."""
    made = {"classes": tables.class_report(run), "confused": tables.confused_pairs(run)}
    return {f"{run.name}.{name}": table for name, table in made.items()}


def settings(run: Run) -> dict[str, str]:
    """Every option that the run was trained with, by its name on the command line."""
    words = {True: "yes", False: "no", None: "–", "": "–"}
    options = {key.upper(): value for key, value in run.options.items() if key != "seed"}
    return {
        key: " ".join(map(str, value)) if isinstance(value, list) else words.get(value, str(value))
        for key, value in options.items()
    }


def fold_histories(run: Run) -> dict[int, pd.DataFrame]:
    """Fold -> its learning curve, seeds averaged epoch by epoch; empty if there was one epoch at most."""
    if run.history["epoch"].nunique() < 2:
        return {}
    mean = run.history.drop(columns="seed").groupby(["fold", "epoch"], as_index=False).mean()
    return {int(fold): frame for fold, frame in mean.groupby("fold")}


def curves_note(run: Run) -> str:
    """Why the last epoch's loss is higher on training clips than on the test fold; '' if it is not."""
    last = [frame[["train_loss", "test_loss"]].ffill().iloc[-1] for frame in fold_histories(run).values()]
    if not np.mean([row["train_loss"] > row["test_loss"] for row in last] or [False]) > 0.5:
        return ""
    options = run.options
    augment = str(options.get("augment") or "none").replace("none", "")
    return say("curve_note", augment, float(options.get("smoothing") or 0))


def submit_run(writer: FigureWriter, run: Run, *, best: bool, rates: bool) -> list[Problem]:
    """The figures of one run; returns what could not be read."""
    if history := fold_histories(run):
        writer.submit("learning_curves", f"{run.name}.curves", history=history)
    if best:
        target = np.tile(run.target, len(run.seeds))  # the predictions of all seeds together
        together = Prediction(target, run.probabilities.reshape(-1, len(run.classes)))
        bins = reliability(together, RELIABILITY_BINS)
        chosen = {name: bins[name] for name in ("confidence", "accuracy", "clips")}
        writer.submit("reliability", f"{run.name}.reliability", **chosen)
    if writer.paper:
        order = by_category(run)
        writer.submit(
            "confusion_matrix",
            f"{run.name}.confusion",
            counts=tables.confusion_counts(run)[np.ix_(order, order)],
            classes=[run.classes[place] for place in order],
            categories=[run.categories[place] for place in order],
            rates=rates,
        )
    for file in sorted(run.folders[0].path.glob("fold*/augmented.npz"))[:1]:
        try:
            pairs = read_augmented(file)
        except DAMAGED as error:
            return [Problem(run.name, f"{file} is left out, it cannot be read ({error})", damaged=True)]
        if pairs:
            writer.submit("augmentations", f"{run.name}.augmented", pairs=pairs)
    return []


# What numpy and zipfile raise for a damaged archive:
# an EOFError if it is empty, a RuntimeError for a method of compression that they do not know.
DAMAGED = (OSError, ValueError, LookupError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile)


def read_augmented(file: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(augmentation, before, after) of one clip each, both (rows, columns) of the first channel."""
    pairs = []
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        before = stored["before"].astype(np.float32)
        for place, name in enumerate(stored["augment"]):
            clip = place % len(before)
            after = stored[f"after_{place}"][place % len(before), 0].astype(np.float32)
            pairs.append((str(name), before[clip, 0], after))
    return pairs


def choose_samples(run: Run, cache: Cache, feature: str, rng: np.random.Generator) -> list[SamplePrediction]:
    """Up to four clips that every seed predicted correctly, four that none did, drawn by `rng`, and four of
    the smallest margin; probabilities are means over the seeds.
    """
    probabilities = run.probabilities.mean(axis=0)
    ordered = np.sort(probabilities, axis=1)
    margin = ordered[:, -1] - (ordered[:, -2] if ordered.shape[1] > 1 else 0)
    chosen = {
        "correct": rng.permutation(np.flatnonzero(run.correct == 1))[:SAMPLES_EACH],
        "wrong": rng.permutation(np.flatnonzero(run.correct == 0))[:SAMPLES_EACH],
        "uncertain": np.argsort(margin, kind="stable")[:SAMPLES_EACH],
    }
    cached, samples = set(cache.clips["clip_id"]), []
    for outcome, rows in chosen.items():
        for row in rows:
            clip = str(run.clip_ids[row])
            values = read_clip(cache, feature, clip) if clip in cached else None
            if values is None:
                continue
            small = mean_pool(mean_pool(values, 2 * THUMBNAIL_ROWS, axis=0), 2 * THUMBNAIL_COLUMNS, axis=1)
            first = np.argsort(-probabilities[row], kind="stable")[:TOP]
            top = tuple((run.classes[place], float(probabilities[row, place])) for place in first)
            true = run.classes[run.target[row]]
            samples.append(SamplePrediction(outcome, clip, small, cache.duration or 1.0, true, top))
    return samples


def machine_words(run: Run) -> str:
    """`x86_64, 2 cores, bf16`: what run.json says of where the run was trained."""
    words: dict[str, Any] = {"processor": "{}", "cores": "{} cores", "gpu": "{}"}
    stored = (run.config.get("machine") or {}).items()
    parts = [words.get(key, f"{key} {{}}").format(value) for key, value in stored if value]
    return ", ".join([*parts, *filter(None, [str(run.config.get("precision") or "")])])
