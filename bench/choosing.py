"""How the default recipe was chosen: what each ingredient gives on a dataset without one of its folds.

    python -m bench.choosing DATASET=esc10 SEEDS="0 1"

The fold that is left out (1) is seen by no run here, so that its score under the chosen recipe is held
out from model selection. Among the others each is scored in turn by a model trained on the rest, which is
what `make train` does with a table that lacks the fold. Runs that are finished are not done again.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.commands import Command, main
from commandline.options import DatasetOptions, RunsOptions, option
from commandline.terminal import text_table
from features_cache import Cache
from features_cache.cache import cache_folder
from results import run_folder
from results.scores import epoch_scores

# Each line changes one thing of the default; the first changes nothing.
INGREDIENTS = {
    "default": (),
    "the network alone": ("MODEL={network}",),
    "the texture alone": ("MODEL=texture",),
    "mixing": ("AUGMENT=shift,gain,mixup=0.4",),
    "mixing, the network alone": ("AUGMENT=shift,gain,mixup=0.4", "MODEL={network}"),
    "mixing, the texture alone": ("AUGMENT=shift,gain,mixup=0.4", "MODEL=texture"),
    "CutMix along time": ("AUGMENT=cutmix=0.25,shift,gain",),
    "masks": ("AUGMENT=mask,shift,gain",),
    "masks, the network alone": ("AUGMENT=mask,shift,gain", "MODEL={network}"),
    "other pitch and speed": ("AUGMENT=pitch,stretch,shift,gain",),
    "no augmentation": ("AUGMENT=none",),
    "no augmentation, the texture alone": ("AUGMENT=none", "MODEL=texture"),
    "no label smoothing": ("SMOOTHING=0",),
    "whole features": ("NORM=feature",),
    "whole features, the network alone": ("NORM=feature", "MODEL={network}"),
    "whole features, the texture alone": ("NORM=feature", "MODEL=texture"),
    "half the frames": ("GRID=64x108",),
    "twice the rows": ("GRID=128x216",),
    "half the epochs": ("EPOCHS=20",),
    "averaged weights": ("EMA=0.99",),
    "eight views in testing": ("TTA=8",),
}

PAIR = ("the network alone", "the texture alone")
SHARES = (0, 0.25, 0.5, 2 / 3, 0.75, 0.9, 1)  # weight of the texture network in the ensemble
TINY = 1e-6  # saved probabilities are rounded

Answers = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class ChoosingOptions(DatasetOptions, RunsOptions):
    """Which ingredients."""

    features: str = option("mel+mfcc+chroma", "the feature set")
    model: str = option(
        "resnet18",
        "the network beside the texture statistics; cnn8 takes a fifth of the time",
    )
    left_out: int = option(1, "the fold that no run sees")
    seeds: tuple[int, ...] = option((0,), "how often each is trained")
    only: tuple[str, ...] = option((), "some ingredients, with underlines: the_texture_alone")
    threads: str = option("auto", "of each run")


def choosing(options: ChoosingOptions) -> int:
    """Train every ingredient without the fold that is left out, and print what each gives."""
    table = without_fold(options)
    train = [sys.executable, "-m", "train", "run", f"DATASET={table}", f"FEATURES={options.features}"]
    train += [f"MODEL={options.model}+texture", f"DATA={options.data}", f"RUNS={options.runs}"]
    train += [f"THREADS={options.threads}", "CURVE=0"]
    rows = []
    for label, changes in INGREDIENTS.items():
        words = [word.format(network=options.model) for word in changes]
        if options.only and slug(label) not in options.only:
            continue
        for seed in options.seeds:
            subprocess.run([*train, *words, f"SEED={seed}", f"TAG={tag(options, label)}"], check=True)
        rows.append((label, " ".join(words), *summary(answers(options, label))))
        print(f"{label}: accuracy {rows[-1][2]}", flush=True)
    print(text_table(rows, ("ingredient", "setting", "accuracy", "sd of seeds", "test loss")))
    network, texture = (answers(options, label) for label in PAIR)
    if network and texture:
        print(text_table(shares(network, texture), ("texture's share", "accuracy", "test loss")))
    return 0


def tag(options: ChoosingOptions, label: str) -> str:
    return f"{options.model}-{slug(label)}"


def slug(label: str) -> str:
    return label.replace(",", "").replace(" ", "_")


def without_fold(options: ChoosingOptions) -> Path:
    """A table of the dataset's clips without the fold, with its features extracted; where it lies."""
    clips = Cache(cache_folder(options.dataset, options.data, options.name)).clips
    clips = clips[(clips["fold"] != options.left_out) & (clips["copy_of"] == "")]
    columns = {"path": "filename", "label": "label", "fold": "fold", "group": "group", "category": "category"}
    table = clips[list(columns)].rename(columns=columns)
    name = Path(options.dataset).stem
    file = options.data / f"{name}-without-{options.left_out}.csv"
    table.to_csv(file, index=False)
    extract = [sys.executable, "-m", "pipeline", "features", f"DATASET={file}", f"DATA={options.data}"]
    features = options.features.replace("+", " ")
    rate = ["SAMPLE_RATE=44100", "DURATION=5"]
    subprocess.run([*extract, f"FEATURES={features}", *rate], check=True)
    return file


def answers(options: ChoosingOptions, label: str) -> list[Answers]:
    """Of each seed that was trained so: probabilities (N, K) of the clips by their ids, true classes (N,)."""
    name = f"{Path(options.dataset).stem}-without-{options.left_out}"
    found = [run for run in run_folder.find(options.runs, name) if run.config["tag"] == tag(options, label)]
    answered = []
    for run in sorted(found, key=lambda run: run.config["seed"]):
        table = run.predictions().sort_values("clip_id")
        classes = [one["name"] for one in run.config["classes"]]
        targets = pd.Categorical(table["target"], categories=classes).codes
        answered.append((table[classes].to_numpy(np.float32), targets.astype(np.int64)))
    return answered


def summary(answered: list[Answers]) -> tuple[str, str, str]:
    """Mean accuracy over the folds and seeds, its deviation over seeds, mean loss."""
    values = [epoch_scores(targets, probabilities) for probabilities, targets in answered]
    accuracies = [one["accuracy"] for one in values]
    spread = f"{np.std(accuracies, ddof=1):.3f}" if len(values) > 1 else "-"
    return f"{np.mean(accuracies):.3f}", spread, f"{np.mean([one['loss'] for one in values]):.3f}"


def shares(network: list[Answers], texture: list[Answers]) -> list[tuple[str, str, str]]:
    """What the two get side by side, for each share of the texture; all seeds of each together."""
    rows = []
    for share in SHARES:
        mixed = []
        for seen, targets in network:
            for other, _ in texture:
                logits = (1 - share) * np.log(seen + TINY) + share * np.log(other + TINY)
                raised = np.exp(logits - logits.max(axis=1, keepdims=True))
                mixed.append((raised / raised.sum(axis=1, keepdims=True), targets))
        accuracy, _, loss = summary(mixed)
        rows.append((f"{share:.2f}", accuracy, loss))
    return rows


COMMANDS: list[Command] = [choosing]

if __name__ == "__main__":
    main(COMMANDS)
