"""Run folders of made-up predictions, whose skill is known.

Runs share part of each clip's difficulty, as real networks do. A run of skill 0.7
predicts exactly 70 % of the clips correctly, those that are easiest for it. About half
of the errors go to a neighbouring class, so that a confusion matrix has a pattern.
"""

import contextlib
import inspect
import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis import figures
from featurestack.analysis.figures import FIGURES
from featurestack.analysis.runs import load_runs
from featurestack.results import run_folder
from featurestack.results.config import SoundClass, digest, label
from featurestack.results.run_folder import RunFolder
from featurestack.results.training_options import Training
from featurestack.scores.accuracy import CLASSES
from tests.run_configs import run_config

CATEGORIES = ("animals", "nature", "human", "interior", "exterior")
CLIPS_A_GROUP = 2
EPOCHS = 20
SVG = b'<svg viewBox="0 0 10 10"><path/></svg>'
# share of its variance; real runs on ESC agree on four clips of five
SHARED_DIFFICULTY = 0.8


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """The properties of a made-up run."""

    features: str = "mel"
    skill: float = 0.7
    """The share of the clips that it predicts correctly."""
    model: str = "resnet18"
    seed: int = 0
    task: str = "classes"
    val: str = "none"
    augment: str = "default"
    folds: tuple[int, ...] | None = None
    """The finished folds; None for all of the protocol's."""
    own: float = 1 - SHARED_DIFFICULTY
    """The share of a clip's difficulty that is this run's alone."""


def of_sets(seeds=1, model="resnet18", **skills):
    """Runs of feature sets; `_` stands for +."""
    return [
        MadeRun(features=name.replace("_", "+"), skill=skill, seed=seed, model=model)
        for name, skill in skills.items()
        for seed in range(seeds)
    ]


def made_clips(clips=2000, classes=50, folds=5, names=None):
    """A clip table: clip_id, label, category, fold, group; classes and folds as even as
    they can be.
    """
    names = list(names or (f"class{number:02d}" for number in range(classes)))
    group = np.arange(clips) // CLIPS_A_GROUP
    label = group % len(names)
    fold = group // len(names) % folds + 1
    return pd.DataFrame(
        {
            "clip_id": [f"{fold}-{one:05d}" for one, fold in enumerate(fold)],
            "label": np.array(names, dtype=object)[label],
            "category": np.array(CATEGORIES, dtype=object)[
                label * len(CATEGORIES) // len(names)
            ],
            "fold": fold,
            "group": [f"g{one}" for one in group],
        }
    )


def make_run(runs, clips, made, dataset="made"):
    """Write one run folder below runs/<dataset>/ and return its path; it replaces a
    folder of that name.
    """
    column = "category" if made.task == "categories" else "label"
    classes = (
        clips[[column, "category"]]
        .drop_duplicates(column)
        .set_axis(["name", "category"], axis=1)
    )
    classes = classes.sort_values("name")
    names = classes["name"].tolist()
    folds = sorted(int(fold) for fold in clips["fold"].unique())
    options = {
        name: getattr(made, name)
        for name in ("features", "model", "task", "augment", "val")
    }
    changes = {"task": made.task, "val": f"val.{made.val}"}
    changes |= {"augment": f"augment.{made.augment}", "seed": f"s{made.seed}"}
    differences = [
        text
        for name, text in changes.items()
        if getattr(made, name) != getattr(MadeRun, name)
    ]
    hash_ = digest([dataset, options, made.seed])
    config = run_config(
        dataset=dataset,
        options=Training(
            **options, seed=made.seed, epochs=20, smoothing=0.0, lr=0.002, decay=0.05
        ),
        exact=made.model == "linear",
        folds=tuple(folds),
        classes=tuple(SoundClass(**entry) for entry in classes.to_dict("records")),
        family=digest([dataset, options]),
        hash=hash_,
        protocol=(
            "last epoch" if made.val == "none" else f"best epoch on VAL={made.val}"
        ),
    )
    folder = runs / dataset / label(made.features, made.model, differences, hash_)
    shutil.rmtree(folder, ignore_errors=True)
    run_folder.write_config(folder, config)
    target = np.array([names.index(name) for name in clips[column]])
    probabilities = predict(clips, target, names, made)
    rows = clips[["clip_id", "group"]].assign(
        split="test", selection="last", target=clips[column]
    )
    for fold in made.folds or folds:
        here = (clips["fold"] == fold).to_numpy()
        tested = rows[here]
        values = probabilities[here]
        if made.val != "none":
            tested = pd.concat([tested, tested.assign(selection="best")])
            values = np.tile(values, (2, 1))
        row = {"lr": 2e-3, "seconds": 1.0, "train_accuracy": 0.99}
        for part in ("test", "val") if made.val != "none" else ("test",):
            row |= {
                f"{part}_{name}": made.skill
                for name in ("accuracy", "recall", "f1", "loss")
            }
        epochs = [
            {"epoch": epoch, "train_loss": 1 / epoch, **row}
            for epoch in range(1, EPOCHS + 1)
        ]
        columns = CLASSES.metric.history_columns
        lines = [run_folder.history_row(row, columns) for row in epochs]
        run_folder.start_history(folder / f"fold{fold}", lines, columns)
        run_folder.write_predictions(folder / f"fold{fold}", tested, values, names)
    return folder


def make_runs(runs, clips, made, dataset="made"):
    """Write these runs; load them and no others, without their problems."""
    folders = sorted(make_run(runs, clips, run, dataset) for run in made)
    return load_runs(map(RunFolder, folders))[0]


def predict(clips, target, names, made):
    """Probabilities (N, K) float32 of a run of this skill; equal arguments give equal
    numbers.
    """
    shared = np.random.default_rng(0)
    configuration = "\n".join((made.features, made.model, made.augment))
    alone = np.random.default_rng([made.seed, *configuration.encode()])
    groups = clips["group"].astype("category").cat.codes.to_numpy()
    difficulty = (
        np.sqrt(1 - made.own)
        * 0.7071
        * (
            shared.normal(size=groups.max() + 1)[groups]
            + shared.normal(size=len(clips))
        )
    )
    difficulty += np.sqrt(made.own) * alone.normal(size=len(clips))
    right = np.zeros(len(clips), dtype=bool)
    right[np.argsort(difficulty)[: round(made.skill * len(clips))]] = True
    anywhere = (target + alone.integers(1, len(names), size=len(clips))) % len(names)
    beside = np.where((target ^ 1) < len(names), target ^ 1, anywhere)
    chosen = np.where(
        right, target, np.where(alone.random(len(clips)) < 0.5, beside, anywhere)
    )
    logits = alone.normal(size=(len(clips), len(names)))
    rows = np.arange(len(clips))
    logits[rows, target] += 2.0  # a wrong prediction still has the truth near the top
    logits[rows, chosen] = (
        logits.max(axis=1) + np.abs(alone.normal(size=len(clips))) * 2 + 0.01
    )
    # Doubled, the confidences are about as high as a network's.
    powers = np.exp(2 * (logits - logits.max(axis=1, keepdims=True)))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def draw_nothing(name, file, data):
    """One small file; the figure would take the data."""
    inspect.signature(FIGURES[name].draw).bind(None, **data)
    return SVG


@contextlib.contextmanager
def no_figures():
    """Figures are one small file, so that a page takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "content_of", draw_nothing)
        yield
