"""Memory and time of training on very many short clips: `python -m bench.short_clips`.

Clips of a quarter of a second, mel and mfcc, are held in memory as the cache stores
them, or resized to the default grid. The exit status is 1 if a process with stored
clips takes more than 3 GB, or if a training step takes over 5 % longer with them.
"""

import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bench.commands import measure
from bench.training import epoch_of, trainer_of
from bench.turns import ratio, take_turns
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.quantities import size
from featurestack.features_cache import external
from featurestack.train import fold_data
from featurestack.train.compute import Compute
from featurestack.train.options import RunOptions
from featurestack.train.trainer import Trainer

ROWS = {"mel": 128, "mfcc": 40}
FRAMES, CLASSES, FOLDS, RATE, SECONDS = 4, 10, 5, 8_000, 0.25
STEPS = 3  # steps of a timed round
MOST_BYTES, MOST_TEXTURE_BYTES, MOST_TIME = 3e9, 1e9, 1.05
TEXTURE = "FEATURES=mel MODEL=texture FOLDS=1 EPOCHS=1 CURVE=0 THREADS=1"


class ShortClipsOptions(Options):
    """Clips and rounds."""

    clips: int = option(200_000, "clips in the cache", least=1000)
    texture_clips: int = option(40_000, "clips of `texture`", least=1000)
    rounds: int = option(15, "timed rounds of three steps", least=1)


def make_run(folder: Path, clips: int) -> RunOptions:
    number = np.arange(clips)
    ids = [f"{index:06d}" for index in number]
    table = {"clip_id": ids, "label": [f"class{index % CLASSES}" for index in number]}
    external.create_cache(
        folder, table | {"fold": number % FOLDS + 1}, sample_rate=RATE, duration=SECONDS
    )
    for name, rows in ROWS.items():
        values = (
            np.random.default_rng(0)
            .normal(-30, 12, (clips, rows, FRAMES))
            .astype(np.float16)
        )
        external.write_feature(folder, name, values, ids, row_unit="Hz")
    return RunOptions(
        dataset=str(folder), features="mel+mfcc", resident="ram", runs=folder / "runs"
    )


def held(run: RunOptions, as_stored: bool) -> Trainer:
    """A trainer with three steps an epoch, and clips in memory as stored or resized."""
    if not as_stored:
        fold_data.holds_stored = lambda plan: False
    trainer = trainer_of(run, Compute())
    trainer.data = replace(trainer.data, train=trainer.data.train[: STEPS * run.batch])
    return trainer


def peak(run: RunOptions, as_stored: bool) -> int:
    """Peak memory of a process, in bytes."""
    epoch_of(held(run, as_stored))()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def texture_peak(folder: Path, clips: int) -> float:
    """Peak memory in bytes of a command that trains one fold of `texture`."""
    run = make_run(folder, clips)
    words = [f"DATASET={run.dataset}", f"RUNS={run.runs}", *TEXTURE.split()]
    command = [sys.executable, "-m", "featurestack.train", "run", *words]
    *_, megabytes = measure(command)
    return 1e6 * megabytes


def short_clips(options: ShortClipsOptions) -> int:
    """Compare memory, then the time of a step."""
    with tempfile.TemporaryDirectory() as scratch:
        texture = texture_peak(Path(scratch) / "texture", options.texture_clips)
        print(
            f"peak memory of `texture` on {options.texture_clips:,} clips:"
            f" {size(texture)}",
            flush=True,
        )
        run = make_run(Path(scratch) / "short", options.clips)
        with ProcessPoolExecutor(
            1, get_context("spawn"), max_tasks_per_child=1
        ) as pool:
            stored, resized = pool.map(peak, [run, run], [True, False])
        few = make_run(Path(scratch) / "few", 1000)
        seconds = take_turns(
            {
                name: epoch_of(held(few, name == "stored"))
                for name in ("stored", "resized")
            },
            options.rounds,
        )
    longer = ratio(seconds, "stored", "resized")
    print(
        f"peak memory as stored {size(stored)}, resized {size(resized)}; a step"
        f" {longer:.3f} times as long"
    )
    too_large = stored > MOST_BYTES or texture > MOST_TEXTURE_BYTES
    return int(too_large or longer > MOST_TIME)


if __name__ == "__main__":
    main([short_clips])
