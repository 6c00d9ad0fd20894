"""`make train`: train a run for every combination of the given values, except finished
runs.

A fold that has a predictions.csv is finished. The trainer, which needs torch, is
imported only if a fold is left to train. A run is its hash: a folder with another hash
is left as it is.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from featurestack.base.errors import Error, RequestError
from featurestack.base.files import Lock
from featurestack.base.options import report_line
from featurestack.base.own_files import OwnFiles, Taken
from featurestack.base.quantities import counted, is_or_are, percent
from featurestack.base.terminal import Bar, progress, tell, text_table, warn
from featurestack.comparison.scores import every_score
from featurestack.comparison.significance import few_groups
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.feature_names import parse_list
from featurestack.features_cache.source_changes import copies, source_changes
from featurestack.results import run_folder
from featurestack.results.calibration import calibrate
from featurestack.results.same_run import readable_again
from featurestack.train.models import choose_model, resolve
from featurestack.train.network_input import describe_channel, find_features
from featurestack.train.options import RunOptions, TrainOptions
from featurestack.train.plan import Plan, make_plan, training_command, validate

NAME_DIGITS = 4  # of a run's hash, added to its name if another run has the name


# ---- the command


def train(options: TrainOptions) -> int:
    """Train the runs, print one's summary or a table, and return the exit status."""
    jobs = product(options)
    done, failures = train_all(jobs)
    for name, error in failures.items():
        if len(jobs) == 1:
            raise error
        kind = "" if isinstance(error, Error) else f"{type(error).__name__}: "
        tell(f"failed: {name}: {kind}{error}")
    if done and first_process():
        print(run_summary(done[0]) if len(jobs) == 1 else table(done))
        if failures:
            print(
                f"{len(failures)} of {counted(len(jobs), 'run')} are missing:"
                f" {'; '.join(failures)}"
            )
        print(report_line(jobs[0]))
    return int(bool(failures))


def fit(options: TrainOptions) -> run_folder.RunFolder | list[run_folder.RunFolder]:
    """Train one configuration and return its run, or several and return theirs, in a
    list even if only one can be trained; the first error is raised once the others are
    trained.
    """
    jobs = product(options)
    done = finished_runs(jobs)
    several = len(jobs) > 1 or len(options.runs()) > 1
    return done if several else done[0]


def execute(options: RunOptions) -> run_folder.RunFolder:
    """Train the run of these options and return it."""
    return finished_runs([options])[0]


def finished_runs(jobs: Sequence[RunOptions]) -> list[run_folder.RunFolder]:
    """Train and return the runs; the first error is raised once the others are done."""
    done, failures = train_all(jobs)
    for error in failures.values():
        raise error
    return done


def product(options: TrainOptions) -> list[RunOptions]:
    """The options of every run, with only one seed for an exact solution whose folds
    are given: its predictions do not depend on it. RequestError if no run is possible.

    Messages say whether the tested recordings are too few to show a difference between
    runs, and how the dataset's files have changed since extraction.
    """
    asked = options.runs()
    for job in asked:
        validate(job)
    first = asked[0]
    cache = cache_of(first.dataset, first.data, first.name, first.features)
    kept: dict[RunOptions, RunOptions] = {}
    for job in asked:
        seeded = resolve(job.model).kind.in_steps or job.val != "none"
        seeded |= cache.folds_drawn
        kept.setdefault(job if seeded else replace(job, seed=0), job)
    if len(kept) < len(asked):
        tell(
            "an exact solution on given folds does not depend on the seed: one seed is"
            " trained"
        )
    channels = {}
    for parts in parse_list(first.features, cache.features):
        features = "+".join(map(str, parts))
        # one feature that the cache lacks refuses all runs
        stored = find_features(cache, features)
        channels[features] = [describe_channel(cache, feature) for feature in stored]
    jobs = []
    skipped: dict[str, RequestError] = {}
    for job in kept.values():
        for features in channels:
            try:
                choose_model(job.model, channels[features])
                jobs.append(replace(job, features=features))
            except RequestError as refusal:
                skipped[f"{features} with {job.model}"] = refusal
    if not jobs:
        reason = next(iter(skipped.values()))
        if len(skipped) == 1:
            raise reason
        models = " ".join(dict.fromkeys(job.model for job in kept.values()))
        none = f"MODEL={models} can take none of FEATURES={first.features}"
        raise RequestError(f"{none}: {reason}")
    for name, reason in skipped.items():
        tell(f"skipped: {name}: {reason}")
    clips = originals(cache.clips)
    folds = cache.tested_folds(clips)
    tested = clips[clips["fold"].isin(folds)]["group"].nunique()
    if few := few_groups(tested, cache.groups or "source recording"):
        tell(few)
    if copied := copies(cache.sources):
        warn(copied)
    if changes := source_changes(cache.sources, cache.settings, cache.folds_csv):
        named = cache.named(" ".join(dict.fromkeys(job.features for job in jobs)))
        warn(
            f"the dataset has changed since its features were extracted ({changes}):"
            f" {cache.remedy(' '.join(named))}"
        )
    return jobs


def train_all(
    jobs: Sequence[RunOptions],
) -> tuple[list[run_folder.RunFolder], dict[str, Exception]]:
    """Train the runs under one progress bar; return the finished ones, and the errors
    of the others by name.
    """
    done = []
    failures: dict[str, Exception] = {}
    plans: dict[str, Plan] = {}
    for job in jobs:
        name = " ".join([*training_command(job), f"SEED={job.seed}"])
        try:
            plans[name] = choose_folder(make_plan(job))
        except Exception as error:  # any error: the other runs go on
            failures[name] = error
    if first_process():
        for line in dict.fromkeys(
            line for plan in plans.values() for line in plan.messages
        ):
            tell(line)
    left = {name: unfinished_folds(plan) for name, plan in plans.items()}
    if finished := sum(not folds for folds in left.values()):
        are = is_or_are(finished)
        tell(f"{finished} of {counted(len(jobs), 'run')} {are} already finished")
    total = sum(plan.steps(left[name]) for name, plan in plans.items())
    label = counted(len(plans) - finished, "run")
    with progress(total=total, label=label, unit="clips") as bar:
        for name, plan in plans.items():
            try:
                done.append(train_plan(plan, bar))
            except Exception as error:  # as above
                failures[name] = error
    return done, failures


# ---- what it prints


def run_summary(run: run_folder.RunFolder) -> str:
    """The score over all clips and the protocol, in words."""
    predictions = run_folder.tested_run([run])
    by_fold, _ = every_score(predictions)
    spread = ""
    if len(by_fold) > 1:
        deviation = by_fold[predictions.metric.name].std()
        spread = f", SD over folds {percent(deviation)}"
    lines = [
        f"{run!r}{spread}",
        f"protocol: {run.config.protocol}",
    ]
    if spread and predictions.metric.multilabel:
        title = predictions.metric.title
        lines.append(f"one fold's own {title} is too high for rare classes")
    if run.config.synthetic:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def table(done: Sequence[run_folder.RunFolder]) -> str:
    """Scores with intervals, a row for all seeds of a configuration, best first."""
    families: dict[str, list[run_folder.RunFolder]] = {}
    for folder in done:
        families.setdefault(folder.config.family, []).append(folder)
    rows = []
    titles = set()
    for seeds in families.values():
        predictions = run_folder.tested_run(seeds)
        score = predictions.score
        titles.add(predictions.metric.title)
        by_fold = every_score(predictions)[0][predictions.metric.name]
        deviation = percent(by_fold.std()) if len(by_fold) > 1 else "-"
        cells = percent(score.value), score.interval or "-", deviation, len(seeds)
        rows.append((score.value, seeds[0].name, *cells))
    rows.sort(key=itemgetter(0), reverse=True)
    title = f"test {titles.pop() if len(titles) == 1 else 'score'} %"
    header = "run", title, "95 % CI", "SD over folds", "seeds"
    text = text_table([cells for _, *cells in rows], header)
    if len(rows) > 1:
        text += (
            f"\nNote: the best of {len(rows)} was chosen on test data, so its score"
            " is optimistic"
        )
    return text


def first_process() -> bool:
    """Whether this process says what concerns all that train the run, and ends its
    record: not the later ones of torchrun.
    """
    return os.environ.get("RANK", "0") == "0"


# ---- one run


def unfinished_folds(plan: Plan) -> list[int]:
    """The folds of FOLDS that are not yet finished."""
    finished = run_folder.RunFolder(plan.path).finished if plan.begun else []
    folds = plan.options.folds or plan.config.folds
    return [fold for fold in folds if fold not in finished]


def train_plan(plan: Plan, bar: Bar) -> run_folder.RunFolder:
    """Train the unfinished folds; `bar` counts the clips of all epochs."""
    if folds := unfinished_folds(plan):
        from featurestack.train.folds import train_run

        try:
            train_run(plan, folds, bar)
        except Taken:  # by a run that began meanwhile
            return train_plan(choose_folder(plan), bar)
    if first_process():
        finish_record(plan.path, plan.options.note)
    return run_folder.RunFolder(plan.path)  # read now: it keeps its run.json


def finish_record(run: Path, note: str) -> None:
    """Update seconds and note in run.json and, after new tests, the calibration."""
    folder = run_folder.RunFolder(run)
    before = folder.config
    if training_seconds(folder) == before.seconds and note in ("", before.note):
        return  # the folder may be read-only
    with Lock(run / run_folder.RECORD_LOCK):
        folder = run_folder.RunFolder(run)
        before = folder.config
        seconds = training_seconds(folder)
        config = replace(before, seconds=seconds, note=note or before.note)
        if seconds != before.seconds:
            config = replace(config, calibration=calibrate(folder))
        if config != before:
            run_folder.write_config(run, config)


def training_seconds(folder: run_folder.RunFolder) -> float:
    """Seconds of the finished folds, which show new tests."""
    finished = map(folder.history, folder.finished)
    return float(sum(history["seconds"].sum() for history in finished))


def choose_folder(plan: Plan) -> Plan:
    """The plan with the folder of its run: its name or, if that is another run's, the
    name with digits of the hash. A message says so.
    """
    name, hash_ = plan.path.name, plan.config.hash
    named, beside = map(plan.path.with_name, (name, f"{name}-{hash_[:NAME_DIGITS]}"))
    for place in (named, beside):
        with suppress(RequestError):  # it cannot be read
            config = run_folder.RunFolder(place).config
            if config.hash == hash_ and not readable_again(config, plan.cache):
                return replace(plan, path=place)
    free = [
        place
        for place in (named, beside)
        if not (place / "run.json").exists()
        # and no other process begins a run there
        and OwnFiles(place).identity in ("", hash_)
    ]
    if not free:
        raise RequestError(f"{named} and {beside} are other runs: give TAG=…")
    if free[0] == beside:
        tell(
            f"{name} is a run of other clips, labels, folds, values, weights or model"
            f" code, or cannot be read: this run is saved as {beside.name}"
        )
    return replace(plan, path=free[0])
