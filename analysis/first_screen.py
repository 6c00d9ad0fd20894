"""Beside the first sentences of a report: forest plot, small confusion matrix, common mistake, foot.

The forest plot has a panel a family of runs that differ in their features alone, all on one axis. A dot is
filled where its run does not differ clearly from the best of the whole ranking; the band reaches from the
lowest of those to the best. Positions are percentages of the axis.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis import tables
from analysis.ablations import setting
from analysis.answer import Line, families
from analysis.error_browser import by_category
from analysis.findings import Findings
from analysis.naming import display_name, display_names
from analysis.page import slug
from analysis.ranking import CONTINUE, NOT_COMPARED, Ranking, not_compared_sentence
from analysis.results import Problem, Run
from commandline.terminal import percent

ROWS_SHOWN = 12  # of a forest plot; the others open on a click
CLASSES_SHOWN = 12  # in the small confusion matrix; of more classes, those of the most frequent errors
MODELS_NAMED = 3
REST = "others"


@dataclass(frozen=True)
class ForestRow:
    """One feature set: where its accuracy and interval lie on the axis, and the words beside them."""

    name: str
    link: str
    accuracy: str
    interval: str  # '' where there are too few recordings
    at: float
    low: float
    high: float
    verdict: str  # best | tied | worse | untested | alone
    verdict_text: str


@dataclass(frozen=True)
class ForestPanel:
    """The feature sets of one model, or of all, best first."""

    label: str
    rows: list[ForestRow]


@dataclass(frozen=True)
class Forest:
    """All panels, and what they share: the axis, the line at chance, the band."""

    panels: list[ForestPanel]
    ticks: list[tuple[float, str]]
    chance: float
    chance_text: str
    band: tuple[float, float] | None  # from, width
    rows_shown: int = ROWS_SHOWN


VERDICT_TEXT = {
    "best": "the best",
    "tied": "not clearly different from the best",
    "worse": "clearly worse than the best",
    "untested": "not tested: too few recordings",
    "alone": "nothing to compare with",
}


def forest(ranking: Ranking) -> Forest:
    """The forest plot of the main ranking, the best run's panel first.

    Of several models one more panel holds all runs, first where the best run's own has nothing beside it.
    """
    best = ranking.best
    chance = float(np.bincount(best.target).max() / len(best.target))
    low, high = _axis(ranking, chance)

    def place(share: float) -> float:
        return round(100 * (share - low) / (high - low), 2)

    verdicts = {run.name: tables.verdict(ranking, run) for run in ranking.runs}

    def panel(label: str, together: Sequence[Run], names: Sequence[str]) -> ForestPanel:
        named = zip(together, names, strict=True)
        return ForestPanel(
            label, [_row(ranking, run, verdicts[run.name], place, name) for run, name in named]
        )

    by_model = sorted(families(ranking), key=lambda together: best not in together)
    panels = [panel(_label(together, ranking), together, _names(together, ranking)) for together in by_model]
    if len(panels) > 1:
        whole = panel("all", ranking.runs, display_names(ranking))
        panels.insert(0 if len(by_model[0]) == 1 else len(panels), whole)
    band = None
    if ranking.tied:
        start = place(min(ranking.accuracy[ranking.runs.index(run)] for run in ranking.tied))
        band = start, round(place(ranking.accuracy[0]) - start, 2)
    return Forest(panels, _ticks(low, high, place), place(chance), f"chance {percent(chance, 0)} %", band)


def _axis(ranking: Ranking, chance: float) -> tuple[float, float]:
    """Round tenths around every interval and chance."""
    numbers = [*ranking.accuracy, *ranking.interval.ravel(), chance]
    known = [number for number in numbers if not math.isnan(number)]
    high = min(1.0, math.ceil(max(known) * 10 + 1e-9) / 10)
    return min(math.floor(min(known) * 10) / 10, high - 0.1), high


def _ticks(low: float, high: float, place: Any) -> list[tuple[float, str]]:
    step = 1 if high - low <= 0.5 else 2
    tenths = range(math.ceil(low * 10 - 1e-9), round(high * 10) + 1)
    return [(place(tenth / 10), str(10 * tenth)) for tenth in tenths if tenth % step == 0]


def _label(together: Sequence[Run], ranking: Ranking) -> str:
    """The model, and what tells the family from others of that model."""
    if not together[0].trained:
        return "ensembles of runs"
    return setting(together[0], [run for run in ranking.runs if run.trained])


def _names(together: Sequence[Run], ranking: Ranking) -> list[str]:
    """Runs in the panel of their model: by the features alone where only one trained run has them."""
    features = [run.features for run in together]
    return [
        run.features
        if run.trained and features.count(run.features) == 1
        else display_name(run, ranking).replace(f"({run.model}, ", "(")
        for run in together
    ]


def _row(ranking: Ranking, run: Run, verdict: str, place: Any, name: str) -> ForestRow:
    number = ranking.runs.index(run)
    accuracy, (low, high) = float(ranking.accuracy[number]), ranking.interval[number]
    known = not math.isnan(low)
    deviation = ranking.fold_accuracy[number].std(ddof=1) if len(ranking.folds) > 1 else math.nan
    spread = "" if math.isnan(deviation) else f" ± {percent(deviation)}"
    return ForestRow(
        name=name,
        link=slug(run.name),
        accuracy=f"{percent(accuracy)}{spread}",
        interval=f"{percent(low)} to {percent(high)}" if known else "",
        at=place(accuracy),
        low=place(low) if known else place(accuracy),
        high=place(high) if known else place(accuracy),
        verdict=verdict,
        verdict_text=VERDICT_TEXT[verdict],
    )


@dataclass(frozen=True)
class MatrixCell:
    """A cell of the small matrix; `actual` and `predicted` are the error browser's class numbers."""

    count: int
    shade: float  # 0 to 1, of the largest error
    correct: bool
    actual: int
    predicted: int  # -1 for the column of all others
    title: str


@dataclass(frozen=True)
class SmallMatrix:
    """Counts of the best run, rows actual, columns predicted."""

    columns: list[str]
    rows: list[tuple[str, list[MatrixCell]]]
    note: str


def small_matrix(run: Run) -> SmallMatrix:
    """The confusion matrix in counts; of many classes, those that take part in the most frequent errors."""
    order = by_category(run)
    counts = tables.confusion_counts(run)[np.ix_(order, order)]
    names = [run.classes[place] for place in order]
    shown = _most_confused(counts)
    errors = counts - np.diag(counts.diagonal())
    largest = max(1, int(errors[shown].max()))
    rows = []
    for actual in shown:
        cells = [
            MatrixCell(
                count=int(counts[actual, predicted]),
                shade=round(float(errors[actual, predicted]) / largest, 2),
                correct=actual == predicted,
                actual=actual,
                predicted=predicted,
                title=f"{names[actual]} predicted as {names[predicted]}: "
                f"{counts[actual, predicted]} of {counts[actual].sum()}",
            )
            for predicted in shown
        ]
        if len(shown) < len(names):
            rest = int(counts[actual].sum() - counts[actual, shown].sum())
            title = f"{names[actual]} predicted as any other class: {rest} of {counts[actual].sum()}"
            cells.append(MatrixCell(rest, round(rest / largest, 2), False, actual, -1, title))
        rows.append((names[actual], cells))
    columns = [names[place] for place in shown] + ([REST] if len(shown) < len(names) else [])
    notes = [f"{len(shown)} of {len(names)} classes, those of the most frequent errors."] * (
        len(shown) < len(names)
    )
    return SmallMatrix(columns, rows, " ".join([*notes, tables.seeds_note(run)]).strip())


def _most_confused(counts: np.ndarray) -> list[int]:
    """The classes to show: all, or those of the most frequent errors, in the matrix's order."""
    if len(counts) <= CLASSES_SHOWN:
        return list(range(len(counts)))
    chosen: dict[int, None] = {}
    for pair in [
        *tables.most_confused(counts, counts.size),
        *((place, place) for place in range(len(counts))),
    ]:
        if len(chosen.keys() | set(pair)) > CLASSES_SHOWN - 2:
            break
        chosen |= dict.fromkeys(pair)
    return sorted(chosen)


@dataclass(frozen=True)
class Mistake:
    """The most frequent error of a run, and two clips to compare: (what it is, clip id)."""

    true: str
    predicted: str
    count: int
    of: int
    clips: tuple[Line, ...]
    equals: int = 0  # other pairs of classes that are as frequent


def common_mistake(run: Run) -> Mistake | None:
    """None for a run that predicts everything correctly.

    The clips are the mistaken one of which the run was surest, and the surest correct one of the class that
    was predicted.
    """
    confused = tables.confused_pairs(run, 1).to_dict("records")
    if not confused:
        return None
    (one,) = confused
    counts = tables.confusion_counts(run)
    equals = int(np.count_nonzero(counts - np.diag(counts.diagonal()) == one["count"])) - 1
    true, predicted = run.classes.index(one["true"]), run.classes.index(one["predicted"])
    sure = run.probabilities.mean(axis=0)[:, predicted]
    wrong = (run.target == true) & (run.predicted == predicted).any(axis=0)
    right = (run.target == predicted) & (run.predicted == predicted).all(axis=0)
    clips = [(f"{one['true']}, predicted as {one['predicted']}", wrong)]
    clips += [(f"{one['predicted']}, predicted correctly", right)] if right.any() else []
    chosen = tuple((words, str(run.clip_ids[np.where(mask, sure, -1).argmax()])) for words, mask in clips)
    return Mistake(one["true"], one["predicted"], int(one["count"]), int(one["of"]), chosen, equals)


def dataset_line(dataset: str, ranking: Ranking | None, facts: Sequence[Line]) -> list[str]:
    """`esc10`, `400 clips`, `10 classes`, `5-fold cross-validation`: of the runs, or of the cache alone."""
    if ranking is None:
        return [dataset, *(f"{value} {name.lower()}" for name, value in facts[:2])]
    run = ranking.best
    whole = len(ranking.folds) + len(run.missing_folds)
    folds = f"{whole}-fold cross-validation" if whole > 1 else "one test fold"
    if run.missing_folds:
        folds = f"{len(ranking.folds)} of {whole} folds"
    unit = "categories" if run.task == "categories" else "classes"
    return [dataset, f"{len(run.clip_ids):,} clips", f"{len(run.classes)} {unit}", folds]


def model_notes(ranking: Ranking) -> list[Line]:
    """What the models' names mean, the best run's first."""
    found: dict[str, str] = {}
    for run in ranking.runs:
        if run.trained and run.model not in found:
            found[run.model] = _meaning(run)
    return list(found.items())[:MODELS_NAMED]


def _meaning(run: Run) -> str:
    """In words of run.json, which has them of the model itself; without those by the rule of names."""
    known = str(run.config.get("model_summary") or "")
    members = run.model.split("+")
    if len(members) > 1:
        both = " and ".join(one.partition("@")[0] for one in members)
        return f"an ensemble: {both}, trained side by side, their outputs averaged. {known}".strip()
    return known or f"described by: python -m train list {run.model.partition('@')[0]}"


def by_reason(
    problems: Sequence[Problem], commands: Mapping[str, str] = {}
) -> list[tuple[list[str], str, bool]]:
    """Every reason once, with the runs that it is of: (names, reason, unfinished).

    Where training is to be continued with the command, of the first run, that trains it (`commands` by name).
    """
    reasons: dict[tuple[str, bool], list[str]] = {}
    for problem in problems:
        reasons.setdefault((problem.text, problem.unfinished), []).append(problem.run)
    return [
        (names, _with_command(text, names, commands), unfinished)
        for (text, unfinished), names in reasons.items()
    ]


def _with_command(text: str, names: Sequence[str], commands: Mapping[str, str]) -> str:
    command = commands.get(names[0]) if text.endswith(CONTINUE) else None
    of = f", {names[0]} by" if len(names) > 1 else ""
    return f"{text}{of}: {command}" if command else text


def first_screen(
    found: Findings,
    dataset: str,
    facts: Sequence[Line],
    problems: Sequence[Problem],
    players: Mapping[str, str],
    commands: Mapping[str, str] = {},
) -> dict[str, Any]:
    """Every name that the template of the first screen uses; `players`: clip id -> address of its audio.

    `commands`: run -> the command that trains it.
    """
    ranking = found.main
    mistake = common_mistake(ranking.best) if ranking else None
    return {
        "dataset_line": dataset_line(dataset, ranking, facts),
        "forest": forest(ranking) if ranking else None,
        "small_matrix": small_matrix(ranking.best) if ranking else None,
        "mistake": mistake,
        "mistake_clips": [(words, players.get(clip, "")) for words, clip in mistake.clips] if mistake else [],
        "models": model_notes(ranking) if ranking else [],
        "not_compared": not_compared_sentence(found.rankings),
        "reasons": [
            (names, text.removeprefix(NOT_COMPARED), unfinished)
            for names, text, unfinished in by_reason(problems, commands)
        ],
    }
