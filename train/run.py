"""`python -m train run`: train the folds of one run folder and print the scores.

A fold that has a predictions.csv is finished. The trainer, which needs torch, is
imported only if a fold is left to train.
"""

import os
from dataclasses import replace

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option_words
from featurestack.commandline.terminal import tell
from featurestack.features_cache.cache import open_cache
from featurestack.features_cache.inspect import source_changes
from featurestack.features_cache.location import cache_folder, is_cache
from featurestack.results.next_step import State, next_step, predict_by
from featurestack.results.run_folder import RunFolder, finish_switch
from featurestack.train import run_json
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.retraining import (
    StaleRun,
    refuse_another,
    retrained,
    take_place,
)
from featurestack.train.summary import run_summary

OPTIONS_OF_ANALYSIS = ("dataset", "name", "data", "runs")


def train_folds(options: RunOptions) -> int:
    """Train or continue the run of these options, and print its summary; returns 0."""
    tell_dataset_changes(options)
    folder = execute(options)
    if first_process():
        print(run_summary(folder))
        print(next_steps(options, folder))
    return 0


def next_steps(options: RunOptions, folder: RunFolder) -> str:
    """The commands to type next: the report's, of events the detection's too."""
    state = State(option_words(options, OPTIONS_OF_ANALYSIS), ran=True)
    command, _ = next_step(state)
    lines = [f"next: {command}"]
    if folder.task.predictor:
        run = f"{folder.path.parent.name}/{folder.name}"
        detection = predict_by(state, run, "FOLDER")
        lines.append(
            f"then: {detection}   (detections in recordings; TABLES=FOLDER scores them)"
        )
    return "\n".join(lines)


def first_process() -> bool:
    """Whether this is torchrun's first process, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def tell_dataset_changes(options: RunOptions) -> None:
    """Tell how the dataset's files have changed since extraction."""
    if not is_cache(cache_folder(options.dataset, options.data, options.name)):
        return  # training says what to type
    cache = open_cache(options.dataset, options.data, options.name)
    if changes := source_changes(cache):
        remedy = cache.remedy(" ".join(cache.named(options.features)))
        tell(
            f"the dataset has changed since its features were extracted ({changes}):"
            f" {remedy}"
        )


def execute(options: RunOptions, composed_from: int = 0) -> RunFolder:
    """Train the wanted folds that are not finished; `composed_from` as in `Plan`."""
    plan = replace(make_plan(options), composed_from=composed_from)
    path = plan.path
    finish_switch(path)
    try:
        refuse_another(RunFolder(path), plan)
    except StaleRun:
        if not options.retrain:
            raise
        plan = retrained(plan)
    folder = RunFolder(plan.path)
    waiting = plan.wanted_folds
    if plan.begun:
        waiting = [fold for fold in waiting if fold not in folder.finished]
    if waiting:
        from featurestack.train import trainer
        from featurestack.train.compute import device_of

        # scikit-learn fits a linear model, on the CPU
        named = options.device if plan.model.kind.in_steps else "cpu"
        devices = list(map(device_of, named.split()))
        if plan.execution.resident == "gpu" and "cpu" in devices:
            raise RequestError(
                "RESIDENT=gpu needs DEVICE=cuda or mps: give RESIDENT=ram or stream"
            )
        if len(devices) > 1:
            if plan.path != path:
                raise RequestError("RETRAIN=1 takes one device: give DEVICE=cuda:0")
            rooms.load("capabilities", "torchrun").train_side_by_side(options, waiting)
        elif "WORLD_SIZE" in os.environ:
            rooms.load("capabilities", "torchrun").train(plan, waiting, devices[0])
        else:
            trainer.train_run(plan, waiting, devices[0])
    else:
        tell(f"{folder.path} has these folds already")
    if first_process():
        tested = not options.skip_test
        run_json.finish(plan.path, plan.cache, options.note, tested)
        folder = RunFolder(plan.path)  # a RunFolder keeps the run.json that it read
        if plan.path != path and folder.finished == folder.folds:
            take_place(plan.path, path)
    return RunFolder(plan.path if plan.path.exists() else path)
