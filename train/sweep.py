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
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from commandline.options import make_command, words
from commandline.registry import RequestError
from commandline.terminal import duration, mean_percent, percent, tell, text_table
from features_cache import Cache, Channel, parse_list
from results.bootstrap import accuracy_interval, fold_weights
from results.run_folder import RunFolder
from train import Failed, run
from train.models.registry import resolve
from train.options import SWEPT, RunOptions, SweepOptions
from train.plan import choose_model, find_channels, make_plan, open_cache

MANY = 100  # runs, above which YES=1 is wanted
SEARCH_FOLDER = "search"  # below RUNS
LISTED = 5  # candidates of a round of the search

FeatureSet = tuple[Channel, ...]


def run_sweep(options: SweepOptions) -> int:
    """Train every run of the product, then a table; the exit status."""
    jobs = product(options)
    if len(jobs) > MANY and not options.yes:
        raise RequestError(f"{len(jobs)} runs: give YES=1, or fewer FEATURES")
    done, failures = train_all(jobs)
    if done:
        print(table(done))
        print(f"next: {make_command('analysis', *words(options, run.OPTIONS_OF_ANALYSIS))}")
    for failure in failures:
        tell(failure)
    return 1 if failures else 0


def product(options: SweepOptions) -> list[RunOptions]:
    """One RunOptions a run; a feature set that a model cannot take is skipped with a line."""
    cache, jobs = open_cache(options), []
    for job in options.runs_of_product():
        resolve(job.model)  # a name of no model ends the sweep
        for channels in feature_sets(job, cache, options.max):
            try:
                choose_model(job.model, cache, channels)
            except RequestError as reason:
                tell(f"skipped: {_text(channels)} with {job.model}: {reason}")
            else:
                jobs.append(replace(job, features=_text(channels)))
    return jobs


def feature_sets(options: RunOptions, cache: Cache, most: int) -> list[FeatureSet]:
    """The named sets, and the unions of up to `most` of them."""
    named = parse_list(options.features, cache.features)
    for channels in named:  # a name that the cache lacks stops the sweep before its first run
        find_channels(cache, replace(options, features=_text(channels)))
    unions = (
        tuple(itertools.chain(*sets))
        for count in range(1, most + 1)
        for sets in itertools.combinations(named, count)
    )
    return list(dict.fromkeys(unions))


def train_all(jobs: Sequence[RunOptions]) -> tuple[list[RunFolder], list[str]]:
    """The run folders that are finished now, and of the runs that failed which and why."""
    done: list[RunFolder] = []
    failures: list[str] = []
    varied = [name for name in SWEPT if len({getattr(job, name) for job in jobs}) > 1]
    others = [name for name in varied if name not in ("model", "seed")]
    started = time.monotonic()
    for number, job in enumerate(jobs):
        name = " ".join(
            [job.features, job.model, f"seed {job.seed}", *(words(job, others) if others else [])]
        )
        left = (time.monotonic() - started) / number * (len(jobs) - number) if number else 0.0
        about = f" (about {duration(left)} for the rest)" if left > 1 else ""
        tell(f"run {number + 1} of {len(jobs)}: {name}{about}")
        try:
            folder = run.execute(job)
        except (RequestError, Failed) as error:
            failures.append(f"failed: {name}: {error}")
        except Exception as error:  # the other runs must not suffer from a fault in one
            failures.append(f"failed: {name}: {type(error).__name__}: {error}")
        else:
            done += [folder] if folder is not None else []
    return done, failures


def table(done: Sequence[RunFolder]) -> str:
    """One row a configuration, seeds averaged, best first by accuracy, with its interval.

    The accuracy is on test clips, or on those of validation if the test folds are never scored.
    """
    families: dict[str, list[RunFolder]] = {}
    for folder in done:
        families.setdefault(folder.config["family"], []).append(folder)
    rows = sorted(map(_row, families.values()), key=lambda row: -row[0])
    alike = len({(features, model) for _, features, model, *_ in rows}) < len(rows)
    split = "validation" if all(folder.scored_split == "val" for folder in done) else "test"
    accuracy = "validation accuracy %" if split == "validation" else "accuracy %"
    header = ("Features", "Model", accuracy, "95 % CI", "seeds", *(["run"] if alike else []))
    text = text_table([row[1 : 1 + len(header)] for row in rows], header)
    if len(rows) > 1:
        text += f"\nNote: the best of {len(rows)} was chosen on {split} data, so its score is optimistic"
    return text


def _row(seeds: Sequence[RunFolder]) -> tuple[float, str, str, str, str, int, str]:
    """Accuracy, then the cells of the table; of the clips that every seed has tested."""
    parts = []
    for folder in seeds:
        rows = folder.scored(split=folder.scored_split)
        predicted = np.array(folder.classes)[rows[folder.classes].to_numpy().argmax(axis=1)]
        groups = rows["group"].where(rows["group"] != "", rows["clip_id"])
        correct = (predicted == rows["target"].to_numpy()).astype(float)
        parts.append(rows[["clip_id", "fold"]].assign(group=groups, correct=correct))
    tested = pd.concat(parts).groupby("clip_id", sort=True)
    tested = tested.agg(
        fold=("fold", "first"), group=("group", "first"), correct=("correct", "mean"), seeds=("fold", "size")
    )
    tested = tested[tested["seeds"] == len(seeds)]
    by_fold = tested.groupby("fold")["correct"].mean().tolist()
    ((low, high),) = accuracy_interval(
        tested[["correct"]].to_numpy(dtype=float),
        tested["group"].to_numpy(dtype=str),
        fold_weights(tested["fold"].to_numpy()),
        np.random.default_rng(0),
    )
    interval = "-" if np.isnan(low) else f"{percent(low)} to {percent(high)}"
    accuracy = mean_percent(by_fold).removesuffix(" %")
    first = seeds[0]
    named = first.config["features"], first.config["model"]
    counted = 1 if first.exact else len(seeds)
    return float(np.mean(by_fold)), *named, accuracy, interval, counted, first.name


@dataclass
class FoldSearch:
    """What the search has chosen for one test fold, by clips of the other folds alone."""

    fold: int
    chosen: FeatureSet = ()
    score: float = -math.inf
    ended: bool = False


def greedy_search(options: SweepOptions) -> int:
    """Up to MAX rounds; each tries every named feature beside those chosen so far, with every SEED.

    Each fold chooses for itself, by validation groups among its own training clips, so that no clip takes
    part in a choice that it then tests: nested selection. What a fold chose is tested on that fold once.
    """
    runs = list(options.runs_of_product())
    for name in SWEPT:
        if name != "seed" and len({getattr(job, name) for job in runs}) > 1:
            raise RequestError(f"SEARCH=greedy compares features: give one {name.upper()}")
    first, seeds = runs[0], [job.seed for job in runs]
    named = single_features(first)
    plan = make_plan(replace(first, features=_text(named[0])))
    searches = [FoldSearch(fold) for fold in plan.wanted_folds]
    for _ in range(options.max):
        search_round(first, seeds, named, [search for search in searches if not search.ended])
    if not all(search.chosen for search in searches):
        raise RequestError("no candidate could be trained: see above")
    tell("chosen for each fold on validation groups of its own training clips; now each is tested once")
    folds_of: dict[FeatureSet, list[int]] = {}
    for search in searches:
        folds_of.setdefault(search.chosen, []).append(search.fold)
    tested: dict[int, RunFolder] = {}
    for chosen, folds in folds_of.items():
        folder = run.execute(replace(first, features=_text(chosen), folds=tuple(folds)))
        if folder is not None:  # else not the first of several processes
            tested |= dict.fromkeys(folds, folder)
    if tested:
        print(nested_result(searches, {fold: folder.scores() for fold, folder in tested.items()}))
    return 0


def single_features(options: RunOptions) -> list[FeatureSet]:
    """The named sets that the model can take."""
    cache, fitting = open_cache(options), []
    for channels in parse_list(options.features, cache.features):
        try:
            choose_model(options.model, cache, channels)
        except RequestError:
            continue
        fitting.append(channels)
    if not fitting:
        raise RequestError(f"{options.model} can take none of FEATURES={options.features}")
    return fitting


def search_round(
    first: RunOptions, seeds: Sequence[int], named: Sequence[FeatureSet], searches: Sequence[FoldSearch]
) -> None:
    """Each search takes its best candidate, by SELECT on its fold's validation groups, the mean over seeds.

    It ends if none is better than what it has. Candidates of several folds are trained together.
    """
    val = first.val if first.val != "none" else "group"
    common = replace(first, val=val, skip_test=True, runs=first.runs / SEARCH_FOLDER, note="")
    metric, selection = first.select.removeprefix("val_"), "last" if first.val == "none" else "auto"
    wanted: dict[FeatureSet, list[int]] = {}
    for search in searches:
        for added in named:
            if not set(added) & set(search.chosen):
                wanted.setdefault((*search.chosen, *added), []).append(search.fold)
    ranking: dict[int, list[tuple[float, FeatureSet]]] = {search.fold: [] for search in searches}
    for candidate, folds in wanted.items():
        job = replace(common, features=_text(candidate), folds=tuple(folds))
        done, failures = train_all([replace(job, seed=seed) for seed in seeds])
        for failure in failures:
            tell(failure)
        for fold in folds if done and not failures else ():
            # At the epoch that will count when the choice is tested: without VAL the last one.
            score = np.mean([folder.scores("val", selection).loc[fold, metric] for folder in done])
            ranking[fold].append((-score if metric == "loss" else score, candidate))
    for search in searches:
        best = sorted(ranking[search.fold], key=lambda pair: -pair[0])[:LISTED]
        rows = [(_text(candidate), f"{abs(score):.4f}") for score, candidate in best]
        header = (f"candidate for fold {search.fold}", f"{first.select} over {len(seeds)} seeds")
        print(text_table(rows, header))
        search.ended = not best or best[0][0] <= search.score
        if not search.ended:
            search.score, search.chosen = best[0]


def nested_result(searches: Sequence[FoldSearch], scores: dict[int, pd.DataFrame]) -> str:
    """What each fold chose and has in testing; the mean is the score of searching, not of one set."""
    values = [scores[search.fold].loc[search.fold, "accuracy"] for search in searches]
    sets = [_text(search.chosen) for search in searches]
    rows = [
        (search.fold, *pair) for search, *pair in zip(searches, sets, [f"{percent(v)} %" for v in values])
    ]
    commonest = max(sets, key=sets.count)
    nested = f"nested selection: {mean_percent(values)}, n = {len(values)} folds, each by its set"
    most = f"chosen most often, by {sets.count(commonest)} of {len(sets)}: {commonest}"
    warning = "the score of one set over all folds is in part selected on the clips that it tests"
    return "\n".join(
        [text_table(rows, ("fold", "chosen without its clips", "accuracy")), nested, f"{most}; {warning}"]
    )


def _text(channels: FeatureSet) -> str:
    return "+".join(map(str, channels))
