"""Train the folds of a run, one after the other or by several processes side by side.

torchrun, or the same command typed twice, starts several processes. A process trains
folds that no other process trains, and then waits for the others. So when a process
ends, all folds are finished, even if another process has failed.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from torch import nn

from featurestack.base.errors import Failed, RequestError, reason_of
from featurestack.base.extras import OPTIONS
from featurestack.base.files import Lock, require_writable
from featurestack.base.quantities import counted, percent
from featurestack.base.registry import object_at
from featurestack.base.terminal import Bar, tell, tell_once
from featurestack.features_cache.identity import pieces
from featurestack.features_cache.index_file import FAILURES, has_failed
from featurestack.results import run_folder
from featurestack.results.config import Compute, Machine
from featurestack.results.run_folder import (
    OF_FOLD,
    RECORD_LOCK,
    VALIDATED,
    RunFolder,
    register_run,
)
from featurestack.results.splits import Split
from featurestack.train import fold_data
from featurestack.train.checkpoint import (
    KEYS,
    load_checkpoint,
    load_weights,
    read_safely,
)
from featurestack.train.compute import device_of, is_shortage, place, prepare
from featurestack.train.plan import Plan
from featurestack.train.trainer import ExactTrainer, Trainer

NORMED_CLIPS = 128  # training clips that set the norms that WEIGHTS lack
NAMED_CLIPS = 3  # omitted clips that a message names, at most
SHARED_RECORDING = "recording is also in the test or validation clips"


def train_run(plan: Plan, folds: Sequence[int], bar: Bar) -> None:
    """Train one fold after the other, each from its last finished epoch, on the device
    of the options, an exact model on the CPU.
    """
    in_steps = plan.model.kind.in_steps
    device = device_of(plan.options.device if in_steps else "cpu")
    if device == "cuda" and "LOCAL_RANK" in os.environ:  # the GPU, by torchrun
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # wrong WEIGHTS and MODEL are refused before the run's folder is made
    network = first_network(plan, folds[0])
    if plan.training.pretrained:
        refuse_tested_clips(plan, folds)
    require_writable(plan.path)
    moments, unusable = fold_data.measure_clips(plan)
    config = replace(plan.config, left_out=tuple(sorted(unusable)))
    plan = replace(plan, config=config)
    splits = {fold: plan.split(fold, unusable) for fold in folds}
    of_fold = OF_FOLD if plan.training.val == "none" else VALIDATED
    register_run(plan.path, folds, of_fold, identity=plan.config.hash)
    for line in [*clip_remarks(plan, unusable), *fold_remarks(plan, splits)]:
        tell_once(line)
    trainer = Trainer if in_steps else ExactTrainer
    # what is not trained is taken off the bar's total, here the damaged clips
    trained = sum(len(split.train) for split in splits.values())
    bar.total -= plan.steps(folds) - plan.training.resolved_epochs * trained
    compute: Compute | None = None
    while splits:
        fold, lock = free_fold(plan.path, [*splits])
        split = splits.pop(fold)
        with lock:
            if (plan.path / f"fold{fold}" / "predictions.csv").is_file():
                # another process finished it meanwhile
                bar.total -= plan.training.resolved_epochs * len(split.train)
                continue
            try:
                network.load_state_dict(draw_network(plan, fold).state_dict())
                data = load_data(plan, network, fold, split, moments, device)
                if not compute:
                    compute = trainer.choose_compute(network, data, device)
                    begin_record(plan, network, compute)
                    prepare(compute)
                    place(network, compute)
                train_fold(trainer(data, network, compute), bar)
                del data  # before the next fold's clips are loaded
            except OSError as error:
                resume = "run the same command again to resume"
                raise Failed(f"fold {fold}: {error}; {resume}") from error
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
                batch = plan.training.batch
                rows, frames = plan.input.grid
                raise Failed(
                    f"fold {fold}: out of memory on {device}: BATCH={batch},"
                    f" GRID={rows}x{frames}; try BATCH={max(2, batch // 2)}, or a"
                    " smaller GRID= or MODEL="
                ) from error


def free_fold(run: Path, folds: Sequence[int]) -> tuple[int, Lock]:
    """A fold that no other process trains, and its lock; if there is none, the first
    one, whose lock is granted later.
    """
    for fold in folds:
        lock = Lock(run / f"fold{fold}" / ".lock")
        if lock.take():
            return fold, lock
        lock.release()
    waiting = f"fold {folds[0]} of {run} is being trained by another process"
    return folds[0], Lock(run / f"fold{folds[0]}" / ".lock", waiting=waiting)


def begin_record(plan: Plan, network: nn.Module, compute: Compute) -> None:
    """Write run.json of a new run; of a run that has begun, update how it computes. If
    two processes begin a run, the second one keeps the first one's record.
    """
    with Lock(plan.path / RECORD_LOCK):
        if plan.begun:
            before = RunFolder(plan.path).config
            config = replace(before, computed=compute)
            if config == before:
                return
        else:
            gpu = torch.cuda.get_device_name() if compute.device == "cuda" else None
            processor = platform.processor() or platform.machine()
            config = replace(
                plan.config,
                parameters=sum(weight.numel() for weight in network.parameters()),
                computed=compute,
                machine=Machine(processor=processor, cores=joblib.cpu_count(), gpu=gpu),
            )
        run_folder.write_config(plan.path, config)


def refuse_tested_clips(plan: Plan, folds: Sequence[int]) -> None:
    """RequestError if the plan's WEIGHTS come from a fold of this project that was
    trained on test clips of one of `folds`, whatever their dataset is called.

    A checkpoint names the fold that it left out, and the run.json above it has the
    sounds of all folds; without that file the weights are refused. A sound in several
    folds, such as a recording with windows, is no reason if the clips are the same and
    lie in the same folds.
    """
    weights = plan.training.weights
    file = Path(weights).resolve()
    if weights == "imagenet":
        return
    state = read_safely(file)
    if not isinstance(state, Mapping) or not state.keys() >= KEYS:
        return
    left_out = state["fold"]
    run = RunFolder(file.parent.parent)
    if not (run.path / "run.json").is_file():
        raise RequestError(
            f"WEIGHTS={weights}: a fold's weights outside their run's folder, whose"
            " run.json says which clips they were trained on: give"
            f" RUN/fold{left_out}/{file.name} there"
        )
    config = run.trained_config
    sounds_of = {int(fold): {*pieces(text)} for fold, text in config.sounds.items()}
    seen = set().union(
        *(sounds for fold, sounds in sounds_of.items() if fold != left_out)
    )
    same_folds = all(
        getattr(config, name) == getattr(plan.config, name)
        for name in ("clips", "sounds")
    )
    for fold in folds:
        tested = {*pieces(plan.config.sounds[str(fold)])}
        if same_folds and fold == left_out:
            continue
        if both := tested & seen:
            raise RequestError(
                f"WEIGHTS={weights}: {run.name} of {run.dataset} trained its fold"
                f" {left_out} on {len(both)} of the {len(tested)} sounds that fold"
                f" {fold} tests: give weights from other clips, or FOLDS= of folds"
                " whose sounds it left out"
            )


def load_data(
    plan: Plan,
    network: nn.Module,
    fold: int,
    split: Split,
    moments: fold_data.Moments,
    device: str,
) -> fold_data.FoldData:
    """The fold's clips, or their statistics if augmentations do not change those. Also
    set the network's norms that WEIGHTS lack, from training clips.
    """
    front_end = None
    if not plan.augmenter.steps:
        front_end = getattr(network, "shift_invariant", None)
    data = fold_data.load_fold(
        plan, fold, split, moments, device, streamed=bool(front_end)
    )
    if front_end:
        data = data.computed_once(front_end)
    if plan.training.pretrained:
        from featurestack.train.pretrained import set_norms

        place = next(network.parameters()).device
        places = np.linspace(0, len(data.train) - 1, NORMED_CLIPS).astype(int)
        batches = data.inputs(fold_data.chunked(data.train[places]))
        set_norms(network, (x.to(place) for x in batches))
    return data


def first_network(plan: Plan, fold: int) -> nn.Module:
    """The first fold's network, run once; RequestError if it cannot take the input."""
    try:
        network = draw_network(plan, fold)
        with torch.inference_mode():
            logits = network.eval()(torch.zeros(1, *plan.input.shape))
    except RuntimeError as error:
        shape = ", ".join(map(str, plan.input.shape))
        remedy = "" if plan.model.code else ": give another GRID= or MODEL="
        raise RequestError(
            f"MODEL={plan.model.name} fails on an input of (B, {shape}):"
            f" {reason_of(error)}{remedy}"
        ) from error
    expected = (1, len(plan.names))
    is_tensor = isinstance(logits, torch.Tensor)
    returned = tuple(logits.shape) if is_tensor else type(logits)
    if returned != expected:
        raise RequestError(
            f"MODEL={plan.model.name} returns {returned} for one clip, expected"
            f" {expected}: a number for each class"
        )
    return network


def draw_network(plan: Plan, fold: int) -> nn.Module:
    """The plan's network on the CPU, with the weights from which this fold starts."""
    channels, rows, frames = plan.input.shape
    generator = fold_data.seeded("cpu", plan.training.seed, fold)
    network = plan.model.build(
        channels, len(plan.names), (rows, frames), plan.input.planes, generator
    )
    if plan.training.pretrained:
        from featurestack.train.pretrained import start_from

        start_from(network, plan.model.base, plan.training.weights)
    return network


def train_fold(trainer: Trainer, bar: Bar) -> None:
    """Begin or resume one fold. Write the predictions of the last epoch and, if
    validation chose one, of the best epoch; print the scores of both.
    """
    plan, data = trainer.plan, trainer.data
    run = RunFolder(plan.path)
    folder = run.fold(data.fold)
    if (folder / "last.pt").is_file():
        trainer.resume(folder / "last.pt")
    clips = len(data.train)
    bar.total -= clips * trainer.epoch  # trained before
    metric = plan.task.metric
    run_folder.start_history(folder, trainer.rows, metric.history_columns)
    tracker = None
    if chosen := plan.options.tracker:
        tracker = object_at(OPTIONS["tracker"])(chosen)(run, data.fold, trainer.epoch)
    complete = False
    try:
        trainer.fit(folder, bar, tracker)
        bar.total -= clips * (
            plan.training.resolved_epochs - trainer.epoch
        )  # spared by early stopping
        tables = []
        probabilities = []
        epochs = {"last": "last epoch: " if plan.model.kind.in_steps else ""}
        best = folder / "best.pt"
        if best.is_file():
            epochs["best"] = f"best epoch by {plan.training.select}: "
        for selection in epochs:
            if selection == "best":
                load_weights(trainer.network, load_checkpoint(best)["network"], best)
            for side, positions in (("val", data.val), ("test", data.test)):
                if len(positions):
                    rows = plan.scored(positions, split=side, selection=selection)
                    tables.append(rows)
                    probabilities.append(trainer.predict(positions, exact=True))
        foreign = getattr(trainer.network, "foreign", None)
        if foreign is not None and len(foreign):
            run_folder.write_foreign(folder, foreign.numpy(), plan.names)
        # predictions.csv last: it says that the fold is finished
        run_folder.write_predictions(
            folder, pd.concat(tables), np.concatenate(probabilities), plan.names
        )
        for selection, epoch in epochs.items():
            scores = run.fold_scores(data.fold, "test", selection)
            score = f"{metric.title} {percent(scores[metric.name])} %"
            loss = f"loss {scores['loss']:.3f}"
            tell(f"{run.name} fold {data.fold}: {epoch}test {score}, {loss}")
        complete = True
    finally:
        if tracker:
            tracker.finish(complete)


# ---- the clips, and what is said of them


def clip_remarks(plan: Plan, unusable: Mapping[str, str]) -> list[str]:
    """Messages about clips that lack features or cannot be read, and about padding.
    RequestError if the run began with clips that are no longer readable.
    """
    stored = [*dict.fromkeys(channel.stored for channel in plan.input.channels)]
    if plan.begun:
        left_out = {*RunFolder(plan.path).config.left_out}
        damaged = [clip for clip in plan.config.left_out if clip not in left_out]
        if damaged:
            raise RequestError(
                f"{plan.path.name} began with {counted(len(damaged), 'clip')}"
                f" ({', '.join(damaged[:NAMED_CLIPS])}) that cannot be read now:"
                f" {plan.cache.remedy(' '.join(stored))}, or give TAG=… for a run"
                " without them"
            )
    lines = []
    absent = plan.cache.clips.drop(plan.table.index)
    if failing := int(has_failed(plan.cache.folder, absent, stored).sum()):
        lines.append(
            f"{counted(failing, 'clip')} left out: unreadable"
            f" ({plan.cache.folder / FAILURES})"
        )
    if count := len(absent) - failing:
        lines.append(
            f"{counted(count, 'clip')} left out: no {plan.training.features} in the"
            f" cache; {plan.cache.remedy(' '.join(stored))}"
        )
    if unusable:
        named = list(unusable.items())[:NAMED_CLIPS]
        reasons = "; ".join(f"{clip}: {reason}" for clip, reason in named)
        remedy = plan.cache.remedy(" ".join(stored))
        lines.append(f"{counted(len(unusable), 'clip')} left out ({reasons}); {remedy}")
    if plan.input.drop_padding:
        share = 1 - plan.cache.filled[plan.table.index].mean()
        lines.append(
            f"{100 * share:.0f} % of the clips' time is padding and is left out"
            " (PADDING=keep keeps it)"
        )
    return lines


def fold_remarks(plan: Plan, splits: Mapping[int, Split]) -> list[str]:
    """Messages about the folds' clips; RequestError if there is nothing to learn."""
    has, groups = plan.indicator(plan.table.index.to_numpy()), plan.table["group"]
    of_class = zip(plan.names, has.T)
    lone = [name for name, has_class in of_class if groups[has_class].nunique() == 1]
    lines = []
    if lone:
        lines.append(
            f"{', '.join(lone)}: all clips are of one group, so no fold both trains"
            " and tests on them; add recordings"
        )
    for fold, split in splits.items():
        for verb, clips in (("trained on", split.train), ("tested", split.test)):
            counts = plan.indicator(plan.cache.positions(clips)).sum(axis=0)
            fewest = 1 if plan.task.multilabel else 2
            if verb == "trained on" and np.count_nonzero(counts) < fewest:
                raise RequestError(
                    f"fold {fold} has training clips of only one class, and leaves out"
                    f" {len(split.left_out)} whose {SHARED_RECORDING}:"
                    " give more clips or folds"
                )
            absent = [name for name, count in zip(plan.names, counts) if not count]
            if untrained := [name for name in absent if name not in lone]:
                classes = ", ".join(untrained)
                lines.append(f"fold {fold}: no clip of {classes} is {verb}")
        if len(split.left_out):
            number = counted(len(split.left_out), "clip")
            lines.append(
                f"fold {fold}: {number} left out of training, whose {SHARED_RECORDING}"
            )
    return lines
