"""The answer of the first screen in sentences made from the figures; how leads and verdicts are worded.

It is a headline and a few lines, each under the question that it answers: how sure, why combine,
enough data. What stands behind them (the score with its deviation, the power, the score without the optimism
of selecting the best) are its details.

Three cases: a clear winner (better than every other set after correction), a tie (a relevant difference
would have been found with a power of 80 %, and was not), or too little data (how many clips or seeds that
would take; with fewer than five recordings there is no verdict). One run alone, and none, have sentences of
their own. "Clear" is a verdict of `analysis.significance` and of nothing else.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import pandas as pd
from scipy.stats import norm

from analysis.ablations import channel_counts, run_options
from analysis.naming import display_name
from analysis.ranking import Ranking, level_sentence, nested_selection
from analysis.results import Run
from analysis.significance import BEST_LEVEL, POWER
from analysis.tables import p_text
from commandline.terminal import counted, percent, points
from results.bootstrap import FEWEST_RECORDINGS

# A relevant difference in accuracy: smaller ones are within what another seed or another split into folds
# changes on a few hundred clips.
RELEVANT = 0.05
NAMED = 3  # names in a list before "and 6 more": the tables have them all
SMALLEST_LEAD = 0.002  # for smaller leads, below a clip of 500, no number of clips is estimated
TOO_FEW = f"fewer than {FEWEST_RECORDINGS} source recordings"
NO_INTERVAL = f"no interval, {TOO_FEW}"
WITH_POWER = f"with a power of {100 * POWER:.0f} %"
UNCLEAR = "no clear difference"

Line = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """Which of the cases it is, the headline, and sentences under their headings."""

    kind: str  # clear winner | tie | too little data | one run | no run
    headline: str
    details: tuple[Line, ...] = ()  # behind "How was this computed?"
    lines: tuple[Line, ...] = ()  # below the headline
    notes: tuple[Line, ...] = ()  # at the foot of the first screen: seeds, the selection of the best
    score: str = ""  # what must stand beside the headline's score wherever it is printed alone
    lacking: str = ""  # how many test clips the difference found, and a relevant one, would take; '': enough

    @property
    def summary(self) -> str:
        """The headline with the score's interval, deviation, n and protocol: a line of the terminal."""
        return " ".join(filter(None, [self.headline, self.score]))

    @property
    def text(self) -> str:
        """Everything on the first screen, one sentence after another."""
        return " ".join([f"{self.headline}.", *(sentence for _, sentence in self.lines)])


@dataclass(frozen=True)
class Needed:
    """Test clips and seeds with which a difference would be found; 0 where there are enough."""

    difference: float
    clips: int
    seeds: int


def answer(ranking: Ranking | None, added: pd.DataFrame, left_out: int = 0) -> Answer:
    """The answer to the main ranking of a report, None where no run can be read.

    `added` are the ranking's feature ablations; `left_out` counts the runs that are damaged.
    """
    if ranking is None:
        return _no_run(left_out)
    if len(ranking.runs) == 1:
        return _one_run(ranking)
    if not ranking.testable:
        return _no_verdict(ranking, added)
    needed = _needed(ranking)
    if needed.clips or needed.seeds:
        kind, lead = "too little data", "Best features so far"
    else:
        kind, lead = ("tie" if ranking.tied else "clear winner"), "Best features"
    score, beside = _score_parts(ranking)
    tied = _tied(ranking, kind) if ranking.tied else ""
    return Answer(
        kind,
        f"{lead}: {_with_model(ranking)}, {percent(ranking.accuracy[0])} % accuracy{tied}",
        details=(("Score", f"{score} {beside}."), _power(ranking, needed)),
        notes=(*_seeds(ranking), _selection(ranking), *_number_formats(ranking)),
        lines=(_how_sure(ranking, added), *_why_combine(ranking, added), *_enough_data(ranking, needed)),
        score=beside,
        lacking=_lacking(ranking, needed) if needed.clips else "",
    )


def _tied(ranking: Ranking, kind: str) -> str:
    """The end of the headline: only data that would have shown a difference make a tie."""
    others = _others(ranking, ranking.tied)
    return f", tied with {others}" if kind == "tie" else f", {UNCLEAR} from {others} yet"


def _with_model(ranking: Ranking) -> str:
    """The best run's features, and its model where the ranking has several."""
    best, name = ranking.best, display_name(ranking.best, ranking)
    several = best.trained and len({run.model for run in ranking.runs}) > 1
    return f"{best.features} with {best.model}" if several and name != best.name else name


def _others(ranking: Ranking, runs: Sequence[Run]) -> str:
    """`mel+chroma`, without the model where it is the best run's; or of several `3 others`."""
    if len(runs) > 1:
        return f"{len(runs)} others"
    together = next(one for one in families(ranking) if ranking.best in one)
    return runs[0].features if runs[0] in together and runs[0].trained else display_name(runs[0], ranking)


def _needed(ranking: Ranking) -> Needed:
    """What it would take to find a relevant difference, or of a clear winner its lead."""
    rivals = ranking.tied or ranking.runs[1:2]
    lead = float(ranking.pair(ranking.best, rivals[0])["difference"])
    relevant = RELEVANT if ranking.tied else lead
    compared = (ranking.best, *rivals)
    # A lead that was observed need only be significant; one that was not must have been likely to be found.
    short = seeds_needed(compared, relevant, POWER if ranking.tied else 0.5, ranking.level)
    seeds = seeds_needed(compared, relevant, level=ranking.level) if short else 0
    return Needed(relevant, clips_needed(ranking, RELEVANT), seeds)


def _lacking(ranking: Ranking, needed: Needed) -> str:
    """How many clips the difference found would take, then how many a relevant one."""
    lead = float(ranking.pair(ranking.best, _rival(ranking))["difference"])
    found = clips_needed(ranking, lead) if lead > SMALLEST_LEAD else 0
    relevant, compared = f"{percent(RELEVANT)} points", f"with {len(ranking.runs)} configurations compared"
    if not found:
        return f"a difference of {relevant} takes about {needed.clips:,} test clips, {compared}"
    least = f"the difference found, {percent(lead)} points, takes about {found:,} test clips"
    return f"{least}, one of {relevant} about {needed.clips:,}, {compared}"


def clips_needed(ranking: Ranking, difference: float) -> int:
    """Test clips with which a run worse than the best by `difference` would be found with POWER.

    0 where these suffice. The lead has to exceed the corrected critical value by the quantile of the power;
    its standard error, the largest against a tied run, shrinks with the square root of the clips. It is at
    least that of two runs that differ on no more recordings than `difference` says.
    """
    places = [ranking.runs.index(run) for run in ranking.tied]
    pairs = [ranking.pair(ranking.best, run) for run in ranking.tied]
    error = max((float(pair["high"] - pair["low"]) / 2 for pair in pairs), default=0.0) / norm.isf(0.025)
    error = max(error, sqrt(difference * (1 - difference) / ranking.recordings)) if pairs else 0.0
    found = error * (max(ranking.critical[places], default=0.0) + norm.isf(1 - POWER))
    return _round_up(len(ranking.best.clip_ids) * (found / difference) ** 2) if found > difference else 0


def seeds_needed(
    runs: Sequence[Run], difference: float, power: float = POWER, level: float = BEST_LEVEL
) -> int:
    """Seeds of each run with which a difference would be found against the variation between seeds.

    0 where these suffice, or where no run has a second seed, so that the variation is unknown. An exact
    solution has no variation and needs no seed.
    """
    drawn = [run for run in runs if not run.exact]
    if not drawn:
        return 0
    noise = max(run.seed_deviation for run in drawn)
    quantiles = norm.isf(level / 2) + norm.isf(1 - power)
    needed = ceil(min(2, len(drawn)) * (quantiles * noise / difference) ** 2)
    return needed if needed > min(len(run.seeds) for run in drawn) else 0


def _round_up(number: float) -> int:
    """To two figures, upwards: it is an estimate."""
    step = 10 ** max(0, len(str(ceil(number))) - 2)
    return ceil(number / step) * step


def _no_run(left_out: int) -> Answer:
    sentence = "Below are the clips, their classes and how well each cached feature separates them."
    headline = "No run has been trained yet"
    if left_out:
        headline = f"No run can be read: {left_out} left out as damaged"
    return Answer("no run", headline, lines=(("What is here?", sentence),))


def _one_run(ranking: Ranking) -> Answer:
    run, (low, high) = ranking.best, ranking.interval[0]
    score, beside = _score_parts(ranking)
    alone = "It is the only configuration trained, so nothing is known about others."
    sure = f"{_probably(low, high)} {alone}" if ranking.testable else f"{_no_interval(ranking)} {alone}"
    return Answer(
        "one run",
        f"One run so far: {run.features} with {run.model}, {percent(ranking.accuracy[0])} % accuracy",
        details=(("Score", f"{score} {beside}."),),
        notes=tuple(_seeds(ranking)),
        lines=(("How sure?", sure),),
        score=beside,
    )


def _no_verdict(ranking: Ranking, added: pd.DataFrame) -> Answer:
    """Without a verdict: hardly any recordings could differ."""
    best, (score, beside) = display_name(ranking.best, ranking), _score_parts(ranking)
    then = (
        f"No: clips of one recording are not independent. Test on clips of at least {FEWEST_RECORDINGS} "
        "recordings, better fifty (column group)."
    )
    return Answer(
        "too little data",
        f"Highest accuracy: {best}, {percent(ranking.accuracy[0])} %, too few recordings for a verdict",
        details=(("Score", f"{score} {beside}."),),
        notes=(*_seeds(ranking), _selection(ranking), *_number_formats(ranking)),
        lines=(
            ("How sure?", f"{_no_interval(ranking)} No verdict on {_listed(ranking, ranking.runs[1:])}."),
            *_why_combine(ranking, added),
            ("Enough data?", then),
        ),
        score=beside,
    )


def _no_interval(ranking: Ranking) -> str:
    return f"No interval: the test clips come from {TOO_FEW} ({ranking.recordings})."


def _probably(low: float, high: float) -> str:
    return f"Probably {percent(low)} to {percent(high)} % (95 % CI)."


def _how_sure(ranking: Ranking, added: pd.DataFrame) -> Line:
    """The interval, the verdict on the nearest rival, and how many others are as near or clearly worse."""
    rival = _rival(ranking)
    pair = ranking.pair(ranking.best, rival)
    numbers = f"({_difference(ranking, pair, -1)})"
    change = _change(ranking, rival, added)
    if not ranking.tied:
        others = len(ranking.runs) - 2
        rest = "; so is the other one" if others == 1 else f"; so are the {others} others" if others else ""
        found = f"{change} is clearly worse {numbers}{rest}."
        return "How sure?", f"{_probably(*ranking.interval[0])} {found}"
    found = f"{change} makes {UNCLEAR} {numbers}."
    if also := len(ranking.tied) - 1:
        found += f" Neither {'does one other' if also == 1 else f'do {also} others'}."
    if worse := len(ranking.runs) - 1 - len(ranking.tied):
        one = worse == 1
        found += f" The {'other' if one else f'{worse} other'} configuration{'' if one else 's'} "
        found += f"{'is' if one else 'are'} clearly worse than the best."
    return "How sure?", f"{_probably(*ranking.interval[0])} {found}"


def _rival(ranking: Ranking) -> Run:
    """The run that the best is compared with first."""
    return (ranking.tied or ranking.runs[1:])[0]


def _change(ranking: Ranking, rival: Run, added: pd.DataFrame) -> str:
    """What the rival does otherwise: `Adding chroma`, `Leaving out chroma (mel alone)`, else its name."""
    best = ranking.best.name
    added_to = added[(added["without"] == best) & (added["with"] == rival.name)]
    if len(added_to):
        return f"Adding {added_to['changed'].iloc[0]}"
    left_out = added[(added["without"] == rival.name) & (added["with"] == best)]
    if len(left_out):
        alone = "" if count_channels(rival) > 1 else " alone"
        return f"Leaving out {left_out['changed'].iloc[0]} ({rival.features}{alone})"
    return display_name(rival, ranking)


def _why_combine(ranking: Ranking, added: pd.DataFrame) -> list[Line]:
    """The best set of several features beside its features alone, among runs of the best's setting."""
    peers = next((one for one in families(ranking) if ranking.best in one and ranking.best.trained), [])
    single = [run for run in peers if count_channels(run) == 1]
    several = [run for run in peers if count_channels(run) > 1]
    if not single or not several:
        return []
    together = several[0]
    own = {run.features: run for run in reversed(single) if run.features in channel_counts(together)}
    parts = sorted(own.values(), key=ranking.runs.index) or single[:1]  # the best of each feature
    ahead, behind = sorted((together, parts[0]), key=ranking.runs.index)
    pair, sign = ranking.pair(ahead, behind), 1 if ahead is together else -1
    clear = is_clear(ranking, pair, added)
    verdict = {True: "clear", False: UNCLEAR, None: "not tested"}[clear]
    alone = listed([f"{run.features} alone {accuracy_text(ranking, run)} %" for run in parts], NAMED)
    called = "together" if own and ranking.best is together else together.features
    name = f"{called} {accuracy_text(ranking, together)} %"
    if ranking.testable and {together, parts[0]} == {ranking.best, _rival(ranking)}:
        found = f"{'a' if clear else 'no'} clear difference"
        return [("Why combine?", f"{alone}; {name}. The comparison above finds {found}.")]
    gain = f"{points(sign * float(pair['difference']))} points"
    than = f"against {parts[0].features} ({interval_text(ranking, pair, sign)})"
    return [("Why combine?", f"{alone}; {name}, {gain} {than}: {verdict}.")]


def _enough_data(ranking: Ranking, needed: Needed) -> list[Line]:
    """Where a relevant difference would not have been found: what that would take."""
    runs = (ranking.best, *(ranking.tied or ranking.runs[1:2]))
    ways = (
        [f"about {needed.clips:,} test clips instead of {len(ranking.best.clip_ids):,}"]
        if needed.clips
        else []
    )
    if needed.seeds:
        fewest = min(len(run.seeds) for run in runs)
        ways.append(f"about {needed.seeds} seeds of each set instead of {fewest}")
    size = f"a difference of {percent(needed.difference)} points"
    return [("Enough data?", f"No: to find {size} {WITH_POWER} takes {' and '.join(ways)}.")] if ways else []


def _power(ranking: Ranking, needed: Needed) -> Line:
    """What the data suffice for, and for a tie what its small differences would take."""
    correction = _correction(ranking)
    if not ranking.tied:
        return "Verdict", correction
    last = ranking.tied[-1]
    pair = ranking.pair(ranking.best, last)
    lead = float(pair["difference"])
    clips = clips_needed(ranking, lead) if lead > SMALLEST_LEAD else 0
    lowest = (
        f"The lowest of those that do not differ clearly, {display_name(last, ranking)}, is {_points(pair)}"
    )
    lowest += f" behind ({interval_text(ranking, pair)})"
    if clips:
        lowest += f"; to find so small a difference {WITH_POWER} would take about {clips:,} test clips"
        if needed.clips:
            lowest += f" (four times as many for half the difference; the {needed.clips:,} are for "
            lowest += f"{percent(needed.difference)} points)"
    found = (
        ""
        if needed.clips or needed.seeds
        else (f" A set {100 * RELEVANT:.0f} points below the best would have been found {WITH_POWER}.")
    )
    return "Verdict", f"{correction} {lowest}.{found}"


def _correction(ranking: Ranking) -> str:
    others = len(ranking.runs) - 1
    comparisons = f"{counted(others, 'comparison')} and for its selection"
    corrected = f"All verdicts of the best run are corrected for {comparisons}."
    return " ".join([*([corrected] if others > 1 else []), level_sentence(ranking)])


def _seeds(ranking: Ranking) -> list[Line]:
    """How many seeds the best run has, and what is known of the variation between them."""
    best, seeds = ranking.best, len(ranking.best.seeds)
    if not best.trained:
        return []
    if best.exact:
        return [("Seeds", "An exact solution: another seed changes nothing.")]
    if seeds == 1:
        return [("Seeds", "One, so the variation between seeds is unknown.")]
    between = f"with a standard deviation of {percent(best.seed_deviation)} points between them"
    others = {len(run.seeds) for run in ranking.runs if run.trained and not run.exact} - {seeds}
    fewest = f"; some other configurations have {min(others)}" if others and min(others) < seeds else ""
    return [("Seeds", f"{seeds} of the best configuration, {between}{fewest}.")]


def _selection(ranking: Ranking) -> Line:
    """The accuracy without the optimism of having selected the best run by its test score."""
    nested = nested_selection(ranking)
    chosen = f"The best of {len(ranking.runs)} was selected on the test folds, so its score is optimistic"
    if nested is None:
        return "Selection", f"{chosen}."
    return "Selection", (
        f"{chosen}. Selected on all folds but one and scored on that one, in turn, the accuracy is "
        f"{percent(nested.accuracy)} %."
    )


def _number_formats(ranking: Ranking) -> list[Line]:
    """In which number formats the compared runs were computed, where these differ."""
    formats = [run.config.get("precision") for run in ranking.runs if not run.exact]
    counts = Counter(str(one) for one in formats if one).most_common()
    if len(counts) < 2:
        return []
    found = listed([f"{count} in {name}" for name, count in counts], len(counts))
    sentence = f"The compared runs were computed in different ones: {found}. "
    return [
        ("Number format", f"{sentence}Rounding can change a few predictions; PRECISION=fp32 makes all alike.")
    ]


def _difference(ranking: Ranking, pair: pd.Series, sign: int) -> str:
    """`−0.9 points, 95 % CI −3.2 to +1.3`, and p where that excludes zero; sign -1 mirrors it."""
    return f"{points(sign * float(pair['difference']))} points, {interval_text(ranking, pair, sign)}"


def _score_parts(ranking: Ranking) -> tuple[str, str]:
    """The score, and in parentheses what must stand beside it."""
    run, (low, high) = ranking.best, ranking.interval[0]
    folds = counted(len(ranking.folds), "fold")
    if run.missing_folds:
        folds = f"{len(ranking.folds)} of {counted(len(ranking.folds) + len(run.missing_folds), 'fold')}"
    counts = f"{folds}, {'exact solution' if run.exact else counted(len(run.seeds), 'seed')}"
    counts = folds if "exact solution" in run.protocol else counts  # said once
    data = "synthetic data, " if run.synthetic else ""
    deviation = f", SD {percent(ranking.fold_accuracy[0].std(ddof=1))}" if len(ranking.folds) > 1 else ""
    interval_ = f"95 % CI {percent(low)} to {percent(high)}" if ranking.testable else NO_INTERVAL
    score = f"{percent(ranking.accuracy[0])} % accuracy on {counted(len(run.clip_ids), 'test clip')}"
    return score, f"({interval_}{deviation}; {counts}, {data}{run.protocol})"


def _points(pair: pd.Series) -> str:
    return f"{percent(pair['difference'])} points"


def interval_text(ranking: Ranking, pair: pd.Series, sign: int = 1) -> str:
    """The interval, of the lower less the higher with `sign` -1; p where one without zero is not enough."""
    if np.isnan(pair["low"]):
        return NO_INTERVAL
    low, high = sorted((sign * float(pair["low"]), sign * float(pair["high"])))
    found = f"95 % CI {points(low)} to {points(high)}"
    if pair["low"] <= 0 or pair["differs"] or np.isnan(pair["p_best"]):
        return found
    others = len(ranking.runs) - 1
    corrected = f" after correction for {others} comparisons" if others > 1 else ""
    return f"{found}, not significant: {p_text(pair['p_best'])}{corrected}, level {ranking.level:g}"


def _listed(ranking: Ranking, runs: Sequence[Run]) -> str:
    return listed([display_name(run, ranking) for run in runs], NAMED)


def listed(names: Sequence[str], most: int) -> str:
    """`mel, mfcc and 3 more`: at most `most` of the names."""
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def families(ranking: Ranking) -> list[list[Run]]:
    """The runs that share every option but the features, each family best first, that of the best run first.

    Ensembles of finished runs, which have members in place of options, are the last family.
    """
    found: dict[str, list[Run]] = {}
    for run in sorted(ranking.runs, key=lambda run: not run.trained):
        options = {key: value for key, value in run_options(run).items() if key not in ("features", "seed")}
        kind = json.dumps(options, sort_keys=True, default=str) if run.trained else "ensembles"
        found.setdefault(kind, []).append(run)
    return list(found.values())


def is_clear(ranking: Ranking, pair: pd.Series, added: pd.DataFrame) -> bool | None:
    """The verdict on a pair, as one with the best or as an addition; None where it is neither."""
    if not ranking.testable:
        return None
    if not np.isnan(pair["p_best"]):
        return bool(pair["differs"])
    step = added[added["without"].isin((pair["a"], pair["b"])) & added["with"].isin((pair["a"], pair["b"]))]
    return None if step.empty else bool(step["differs"].all())


def accuracy_text(ranking: Ranking, run: Run) -> str:
    return percent(ranking.accuracy[ranking.runs.index(run)])


def count_channels(run: Run) -> int:
    return channel_counts(run).total()
