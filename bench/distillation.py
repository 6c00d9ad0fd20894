"""ResNet-18 that learns the answers of other runs instead of labels: distillation.

    make sweep DATASET=esc10 MODEL=texture SEED="0 1 2"
    make sweep DATASET=esc10 RECIPE=short SEED="0 1"
    python -m bench.distillation "mel+mfcc+chroma-texture mel+mfcc+chroma-resnet18-short" DATASET=esc10

Teachers and student see the same augmented and mixed batch, as Beyer et al. (2022, arXiv:2106.05237) advise,
and the student's target is the teachers' averaged answer; no label is used. The teachers of a fold are that
fold's networks, trained on the same clips, so that nothing of the test clips gets in. The student sees half
of the grid's frames, and so do teachers that were trained on half. Its run folder stands in a report beside
the others.
"""

import dataclasses
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from commandline.commands import Command, main
from commandline.options import option
from commandline.registry import RequestError
from commandline.terminal import mean_percent, percent, progress
from results import run_folder
from train.bundle import TrainedModel, bundle_of_run
from train.compute import Compute
from train.data import parse_grid, seeded
from train.models.registry import build
from train.optimisation import Schedule, make_optimiser, smoothed_loss
from train.options import RunOptions
from train.own_loop import FoldClips, OwnRun

STUDENT = "resnet18"


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(RunOptions):
    """Which teachers, and how long the student learns."""

    teachers: str = option(
        dataclasses.MISSING,
        "finished runs of the same features, clips and folds: names, paths or unique prefixes",
        positional=True,
    )
    epochs: int = option(60, "passes over the training clips")
    augment: str = option("shift,gain,mixup=0.5", "changes that teachers and student see alike")


def distillation(options: DistillationOptions) -> None:
    """Train the student on every fold, write its run folder, print its accuracy."""
    own = RunOptions(**{name: getattr(options, name) for name in vars(RunOptions())})
    run = OwnRun(f"{STUDENT}-distilled", own)
    found = run_folder.select(options.runs, options.teachers, run.plan.dataset)
    for one in found:
        refuse_another(one, run)
    teachers = [TrainedModel(bundle_of_run(one)) for one in found]
    precision = "fp32" if options.precision == "auto" else options.precision
    compute = Compute(precision=precision, channels_last=True)
    compute.prepare()
    note = f"taught by {', '.join(one.name for one in found)}"
    accuracies = []
    for fold in run.folds:
        network, history = train_student(run, fold, teachers, compute)
        test = run.clips(fold, "test")
        with torch.inference_mode():
            answers = [network(halved(x)).softmax(1) for x, _ in DataLoader(test, batch_size=options.batch)]
        probabilities = torch.cat(answers).numpy()
        run.write(fold, probabilities, history=history, network=network, note=note)
        accuracies.append(float((probabilities.argmax(1) == test.targets).mean()))
        print(f"fold {fold}: {percent(accuracies[-1])} %", flush=True)
    print(f"{mean_percent(accuracies)}, n = {len(accuracies)} folds")


def refuse_another(teacher: run_folder.RunFolder, run: OwnRun) -> None:
    """RequestError where the teacher has not seen the same clips in the same way."""
    wanted = run.plan.config()
    for key in ("clips", "cache", "val"):
        if teacher.config[key] != wanted[key]:
            raise RequestError(f"{teacher.name} cannot teach this run: it has another {key}")
    rows, frames = run.plan.grid
    if parse_grid(teacher.config["grid"]) not in ((rows, frames), (rows, frames // 2)):
        raise RequestError(f"{teacher.name} cannot teach this run: expected its GRID, or half the frames")


def train_student(
    run: OwnRun, fold: int, teachers: list[TrainedModel], compute: Compute
) -> tuple[nn.Module, list[dict[str, float]]]:
    """The fold's student, and its rows of history.csv."""
    options, clips = run.options, run.clips(fold, "train")
    x, y = next(iter(DataLoader(clips, batch_size=len(clips))))  # (N, C, H, W), all of them
    channels, rows, frames = run.shape
    generator = seeded(torch.Generator(), options.seed, fold)
    network = build(STUDENT, channels, len(run.classes), (rows, frames // 2), generator=generator)
    network = compute.place(network)
    optimiser, steps = make_optimiser(network, options), len(x) // options.batch
    schedule = Schedule(options.schedule, options.resolved_lr, steps * options.epochs, warmup_steps=0)
    history = []
    for epoch in progress(range(options.epochs), label=f"fold {fold}", unit="epochs"):
        start, losses = time.perf_counter(), []
        generator = seeded(torch.Generator(), options.seed, fold, epoch)
        order = torch.randperm(len(x), generator=generator)
        for step, chosen in enumerate(order[: steps * options.batch].split(options.batch)):
            batch, target = taught(clips, fold, x[chosen], y[chosen], teachers, generator)
            for group in optimiser.param_groups:
                group["lr"] = rate = schedule.rate(epoch * steps + step)
            with compute.autocast():
                logits = network(halved(batch).contiguous(memory_format=compute.layout)).float()
            loss = smoothed_loss(logits[:, None], target, smoothing=0.0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        seconds = time.perf_counter() - start
        history.append(
            {"epoch": epoch + 1, "lr": rate, "seconds": seconds, "train_loss": float(np.mean(losses))}
        )
    return network.eval(), history


@torch.no_grad()
def _answer(teacher: TrainedModel, fold: int, x: torch.Tensor) -> torch.Tensor:
    """(B, K) logits of the fold's network for clips on the student's grid."""
    seen = x if x.shape[3] == teacher.grid[1] else halved(x)
    return teacher.folds[fold].network(seen)


def taught(
    clips: FoldClips,
    fold: int,
    x: torch.Tensor,
    y: torch.Tensor,
    teachers: list[TrainedModel],
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clips x (B, C, H, W) augmented, and what the fold's teachers say of them: (B, K)."""
    batch, _ = clips.augment(x, y, generator)
    answers = [_answer(teacher, fold, batch) for teacher in teachers]
    return batch, torch.stack(answers).mean(0).softmax(1)


def halved(x: torch.Tensor) -> torch.Tensor:
    """Every two frames averaged."""
    return nn.functional.avg_pool2d(x, (1, 2))


COMMANDS: list[Command] = [distillation]

if __name__ == "__main__":
    main(COMMANDS)
