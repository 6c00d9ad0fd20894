"""Several runs: every combination of the values given. What is finished is skipped, failures are listed.

SEARCH=greedy adds one feature at a time, as long as the validation groups say that it helps. A candidate is a
run with VAL=group and SKIP_TEST=1 in runs/search, which no report reads: its test fold is never scored. The
winner is then trained as an ordinary run and tested once.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from commandline import RequestError, duration, make_command, parse, tell, text_table, words
from features_cache import Cache, Channel, parse_list
from train import compute, plan, recipes, run, runs, trainer
from train.data import steps_per_epoch
from train.options import SWEPT, RunOptions, SweepOptions

MANY = 100  # runs, above which YES=1 is wanted
SEARCH_FOLDER = "search"  # below RUNS
SHOWN = 5  # candidates of a round of the search
LINEAR_SECONDS = 2.0  # of a fold of some thousand clips


Chosen = tuple[Channel, ...]


@dataclass(frozen=True)
class Failure:
    """A run that did not come about."""

    run: str
    reason: str


def run_sweep(options: SweepOptions, given: Sequence[str]) -> int:
    """Train every run of the product, then a table. `given` are the command's words, behind a recipe's."""
    jobs = list(product(options, given))
    if len(jobs) > MANY and not options.yes:
        raise RequestError(
            f"{len(jobs)} runs, about {duration(expected_seconds(jobs))} here: give YES=1, or fewer FEATURES"
        )
    done, failures = train_all(jobs)
    if done:
        print(table(done))
        print(f"next: {make_command('analysis', *words(options, run.OPTIONS_OF_ANALYSIS))}")
    for failure in failures:
        tell(f"failed: {failure.run}: {failure.reason}")
    return 1 if failures else 0


def product(options: SweepOptions, given: Sequence[str]) -> Iterator[RunOptions]:
    """One RunOptions a run; a model that cannot take a feature set is skipped with a line."""
    cache = plan.open_cache(options)
    for recipe in swept(options, "recipe"):
        chosen = options
        if recipe:
            chosen = parse(SweepOptions, [*recipes.recipe_words(recipe), *given])
        others = [name for name in SWEPT if name not in ("recipe", "seed")]
        values = [swept(chosen, name) for name in others]
        for *some, channels, seed in itertools.product(*values, feature_sets(chosen), swept(chosen, "seed")):
            changes = dict(zip(others, some)) | {"recipe": recipe, "seed": seed, "features": _text(channels)}
            if reason := misfit(changes["model"], cache, channels):
                tell(f"skipped: {changes['features']} with {changes['model']}: {reason}")
                continue
            yield single(chosen, **changes)


def misfit(model: str, cache: Cache, channels: Chosen) -> str:
    """Why the model cannot take these channels; empty where it can."""
    try:
        plan.choose_model(model, cache, channels)
    except RequestError as reason:
        return str(reason)
    return ""


def swept(options: SweepOptions, name: str) -> tuple[Any, ...]:
    """The values of an option that takes a list here, each once."""
    return tuple(dict.fromkeys(getattr(options, name)))


def feature_sets(options: SweepOptions) -> list[tuple[Channel, ...]]:
    """The named sets, and with MAX the unions of up to so many of them."""
    cache = plan.open_cache(options)
    named = parse_list(options.features, cache.features)
    for channels in named:  # a name that the cache lacks stops the sweep before its first run
        plan.find_channels(cache, single(options, features=_text(channels)))
    unions = (
        tuple(itertools.chain(*chosen))
        for count in range(1, options.max + 1)
        for chosen in itertools.combinations(named, count)
    )
    return list(dict.fromkeys(unions))


def single(options: SweepOptions, **changes: Any) -> RunOptions:
    """One run of the sweep: the first of each list, but for the changes."""
    values = {field.name: getattr(options, field.name) for field in fields(RunOptions)}
    first = {name: values[name][0] for name in SWEPT}
    return RunOptions(**{**values, **first, **changes})


def train_all(jobs: Sequence[RunOptions]) -> tuple[list[runs.RunFolder], list[Failure]]:
    """The run folders that are finished now, and the runs that failed."""
    done, failures = [], []
    varied = [name for name in SWEPT if len({getattr(job, name) for job in jobs}) > 1]
    others = [name for name in varied if name not in ("model", "seed")]
    for number, job in enumerate(jobs, 1):
        differing = words(job, others) if others else []
        name = " ".join([job.features, job.model, f"seed {job.seed}", *differing])
        tell(f"run {number} of {len(jobs)}: {name}")
        try:
            folder = run.execute(job)
        except (RequestError, trainer.Failed) as error:
            failures.append(Failure(name, str(error)))
        except Exception as error:  # the other runs must not suffer from a fault in one
            failures.append(Failure(name, f"{type(error).__name__}: {error}"))
        else:
            done += [folder] if folder is not None else []
    return done, failures


def expected_seconds(jobs: Sequence[RunOptions]) -> float:
    """Of all of these runs, from a few steps of each model on each grid; scoring is not counted."""
    seconds: dict[tuple[object, ...], float] = {}
    kinds = [(job.model, job.epochs, job.passes, job.batch, job.grid) for job in jobs]
    for kind, job in zip(kinds, jobs):
        if kind not in seconds:
            seconds[kind] = _seconds(job)
    return sum(seconds[kind] for kind in kinds)


def _seconds(options: RunOptions) -> float:
    chosen = plan.make_plan(options)
    if chosen.model.kind == "linear":
        return LINEAR_SECONDS * len(chosen.wanted_folds)
    network = trainer.draw_network(chosen, chosen.wanted_folds[0])
    likely, *_ = compute.candidates(options, compute.device_of(options.device.split()[0]))
    clips = int((chosen.table["fold"] != chosen.wanted_folds[0]).sum())
    steps = options.epochs * len(chosen.wanted_folds) * steps_per_epoch(clips, options)
    return steps * compute.step_seconds(network, chosen.batch_shape(network), likely)


def table(done: Sequence[runs.RunFolder]) -> str:
    """Best first by test accuracy; more than a few make the first "selected on test"."""
    found = [(one, one.scores(one.scored_split)["accuracy"]) for one in done]
    found.sort(key=lambda pair: -pair[1].mean())
    rows = [
        (one.name, f"{values.mean():.3f}", f"{values.std():.3f}" if len(values) > 1 else "-", len(values))
        for one, values in found
    ]
    return text_table(rows, ("run", "accuracy", "sd", "folds")) + (
        "\nin the order of their scores: the first of many is selected on test" if len(rows) > 1 else ""
    )


def greedy_search(options: SweepOptions) -> int:
    """Up to MAX rounds; each tries every named feature beside those chosen so far, with every SEED."""
    for name in SWEPT:
        if name != "seed" and len(swept(options, name)) > 1:
            raise RequestError(f"SEARCH=greedy compares features: give one {name.upper()}")
    named = _single_features(options)
    chosen: Chosen = ()
    best: float | None = None
    while len(chosen) < options.max:
        ranking = _search_round(options, [(*chosen, *one) for one in named if not set(one) & set(chosen)])
        if not ranking:
            break
        score, winner = ranking[0]
        if best is not None and score <= best:
            tell(f"nothing more helps: {_text(winner)} is not better than {_text(chosen)}")
            break
        chosen, best = winner, score
    if not chosen:
        raise RequestError("no candidate could be trained: see above")
    tell(f"chosen on validation groups: {_text(chosen)}; now tested once")
    return run.run(single(options, features=_text(chosen)))


def _single_features(options: SweepOptions) -> list[Chosen]:
    cache = plan.open_cache(options)
    sets = parse_list(options.features, cache.features)
    (model,) = swept(options, "model")
    fitting = [one for one in sets if not misfit(model, cache, one)]
    if not fitting:
        raise RequestError(f"{model} can take none of FEATURES={options.features}")
    return fitting


def _search_round(options: SweepOptions, candidates: Sequence[Chosen]) -> list[tuple[float, Chosen]]:
    """(score, candidate), best first: SELECT on the validation groups, its mean over seeds and folds."""
    one, seeds = single(options), swept(options, "seed")
    val = one.val if one.val != "none" else "group"
    common = replace(one, val=val, skip_test=True, runs=options.runs / SEARCH_FOLDER, note="")
    ranking = []
    for candidate in candidates:
        done, failures = train_all([replace(common, features=_text(candidate), seed=seed) for seed in seeds])
        for failure in failures:
            tell(f"failed: {failure.run}: {failure.reason}")
        if done and not failures:
            ranking.append((_validation_score(done, one.select), candidate))
    ranking.sort(key=lambda pair: -pair[0])
    shown = [(_text(candidate), f"{abs(score):.4f}") for score, candidate in ranking[:SHOWN]]
    print(text_table(shown, ("candidate", f"{one.select} over {len(seeds)} seeds")))
    return ranking


def _validation_score(done: Sequence[runs.RunFolder], select: str) -> float:
    """Of the validation score at the last epoch, negated where less is better."""
    metric = select.removeprefix("val_")
    values = [one.scores("val")[metric].mean() for one in done]
    return float(sum(values) / len(values)) * (-1 if metric == "loss" else 1)


def _text(channels: Chosen) -> str:
    return "+".join(map(str, channels))
