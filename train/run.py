"""`make train`: train the folds of one run folder and print the scores.

A fold that has a predictions.csv is finished. The trainer, which needs torch, is
imported only if a fold is left to train. A folder that holds another run than the one
that is planned is refused.

With RETRAIN=1 a run of clips that have changed is trained again in its place. The new
run is trained in a hidden folder beside the old one, `.<run>.retraining`. When it is
finished, the old run becomes `.<run>.replaced`, the new one takes its name, and the old
one is deleted. Neither is lost if the process is killed at any moment.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.next_step import predict_by
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, percent
from featurestack.commandline.terminal import tell
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import cache_folder, is_cache
from featurestack.features_cache.table import originals, source_changes
from featurestack.results.folders import (
    RETRAINED,
    RETRAINING,
    finish_switch,
    hidden,
    locked,
    settle,
)
from featurestack.results.run_folder import RunFolder, configuration_score
from featurestack.results.training_data import readable_again
from featurestack.scores.bootstrap import FEWEST_RECORDINGS
from featurestack.train import run_json
from featurestack.train.options import RunOptions
from featurestack.train.plan import NAMED_CLIPS, Plan, make_plan

OPTIONS_OF_ANALYSIS = ("dataset", "name", "data", "runs")


def train_folds(options: RunOptions) -> int:
    """Train or continue the run of these options, and print its summary; returns 0."""
    tell_dataset_state(options)
    folder = execute(options)
    if first_process():
        print(run_summary(folder))
        print(next_steps(options, folder))
    return 0


def run_summary(run: RunFolder) -> str:
    """The score of all clips together, the worst errors, the protocol."""
    score = configuration_score([run])
    spread = ""
    if len(score.by_fold) > 1:
        spread = f", SD over folds {percent(score.by_fold.std())}"
    lines = [
        (
            f"{run.path}: {len(run.finished)} of {len(run.folds)} folds; test"
            f" {run.task.metric.title} {score}{spread}"
        ),
        *run.task.error_lines(run),
        f"protocol: {run.config.protocol}",
    ]
    if run.config.synthetic:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def next_steps(options: RunOptions, folder: RunFolder) -> str:
    """The commands to type next: the report's, of events the detection's too."""
    given = option_words(options, OPTIONS_OF_ANALYSIS)
    lines = [f"next: {make_command('analysis', *given)}"]
    if folder.task.stages.instead:
        run = f"{folder.path.parent.name}/{folder.name}"
        detection = predict_by(given, run, "FOLDER")
        lines.append(
            f"then: {detection}   (detections in recordings; TABLES=FOLDER scores them)"
        )
    return "\n".join(lines)


def first_process() -> bool:
    """Whether this is the only process that trains the run, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def tell_dataset_state(options: RunOptions) -> None:
    """Tell how the dataset's files have changed since extraction, and if the recordings
    that are tested are too few to show a difference between runs.
    """
    if not is_cache(cache_folder(options.dataset, options.data, options.name)):
        return  # training says what to type
    cache = cache_of(options.dataset, options.data, options.name)
    if changes := source_changes(cache.sources, cache.source):
        remedy = cache.origin.remedy(" ".join(cache.named(options.features)))
        tell(
            f"the dataset has changed since its features were extracted ({changes}):"
            f" {remedy}"
        )
    clips = originals(cache.clips)
    tested = clips[clips["fold"].isin(cache.tested_folds(clips))]["group"].nunique()
    if tested < FEWEST_RECORDINGS:
        recordings = counted(tested, cache.groups or "source recording")
        tell(
            f"{recordings} can show no difference between runs, however large: a"
            f" verdict needs {FEWEST_RECORDINGS}"
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
        from featurestack.train.folds import train_on_devices

        in_place = plan.path != path
        train_on_devices(options, plan, waiting, in_place=in_place)
    else:
        tell(f"{folder.path} has these folds already")
    if first_process():
        run_json.finish(plan.path, plan.cache, options.note)
        folder = RunFolder(plan.path)  # a RunFolder keeps the run.json that it read
        if plan.path != path and folder.finished == folder.folds:
            take_place(plan.path, path)
    return RunFolder(plan.path if plan.path.exists() else path)


# ---- another run in the folder


class StaleRun(RequestError):
    """RETRAIN=1 helps: clips or feature values differ now, or run.json is damaged."""


def refuse_another(folder: RunFolder, plan: Plan) -> None:
    """RequestError for another configuration; StaleRun for other data or damage."""
    if not (folder.path / "run.json").exists():
        return
    try:
        known = folder.config
    except RequestError as damage:
        raise StaleRun(str(damage)) from None
    known = folder.training
    if known.hash != plan.hash:
        theirs = vars(known.options)
        own = vars(plan.training).items()
        changed = [name.upper() for name, value in own if theirs.get(name) != value]
        now = plan.content
        data = [name for name, value in known.data.items() if now.get(name) != value]
        if data and not changed:
            raise StaleRun(
                f"{folder.name} {stale_data(folder, plan, data)}: RETRAIN=1 trains it"
                " again in its place"
            )
        changed += data
        if not changed:
            weights = plan.training.pretrained
            changed = ["the content of WEIGHTS" if weights else "the program's version"]
        raise RequestError(
            f"{folder.path} holds another configuration (different:"
            f" {', '.join(changed)}) and is left as it is: give TAG=… for a folder of"
            " its own"
        )
    if clips := readable_again(known, plan.cache):
        raise StaleRun(
            f"{folder.name} was trained without {counted(len(clips), 'clip')}"
            f" ({', '.join(clips[:NAMED_CLIPS])}) that can be read now: RETRAIN=1"
            " trains it again in its place"
        )


def stale_data(folder: RunFolder, plan: Plan, changed: Sequence[str]) -> str:
    """The difference between a run's data and the plan's, in words."""
    if not {"cache", "clips"} & {*changed}:
        return f"was trained on other {' and '.join(changed)} than there are now"
    now = len(originals(plan.table))
    with suppress(RequestError):  # no fold is finished, or a file is damaged
        before = folder.predictions().query("split == 'test'")["clip_id"].nunique()
        if folder.finished == folder.folds and before != now:
            return f"was trained on {counted(before, 'clip')}, there are {now:,} now"
    return "was trained on other clips or feature values than there are now"


def retrained(plan: Plan) -> Plan:
    """The plan, moved to the retraining folder next to its run. A retraining that was
    begun for the same clips and values continues; another is deleted.
    """
    path = hidden(plan.path, RETRAINING)
    plan = replace(plan, path=path)
    try:
        refuse_another(RunFolder(path), plan)
    except RequestError:  # begun for other clips or values, or damaged
        with locked(path):
            shutil.rmtree(path)
    return plan


def take_place(new: Path, old: Path) -> None:
    """Replace an old run by a finished one. A kill between the two renames leaves both
    under their other names: `results.folders.finish_switch` goes on.
    """
    last = hidden(old, RETRAINED)
    with locked(old):
        old.rename(last)
        new.rename(old)
        settle(last, old)
