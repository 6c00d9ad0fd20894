"""The answer in three sentences, made from the figures: what was found, how sure it is, what to do next.

Three cases: a clear winner (better than every other set after correction), a tie (the data would have
shown a difference worth having, and did not: the tied sets are named), or too little data (how many clips
or seeds would tell). One run alone, and none, have sentences of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import pandas as pd
from scipy.stats import norm

from analysis.ranking import Ranking, corrected_winner
from analysis.results import Run
from analysis.significance import LEVEL

# A difference worth having: smaller ones are within what another seed or another split into folds changes
# on a few hundred clips.
WORTH = 0.05
NAMED = 3  # tied sets named before "and 6 more": the table has them all
SMALLEST = 0.002  # leads below a clip of 500 are not worth an estimate of what would show them
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
    """The answer to a ranking, the largest of a report; None where no run can be read."""
    if ranking is None:
        return _no_run()
    if len(ranking.runs) == 1:
        return _one_run(ranking)
    rivals = ranking.tied or ranking.runs[1:2]
    worth = WORTH if ranking.tied else float(ranking.pair(ranking.best, rivals[0])["difference"])
    clips = clips_needed(ranking, WORTH)
    seeds = seeds_needed((ranking.best, *rivals), worth)
    if clips or seeds:
        return _too_little_data(ranking, rivals, worth, clips, seeds)
    return _tie(ranking) if ranking.tied else _clear_winner(ranking)


def clips_needed(ranking: Ranking, worth: float) -> int:
    """Test clips with which a difference of `worth` would show between the best and each tied run.

    0 where it would show now. It has to stand Holm's correction, whose first step divides the level by the
    number of pairs; the half-width of an interval shrinks with the square root of the clips.
    """
    clips = len(ranking.best.clip_ids)
    pairs = [ranking.pair(ranking.best, run) for run in ranking.tied]
    corrected = norm.isf(LEVEL / 2 / max(1, len(ranking.pairs))) / norm.isf(LEVEL / 2)
    half = corrected * max((float(pair["high"] - pair["low"]) / 2 for pair in pairs), default=0.0)
    return _round_up(clips * (half / worth) ** 2) if half > worth else 0


def seeds_needed(runs: Sequence[Run], worth: float) -> int:
    """Seeds of each run with which a difference of `worth` would stand out from training noise.

    0 where it does now, or where no run has a second seed, so that the noise is unknown.
    """
    noise = max(seed_deviation(run) for run in runs)
    needed = ceil(2 * (norm.isf(LEVEL / 2) * noise / worth) ** 2)
    return needed if needed > min(len(run.seeds) for run in runs) else 0


def seed_deviation(run: Run) -> float:
    """Standard deviation of the accuracy over seeds; 0 where only one was trained."""
    accuracies = (run.predicted == run.target).mean(axis=1)
    return float(accuracies.std(ddof=1)) if len(accuracies) > 1 else 0.0


def _round_up(number: float) -> int:
    """To two figures, upwards: it is an estimate."""
    step = 10 ** max(0, len(str(ceil(number))) - 2)
    return ceil(number / step) * step


def _no_run() -> Answer:
    found = "No run has been trained yet, so this report shows the data alone."
    sure = "Below are the clips, their classes and how well each cached feature separates them."
    return Answer("no run", (found, sure, f"Train two feature sets to compare them: {EXAMPLE}."))


def _one_run(ranking: Ranking) -> Answer:
    found = f"{ranking.best.features} with {ranking.best.model} gets {_score(ranking)}."
    sure = f"That is one set alone, so whether another would do better is not known{_one_seed(ranking)}."
    return Answer("one run", (found, sure, f"Train a second set to compare it with: {EXAMPLE}."))


def _clear_winner(ranking: Ranking) -> Answer:
    best, second = (name(run, ranking) for run in ranking.runs[:2])
    pair = ranking.pair(*ranking.runs[:2])
    others = ", and of every other set by more" if len(ranking.runs) > 2 else ""
    found = f"{best} is the clear winner of {len(ranking.runs)} sets: {_score(ranking)}."
    sure = f"It is ahead of {second} by {_points(pair)} ({interval(pair)}){others}, after Holm's correction."
    then = f"{_corrected(ranking).capitalize()}{_one_seed(ranking)}."
    return Answer("clear winner", (found, sure, then))


def _tie(ranking: Ranking) -> Answer:
    best, last = ranking.best, ranking.tied[-1]
    pair = ranking.pair(best, last)
    tied = _listed(ranking, (best, *ranking.tied))
    lead = float(pair["difference"])
    clips = clips_needed(ranking, lead) if lead > SMALLEST else 0
    more = f"; about {clips:,} test clips would show so small a difference" if clips else ""
    found = f"A tie: {tied} cannot be told apart; {name(best, ranking)} is ahead with {_score(ranking)}."
    sure = (
        f"The last of them, {name(last, ranking)}, is {_points(pair)} behind ({interval(pair)}){more}; "
        f"of the other sets {_worse(ranking)}."
    )
    then = f"Take the cheapest of the tied; {_corrected(ranking)}{_one_seed(ranking)}."
    return Answer("tie", (found, sure, then))


def _worse(ranking: Ranking) -> str:
    """How many of the sets outside the tie are shown to be worse; all of them, by what a tie is."""
    worse = len(ranking.runs) - 1 - len(ranking.tied)
    return f"{worse or 'none'} {'are' if worse > 1 else 'is'} shown to be worse"


def _too_little_data(ranking: Ranking, rivals: Sequence[Run], worth: float, clips: int, seeds: int) -> Answer:
    best, rival = ranking.best, rivals[0]
    pair = ranking.pair(best, rival)
    fewest = min(len(run.seeds) for run in (best, *rivals))
    ways = [f"about {clips:,} test clips instead of {len(best.clip_ids):,}"] if clips else []
    ways += [f"about {seeds} seeds of each set instead of {fewest}"] if seeds else []
    unmeasured = "" if seeds else _one_seed(ranking)
    right, told = _score_parts(ranking)
    found = (
        f"Too little data to say which set is best: {name(best, ranking)} is ahead with {right}, "
        f"but {_listed(ranking, rivals)} may be as good {told}."
    )
    others = f"; of the other sets {_worse(ranking)}" if ranking.tied else ""
    sure = f"Its lead over {name(rival, ranking)} is {_points(pair)} ({interval(pair)}){others}."
    then = f"To see a difference of {100 * worth:.1f} points it would take {' and '.join(ways)}{unmeasured}."
    return Answer("too little data", (found, sure, then))


def name(run: Run, ranking: Ranking) -> str:
    """What tells the run from the other ranked ones: its feature set, else with the model, else its name."""
    for called in (_set, _set_and_model):
        if [called(other) for other in ranking.runs].count(called(run)) == 1:
            return called(run)
    return run.name


def _set(run: Run) -> str:
    """Its features; of a fusion of many runs, whose list would fill lines, how many they are."""
    members = len(run.config.get("members", ()))
    return f"a fusion of {members} runs" if members > 2 else run.features


def _set_and_model(run: Run) -> str:
    return f"{_set(run)} ({run.model})"


def names(ranking: Ranking) -> list[str]:
    """What each ranked run is called, best first."""
    return [name(run, ranking) for run in ranking.runs]


def _score(ranking: Ranking) -> str:
    """The best run's score with its n, deviation over folds, interval and protocol."""
    return " ".join(_score_parts(ranking))


def _score_parts(ranking: Ranking) -> tuple[str, str]:
    """The score, and in parentheses what must stand beside it."""
    run, (low, high) = ranking.best, ranking.interval[0]
    folds = _count(len(ranking.folds), "fold")
    if run.missing:
        folds = f"{len(ranking.folds)} of {_count(len(ranking.folds) + len(run.missing), 'fold')}"
    counts = f"{folds}, {_count(len(run.seeds), 'seed')}"
    data = "synthetic data, " if run.synthetic else ""
    spread = f", sd {100 * ranking.fold_accuracy[0].std(ddof=1):.1f}" if len(ranking.folds) > 1 else ""
    interval_ = f"95 % interval {100 * low:.1f} to {100 * high:.1f}{spread}"
    right = f"{100 * ranking.accuracy[0]:.1f} % of {_count(len(run.clip_ids), 'test clip')} right"
    return right, f"({interval_}; {counts}, {data}{run.protocol})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _points(pair: pd.Series) -> str:
    return f"{100 * pair['difference']:.1f} points"


def interval(pair: pd.Series, sign: int = 1) -> str:
    """The interval, of the lower run less the higher with `sign` -1; a doubtful one says what makes it so."""
    low, high = sorted((sign * float(pair["low"]), sign * float(pair["high"])))
    corrected = pair["low"] > 0 and not pair["differs"]
    return f"95 % interval {signed(low)} to {signed(high)}" + (
        ", not certain among so many comparisons" if corrected else ""
    )


def signed(share: float) -> str:
    """0.031 -> +3.1, in points, with the typographer's minus."""
    return f"{100 * share:+.1f}".replace("-", "−")


def _listed(ranking: Ranking, runs: Sequence[Run]) -> str:
    return listed([name(run, ranking) for run in runs], NAMED)


def listed(names: Sequence[str], most: int) -> str:
    """`mel, mfcc and 3 more`: so many of the names at most."""
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _corrected(ranking: Ranking) -> str:
    """What the choice is worth once the choice itself is charged for."""
    winner = corrected_winner(ranking)
    if winner is None:
        return "with one fold alone the score cannot be corrected for having been chosen"
    return (
        "corrected for having been chosen (on all folds but one, scored on that one) the score is "
        f"{100 * winner.accuracy:.1f} %"
    )


def _one_seed(ranking: Ranking) -> str:
    if len(ranking.best.seeds) > 1 or ranking.best.exact:
        return ""
    return "; one seed, so training noise was not measured (add SEED=1 and SEED=2)"
