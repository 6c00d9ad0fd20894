"""SEARCH=greedy: add one feature at a time, as long as the validation groups say that it helps.

A candidate is a run with VAL=group and BLIND=1 in runs/search, which no report reads: its test fold is never
scored. The winner is then trained as an ordinary run and tested once.
"""

from collections.abc import Sequence
from dataclasses import replace

from commandline import RequestError, tell, text_table
from features_cache import Channel, parse_list
from train import plan, run
from train.models.registry import unfit
from train.options import SweepOptions
from train.runs import RunFolder
from train.sweep import single, train_all

FOLDER = "search"  # below RUNS
SHOWN = 5  # candidates of a round

Chosen = tuple[Channel, ...]


def greedy(options: SweepOptions) -> int:
    """Up to MAX rounds; each tries every named feature beside those chosen so far."""
    named = _single_features(options)
    chosen: Chosen = ()
    best: float | None = None
    while len(chosen) < options.max:
        ranking = _round(options, [(*chosen, *one) for one in named if not set(one) & set(chosen)])
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
    return run.run(replace(single(options), features=_text(chosen)))


def _single_features(options: SweepOptions) -> list[Chosen]:
    cache = plan.open_cache(options)
    sets = parse_list(options.features, cache.features)
    fitting = [one for one in sets if unfit(options.model, [channel.name for channel in one]) is None]
    if not fitting:
        raise RequestError(f"{options.model} can take none of FEATURES={options.features}")
    return fitting


def _round(options: SweepOptions, candidates: Sequence[Chosen]) -> list[tuple[float, Chosen]]:
    """(score, candidate), best first: SELECT on the validation groups, its mean over seeds and folds."""
    val = options.val if options.val != "none" else "group"
    common = replace(single(options), val=val, blind=True, runs=options.runs / FOLDER, note="")
    seeds = options.seeds or (options.seed,)
    ranking = []
    for candidate in candidates:
        done, failures = train_all([replace(common, features=_text(candidate), seed=seed) for seed in seeds])
        for failure in failures:
            tell(f"failed: {failure.run}: {failure.reason}")
        if done and not failures:
            ranking.append((_mean(done, options.select), candidate))
    ranking.sort(key=lambda pair: -pair[0])
    shown = [(_text(candidate), f"{abs(score):.4f}") for score, candidate in ranking[:SHOWN]]
    print(text_table(shown, ("candidate", f"{options.select} over {len(seeds)} seeds")))
    return ranking


def _mean(done: Sequence[RunFolder], select: str) -> float:
    """Of the validation score at the last epoch, negated where less is better."""
    metric = select.removeprefix("val_")
    values = [one.scores("val")[metric].mean() for one in done]
    return float(sum(values) / len(values)) * (-1 if metric == "loss" else 1)


def _text(channels: Chosen) -> str:
    return "+".join(map(str, channels))
