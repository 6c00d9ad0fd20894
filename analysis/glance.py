"""What a reader asks first, a line each: which feature alone, which together, and for which classes.

Compared are the ranked runs that differ in their features alone; of several such families the largest. A
fusion was not trained on a feature set, so it is in none.
"""

import json
from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.answer import interval, listed, name, signed
from analysis.effects import options_of
from analysis.ranking import Ranking
from analysis.results import Run

LED_BY = 3  # single features named
ENDS = 2  # classes named at either end

Line = tuple[str, str]


def glance(ranking: Ranking, added: pd.DataFrame) -> list[Line]:
    """Up to three lines, (heading, sentence); `added` are the ranking's additions."""
    peers = family(ranking)
    single = [run for run in peers if len(run.features.split("+")) == 1]
    several = [run for run in peers if run not in single]
    lines = [("Alone", _alone(ranking, single))] if len(single) > 1 else []
    if single and several:
        lines.append(("Together", _together(ranking, single[0], several[0], added)))
    return [*lines, ("By class", _by_class(ranking))]


def family(ranking: Ranking) -> list[Run]:
    """The most runs that share every option but the features, best first; empty where none was trained."""
    families: dict[str, list[Run]] = {}
    for run in ranking.runs:
        options = {key: value for key, value in options_of(run).items() if key not in ("features", "seed")}
        if "members" not in options:
            families.setdefault(json.dumps(options, sort_keys=True, default=str), []).append(run)
    return max(families.values(), key=len, default=[])


def _alone(ranking: Ranking, single: Sequence[Run]) -> str:
    best = listed([_scored(ranking, run) for run in single[:LED_BY]], LED_BY)
    if len(single) <= LED_BY:
        return f"{best}."
    return f"{best} lead {len(single)} single features; {_scored(ranking, single[-1])} is last."


def _together(ranking: Ranking, single: Run, several: Run, added: pd.DataFrame) -> str:
    """The best set of several against the best single feature, and what the additions brought."""
    ahead, behind = sorted((single, several), key=ranking.runs.index)
    pair = ranking.pair(ahead, behind)
    more, sign = ("more", 1) if ahead is several else ("less", -1)
    chance = "" if pair["differs"] else ", so chance may explain it"
    found = (
        f"{_scored(ranking, several)}, {100 * pair['difference']:.1f} points {more} than "
        f"{name(single, ranking)} alone ({interval(pair, sign)}){chance}."
    )
    return " ".join([found, *_steps(ranking, added)])


def _steps(ranking: Ranking, added: pd.DataFrame) -> list[str]:
    """Which additions are shown to help the best part of a set, which are not."""
    features = {run.name: run.features for run in ranking.runs}
    steps = added.drop_duplicates("with")  # the best part stands first
    words = [
        f"{row['changed']} to {features[row['without']]} ({signed(row['difference'])})"
        for row in steps.to_dict("records")
    ]
    help_ = steps["differs"].to_numpy(dtype=bool) & (steps["difference"].to_numpy(dtype=float) > 0)
    parts = [
        f"{verb} {listed([word for word, chosen in zip(words, mask, strict=True) if chosen], LED_BY)}"
        for verb, mask in (("shown to help:", help_), ("not shown to help:", ~help_))
        if mask.any()
    ]
    return [f"Added to the best part of a set, {'; '.join(parts)}."] if parts else []


def _by_class(ranking: Ranking) -> str:
    """The classes that the best run recognises most and least often, and its commonest confusion."""
    best = ranking.best
    classes = tables.per_class(best)
    classes = classes[classes["clips"] > 0].sort_values("recall", ascending=False, kind="stable")
    words = [f"{row['class']} ({100 * row['recall']:.0f} %)" for row in classes.to_dict("records")]
    if len(words) <= 2 * ENDS:
        found = f"{name(best, ranking)} recognises {listed(words, len(words))}"
    else:
        most, least = listed(words[:ENDS], ENDS), listed(words[: -ENDS - 1 : -1], ENDS)
        found = f"{name(best, ranking)} recognises {most} most often, {least} least"
    confused = tables.confused_pairs(best, 1).to_dict("records")
    taken = [f"; {one['true']} taken for {one['predicted']} is its commonest error" for one in confused]
    return f"{found}{''.join(taken)}."


def _scored(ranking: Ranking, run: Run) -> str:
    return f"{name(run, ranking)} {100 * ranking.accuracy[ranking.runs.index(run)]:.1f} %"
