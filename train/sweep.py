"""Several runs: every combination of the values given. What is finished is skipped, failures are listed.

SEARCH=greedy adds one feature at a time, as long as the validation groups say that it helps, for each test
fold by itself: its validation groups are held out of its own training clips. A candidate is a run with
VAL=group and SKIP_TEST=1 in runs/search, which no report reads: its test fold is never scored. What a fold
chose is then trained as an ordinary run of that fold and tested once: the mean over the folds is a nested
score.
"""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pandas as pd

from commandline.errors import Failed, RequestError
from commandline.options import make_command, words
from commandline.terminal import duration, mean_percent, percent, tell, tell_once, text_table
from features_cache import Cache, parse_list
from features_cache.cache import open_cache
from results.bootstrap import accuracy_interval, fold_weights
from results.run_folder import RunFolder
from train import run
from train.identity import training_command
from train.models.architecture import resolve
from train.options import SWEPT, RunOptions, SweepOptions
from train.plan import choose_model, find_channels, make_plan

MANY = 100  # runs, above which YES=1 is wanted
SEARCH_FOLDER = "search"  # below RUNS


def run_sweep(options: SweepOptions) -> int:
    """Train every run of the product, then a table; the exit status."""
    jobs = product(options)
    if not jobs:
        raise RequestError(f"MODEL={options.model} can take none of FEATURES={options.features}")
    if len(jobs) > MANY and not options.yes:
        raise RequestError(f"{len(jobs)} runs: give YES=1, or fewer FEATURES")
    done, failures = train_all(jobs)
    if done and run.first_process():
        print(table(done))
        print(f"next: {make_command('analysis', *words(options, run.OPTIONS_OF_ANALYSIS))}")
    for failure in failures:
        tell(failure)
    return 1 if failures else 0


def product(options: SweepOptions) -> list[RunOptions]:
    """One RunOptions a run."""
    cache = open_cache(options)
    return [
        replace(job, features=features)
        for job in options.runs_of_product()
        for features in feature_sets(job, cache, options.max)
    ]


def feature_sets(options: RunOptions, cache: Cache, most: int) -> list[str]:
    """The named sets and the unions of up to `most` of them; skipped is what the model cannot take."""
    resolve(options.model)  # a name of no model ends the sweep before its first run
    named = parse_list(options.features, cache.features)
    for channels in named:  # so does a name that the cache lacks
        find_channels(cache, replace(options, features="+".join(map(str, channels))))
    fitting: dict[str, None] = {}
    for sets in (sets for size in range(most) for sets in itertools.combinations(named, size + 1)):
        channels = tuple(itertools.chain(*sets))
        text = "+".join(map(str, channels))
        try:
            choose_model(options.model, cache, channels)
            fitting[text] = None
        except RequestError as reason:
            tell_once(f"skipped: {text} with {options.model}: {reason}")
    return list(fitting)


def train_all(jobs: Sequence[RunOptions]) -> tuple[list[RunFolder], list[str]]:
    """The run folders that are finished now, and of the runs that failed which and why."""
    done = []
    failures = []
    started = time.monotonic()
    for number, job in enumerate(jobs):
        name = " ".join([*training_command(job), f"SEED={job.seed}"])
        left = (time.monotonic() - started) / number * (len(jobs) - number) if number else 0.0
        about = f" (about {duration(left)} for the rest)" if left > 1 else ""
        tell(f"run {number + 1} of {len(jobs)}: {name}{about}")
        try:
            done.append(run.execute(job))
        except Exception as error:  # whatever it is, the other runs must not suffer from it
            expected = isinstance(error, RequestError | Failed)
            failures.append(f"failed: {name}: {'' if expected else f'{type(error).__name__}: '}{error}")
    return done, failures


def table(done: Sequence[RunFolder]) -> str:
    """One row a configuration, seeds averaged, best first by accuracy, with its interval.

    The accuracy is on test clips, or on those of validation if the test folds are never scored.
    """
    families: dict[str, list[RunFolder]] = {}
    for folder in done:
        families.setdefault(folder.family, []).append(folder)
    rows = []
    for seeds in families.values():
        parts = [folder.scored(split=folder.scored_split) for folder in seeds]
        clips = pd.concat(parts, ignore_index=True)
        correct = clips[seeds[0].classes].idxmax(axis=1) == clips["target"]
        groups = clips["group"].where(clips["group"] != "", clips["clip_id"])
        each = correct.groupby([clips["fold"], groups, clips["clip_id"]]).mean()  # over the seeds
        by_fold = each.groupby("fold").mean().tolist()
        ((low, high),) = accuracy_interval(
            each.to_numpy()[:, None],
            each.index.get_level_values("group").to_numpy(dtype=str),
            fold_weights(each.index.get_level_values("fold").to_numpy()),
        )
        accuracy = mean_percent(by_fold).removesuffix(" %")
        interval = "-" if np.isnan(low) else f"{percent(low)} to {percent(high)}"
        counted = 1 if seeds[0].exact else len(seeds)
        rows.append((np.mean(by_fold), (seeds[0].name, accuracy, interval, counted)))
    rows.sort(key=itemgetter(0), reverse=True)
    split = "validation" if all(folder.scored_split == "val" for folder in done) else "test"
    header = ("run", f"{split} accuracy %", "95 % CI", "seeds")
    text = text_table([cells for _, cells in rows], header)
    if len(rows) > 1:
        text += f"\nNote: the best of {len(rows)} was chosen on {split} data, so its score is optimistic"
    return text


def greedy_search(options: SweepOptions) -> int:
    """Each fold chooses features for itself, and what it chose is tested on it once: nested selection."""
    runs = list(options.runs_of_product())
    first = runs[0]
    for name in SWEPT:
        if name != "seed" and any(getattr(job, name) != getattr(first, name) for job in runs):
            raise RequestError(f"SEARCH=greedy compares features: give one {name.upper()}")
    named = feature_sets(first, open_cache(first), 1)
    if not named:
        raise RequestError(f"{first.model} can take none of FEATURES={first.features}")
    val = first.val if first.val != "none" else "group"
    place = first.runs / SEARCH_FOLDER
    searched = [replace(job, val=val, skip_test=True, runs=place, note="") for job in runs]
    # every fold begins with the same candidates: a run trains them for all of its folds at once
    train_all([replace(job, features=features) for features in named for job in searched])
    selection = "last" if first.val == "none" else "auto"  # the epoch that will count in testing
    chosen = {
        fold: choose_features(fold, searched, named, options.max, selection)
        for fold in make_plan(replace(first, features=named[0])).wanted_folds
    }
    if not all(chosen.values()):
        raise RequestError("no candidate could be trained: see above")
    tell("chosen for each fold on validation groups of its own training clips; now each is tested once")
    accuracies = []
    for fold, features in chosen.items():
        folder = run.execute(replace(first, features=features, folds=(fold,)))
        accuracies.append(folder.scores().loc[fold, "accuracy"])
    if run.first_process():
        rows = [(*pair, f"{percent(accuracy)} %") for pair, accuracy in zip(chosen.items(), accuracies)]
        print(text_table(rows, ("fold", "chosen without its clips", "accuracy")))
        print(f"nested selection: {mean_percent(accuracies)}, n = {len(rows)} folds, each by its set")
    return 0


def choose_features(
    fold: int, searched: Sequence[RunOptions], named: Sequence[str], rounds: int, selection: str
) -> str:
    """What up to `rounds` rounds choose for one test fold; empty if no candidate could be trained.

    Each round tries every named set beside those chosen so far, with every seed. The best counts by the mean
    of SELECT on validation groups among the fold's own training clips, so that no clip takes part in a choice
    that it then tests. A round that gains nothing is the last.

    searched  the runs to try candidates with, one a seed, which never score their test folds
    """
    select = searched[0].select
    metric = select.removeprefix("val_")
    sign = -1 if metric == "loss" else 1
    chosen, reached = "", -math.inf
    for _ in range(rounds):
        scores = {}
        for added in named:
            if set(added.split("+")) & set(chosen.split("+")):
                continue
            candidate = f"{chosen}+{added}" if chosen else added
            jobs = [replace(job, features=candidate, folds=(fold,)) for job in searched]
            done, failures = train_all(jobs)
            for failure in failures:
                tell(failure)
            if not failures:
                each = [folder.scores("val", selection).loc[fold, metric] for folder in done]
                scores[candidate] = sign * float(np.mean(each))
        best = max(scores, key=scores.__getitem__, default="")
        if not best or scores[best] <= reached:
            break
        chosen = best
        reached = scores[best]
        tell(f"fold {fold}: the best is {best}, {select} {abs(reached):.4f} over {len(searched)} seeds")
    return chosen
