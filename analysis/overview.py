"""The overview of the first screen in sentences: by feature, by class, and what a change does to the classes.

It compares the ranked runs that differ in their features alone; of several such families the largest. An
ensemble was not trained on a feature set, so it is in none.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import tables
from analysis.ablations import setting
from analysis.answer import (
    NAMED,
    TOO_FEW,
    Line,
    accuracy_text,
    count_channels,
    families,
    interval_text,
    is_clear,
    listed,
)
from analysis.naming import display_name
from analysis.ranking import Ranking
from analysis.results import Run
from commandline.terminal import percent, points

FEATURES_NAMED = 3  # single features named
CLASSES_NAMED = 2  # with the highest recall, and with the lowest


def overview_lines(ranking: Ranking, added: pd.DataFrame) -> list[Line]:
    """Up to three lines, (heading, sentence); `added` are the ranking's feature ablations."""
    peers = family(ranking)
    single = [run for run in peers if count_channels(run) == 1]
    several = [run for run in peers if run not in single]
    lines = [("Single features", _single_features(ranking, single))] if len(single) > 1 else []
    if single and several:
        lines.append(("Combined", _combined(ranking, single[0], several[0], added)))
    return [*lines, ("Classes", _by_class(ranking))]


def family(ranking: Ranking) -> list[Run]:
    """The largest family of trained runs; empty where none was trained."""
    return max((one for one in families(ranking) if one[0].trained), key=len, default=[])


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
        f"{display_name(single, ranking)} alone ({interval_text(ranking, pair, sign)})"
        f"{_tested(ranking, pair, added)}."
    )
    return " ".join([found, *_additions(ranking, added)])


def _tested(ranking: Ranking, pair: pd.Series, added: pd.DataFrame) -> str:
    """The verdict on a pair behind its interval; empty where that says it already."""
    if not ranking.testable:
        return f", not tested: {TOO_FEW}"
    clear = is_clear(ranking, pair, added)
    if clear is None:
        return ", not tested: neither is the best run"
    said = clear or (not np.isnan(pair["p_best"]) and pair["low"] > 0)
    return "" if said else ", not significant"


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
    return f"{display_name(run, ranking)} {accuracy_text(ranking, run)} %"


def describe_classes(differences: pd.DataFrame, change: str) -> str:
    """`chroma helps rooster and dog, hurts rain`: the classes that change significantly, largest first."""
    significant = differences[differences["differs"]].sort_values("difference", key=abs, ascending=False)
    parts = [
        f"{verb} {listed(significant.loc[significant['difference'] * sign > 0, 'class'].tolist(), NAMED)}"
        for verb, sign in (("helps", 1), ("hurts", -1))
        if (significant["difference"] * sign > 0).any()
    ]
    return f"{change} {', '.join(parts)}" if parts else f"{change} changes no class significantly"
