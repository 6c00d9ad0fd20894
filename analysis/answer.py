"""The first screen in sentences, made from the figures: the answer, and an overview by feature and class.

The answer has three sentences: what was found, how certain it is, what to do next.

Three cases: a clear winner (better than every other set after correction), a tie (a relevant difference
would have been found with a power of 80 %, and was not: the tied sets are named), or too little data (how
many clips or seeds that would take; with fewer than five recordings there is no verdict). One run alone, and
none, have sentences of their own.

The overview compares the ranked runs that differ in their features alone; of several such families the
largest. An ensemble was not trained on a feature set, so it is in none.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import pandas as pd
from scipy.stats import norm

from analysis import tables
from analysis.ablations import run_options, setting
from analysis.bootstrap import FEWEST_RECORDINGS
from analysis.ranking import Ranking, nested_selection
from analysis.results import Run
from analysis.significance import BEST_LEVEL, POWER
from commandline import percent, points

# A relevant difference in accuracy: smaller ones are within what another seed or another split into folds
# changes on a few hundred clips.
RELEVANT = 0.05
NAMED = 3  # names in a list before "and 6 more": the tables have them all
SMALLEST_LEAD = 0.002  # for smaller leads, below a clip of 500, no number of clips is estimated
TOO_FEW = f"fewer than {FEWEST_RECORDINGS} source recordings"
NO_INTERVAL = f"no interval, {TOO_FEW}"
WITH_POWER = f"with a power of {100 * POWER:.0f} %"
EXAMPLE = 'make sweep DATASET=… FEATURES="mel mel+mfcc"'


@dataclass(frozen=True)
class Answer:
    """Which of the cases it is, and the three sentences."""

    kind: str  # clear winner | tie | too little data | one run | no run
    sentences: tuple[str, str, str]

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


def answer(ranking: Ranking | None) -> Answer:
    """The answer to the main ranking of a report; None where no run can be read."""
    if ranking is None:
        return _no_run()
    if len(ranking.runs) == 1:
        return _one_run(ranking)
    if not ranking.testable:
        return _no_verdict(ranking)
    rivals = ranking.tied or ranking.runs[1:2]
    pair = ranking.pair(ranking.best, rivals[0])
    relevant = RELEVANT if ranking.tied else float(pair["difference"])
    clips = clips_needed(ranking, RELEVANT)
    # A lead that was observed need only be significant; one that was not must have been likely to be found.
    compared = (ranking.best, *rivals)
    seeds = seeds_needed(compared, relevant, POWER if ranking.tied else 0.5)
    if clips or seeds:
        needed = seeds_needed(compared, relevant) if seeds else 0
        return _too_little_data(ranking, rivals, relevant, clips, needed)
    return _tie(ranking) if ranking.tied else _clear_winner(ranking)


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


def seeds_needed(runs: Sequence[Run], difference: float, power: float = POWER) -> int:
    """Seeds of each run with which a difference would be found against the variation between seeds.

    0 where these suffice, or where no run has a second seed, so that the variation is unknown.
    """
    noise = max(run.seed_deviation for run in runs)
    quantiles = norm.isf(BEST_LEVEL / 2) + norm.isf(1 - power)
    needed = ceil(2 * (quantiles * noise / difference) ** 2)
    return needed if needed > min(len(run.seeds) for run in runs) else 0


def _round_up(number: float) -> int:
    """To two figures, upwards: it is an estimate."""
    step = 10 ** max(0, len(str(ceil(number))) - 2)
    return ceil(number / step) * step


def _no_run() -> Answer:
    found = "No run has been trained yet, so this report shows the data only."
    sure = "Below are the clips, their classes and how well each cached feature separates them."
    return Answer("no run", (found, sure, f"Train two feature sets to compare them: {EXAMPLE}."))


def _one_run(ranking: Ranking) -> Answer:
    found = f"{ranking.best.features} with {ranking.best.model} has {_score(ranking)}."
    sure = f"It is the only feature set trained, so nothing is known about others{_one_seed(ranking)}."
    return Answer("one run", (found, sure, f"Train a second set to compare it with: {EXAMPLE}."))


def _no_verdict(ranking: Ranking) -> Answer:
    """Sentences without a verdict: hardly any recordings could differ."""
    score, details = _score_parts(ranking)
    others = _listed(ranking, ranking.runs[1:])
    found = (
        f"Too little data to say which set is best: the test clips come from {TOO_FEW} "
        f"({ranking.recordings}); {display_name(ranking.best, ranking)} leads with {score} {details}."
    )
    sure = f"No interval and no verdict on {others}: clips of one recording are not independent."
    then = f"Test on clips of at least {FEWEST_RECORDINGS} recordings, better fifty (column group)."
    return Answer("too little data", (found, sure, then))


def _clear_winner(ranking: Ranking) -> Answer:
    best, second = (display_name(run, ranking) for run in ranking.runs[:2])
    pair = ranking.pair(*ranking.runs[:2])
    others = ", and larger over every other set" if len(ranking.runs) > 2 else ""
    found = f"{best} is the clear winner of {len(ranking.runs)} sets: {_score(ranking)}."
    lead = f"Its lead over {second} is {_points(pair)} ({interval_text(pair)}){others}"
    comparisons = "" if len(ranking.runs) == 2 else f" after correction for all {_comparisons(ranking)}"
    sure = f"{lead}; significant{comparisons}."
    then = f"{_nested(ranking, 'Selected')}{_one_seed(ranking)}."
    return Answer("clear winner", (found, sure, then))


def _comparisons(ranking: Ranking) -> str:
    """`3 comparisons with the best`: the family of every verdict of the answer."""
    return f"{_count(len(ranking.runs) - 1, 'comparison')} with the best"


def _tie(ranking: Ranking) -> Answer:
    best, last = ranking.best, ranking.tied[-1]
    pair = ranking.pair(best, last)
    tied = _listed(ranking, (best, *ranking.tied))
    lead = float(pair["difference"])
    clips = clips_needed(ranking, lead) if lead > SMALLEST_LEAD else 0
    more = (
        f"; to find so small a difference {WITH_POWER} would take about {clips:,} test clips" if clips else ""
    )
    leader = f"{display_name(best, ranking)} leads with {_score(ranking)}"
    found = f"A tie: {tied} do not differ significantly; {leader}."
    sure = (
        f"The lowest of them, {display_name(last, ranking)}, is {_points(pair)} behind "
        f"({interval_text(pair)}){more}; "
        f"of the other sets {_worse(ranking)}. "
        f"A set {100 * RELEVANT:.0f} points below the best would have been found {WITH_POWER}."
    )
    then = f"Take the cheapest of the tied sets; {_nested(ranking, 'selected')}{_one_seed(ranking)}."
    return Answer("tie", (found, sure, then))


def _worse(ranking: Ranking) -> str:
    """How many of the other sets are significantly worse: all of them, by the definition of a tie."""
    worse = len(ranking.runs) - 1 - len(ranking.tied)
    return f"{worse or 'none'} {'are' if worse > 1 else 'is'} significantly worse"


def _too_little_data(
    ranking: Ranking, rivals: Sequence[Run], relevant: float, clips: int, seeds: int
) -> Answer:
    best, rival = ranking.best, rivals[0]
    pair = ranking.pair(best, rival)
    fewest = min(len(run.seeds) for run in (best, *rivals))
    ways = [f"about {clips:,} test clips instead of {len(best.clip_ids):,}"] if clips else []
    ways += [f"about {seeds} seeds of each set instead of {fewest}"] if seeds else []
    unmeasured = "" if seeds else _one_seed(ranking)
    score, details = _score_parts(ranking)
    found = (
        f"Too little data to say which set is best: {display_name(best, ranking)} leads with {score}, "
        f"but {_listed(ranking, rivals)} may be as good {details}."
    )
    others = f"; of the other sets {_worse(ranking)}" if ranking.tied else ""
    sure = f"Its lead over {display_name(rival, ranking)} is {_points(pair)} ({interval_text(pair)}){others}."
    need = f"To find a difference of {percent(relevant)} points {WITH_POWER} it would take"
    then = f"{need} {' and '.join(ways)}{unmeasured}."
    return Answer("too little data", (found, sure, then))


def display_name(run: Run, ranking: Ranking) -> str:
    """Its feature set where that is unique in the ranking, else with the model, else the run's name."""
    for called in (_set, _set_and_model):
        if [called(other) for other in ranking.runs].count(called(run)) == 1:
            return called(run)
    return run.name


def _set(run: Run) -> str:
    """Its features; of an ensemble of many runs, whose list would fill lines, how many they are."""
    members = len(run.config.get("members", ()))
    return f"an ensemble of {members} runs" if members > 2 else run.features


def _set_and_model(run: Run) -> str:
    return f"{_set(run)} ({run.model})"


def display_names(ranking: Ranking) -> list[str]:
    """The display name of each ranked run, best first."""
    return [display_name(run, ranking) for run in ranking.runs]


def _score(ranking: Ranking) -> str:
    """The best run's score with its n, deviation over folds, interval and protocol."""
    return " ".join(_score_parts(ranking))


def _score_parts(ranking: Ranking) -> tuple[str, str]:
    """The score, and in parentheses what must stand beside it."""
    run, (low, high) = ranking.best, ranking.interval[0]
    folds = _count(len(ranking.folds), "fold")
    if run.missing_folds:
        folds = f"{len(ranking.folds)} of {_count(len(ranking.folds) + len(run.missing_folds), 'fold')}"
    counts = f"{folds}, {'exact solution' if run.exact else _count(len(run.seeds), 'seed')}"
    data = "synthetic data, " if run.synthetic else ""
    deviation = f", SD {percent(ranking.fold_accuracy[0].std(ddof=1))}" if len(ranking.folds) > 1 else ""
    interval_ = f"95 % interval {percent(low)} to {percent(high)}" if ranking.testable else NO_INTERVAL
    score = f"{percent(ranking.accuracy[0])} % accuracy on {_count(len(run.clip_ids), 'test clip')}"
    return score, f"({interval_}{deviation}; {counts}, {data}{run.protocol})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _points(pair: pd.Series) -> str:
    return f"{percent(pair['difference'])} points"


def interval_text(pair: pd.Series, sign: int = 1) -> str:
    """The interval, of the lower run less the higher with `sign` -1, and whether only correction decides."""
    if np.isnan(pair["low"]):
        return NO_INTERVAL
    low, high = sorted((sign * float(pair["low"]), sign * float(pair["high"])))
    only_uncorrected = pair["low"] > 0 and not pair["differs"] and not np.isnan(pair["p_best"])
    return f"95 % interval {points(low)} to {points(high)}" + (
        ", not significant after correction for all comparisons with the best" if only_uncorrected else ""
    )


def _listed(ranking: Ranking, runs: Sequence[Run]) -> str:
    return listed([display_name(run, ranking) for run in runs], NAMED)


def listed(names: Sequence[str], most: int) -> str:
    """`mel, mfcc and 3 more`: at most `most` of the names."""
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _nested(ranking: Ranking, selected: str) -> str:
    """The accuracy without the optimism of having selected the best run by its test score."""
    nested = nested_selection(ranking)
    if nested is None:
        return f"{selected} on the one test fold, so its score is optimistic"
    return (
        f"{selected} on all folds but one and scored on that one, in turn, the accuracy is "
        f"{percent(nested.accuracy)} %"
    )


def _one_seed(ranking: Ranking) -> str:
    if len(ranking.best.seeds) > 1 or ranking.best.exact:
        return ""
    return "; one seed, so the variation between seeds is unknown (add SEED=1 and SEED=2)"


FEATURES_NAMED = 3  # single features named
CLASSES_NAMED = 2  # with the highest recall, and with the lowest

OverviewLine = tuple[str, str]


def overview_lines(ranking: Ranking, added: pd.DataFrame) -> list[OverviewLine]:
    """Up to three lines, (heading, sentence); `added` are the ranking's feature ablations."""
    peers = family(ranking)
    single = [run for run in peers if len(run.features.split("+")) == 1]
    several = [run for run in peers if run not in single]
    lines = [("Single features", _single_features(ranking, single))] if len(single) > 1 else []
    if single and several:
        lines.append(("Combined", _combined(ranking, single[0], several[0], added)))
    return [*lines, ("Classes", _by_class(ranking))]


def family(ranking: Ranking) -> list[Run]:
    """The most runs that share every option but the features, best first; empty where none was trained."""
    families: dict[str, list[Run]] = {}
    for run in ranking.runs:
        options = {key: value for key, value in run_options(run).items() if key not in ("features", "seed")}
        if "members" not in options:
            families.setdefault(json.dumps(options, sort_keys=True, default=str), []).append(run)
    return max(families.values(), key=len, default=[])


def _single_features(ranking: Ranking, single: Sequence[Run]) -> str:
    best = listed([_scored(ranking, run) for run in single[:FEATURES_NAMED]], FEATURES_NAMED)
    if len(single) <= FEATURES_NAMED:
        return f"{best}."
    return f"{best} are the best of {len(single)}; {_scored(ranking, single[-1])} is the lowest."


def _combined(ranking: Ranking, single: Run, several: Run, added: pd.DataFrame) -> str:
    """The best set of several features against the best single one, and the effect of each addition."""
    ahead, behind = sorted((single, several), key=ranking.runs.index)
    pair = ranking.pair(ahead, behind)
    more, sign = ("more", 1) if ahead is several else ("less", -1)
    found = (
        f"{_scored(ranking, several)}, {percent(pair['difference'])} points {more} than "
        f"{display_name(single, ranking)} alone ({interval_text(pair, sign)}){_tested(ranking, pair, added)}."
    )
    return " ".join([found, *_additions(ranking, added)])


def _tested(ranking: Ranking, pair: pd.Series, added: pd.DataFrame) -> str:
    """The verdict on a pair, as one with the best or as an addition; empty where it is significant."""
    if not ranking.testable:
        return f", not tested: {TOO_FEW}"
    if not np.isnan(pair["p_best"]):
        return "" if pair["differs"] or pair["low"] > 0 else ", not significant"
    step = added[added["without"].isin((pair["a"], pair["b"])) & added["with"].isin((pair["a"], pair["b"]))]
    if step.empty:
        return ", not tested: neither is the best run"
    return "" if step["differs"].all() else ", not significant"


def _additions(ranking: Ranking, added: pd.DataFrame) -> list[str]:
    """Which additions to the best subset of a feature set help significantly, which do not."""
    runs = {run.name: run for run in ranking.runs}
    steps = added.drop_duplicates("with")  # the best subset stands first
    settings = [setting(runs[name], ranking.runs) for name in steps["without"]]
    words = [
        f"{row['changed']} to {runs[row['without']].features} "
        f"({f'{where}, ' if len(set(settings)) > 1 else ''}{points(row['difference'])})"
        for row, where in zip(steps.to_dict("records"), settings, strict=True)
    ]
    differs, gain = steps["differs"].to_numpy(dtype=bool), steps["difference"].to_numpy(dtype=float) > 0
    parts = [
        f"{verb} {listed([word for word, chosen in zip(words, mask, strict=True) if chosen], FEATURES_NAMED)}"
        for verb, mask in (
            ("significant gain:", differs & gain),
            ("significant loss:", differs & ~gain),
            ("no significant gain:", ~differs),
        )
        if mask.any()
    ]
    return [f"Adding features to the best subset: {'; '.join(parts)}."] if parts else []


def _by_class(ranking: Ranking) -> str:
    """The classes of highest and lowest recall of the best run, and its most frequent confusion."""
    best = ranking.best
    classes = tables.per_class(best)
    classes = classes[classes["clips"] > 0].sort_values("recall", ascending=False, kind="stable")
    if (classes["correct"] == classes["of"]).all():
        return f"{display_name(best, ranking)} predicts every test clip of every class correctly."
    words = [f"{row['class']} ({row['correct']} of {row['of']})" for row in classes.to_dict("records")]
    seeds = f", {len(best.seeds)} seeds added" if len(best.seeds) > 1 else ""
    if len(words) <= 2 * CLASSES_NAMED:
        found = f"Recall of {display_name(best, ranking)}{seeds}: {listed(words, len(words))}"
    else:
        most, least = (
            listed(words[:CLASSES_NAMED], CLASSES_NAMED),
            listed(words[: -CLASSES_NAMED - 1 : -1], CLASSES_NAMED),
        )
        found = f"Recall of {display_name(best, ranking)}{seeds} is highest for {most}, lowest for {least}"
    confused = tables.confused_pairs(best, 1).to_dict("records")
    most_frequent = [
        f"; most frequent error: {one['true']} predicted as {one['predicted']} "
        f"({one['count']} of {one['of']})"
        for one in confused
    ]
    return f"{found}{''.join(most_frequent)}."


def _scored(ranking: Ranking, run: Run) -> str:
    return f"{display_name(run, ranking)} {percent(ranking.accuracy[ranking.runs.index(run)])} %"


def describe_classes(differences: pd.DataFrame, change: str) -> str:
    """`chroma helps rooster and dog, hurts rain`: the classes that change significantly, largest first."""
    significant = differences[differences["differs"]].sort_values("difference", key=abs, ascending=False)
    parts = [
        f"{verb} {listed(significant.loc[significant['difference'] * sign > 0, 'class'].tolist(), NAMED)}"
        for verb, sign in (("helps", 1), ("hurts", -1))
        if (significant["difference"] * sign > 0).any()
    ]
    return f"{change} {', '.join(parts)}" if parts else f"{change} changes no class significantly"
