"""How far apart the same seed ends on processors of different kinds.

    python -m bench.machines DATASET=synth MODELS="cnn8 resnet18" EPOCHS=10

Trains one fold with PRECISION=fp32 THREADS=1 under each instruction set, in a process of its own, twice under
the first, and compares with the first. Features have to be there (make features).
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.instructions import available, environment, processor
from commandline.commands import Command, main
from commandline.options import DatasetOptions, option, words
from commandline.terminal import text_table
from results import run_folder

HEADER = (
    "model",
    "instructions",
    "loss of epoch 1",
    "last loss",
    "accuracy",
    "largest",
    "mean",
    "other class",
)


@dataclass(frozen=True, kw_only=True)
class MachinesOptions(DatasetOptions):
    """What to train."""

    features: str = option("mel", "the feature set")
    models: tuple[str, ...] = option(("cnn8", "resnet18"), "models")
    epochs: int = option(10, "epochs")
    grid: str = option("64x108", "rows x frames")
    sets: tuple[str, ...] = option(
        ("AVX512_CORE", "AVX2"),
        "instruction sets, of those that this processor has",
    )


def machines(options: MachinesOptions) -> int:
    """Train the same under each instruction set and compare the answers."""
    print(processor())
    names = available(options.sets)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            first, *others = (
                train(options, model, name, Path(folder) / str(number))
                for number, name in enumerate([names[0], *names])
            )
            rows += [row(model, name, first, other) for name, other in zip(names, others)]
    print(text_table(rows, HEADER))
    return 0


def train(options: MachinesOptions, model: str, name: str, folder: Path) -> run_folder.RunFolder:
    given = [f"EPOCHS={options.epochs}", f"GRID={options.grid}", *words(options, ("name", "data"))]
    fixed = ["PRECISION=fp32", "THREADS=1", "DEVICE=cpu", "FOLDS=1", "CURVE=0", f"MODEL={model}"]
    command = [sys.executable, "-m", "train", "run", *given, *fixed, f"DATASET={options.dataset}"]
    command += [f"RUNS={folder / model}", f"FEATURES={options.features}"]
    subprocess.run(command, env=environment(name), check=True, stdout=subprocess.DEVNULL)
    (found,) = run_folder.find(folder / model)
    return found


def row(model: str, name: str, first: run_folder.RunFolder, other: run_folder.RunFolder) -> list[str]:
    (p, targets), (q, _) = (answers(one) for one in (first, other))
    losses = [np.array(one.history(1)["train_loss"]) for one in (first, other)]
    apart = np.abs(losses[1] - losses[0])
    accuracy = (q.argmax(1) == targets).mean()
    other_class = (p.argmax(1) != q.argmax(1)).sum()
    largest, mean = np.abs(p - q).max(), np.abs(p - q).mean()
    numbers = [f"{one:.1e}" for one in (apart[0], apart[-1])], [f"{one:.1e}" for one in (largest, mean)]
    return [model, name, *numbers[0], f"{accuracy:.3f}", *numbers[1], f"{other_class} of {len(p)}"]


def answers(run: run_folder.RunFolder) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(N, K) probabilities and (N,) classes of the test clips of fold 1."""
    table = run.predictions(1)
    classes = [one["name"] for one in run.config["classes"]]
    return table[classes].to_numpy(), table["target"].map(classes.index).to_numpy()


COMMANDS: list[Command] = [machines]

if __name__ == "__main__":
    main(COMMANDS)
