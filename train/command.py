"""`make train`: every combination of the given values, one run each, but finished
ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

from featurestack.commandline.errors import Failed, RequestError
from featurestack.commandline.quantities import counted, is_or_are, percent
from featurestack.commandline.terminal import progress, tell, tell_once, text_table
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.names import dataset_name, parse_list
from featurestack.results.run_folder import RunFolder, configuration_score
from featurestack.scores.metrics import by_unit
from featurestack.train import run
from featurestack.train.models import resolve
from featurestack.train.network_input import describe_channel
from featurestack.train.options import RunOptions, TrainOptions
from featurestack.train.plan import Plan, choose_model, find_features, validate
from featurestack.train.run_identity import training_command
from featurestack.train.run_json import finished_alone


def train(options: TrainOptions) -> int:
    """Train the runs of the options; print the summary of one, a table of several;
    returns the exit status.
    """
    jobs = product(options)
    if len(jobs) == 1:
        return run.train_folds(*jobs)
    run.tell_dataset_state(replace(jobs[0], features=options.runs()[0].features))
    done, failures = train_all(jobs)
    for name, error in failures.items():
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, RequestError | Failed):
            reason = str(error)
        elif isinstance(error, PermissionError):
            reason = (
                f"{error.filename} may not be written: RUNS= names a folder of your own"
            )
        tell(f"failed: {name}: {reason}")
    if done and run.first_process():
        print(table(done))
        if failures:
            print(
                f"{len(failures)} of {counted(len(jobs), 'run')} are missing:"
                f" {'; '.join(failures)}"
            )
        print(run.next_steps(jobs[0], done[-1]))
    return int(bool(failures))


def fit(options: TrainOptions) -> RunFolder | list[RunFolder]:
    """The run of one configuration, or the runs of several; the first error of these
    is raised after the others were trained.
    """
    jobs = product(options)
    run.tell_dataset_state(jobs[0])
    if len(jobs) == 1:
        return run.execute(jobs[0])
    done, failures = train_all(jobs)
    for error in failures.values():
        raise error
    return done


def product(options: TrainOptions) -> list[RunOptions]:
    """The options of every run, but one seed of an exact solution: others give the same
    predictions. RequestError if there is none.
    """
    asked = options.runs()
    for job in asked:
        validate(job)
    kept: dict[RunOptions, RunOptions] = {}
    for job in asked:
        exact = not resolve(job.model).kind.in_steps and job.val == "none"
        kept.setdefault(replace(job, seed=0) if exact else job, job)
    if len(kept) < len(asked):
        tell("an exact solution does not depend on the seed: one SEED is trained")
    runs = [*kept.values()]
    first = runs[0]
    cache = cache_of(first.dataset, first.data, first.name, first.features)
    sets = parse_list(first.features, cache.features)
    if len(runs) == len(sets) == 1:
        return [replace(first, features="+".join(map(str, sets[0])))]
    jobs = [
        replace(job, features=name) for job in runs for name in feature_sets(job, cache)
    ]
    if not jobs:
        models = " ".join(dict.fromkeys(job.model for job in runs))
        raise RequestError(f"MODEL={models} can take none of FEATURES={first.features}")
    return jobs


def feature_sets(options: RunOptions, cache: Cache) -> list[str]:
    """The named sets that the model can take."""
    named = parse_list(options.features, cache.features)
    for features in named:  # a feature that the cache lacks ends the others too
        find_features(cache, replace(options, features="+".join(map(str, features))))
    fitting: dict[str, None] = {}
    for features in named:
        text = "+".join(map(str, features))
        channels = [describe_channel(cache, feature) for feature in features]
        try:
            choose_model(options.model, channels)
            fitting[text] = None
        except RequestError as reason:
            tell_once(f"skipped: {text} with {options.model}: {reason}")
    return list(fitting)


def train_all(
    jobs: Sequence[RunOptions],
) -> tuple[list[RunFolder], dict[str, Exception]]:
    """Train the runs, with one bar for all; returns the finished ones and the others'
    errors.
    """
    done = []
    failures: dict[str, Exception] = {}
    plans: dict[str, tuple[RunOptions, Plan]] = {}
    first = jobs[0]
    # this command named all sets, before one of them was tested
    before = finished_alone(first.runs / dataset_name(first.dataset, first.name))
    for job in jobs:
        name = " ".join([*training_command(job), f"SEED={job.seed}"])
        try:
            plans[name] = job, run.planned(job, tested_before=before)
        except Exception as error:  # any error: the other runs go on
            failures[name] = error
    waiting = {name: run.waiting(plan) for name, (_, plan) in plans.items()}
    if finished := sum(not folds for folds in waiting.values()):
        are = is_or_are(finished)
        tell(f"{finished} of {counted(len(jobs), 'run')} {are} finished already")
    total = sum(plan.steps(waiting[name]) for name, (_, plan) in plans.items())
    label = counted(len(jobs) - finished - len(failures), "run")
    with progress(total=total, label=label, unit="clips") as bar:
        for name, (job, plan) in plans.items():
            try:
                done.append(run.train_plan(job, plan, bar))
            except Exception as error:
                failures[name] = error
    return done, failures


def table(done: Sequence[RunFolder]) -> str:
    """A table of scores with their intervals: a row for each configuration, all its
    seeds together, the best first.
    """
    families: dict[str, list[RunFolder]] = {}
    for folder in done:
        families.setdefault(folder.config.family, []).append(folder)
    rows = []
    for seeds in families.values():
        score = configuration_score(seeds)
        by_fold = score.by_fold
        deviation = percent(by_fold.std()) if len(by_fold) > 1 else "-"
        number = 1 if seeds[0].exact else len(seeds)
        cells = percent(score.mean), score.interval or "-", deviation, number
        rows.append((score.mean, seeds[0].name, *cells))
    rows.sort(key=itemgetter(0), reverse=True)
    title = f"test {done[0].task.metric.title} %"
    header = "run", title, "95 % CI", "SD over folds", "seeds"
    text = text_table([cells for _, *cells in rows], header)
    if score.unit == "block":
        text += f"\nNote: intervals are {by_unit(score.unit)}"
    if len(rows) > 1:
        text += (
            f"\nNote: the best of {len(rows)} was chosen on test data, so its score"
            " is optimistic"
        )
    return text
