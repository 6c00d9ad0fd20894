"""One run: train its folds and print the scores.

A fold that has a predictions.csv is finished. The trainer, which needs torch, is
imported only if a fold is left to train. A folder that holds another run than the one
that is planned is refused.
"""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.next_step import predict_by
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, is_or_are, percent
from featurestack.commandline.terminal import tell
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import cache_folder, is_cache
from featurestack.features_cache.table import originals, source_changes
from featurestack.results.config import digest
from featurestack.results.run_folder import RunFolder, configuration_score
from featurestack.results.training_data import readable_again
from featurestack.scores.bootstrap import FEWEST_RECORDINGS
from featurestack.train import run_json
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, make_plan

if TYPE_CHECKING:
    from featurestack.train.trainer import Bar

DIGITS = 4  # of the data's digest, in the name of a run beside one of other data
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


def execute(
    options: RunOptions,
    composed_from: int = 0,
    tested_before: Collection[str] | None = None,
) -> RunFolder:
    """Train the wanted folds that are not finished, as `planned`."""
    plan = planned(options, composed_from, tested_before)
    if not waiting(plan):
        tell(f"{plan.path} has these folds already")
    return train_plan(options, plan)


def planned(
    options: RunOptions,
    composed_from: int = 0,
    tested_before: Collection[str] | None = None,
) -> Plan:
    """The plan of a run with its folder; `composed_from` and `tested_before` as in
    `Plan`, by default the features that are tested alone now.
    """
    plan = make_plan(options)
    if tested_before is None:
        tested_before = run_json.finished_alone(plan.path.parent, plan.training.task)
    alone = frozenset(tested_before)
    return placed(replace(plan, composed_from=composed_from, tested_before=alone))


def waiting(plan: Plan) -> list[int]:
    """The wanted folds that are not finished."""
    finished = RunFolder(plan.path).finished if plan.begun else []
    return [fold for fold in plan.wanted_folds if fold not in finished]


def train_plan(options: RunOptions, plan: Plan, bar: "Bar | None" = None) -> RunFolder:
    """Train the folds that wait; `bar` is that of several runs."""
    if folds := waiting(plan):
        from featurestack.train.folds import train_on_devices

        train_on_devices(options, plan, folds, bar)
    if first_process():
        run_json.finish(plan.path, plan.cache, options.note)
    return RunFolder(plan.path)  # a RunFolder keeps the run.json that it read


# ---- another run in the folder


def placed(plan: Plan) -> Plan:
    """The plan with the folder of its run: the one that has begun, else a new one.

    If a run of other data has the plain name, the new name ends in digits of the data's
    digest, and a line says so. RequestError for another configuration.
    """
    digits = digest(plan.data)[:DIGITS]
    number = 0
    place = plan.path
    free: Path | None = None
    taken = []
    while place.exists() or number < 2:
        if not (place / "run.json").exists():
            free = free or place
        elif is_run_of(place, plan):
            return replace(plan, path=place)
        else:
            taken.append(place.name)
        number += 1
        ending = digits if number == 1 else f"{digits}-{number}"
        place = plan.path.with_name(f"{plan.path.name}-{ending}")
    free = free or place
    if free != plan.path:
        tell(
            f"{' and '.join(taken)} {is_or_are(len(taken))} of other clips, labels,"
            f" folds or values, or cannot be read: this run is {free.name}"
        )
    return replace(plan, path=free)


def is_run_of(place: Path, plan: Plan) -> bool:
    """Whether the folder has the run of a plan; False for one of other data, or if it
    cannot be read. RequestError for another configuration.
    """
    folder = RunFolder(place)
    try:
        _ = folder.config
    except RequestError:
        return False
    known = folder.training
    if known.hash == plan.hash:
        return not readable_again(known, plan.cache)
    theirs = vars(known.options)
    own = vars(plan.training).items()
    changed = [name.upper() for name, value in own if theirs.get(name) != value]
    if not changed and known.data != plan.data:
        return False
    if not changed:
        weights = plan.training.pretrained
        changed = ["the content of WEIGHTS" if weights else "the program's version"]
    raise RequestError(
        f"{folder.path} holds another configuration (different:"
        f" {', '.join(changed)}) and is left as it is: give TAG=… for a folder of"
        " its own"
    )
