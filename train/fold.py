"""One fold: its parts, its statistics, the loop, and what the finished weights say of the clips set aside."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from commandline import RequestError
from features_cache.splits import Split
from train import loop, runs
from train.agreement import Batch
from train.augment import write_preview
from train.checkpoint import State, load, put_weights, save
from train.compute import Compute
from train.data import Stack, open_source
from train.distributed import World
from train.follow import Follower
from train.models import linear
from train.models.ensemble import start_members
from train.options import RunOptions
from train.plan import Plan
from train.scores import epoch_scores
from train.views import trained_shape

PREVIEWED = 4  # clips in augmented.npz, of the first fold that is trained
STATISTICS_CHUNK = 32  # clips read at once


@dataclass(frozen=True)
class Prepared:
    """A fold before its training: the course, and what every checkpoint of it keeps."""

    fold: int
    folder: Path
    parts: Split
    lesson: loop.Lesson
    course: loop.Course
    statistics: State


def draw_network(plan: Plan, fold: int) -> nn.Module:
    """The plan's network with the weights that this fold starts from, on the CPU."""
    options = plan.options
    generator = loop.seeded(torch.Generator(), options.seed, fold)
    shape = trained_shape(plan.augmenter, plan.grid)
    network = plan.model.build(len(plan.channels), len(plan.classes), shape, generator)
    if options.weights:
        start_members(network, plan.model, options.weights)
    return network


def prepare(
    plan: Plan, fold: int, network: nn.Module, forward: nn.Module, arithmetic: Compute, world: World
) -> Prepared:
    """`network` is the run's, on its device, and `forward` the same, perhaps compiled.

    Its weights are replaced by those that this fold starts from.
    """
    options, parts = plan.options, plan.parts(fold)
    statistics = plan.survey.statistics(plan.positions(parts.statistics), options.norm)
    stack = Stack(plan.cache, plan.channels, statistics, plan.grid)
    train, val, test = (plan.positions(ids) for ids in (parts.train, parts.val, parts.test))
    device = torch.device(arithmetic.device)
    source = open_source(stack, np.concatenate([train, val, test]), device, options.resident)
    lesson = loop.Lesson(fold, source, plan.targets, len(plan.classes), plan.axes, train, val, test)
    network.load_state_dict(draw_network(plan, fold).state_dict())
    course = loop.Course(lesson, network, forward, options, arithmetic, plan.augmenter, world)
    kept = {"statistics": [one.state() for one in statistics]}
    return Prepared(fold, plan.path / f"fold{fold}", parts, lesson, course, kept)


def sample_batches(plan: Plan, fold: int, device: str, world: World) -> list[Batch]:
    """Training clips as the network gets them: the largest and the smallest batch of an epoch."""
    options, parts = plan.options, plan.parts(fold)
    statistics = plan.survey.statistics(plan.positions(parts.statistics), options.norm)
    stack = Stack(plan.cache, plan.channels, statistics, plan.grid)
    train = plan.positions(parts.train)
    steps, classes = loop.epoch_steps(len(train), options), len(plan.classes)
    clips = options.passes * len(train) / steps / world.size
    generator = loop.seeded(torch.Generator(device), options.seed, fold)
    found = []
    for size in sorted({math.ceil(clips), max(1, math.floor(clips))}, reverse=True):
        chosen = train[np.linspace(0, len(train) - 1, size).astype(int)]
        x = stack(chosen).to(device).float()
        y = nn.functional.one_hot(torch.from_numpy(plan.targets[chosen]).to(device), classes).float()
        x, y = plan.augmenter(x, y, plan.axes, generator)
        found.append((x, y.lerp(torch.full_like(y, 1 / classes), options.smoothing)))
    return found


def train(prepared: Prepared, plan: Plan, follower: Follower) -> None:
    """From wherever the fold stands to its predictions."""
    loop.train(prepared.course, prepared.folder, prepared.statistics, follower)
    if not prepared.course.world.first:
        return
    _preview(prepared, plan)
    answers = {"last": _answers(prepared)}
    if len(prepared.lesson.val):
        file = prepared.folder / "best.pt"
        put_weights(prepared.course.average.network, load(file)["network"], file)
        answers["best"] = _answers(prepared)
    write_predictions(plan, prepared.folder, prepared.parts, answers)


def _answers(prepared: Prepared) -> dict[str, NDArray[np.float32]]:
    """Probabilities (N, K) for each part that is set aside and may be scored."""
    lesson, wanted = prepared.lesson, scored_parts(prepared.course.options)
    parts = {part: getattr(lesson, part) for part in wanted}
    return {
        part: loop.predict(prepared.course, clips, exact=True) for part, clips in parts.items() if len(clips)
    }


def scored_parts(options: RunOptions) -> tuple[str, ...]:
    return ("val",) if options.blind else ("val", "test")


def _preview(prepared: Prepared, plan: Plan) -> None:
    """Some training clips before and after each augmentation, for the report."""
    if not plan.augmenter.steps or any(plan.path.glob("fold*/augmented.npz")):
        return
    lesson = prepared.lesson
    clips = lesson.train[np.linspace(0, len(lesson.train) - 1, PREVIEWED).astype(int)]
    (x,) = lesson.source.batches([clips])
    write_preview(
        prepared.folder / "augmented.npz",
        x,
        plan.augmenter,
        lesson.axes,
        clip_ids=plan.cache.clips["clip_id"].iloc[clips].tolist(),
        channels=[str(channel) for channel in plan.channels],
        generator=loop.seeded(torch.Generator(x.device), plan.options.seed, lesson.fold),
    )


def write_predictions(
    plan: Plan, folder: Path, parts: Split, answers: dict[str, dict[str, NDArray[np.float32]]]
) -> None:
    """`answers`: for each selection (last, best) and each part, probabilities in the order of its ids."""
    clips = plan.cache.clips
    rows, blocks = [], []
    for selection, by_part in answers.items():
        for part, probabilities in by_part.items():
            positions = plan.positions(getattr(parts, part))
            own = clips.iloc[positions][["clip_id", "group"]]
            target = np.array(plan.names, object)[plan.targets[positions]]
            rows.append(own.assign(split=part, selection=selection, target=target))
            blocks.append(probabilities)
    runs.write_predictions(folder, pd.concat(rows), np.concatenate(blocks), plan.names)


def train_linear(plan: Plan, fold: int) -> None:
    """The same run folder from scikit-learn's logistic regression on the statistics of each row."""
    start = time.perf_counter()
    parts, folder = plan.parts(fold), plan.path / f"fold{fold}"
    positions = {
        part: plan.positions(getattr(parts, part)) for part in ("train", *scored_parts(plan.options))
    }
    x = {part: row_statistics(plan, clips) for part, clips in positions.items() if len(clips)}
    y = {part: plan.targets[positions[part]] for part in x}
    network = plan.model.build(len(plan.channels), len(plan.classes), (x["train"].shape[1], 1))
    assert isinstance(network, linear.LinearNet)
    linear.fit(network, x["train"], y["train"])
    row: dict[str, Any] = {"epoch": 1, "lr": float("nan"), "seconds": time.perf_counter() - start}
    with torch.no_grad():
        answers = {part: network(torch.from_numpy(values)).softmax(1).numpy() for part, values in x.items()}
    for part, probabilities in answers.items():
        row |= {f"{part}_{name}": value for name, value in epoch_scores(y[part], probabilities).items()}
    row = {name: row[name] for name in runs.HISTORY_COLUMNS if name in row}
    text = runs.history_row(row)
    runs.start_history(folder, [text])
    save(folder / "last.pt", {"epoch": 1, "rows": [text], "network": network.state_dict(), "statistics": []})
    del answers["train"]
    write_predictions(plan, folder, parts, {"last": answers})


def row_statistics(plan: Plan, positions: NDArray[np.intp]) -> NDArray[np.float32]:
    """(N, D) mean and deviation of every row of every channel."""
    parts = []
    for chunk in np.array_split(positions, -(-len(positions) // STATISTICS_CHUNK)):
        values = plan.cache.batch(plan.channels, chunk)
        parts.append(np.concatenate([linear.row_statistics(one) for one in values], axis=1))
    return np.concatenate(parts)


def shortcomings(plan: Plan, fold: int) -> list[str]:
    """Sentences on what this fold lacks: classes that are not trained on or not tested, clips left out.

    RequestError where there is nothing to tell apart.
    """
    parts = plan.parts(fold)
    said = []
    for part in ("train", "test"):
        there = set(plan.targets[plan.positions(getattr(parts, part))])
        lacking = [name for number, name in enumerate(plan.names) if number not in there]
        if lacking:
            verb = "trained on" if part == "train" else "tested"
            said.append(f"fold {fold}: no clip of {', '.join(lacking)} is {verb}")
    if len(set(plan.targets[plan.positions(parts.train)])) < 2:
        raise RequestError(
            f"fold {fold} leaves clips of one class alone to train on: give more clips or folds"
        )
    if len(parts.left_out):
        said.append(
            f"fold {fold}: {len(parts.left_out)} clips left out of training, "
            "their recordings occur in the part that is tested or validated"
        )
    return said
