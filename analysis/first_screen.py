"""Beside the first sentences of a report: forest plot, small confusion matrix, common mistake.

The forest plot has a panel a family of runs that differ in their features alone, and one panel of all, on one
axis. A dot is filled if its run does not differ clearly from the best of the whole ranking.
"""

import math
from dataclasses import dataclass
from itertools import chain

import numpy as np

from analysis import tables
from analysis.error_browser import by_category
from analysis.facts import Configuration, Facts
from analysis.ranking import Ranking, setting
from analysis.results import Run
from results.scores import most_confused

CLASSES_SHOWN = 12  # in the small confusion matrix; of more classes, those of the most frequent errors


@dataclass(frozen=True)
class Forest:
    """Panels (label, rows), and the ends and ticks of their axis: round tenths around everything."""

    panels: list[tuple[str, list[Configuration]]]
    low: float
    high: float
    ticks: list[float]


def forest(facts: Facts, ranking: Ranking) -> Forest:
    """The forest plot of the main ranking, the best run's panel first, unless it stands there alone."""
    trained = [run for run in ranking.runs if run.trained]
    families: dict[str, list[Configuration]] = {}
    for run, row in zip(ranking.runs, facts.rows, strict=True):
        family = setting(run, trained, {"tag"}) if run.trained else "ensembles of runs"
        families.setdefault(family, []).append(row)
    panels = list(families.items())
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
    inside = counts[np.ix_(places, places)]
    totals = counts[places].sum(axis=1)
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
    sure = run.probabilities.mean(axis=0)[:, predicted]
    as_predicted = run.predicted == predicted
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
