"""A training step by several loops, on a card if there is one, else on the processor:

    python -m bench.step
    python -m bench.step GRID=32x32 BATCH=8 STEPS=2     small, to try it

ResNet-18 on batches of three channels of noise; speed does not depend on the clips. The
usual loop has torch's DataLoader, fp32 and the loss of each step; the others have their
batch on the device, and `the trainer` is that of `make train` with its augmentation. A
time is the mean of STEPS steps after some that are not timed. docs/tables/gpu.csv holds
a result.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from bench.record import bench
from featurestack.commandline.options import Options, option
from featurestack.features_cache import external
from featurestack.train.compute import Compute, device_of, preferred
from featurestack.train.fold_data import load_fold, measure_clips
from featurestack.train.folds import draw_network
from featurestack.train.optimisation import Passes, Replayed, cuda_graph
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, make_plan
from featurestack.train.trainer import Trainer

SHAPES = {"mel": 128, "mfcc": 40, "chroma": 12}
CLASSES = 10
UNTIMED = 4
Step = Callable[[], object]


class StepBenchOptions(Options):
    """Input, device and number of steps."""

    device: str = option("auto", "cpu or cuda; auto is a card if there is one")
    grid: str = option("128x431", "rows x frames")
    batch: int = option(32, "clips in a step", least=2)
    steps: int = option(50, "timed steps", least=1)
    workers: int = option(8, "processes of the usual loop's DataLoader", least=0)


def step(options: StepBenchOptions) -> int:
    """Print the milliseconds of a step by each loop."""
    device = device_of(options.device)
    with tempfile.TemporaryDirectory() as scratch:
        plan = noise(Path(scratch), options, device)
        compute = preferred(plan.training, device, (options.batch, *plan.input.shape))
        print(f"ResNet-18, {options.batch} x 3 x {options.grid}, {compute}")
        loops = {"usual loop, fp32": usual(plan, compute.device, options)}
        loops[f"eager, {compute.precision}"] = bare(plan, compute, options.batch)
        if device == "cuda":
            graph = bare(plan, compute, options.batch, graph=True)
            loops["one CUDA graph"] = graph
        for way, call in loops.items():
            line(way, timed(call, options.steps, device))
        trainer = trainer_of(plan, compute)
        for _ in range(2):  # the first epoch prepares
            epoch = trainer.train_epoch(tqdm(disable=True))
        line("the trainer", epoch["seconds"] / options.steps)
    return 0


def line(way: str, seconds: float) -> None:
    print(f"{way:<40}{1000 * seconds:>8.1f} ms a step", flush=True)


def timed(call: Step, steps: int, device: str) -> float:
    """Seconds of a step: the mean of `steps` calls after some that are not timed."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(UNTIMED):
        call()
    wait()
    start = time.perf_counter()
    for _ in range(steps):
        call()
    wait()
    return (time.perf_counter() - start) / steps


def usual(plan: Plan, device: str, options: StepBenchOptions) -> Step:
    """A loop as tutorials write it."""
    torch.backends.cudnn.benchmark = True
    network = draw_network(plan, 1).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters())
    clips = options.batch * min(options.steps, 8)
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(clips, *plan.input.shape, generator=chance)
    data = TensorDataset(x, torch.arange(clips) % CLASSES)
    loader = DataLoader(
        data,
        options.batch,
        shuffle=True,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
        pin_memory=device == "cuda",
    )

    batches = chain.from_iterable(repeat(loader))

    def one() -> float:
        x, y = (part.to(device, non_blocking=True) for part in next(batches))
        loss = nn.functional.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return one


def bare(plan: Plan, compute: Compute, clips: int, *, graph: bool = False) -> Step:
    """The trainer's step on one batch that lies on the device."""
    trainer = trainer_of(plan, compute)
    passes: Passes = trainer.both_passes
    recorded = Replayed(trainer.network, passes, cuda_graph)
    trainer.gradients = recorded if graph else passes
    x = torch.randn(clips, *plan.input.shape, device=compute.device)
    y = torch.eye(CLASSES, device=compute.device)[torch.arange(clips) % CLASSES]
    return lambda: trainer.step(x, y, 1e-4)


def trainer_of(plan: Plan, compute: Compute) -> Trainer:
    """Fold 1, ready to train."""
    compute.prepare()
    data = load_fold(plan, 1, plan.split(1), measure_clips(plan), compute.device)
    return Trainer(data, compute.place(draw_network(plan, 1)), compute)


def noise(folder: Path, options: StepBenchOptions, device: str) -> Plan:
    """A plan on a cache of noise: fold 1 trains on the clips of STEPS steps."""
    chance = np.random.default_rng(0)
    trained = options.batch * options.steps
    count = trained + CLASSES
    ids = [f"{number:05d}" for number in range(count)]
    table = {
        "clip_id": ids,
        "label": [f"class{number % CLASSES}" for number in range(count)],
        "fold": [2] * trained + [1] * CLASSES,
    }
    external.create_cache(folder / "noise", table, sample_rate=44_100, duration=5)
    frames = int(options.grid.partition("x")[2])
    for name, rows in SHAPES.items():
        values = chance.normal(-30, 12, (count, rows, frames)).astype(np.float16)
        external.write_feature(folder / "noise", name, values, ids, row_unit="Hz")
    run = RunOptions(
        dataset=str(folder / "noise"),
        runs=folder / "runs",
        features="+".join(SHAPES),
        batch=options.batch,
        grid=options.grid,
        weights="none",
        device=device,
        epochs=1000,
    )
    return make_plan(run)


if __name__ == "__main__":
    bench(step)
