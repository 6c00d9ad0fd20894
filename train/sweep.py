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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from commandline.options import make_command, words
from commandline.registry import RequestError
from commandline.terminal import duration, mean_percent, percent, tell, text_table
from features_cache import Cache, Channel, parse_list
from results import bootstrap, run_folder
from train import compute, plan, run, trainer
from train.agreement import choose_compute
from train.data import load_fold, steps_per_epoch, sum_clips
from train.models.registry import resolve
from train.options import SWEPT, RunOptions, SweepOptions

MANY = 100  # runs, above which YES=1 is wanted
SEARCH_FOLDER = "search"  # below RUNS
SHOWN = 5  # candidates of a round of the search
LINEAR_SECONDS = 2.0  # of a fold of some thousand clips
QUICK_SECONDS = 60.0  # of a run's steps: where they take longer, reading its clips first is not worth it


Chosen = tuple[Channel, ...]


@dataclass(frozen=True)
class Failure:
    """A run that did not come about."""

    run: str
    reason: str


def run_sweep(options: SweepOptions) -> int:
    """Train every run of the product, then a table."""
    jobs = list(product(options))
    if len(jobs) > MANY and not options.yes:
        seconds = sum(expected_seconds(jobs))
        raise RequestError(f"{len(jobs)} runs, about {duration(seconds)} here: give YES=1, or fewer FEATURES")
    done, failures = train_all(jobs)
    if done:
        print(table(done))
        print(f"next: {make_command('analysis', *words(options, run.OPTIONS_OF_ANALYSIS))}")
    for failure in failures:
        tell(f"failed: {failure.run}: {failure.reason}")
    return 1 if failures else 0


def product(options: SweepOptions) -> Iterator[RunOptions]:
    """One RunOptions a run; a model that cannot take a feature set is skipped with a line."""
    cache = plan.open_cache(options)
    for job in options.runs_of_product():
        for channels in feature_sets(job, cache, options.max):
            if reason := unfit(job.model, cache, channels):
                tell(f"skipped: {_text(channels)} with {job.model}: {reason}")
                continue
            yield replace(job, features=_text(channels))


def unfit(model: str, cache: Cache, channels: Chosen) -> str:
    """Why the model cannot take these channels; empty where it can. RequestError for a name of no model."""
    resolve(model)
    try:
        plan.choose_model(model, cache, channels)
    except RequestError as reason:
        return str(reason)
    return ""


def swept(options: SweepOptions, name: str) -> tuple[Any, ...]:
    """The values of an option that takes a list here, each once."""
    return tuple(dict.fromkeys(getattr(job, name) for job in options.runs_of_product()))


def feature_sets(options: RunOptions, cache: Cache, most: int) -> list[Chosen]:
    """The named sets, and the unions of up to `most` of them."""
    named = parse_list(options.features, cache.features)
    for channels in named:  # a name that the cache lacks stops the sweep before its first run
        plan.find_channels(cache, replace(options, features=_text(channels)))
    unions = (
        tuple(itertools.chain(*chosen))
        for count in range(1, most + 1)
        for chosen in itertools.combinations(named, count)
    )
    return list(dict.fromkeys(unions))


def train_all(jobs: Sequence[RunOptions]) -> tuple[list[run_folder.RunFolder], list[Failure]]:
    """The run folders that are finished now, and the runs that failed."""
    done, failures, left = [], [], RemainingTime(expected_seconds(jobs))
    varied = [name for name in SWEPT if len({getattr(job, name) for job in jobs}) > 1]
    others = [name for name in varied if name not in ("model", "seed")]
    for number, job in enumerate(jobs, 1):
        differing = words(job, others) if others else []
        name = " ".join([job.features, job.model, f"seed {job.seed}", *differing])
        tell(f"run {number} of {len(jobs)}: {name}{left}")
        try:
            with left.measured(number - 1):
                folder = run.execute(job, tell_time=len(jobs) == 1)
        except (RequestError, trainer.Failed) as error:
            failures.append(Failure(name, str(error)))
        except Exception as error:  # the other runs must not suffer from a fault in one
            failures.append(Failure(name, f"{type(error).__name__}: {error}"))
        else:
            done += [folder] if folder is not None else []
    return done, failures


@dataclass
class RemainingTime:
    """How long the runs of a sweep that are left will take, by what those before took; its text says so."""

    expected: list[float]  # seconds of each run, 0 of a finished one
    done: int = 0
    taken: float = 0.0  # of the runs that were not finished before

    @property
    def seconds(self) -> float:
        measured = sum(self.expected[: self.done])
        return sum(self.expected[self.done :]) * (self.taken / measured if measured else 1.0)

    def __str__(self) -> str:
        others = len(self.expected) - self.done
        if others < 2 or self.seconds < 1:
            return ""
        return f" (about {duration(self.seconds)} for the {others} runs that are left)"

    @contextmanager
    def measured(self, number: int) -> Iterator[None]:
        """Note what this run takes, counted from 0."""
        started = time.monotonic()
        yield
        if self.expected[number]:
            self.taken += time.monotonic() - started
        self.done = number + 1


def expected_seconds(jobs: Sequence[RunOptions]) -> list[float]:
    """Of each run, from its start and a few steps of its model on its grid; 0 of what is finished, refused or
    alone.
    """
    if len(jobs) < 2:
        return [0.0] * len(jobs)
    measured: dict[tuple[object, ...], tuple[float, Start]] = {}
    return [_seconds(job, measured) for job in jobs]


@dataclass(frozen=True)
class Start:
    """Seconds of a run beside its steps: once a run, and for each of its folds."""

    run: float = 0.0
    fold: float = 0.0


def _seconds(options: RunOptions, measured: dict[tuple[object, ...], tuple[float, Start]]) -> float:
    """Of one run; `measured` keeps the seconds of a step and of the start for others of the same network."""
    try:
        chosen = plan.make_plan(options)
        folder = run_folder.RunFolder(chosen.path)
        finished = folder.finished if (chosen.path / "run.json").is_file() else []
        folds = [fold for fold in chosen.wanted_folds if fold not in finished]
        if chosen.model.kind == "linear" or not folds:
            return LINEAR_SECONDS * len(folds)
        steps = _steps(chosen, folds)
        key = (
            *(options.model, len(chosen.channels), chosen.grid),
            *(options.batch, options.precision, options.threads),
        )
        if key not in measured:
            measured[key] = _measured(chosen, folds[0], steps)
    except RequestError:  # it will be told when its turn comes
        return 0.0
    of_step, start = measured[key]
    return start.run + start.fold * len(folds) + of_step * steps


def _steps(chosen: plan.Plan, folds: Sequence[int]) -> float:
    """Training steps of a run, and its scoring counted in them."""
    options, table = chosen.options, chosen.table
    tested = sum(int((table["fold"] == fold).sum()) for fold in folds)
    each = [steps_per_epoch(int((table["fold"] != fold).sum()), options) for fold in folds]
    scoring = trainer.FORWARD_COST * options.tta * len(trainer.curve_epochs(options)) * tested / options.batch
    return options.epochs * sum(each) + scoring


def _measured(chosen: plan.Plan, fold: int, steps: float) -> tuple[float, Start]:
    """Seconds of a step, and of the start where the steps are so short that it counts."""
    options = chosen.options
    device = compute.device_of(options.device.split()[0])
    network = trainer.draw_network(chosen, fold)
    likely, *_ = compute.candidates(options, device, chosen.batch_shape(network))
    of_step = compute.step_seconds(network, chosen.batch_shape(network), likely)
    if of_step * steps > QUICK_SECONDS:
        return of_step, Start()
    begun = time.perf_counter()
    sums = sum_clips(chosen, chosen.table.index.to_numpy(), silent=True)
    counted = time.perf_counter()
    split = chosen.split(fold, sums.unusable)
    data = load_fold(chosen, fold, split, sums, torch.device(device), silent=True)
    if statistics := chosen.fixed_statistics(network):
        data = data.computed_once(statistics)
    loaded = time.perf_counter()
    choose_compute(chosen, network, data, device, round(steps), trainer.ALONE)
    return of_step, Start(time.perf_counter() - loaded + counted - begun, loaded - counted)


def table(done: Sequence[run_folder.RunFolder]) -> str:
    """One row a configuration, seeds averaged, best first by accuracy, with its interval.

    The accuracy is on test clips, or on those of validation where the test folds are never scored.
    """
    families: dict[str, list[run_folder.RunFolder]] = {}
    for one in done:
        families.setdefault(one.config["family"], []).append(one)
    rows = sorted((_row(seeds) for seeds in families.values()), key=lambda row: -row[0])
    varied = len({(row[1], row[2]) for row in rows}) < len(rows)  # two rows would read alike
    validated = all(one.scored_split == "val" for one in done)
    accuracy = "validation accuracy %" if validated else "accuracy %"
    header = ("Features", "Model", accuracy, "95 % CI", "seeds", *(["run"] if varied else []))
    text = text_table([row[1 : 7 if varied else 6] for row in rows], header)
    if len(rows) > 1:
        chosen = "validation" if validated else "test"
        text += f"\nNote: the best of {len(rows)} was chosen on {chosen} data, so its score is optimistic"
    return text


def _row(seeds: Sequence[run_folder.RunFolder]) -> tuple[float, str, str, str, str, int, str]:
    """Accuracy, then the cells of the table; of the clips that every seed has tested."""
    first = seeds[0]
    clips = pd.concat([_scored_clips(one) for one in seeds])
    tested = clips.groupby("clip_id", sort=True).agg(
        fold=("fold", "first"), group=("group", "first"), correct=("correct", "mean"), seeds=("fold", "size")
    )
    tested = tested[tested["seeds"] == len(seeds)]
    by_fold = tested.groupby("fold")["correct"].mean().tolist()
    drawn = bootstrap.resampled_means(
        tested[["correct"]].to_numpy(dtype=float),
        tested["group"].to_numpy(dtype=str),
        weights=bootstrap.fold_weights(tested["fold"].to_numpy()),
        rng=np.random.default_rng(0),
    )
    low, high = bootstrap.interval(drawn, tested["group"].nunique(), lowest=0)[0]
    interval = "-" if np.isnan(low) else f"{percent(low)} to {percent(high)}"
    shown = mean_percent(by_fold).removesuffix(" %")
    config = first.config
    return (
        float(np.mean(by_fold)),
        config["features"],
        config["model"],
        shown,
        interval,
        len(seeds),
        first.name,
    )


def _scored_clips(one: run_folder.RunFolder) -> pd.DataFrame:
    """clip_id, group, fold and whether the epoch that counts predicted it correctly, of the side scored."""
    table = one.predictions()
    table = table[(table["split"] == one.scored_split) & (table["selection"] == one.selection())]
    predicted = np.array(one.classes)[table[one.classes].to_numpy().argmax(axis=1)]
    return pd.DataFrame(
        {
            "clip_id": table["clip_id"],
            "group": table["group"].where(table["group"] != "", table["clip_id"]),
            "fold": table["fold"],
            "correct": (predicted == table["target"].to_numpy()).astype(float),
        }
    )


@dataclass
class FoldSearch:
    """What the search has chosen for one test fold, by clips of the other folds alone."""

    fold: int
    chosen: Chosen = ()
    score: float = -math.inf
    ended: bool = False

    def update(self, ranking: Sequence[tuple[float, Chosen]]) -> None:
        """Take the best candidate of a round, (score, candidate) each, or end where none is better."""
        score, winner = max(ranking, key=lambda pair: pair[0], default=(-math.inf, ()))
        if score > self.score:
            self.chosen, self.score = winner, score
        else:
            self.ended = True


def greedy_search(options: SweepOptions) -> int:
    """Up to MAX rounds; each tries every named feature beside those chosen so far, with every SEED.

    Each fold chooses for itself, by validation groups among its own training clips, so that no clip takes
    part in a choice that it then tests: nested selection. What a fold chose is tested on that fold once.
    """
    for name in SWEPT:
        if name != "seed" and len(swept(options, name)) > 1:
            raise RequestError(f"SEARCH=greedy compares features: give one {name.upper()}")
    named, first_run = _single_features(options), next(options.runs_of_product())
    first = plan.make_plan(replace(first_run, features=_text(named[0])))
    searches = [FoldSearch(fold) for fold in first.wanted_folds]
    for _ in range(options.max):
        searching = [one for one in searches if not one.ended]
        found = _search_round(options, named, searching)
        for one in searching:
            one.update(found[one.fold])
    if not all(one.chosen for one in searches):
        raise RequestError("no candidate could be trained: see above")
    tell("chosen for each fold on validation groups of its own training clips; now each is tested once")
    done: dict[int, run_folder.RunFolder] = {}
    for chosen, folds in _by_choice(searches).items():
        folder = run.execute(replace(first_run, features=_text(chosen), folds=folds))
        if folder is not None:  # else not the first of several processes
            done |= dict.fromkeys(folds, folder)
    if done:
        print(nested_result(searches, done))
    return 0


def _by_choice(searches: Sequence[FoldSearch]) -> dict[Chosen, tuple[int, ...]]:
    """The folds that chose each set, the set of most folds first."""
    found: dict[Chosen, tuple[int, ...]] = {}
    for one in searches:
        found[one.chosen] = (*found.get(one.chosen, ()), one.fold)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def nested_result(searches: Sequence[FoldSearch], done: Mapping[int, run_folder.RunFolder]) -> str:
    """What each fold chose and has in testing; the mean is the score of searching, not of one set."""
    values = [done[one.fold].scores().loc[one.fold, "accuracy"] for one in searches]
    rows = [(one.fold, _text(one.chosen), f"{percent(value)} %") for one, value in zip(searches, values)]
    commonest, folds = next(iter(_by_choice(searches).items()))
    said = f"nested selection: {mean_percent(values)}, n = {len(values)} folds, each by its set"
    most = f"chosen most often, by {len(folds)} of {len(values)}: {_text(commonest)}"
    warning = "the score of one set over all folds is in part selected on the clips that it tests"
    return "\n".join(
        [text_table(rows, ("fold", "chosen without its clips", "accuracy")), said, f"{most}; {warning}"]
    )


def _single_features(options: SweepOptions) -> list[Chosen]:
    cache = plan.open_cache(options)
    sets = parse_list(options.features, cache.features)
    (model,) = swept(options, "model")
    fitting = [one for one in sets if not unfit(model, cache, one)]
    if not fitting:
        raise RequestError(f"{model} can take none of FEATURES={options.features}")
    return fitting


def _search_round(
    options: SweepOptions, named: Sequence[Chosen], searching: Sequence[FoldSearch]
) -> dict[int, list[tuple[float, Chosen]]]:
    """(score, candidate) by fold: SELECT on the fold's validation groups, the mean over seeds."""
    one, seeds = next(options.runs_of_product()), swept(options, "seed")
    val = one.val if one.val != "none" else "group"
    common = replace(one, val=val, skip_test=True, runs=options.runs / SEARCH_FOLDER, note="")
    wanted: dict[Chosen, list[int]] = {}
    for search in searching:
        for added in named:
            if not set(added) & set(search.chosen):
                wanted.setdefault((*search.chosen, *added), []).append(search.fold)
    ranking: dict[int, list[tuple[float, Chosen]]] = {search.fold: [] for search in searching}
    for candidate, folds in wanted.items():  # candidates of several folds are trained together
        job = replace(common, features=_text(candidate), folds=tuple(folds))
        done, failures = train_all([replace(job, seed=seed) for seed in seeds])
        for failure in failures:
            tell(f"failed: {failure.run}: {failure.reason}")
        for fold in folds if done and not failures else ():
            ranking[fold].append((_validation_score(done, one, fold), candidate))
    for fold, pairs in ranking.items():
        best = sorted(pairs, key=lambda pair: -pair[0])[:SHOWN]
        rows = [(_text(candidate), f"{abs(score):.4f}") for score, candidate in best]
        print(text_table(rows, (f"candidate for fold {fold}", f"{one.select} over {len(seeds)} seeds")))
    return ranking


def _validation_score(done: Sequence[run_folder.RunFolder], options: RunOptions, fold: int) -> float:
    """Of the fold's validation score, negated where less is better.

    At the epoch that will count when the choice is tested: without VAL the last one.
    """
    metric, selection = options.select.removeprefix("val_"), "last" if options.val == "none" else "auto"
    values = [one.scores("val", selection).loc[fold, metric] for one in done]
    return float(sum(values) / len(values)) * (-1 if metric == "loss" else 1)


def _text(channels: Chosen) -> str:
    return "+".join(map(str, channels))
