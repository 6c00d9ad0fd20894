"""Beside the first sentences of a report: forest plot, small confusion matrix, common mistake.

The forest plot has a panel a family of runs that differ in their features alone, and one panel of all, on one
axis. A dot is filled if its run does not differ clearly from the best of the whole ranking.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from analysis import tables
from analysis.error_browser import by_category
from analysis.facts import Configuration, Facts
from analysis.ranking import Ranking, setting
from analysis.results import Run, differing_options
from results.scores import most_confused

CLASSES_SHOWN = 12  # in the small confusion matrix; of more classes, those of the most frequent errors
MODELS_NAMED = 3


@dataclass(frozen=True)
class Forest:
    """Panels (label, rows), and the ends and ticks of their axis: round tenths around everything."""

    panels: list[tuple[str, list[Configuration]]]
    low: float
    high: float
    ticks: list[float]


def forest(facts: Facts, ranking: Ranking) -> Forest:
    """The forest plot of the main ranking, the best run's panel first, unless it stands there alone."""
    families: list[tuple[Run, list[Configuration]]] = []
    for run, row in zip(ranking.runs, facts.rows, strict=True):
        for first, rows in families:
            same = not run.trained or differing_options(run, first) <= {"features"}
            if run.trained == first.trained and same:
                rows.append(row)
                break
        else:
            families.append((run, [row]))
    trained = [run for run in ranking.runs if run.trained]
    panels = [
        (setting(first, trained, {"tag"}) if first.trained else "ensembles of runs", rows)
        for first, rows in families
    ]
    if len(panels) > 1:
        panels.insert(0 if len(panels[0][1]) == 1 else len(panels), ("all", list(facts.rows)))
    numbers = [facts.chance, *(end for row in facts.rows for end in (row.accuracy, row.low, row.high))]
    last = min(10, math.ceil(np.nanmax(numbers) * 10 + 1e-9))
    low = min(math.floor(np.nanmin(numbers) * 10), last - 1)
    step = 1 if last - low <= 5 else 2
    ticks = [tenth / 10 for tenth in range(low + low % step, last + 1, step)]
    return Forest(panels, low / 10, last / 10, ticks)


@dataclass(frozen=True)
class SmallMatrix:
    """Test clips of the best run, rows actual, columns predicted, means over seeds.

    `places` are the error browser's class numbers; `rest` (rows,) are
    predictions as a class that is not shown; empty if all are.
    """

    names: list[str]
    places: list[int]
    counts: list[list[float]]
    totals: list[int]
    rest: list[float]
    classes: int
    largest: float  # error, which has the darkest colour


def small_matrix(run: Run) -> SmallMatrix:
    """The confusion matrix in counts; of many classes, those that take part in the most frequent errors."""
    order = by_category(run)
    counts = tables.confusion_counts(run)[np.ix_(order, order)]
    classes = dict.fromkeys(chain(*most_confused(counts, counts.size), range(len(counts))))
    places = sorted([*classes][:CLASSES_SHOWN])
    inside, totals = counts[np.ix_(places, places)], counts[places].sum(axis=1)
    return SmallMatrix(
        names=[run.classes[order[place]] for place in places],
        places=places,
        counts=inside.tolist(),
        totals=totals.round().astype(int).tolist(),
        rest=(totals - inside.sum(axis=1)).tolist() if len(places) < len(counts) else [],
        classes=len(counts),
        largest=max(1.0, float((inside - np.diag(inside.diagonal())).max())),
    )


@dataclass(frozen=True)
class Mistake:
    """The most frequent error of a run, and two clips to compare."""

    true: str
    predicted: str
    count: float  # a mean over seeds
    of: int
    wrong: str  # clip id: the mistaken one of which the run was surest
    right: str  # the surest correct one of the class that was predicted; '' if there is none
    equals: int = 0  # other pairs of classes that are as frequent


def common_mistake(run: Run) -> Mistake | None:
    """None for a run that predicts everything correctly."""
    counts = tables.confusion_counts(run)
    pairs = most_confused(counts, counts.size)
    if not pairs:
        return None
    true, predicted = pairs[0]
    sure, as_predicted = run.probabilities.mean(axis=0)[:, predicted], run.predicted == predicted
    mistaken = (run.target == true) & as_predicted.any(axis=0)
    correct = (run.target == predicted) & as_predicted.all(axis=0)
    wrong, right = (
        str(run.clip_ids[np.where(mask, sure, -1).argmax()]) if mask.any() else ""
        for mask in (mistaken, correct)
    )
    return Mistake(
        true=run.classes[true],
        predicted=run.classes[predicted],
        count=float(counts[true, predicted]),
        of=int((run.target == true).sum()),
        wrong=wrong,
        right=right,
        equals=sum(counts[pair] == counts[true, predicted] for pair in pairs[1:]),
    )


def dataset_line(
    facts: Facts, dataset: str, ranking: Ranking | None, data: Sequence[tuple[str, str]]
) -> list[str]:
    """`esc10`, `400 clips`, `10 classes`, `5-fold cross-validation`: of the runs, or of the cache alone."""
    if ranking is None:
        return [dataset, *(f"{value} {name.lower()}" for name, value in data[:2])]
    folds = f"{facts.folds_of}-fold cross-validation" if facts.folds_of > 1 else "one test fold"
    if facts.folds < facts.folds_of:
        folds = f"{facts.folds} of {facts.folds_of} folds"
    return [dataset, f"{facts.clips:,} clips", f"{len(ranking.best.classes)} {ranking.best.task}", folds]


def model_notes(runs: Sequence[Run]) -> Mapping[str, Any]:
    """What the models' names mean, the best run's first, in the words of run.json."""
    named: dict[str, str] = {}
    for run in runs:
        if run.trained and run.config.get("model_summary"):
            named.setdefault(run.model, str(run.config["model_summary"]))
    return dict(list(named.items())[:MODELS_NAMED])
