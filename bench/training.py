"""Training: clips a second, against a usual loop.

    python -m bench.training

ResNet-18 on 3 x 128 x 431, batch 32. All alternatives take turns within each round, so
that a busy machine slows all alike; ratios are medians over the rounds. The usual loop
runs in its own process. Clips are noise: speed does not depend on them.
"""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tqdm import tqdm

from bench.turns import ratio, take_turns
from bench.usual_loops import GRID, Apart, Saved
from featurestack.commandline.commands import script
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.features_cache import external
from featurestack.train.compute import Compute, preferred
from featurestack.train.fold_data import draw_batches, load_fold, measure_clips
from featurestack.train.folds import draw_network
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.trainer import Trainer

SHAPES = {"mel": 128, "mfcc": 40, "chroma": 12}
CLASSES, RATE, SECONDS = 10, 44_100, 5


class TrainingBenchOptions(Options):
    """Clips and rounds."""

    clips: int = option(128, "training clips of a timed epoch")
    rounds: int = option(5, "timed epochs of each alternative")


def training(options: TrainingBenchOptions) -> int:
    """Compare clips a second of several loops."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run = make_run(folder / "noise", options.clips)
        plan = make_plan(run)
        compute = preferred(run, "cpu", (run.batch, *plan.input_shape))
        plain = replace(run, augment="none")
        loops = {
            "from memory": epoch_of(trainer_of(run, compute)),
            "streamed": epoch_of(trainer_of(run, compute, streamed=True)),
            "on bare tensors": epoch_of(trainer_of(plain, compute, bare=True)),
        }
        data, network = (
            save_arrays(folder / "saved", options.clips),
            draw_network(plan, 1),
        )
        with Apart(data, network, run.batch, compute.threads) as usual:
            seconds = take_turns(loops | {"usual loop": usual}, options.rounds)
    rows = [
        (
            way,
            f"{options.clips / statistics.median(taken):.1f}",
            f"{ratio(seconds, way, 'from memory'):.2f}",
        )
        for way, taken in seconds.items()
    ]
    head = f"{run.model}, batches of {run.batch}, {compute}"
    print(text_table(rows, (head, "clips a second", "times from memory")))
    return 0


def make_run(folder: Path, clips: int) -> RunOptions:
    """A cache of noise in the shapes of real features; fold 1 trains on `clips`, fold 2
    on eight.
    """
    chance, count = np.random.default_rng(0), clips + 8
    ids = [f"{number:05d}" for number in range(count)]
    label, fold = (
        [f"class{number % CLASSES}" for number in range(count)],
        [2] * clips + [1] * 8,
    )
    table = {"clip_id": ids, "label": label, "fold": fold}
    external.create_cache(folder, table, sample_rate=RATE, duration=SECONDS)
    for name, rows in SHAPES.items():
        values = chance.normal(-30, 12, (count, rows, GRID[1])).astype(np.float16)
        external.write_feature(folder, name, values, ids, row_unit="Hz")
    grid = "{}x{}".format(*GRID)  # the network alone, as in the usual loops
    return RunOptions(
        dataset=str(folder),
        folds=(1,),
        grid=grid,
        model="resnet18",
        runs=folder / "runs",
    )


def trainer_of(
    run: RunOptions, compute: Compute, *, streamed: bool = False, bare: bool = False
) -> Trainer:
    """Fold 1, ready to train; if `bare`, on prepared tensors, without reading and
    resizing.
    """
    plan = make_plan(run)
    clips = measure_clips(plan)
    split = plan.split(1)
    data = load_fold(plan, 1, split, clips, compute.device, streamed=streamed)
    network = compute.place(draw_network(plan, 1))
    trainer = Trainer(data, network, compute)
    if bare:
        tensors = [x.clone() for x in data.source.batches(draw_batches(data, epoch=1))]
        fixed = SimpleNamespace(
            device=data.source.device, batches=lambda wanted: tensors
        )
        trainer.data = replace(data, source=fixed)  # type: ignore[arg-type]
    return trainer


def epoch_of(trainer: Trainer) -> Callable[[], None]:
    def epoch() -> None:
        trainer.compute.prepare()
        trainer.train_epoch(tqdm(disable=True))

    return epoch


def save_arrays(folder: Path, clips: int) -> Saved:
    """Write a file of noise for each clip, as a script saves arrays."""
    folder.mkdir()
    files = [folder / f"{number}.npy" for number in range(clips)]
    chance = np.random.default_rng(1)
    for file in files:
        np.save(file, chance.normal(size=(3, *GRID)).astype(np.float32))
    return Saved(files, [number % CLASSES for number in range(clips)])


if __name__ == "__main__":
    script(training)
