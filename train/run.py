"""`python -m train run`: the run folder of these options, its folds trained, what was found.

Whether folds are finished is told from the options, the cache's index and run.json: torch is imported when
there is something to train.
"""

import os
from dataclasses import replace

from commandline.errors import RequestError
from commandline.options import words
from commandline.spelling import make_command
from commandline.terminal import tell
from results import run_folder
from results.config import to_json
from results.run_folder import RunFolder
from train import extras
from train.options import RunOptions
from train.plan import Plan, make_plan
from train.summary import calibration, summary

OPTIONS_OF_ANALYSIS = ("dataset", "name", "data", "runs")  # options of a run that analysis takes too


def run(options: RunOptions) -> None:
    """Train, or go on training, what the options say, and print what was found."""
    folder = execute(options)
    if first_process():
        print(summary(folder))
        print(f"next: {make_command('analysis', *words(options, OPTIONS_OF_ANALYSIS))}")


def first_process() -> bool:
    """Whether this process prints and writes what was found: of torchrun's the first, alone always."""
    return os.environ.get("RANK", "0") == "0"


def execute(options: RunOptions) -> RunFolder:
    """The run folder with the wanted folds finished.

    >>> execute(RunOptions(dataset="esc10", features="mel", model="cnn4", folds=(1,)))
    RunFolder(path=PosixPath('runs/esc10/mel-cnn4'))
    """
    plan = make_plan(options)
    folder = RunFolder(plan.path)
    waiting = plan.wanted_folds
    refuse_another(folder, plan)
    if (plan.path / "run.json").is_file():
        waiting = [fold for fold in waiting if fold not in folder.finished]
    if waiting:
        from train import trainer
        from train.compute import device_of

        # a linear model has an exact solution, which no device finds faster
        named = options.device if plan.model.kind.in_steps else "cpu"
        devices = list(map(device_of, named.split()))
        if plan.options.resident == "gpu" and "cpu" in devices:
            raise RequestError("RESIDENT=gpu needs DEVICE=cuda or mps: give RESIDENT=ram or stream")
        if len(devices) > 1:
            extras.load("torchrun").train_side_by_side(options, waiting)
        elif "WORLD_SIZE" in os.environ:
            extras.load("torchrun").train(plan, waiting, devices[0])
        else:
            trainer.train_run(plan, waiting, devices[0])
    else:
        tell(f"{folder.path} has these folds already")
    folder = RunFolder(plan.path)  # read anew
    if first_process():
        seconds = float(sum(folder.history(fold)["seconds"].sum() for fold in folder.folds))
        known = folder.training
        config = replace(known, seconds=seconds, note=options.note or known.note)
        if seconds != known.seconds and not options.skip_test:
            config = replace(config, calibration=calibration(folder))
        if config != known:
            run_folder.write_config(folder.path, config)
    return RunFolder(plan.path)


def refuse_another(folder: RunFolder, plan: Plan) -> None:
    """RequestError if the folder holds another configuration than the plan's."""
    if (folder.path / "run.json").is_file() and folder.training.hash != plan.identity.hash:
        known = folder.training
        theirs = to_json(known.options)
        own = to_json(plan.resolved_options)
        changed = [name.upper() for name, value in own.items() if theirs.get(name) != value]
        changed += ["cache"] * (known.cache != plan.identity.content["cache"])
        changed += ["clips"] * (known.clips != plan.identity.content["clips"])
        raise RequestError(
            f"{folder.path} holds another configuration (different: {', '.join(changed) or 'the weights'}) "
            "and is left as it is: give TAG=… for a folder of its own"
        )
