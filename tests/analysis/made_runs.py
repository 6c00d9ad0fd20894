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
from featurestack.analysis.report.runs import load_runs
from featurestack.base.json_content import digest
from featurestack.results import run_folder
from featurestack.results.config import SoundClass
from featurestack.results.run_folder import RunFolder, folder_name
from featurestack.results.tasks import CLASSES
from featurestack.results.training_options import Training
from tests.run_configs import run_config

CATEGORIES = ("animals", "nature", "human", "interior", "exterior")
OPTIONS = ("features", "model", "task", "augment", "val")
CLIPS_A_GROUP = 2
EPOCHS = 20
SVG = b'<svg viewBox="0 0 10 10"><path/></svg>'
# share of its variance; real runs on ESC agree on four clips of five
SHARED_DIFFICULTY = 0.8


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """The properties of a made-up run."""

    features: str = "mel"
    skill: float = 0.7  # share of the clips that it predicts correctly
    model: str = "resnet18"
    seed: int = 0
    task: str = "classes"
    val: str = "none"
    augment: str = "default"
    folds: tuple[int, ...] | None = None  # the finished folds; None for all
    own: float = 1 - SHARED_DIFFICULTY  # share of a clip's difficulty of this run only


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
    category = label * len(CATEGORIES) // len(names)
    return pd.DataFrame(
        {
            "clip_id": [f"{fold}-{one:05d}" for one, fold in enumerate(fold)],
            "label": np.array(names, dtype=object)[label],
            "category": np.array(CATEGORIES, dtype=object)[category],
            "fold": fold,
            "group": [f"g{one}" for one in group],
        }
    )


def make_run(runs, clips, made, dataset="made"):
    """Write one run folder below runs/<dataset>/ and return its path; it replaces a
    folder of that name.
    """
    column = "category" if made.task == "categories" else "label"
    classes = clips.drop_duplicates(column).sort_values(column)
    names = classes[column].tolist()
    folds = sorted(clips["fold"].unique().tolist())
    given = {name: getattr(made, name) for name in OPTIONS}
    texts = {"task": made.task, "val": f"val.{made.val}"}
    texts |= {"augment": f"augment.{made.augment}", "seed": f"s{made.seed}"}
    differences = [
        text
        for name, text in texts.items()
        if getattr(made, name) != getattr(MadeRun, name)
    ]
    hash_ = digest([dataset, given, made.seed])
    validated = made.val != "none"
    config = run_config(
        dataset=dataset,
        options=Training(**given, seed=made.seed, epochs=20, lr=0.002),
        exact=made.model == "linear",
        folds=tuple(folds),
        classes=tuple(
            SoundClass(name=name, category=category)
            for name, category in zip(names, classes["category"])
        ),
        family=digest([dataset, given]),
        hash=hash_,
        protocol=f"best epoch on VAL={made.val}" if validated else "last epoch",
    )
    folder = runs / dataset / folder_name(made.features, made.model, differences, hash_)
    shutil.rmtree(folder, ignore_errors=True)
    run_folder.write_config(folder, config)
    target = pd.Index(names).get_indexer(clips[column])
    probabilities = predict(clips, target, names, made)
    rows = clips[["clip_id", "group"]].assign(
        split="test", selection="last", target=clips[column]
    )
    row = {"lr": 2e-3, "seconds": 1.0, "train_accuracy": 0.99}
    for part in ("test", "val") if validated else ("test",):
        scores = ("accuracy", "recall", "f1", "loss")
        row |= {f"{part}_{name}": made.skill for name in scores}
    columns = CLASSES.metric.history_columns
    epochs = [row | {"epoch": n + 1, "train_loss": 1 / (n + 1)} for n in range(EPOCHS)]
    for fold in made.folds or folds:
        here = (clips["fold"] == fold).to_numpy()
        tested, values = rows[here], probabilities[here]
        if validated:
            tested = pd.concat([tested, tested.assign(selection="best")])
            values = np.tile(values, (2, 1))
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
    own = np.random.default_rng([made.seed, *configuration.encode()])
    count, classes = len(clips), len(names)
    groups = clips["group"].astype("category").cat.codes.to_numpy()
    common = shared.normal(size=groups.max() + 1)[groups] + shared.normal(size=count)
    difficulty = np.sqrt(1 - made.own) * 0.7071 * common
    difficulty += np.sqrt(made.own) * own.normal(size=count)
    right = np.zeros(count, dtype=bool)
    right[np.argsort(difficulty)[: round(made.skill * count)]] = True
    anywhere = (target + own.integers(1, classes, size=count)) % classes
    beside = np.where((target ^ 1) < classes, target ^ 1, anywhere)
    wrong = np.where(own.random(count) < 0.5, beside, anywhere)
    chosen = np.where(right, target, wrong)
    logits = own.normal(size=(count, classes))
    rows = np.arange(count)
    logits[rows, target] += 2.0  # a wrong prediction still has the truth near the top
    lead = np.abs(own.normal(size=count)) * 2 + 0.01
    logits[rows, chosen] = logits.max(axis=1) + lead
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
        patch.setattr(figures, "figure_content", draw_nothing)
        yield
