"""`python -m train run`: the run folder of these options, its folds trained, what was found."""

import functools
import statistics
from dataclasses import replace
from typing import Any

import numpy as np

from commandline.files import not_written
from commandline.options import make_command, words
from commandline.registry import RequestError
from commandline.terminal import mean_percent, percent, tell, text_table
from results import run_folder
from results.run_folder import RunFolder
from results.scores import (
    confusion_matrix,
    cross_fitted_temperatures,
    epoch_scores,
    fit_temperature,
    most_confused,
)
from train import trainer
from train.compute import device_of
from train.models.registry import resolve
from train.options import MACHINE, RunOptions, defaults
from train.plan import Plan, make_plan
from train.trainer import Failed

OPTIONS_OF_ANALYSIS = ("dataset", "name", "data", "runs")  # that it takes too
SHOWN_SCORES = ("loss", "accuracy", "f1")


def run(options: RunOptions) -> int:
    """Train, or go on training, what the options say, and print what was found; the exit status."""
    try:
        folder = execute(options)
    except Failed as failure:
        tell(f"failed: {failure}")
        return 1
    if folder is not None:
        print(summary(folder))
        print(f"next: {make_command('analysis', *words(options, OPTIONS_OF_ANALYSIS))}")
    return 0


def execute(options: RunOptions, *, tell_time: bool = True) -> RunFolder | None:
    """The run folder with the wanted folds finished; None in a process that is not the first of several.

    With `tell_time` an estimate of the whole run is printed after its first steps; a sweep has its own.

    >>> execute(RunOptions(dataset="esc10", features="mel", model="cnn4", folds=(1,)))
    RunFolder('runs/esc10/mel-cnn4')
    """
    plan = make_plan(options)
    folder = RunFolder(plan.path)
    known = (plan.path / "run.json").is_file()
    if known and (computed := _computed_as(folder, plan)):
        return execute(replace(options, **computed), tell_time=tell_time)
    if known:
        _refuse_another(folder, plan)
    elif options.precision == "fp32" and (diverged := diverged_run(plan)):
        continue_in_fp32(diverged)
        again = replace(options, precision=diverged.config["options"]["precision"])
        return execute(again, tell_time=tell_time)
    waiting = [fold for fold in plan.wanted_folds if not (known and fold in folder.finished)]
    if not waiting:
        tell(f"{folder.path} has these folds already")
    elif not train_folds(plan, waiting, tell_time):
        return None
    _update(RunFolder(plan.path), options)
    return RunFolder(plan.path)


def train_folds(plan: Plan, folds: list[int], tell_time: bool) -> bool:
    """Train the folds on DEVICE; whether this process is the first of those that do so together."""
    if plan.options.weights:
        from train.models.weights import refuse_tested_clips

        trainer.draw_network(plan, folds[0])  # before there is a folder: weights that do not fit leave none
        refuse_tested_clips(plan.options.weights, plan.dataset, plan.content["clips"], folds)
    device, *others = [device_of(one) for one in plan.asked.device.split()]
    if plan.options.resident == "gpu" and "cpu" in (device, *others):
        raise RequestError("RESIDENT=gpu needs DEVICE=cuda or mps: give RESIDENT=ram or stream")
    if others:
        from train.extras import torchrun

        if failed := torchrun.train_on([device, *others], plan.asked, folds):
            raise Failed(f"folds {' '.join(map(str, failed))} did not finish: see above")
        return True
    try:
        plan.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(plan.options.runs, error) from None
    train = functools.partial(trainer.train_run, plan, folds, _fold_outcome, tell_time)
    if not trainer.under_torchrun():
        train(device)
        return True
    from train.extras import torchrun

    with torchrun.joined(device) as (processes, own):
        train(own, processes)
    return processes.first


def diverged_run(plan: Plan) -> RunFolder | None:
    """The run of this configuration that diverged in another number format: PRECISION=fp32 continues it."""
    hashes = [plan.hash_in(precision) for precision in ("auto", "bf16", "fp16")]
    found = run_folder.find_same(plan.options.runs, plan.dataset, hashes, plan.options.tag)
    return found if found and _diverged(found.config) else None


def _diverged(config: dict[str, Any]) -> bool:
    """Whether a run diverged, or did and was continued; fp32 that came with another device is neither."""
    changes = [change.get("to", {}) for change in config.get("changes", [])]
    continued = any(to.get("precision") == "fp32" and "device" not in to for to in changes)
    return "diverged" in config or continued


def continue_in_fp32(run: RunFolder) -> None:
    """Of a run that diverged: what it computes with from here on, noted in run.json."""
    if "diverged" in run.config:
        config = {name: value for name, value in run.config.items() if name != "diverged"}
        run_folder.write_config(run.path, config)
        trainer.note_change(RunFolder(run.path), {"precision": "fp32", "compiled": False})


def _computed_as(folder: RunFolder, plan: Plan) -> dict[str, Any]:
    """How the folder's run was told to compute, of all that is left to us now: it counts as this run."""
    standard, held = defaults(), folder.config.get("options", {})
    left = [name for name in MACHINE if getattr(plan.asked, name) == standard[name]]
    return {name: held[name] for name in left if held.get(name, standard[name]) != plan.identity[name]}


def _refuse_another(folder: RunFolder, plan: Plan) -> None:
    """RequestError where the folder holds another configuration than the plan's."""
    known = folder.config
    if known.get("hash") != plan.hash:
        own, theirs = plan.config(), known.get("options", {})
        changed = [name.upper() for name, value in own["options"].items() if theirs.get(name) != value]
        others = ("cache", "clips", "changed_strides")
        changed += [name for name in others if known.get(name) != own.get(name)]
        raise RequestError(
            f"{folder.path} holds another configuration (different: {', '.join(changed) or 'the weights'}) "
            "and is left as it is: give TAG=… for a folder of its own"
        )
    if folder.folds != plan.folds:
        raise RequestError(
            f"{folder.path / 'run.json'} is damaged: it has folds {folder.folds}, its clips have "
            f"{plan.folds}; remove the folder and train again"
        )


def summary(run: RunFolder) -> str:
    """Test loss, accuracy and F1 as mean ± sd over folds, the most frequent errors, the protocol.

    With validation of the last epoch and of the best one, which counts, side by side.
    """
    split, epochs = run.scored_split, scored_epochs(run)
    tables = [run.scores(split, selection) for selection in epochs]
    table = tables[0]
    rows = [
        (name, *(_mean_and_deviation(name, one[name].tolist()) for one in tables)) for name in SHOWN_SCORES
    ]
    described = f"mean ± sd, n = {len(table)}"
    header = [described] if len(epochs) == 1 else [f"{epoch}: {described}" for epoch in epochs.values()]
    probabilities, targets = run.answers(split=split, selection=list(epochs)[-1])
    counts = confusion_matrix(targets, probabilities.argmax(1), len(run.classes))
    errors = [
        f"{run.classes[true]} predicted as {run.classes[predicted]} "
        f"({counts[true, predicted]} of {counts[true].sum()})"
        for true, predicted in most_confused(counts)
    ]
    lines = [
        f"{run.path}: {len(table)} of {len(run.folds)} folds",
        text_table(rows, (split, *header)),
        *members_alone(run),
        f"most confused: {'; '.join(errors) or 'none'}",
        f"protocol: {run.config['protocol']}",
    ]
    return "\n".join([*lines, *(["the clips are synthetic"] if run.config["synthetic"] else [])])


def members_alone(run: RunFolder, fold: int | None = None) -> list[str]:
    """`accuracy: resnet18 alone 85.1, texture alone 91.6, together 93.0 %`; no line of a single network."""
    if not run.members:
        return []
    accuracies = [run.scores(run.scored_split, member=name)["accuracy"] for name in (*run.members, "")]
    *alone, together = [percent(folds.mean() if fold is None else folds[fold]) for folds in accuracies]
    said = ", ".join(f"{name} alone {accuracy}" for name, accuracy in zip(run.members, alone))
    return [f"accuracy: {said}, together {together} %"]


def scored_epochs(run: RunFolder) -> dict[str, str]:
    """The selections that a run's predictions have, each in words: the last one counts.

    {"last": "last epoch", "best": "best epoch by val_loss"}
    """
    best = {"best": f"best epoch by {run.config['select']}"} if run.selection() == "best" else {}
    return {"last": "last epoch", **best}


def _mean_and_deviation(name: str, values: list[float]) -> str:
    if name == "accuracy":
        return mean_percent(values)
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{deviation}"


def _fold_outcome(plan: Plan, fold: int) -> Any:
    """Print a finished fold's scores; what the trackers are told of it."""
    run = RunFolder(plan.path)
    split = run.scored_split
    scores = run.scores(split).loc[fold].to_dict()
    epochs = scored_epochs(run)
    for selection, epoch in epochs.items():
        probabilities, targets = run.answers(fold, split, selection)
        found = epoch_scores(targets, probabilities)
        texts = {name: f"{found[name]:.3f}" for name in SHOWN_SCORES}
        texts["accuracy"] = f"{percent(found['accuracy'])} %"
        shown = ", ".join(f"{split} {name} {text}" for name, text in texts.items())
        tell(f"{plan.path.name} fold {fold}: {f'{epoch}: ' * (len(epochs) > 1)}{shown}")
    for line in members_alone(run, fold):
        tell(f"{plan.path.name} fold {fold}: {line}")
    if not plan.options.tracker:
        return None
    from train.trackers import Outcome

    probabilities, targets = run.answers(fold, split)
    named = {f"{split}_{name}": value for name, value in scores.items()}
    return Outcome(run.classes, targets, probabilities.argmax(1), named)


def _update(run: RunFolder, options: RunOptions) -> None:
    """Bring run.json's seconds of training and its note up to date."""
    seconds = float(sum(run.history(one)["seconds"].sum() for one in run.folds))
    known = {"seconds": seconds, "model_summary": resolve(run.config["model"]).summary}
    config = run.config | known | ({"note": options.note} if options.note else {})
    if "calibration" in config and not options.skip_test:  # runs of before have none, and stay as they are
        config["calibration"] = calibration(run)
    if config != run.config:
        run_folder.write_config(run.path, config)


def calibration(run: RunFolder) -> dict[str, Any]:
    """For run.json: temperatures by selection, fitted to the test clips of the finished folds.

    `temperature`, of all of them together, is for new audio, `by_fold` for each fold by the others.
    """
    table = run.predictions()
    table = table[table["split"] == "test"]
    made = {}
    for selection, rows in table.groupby("selection"):
        target = rows["target"].map({name: number for number, name in enumerate(run.classes)}).to_numpy()
        probabilities = rows[run.classes].to_numpy(dtype=np.float64)
        by_fold = cross_fitted_temperatures(target, probabilities, rows["fold"].to_numpy())
        made[str(selection)] = {
            "temperature": fit_temperature(target, probabilities),
            "by_fold": {str(fold): temperature for fold, temperature in by_fold.items()},
            "clips": len(rows),
        }
    return made
