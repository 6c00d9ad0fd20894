"""The figures of a report's first screen: forest plot, small confusion matrix, common
mistake.

The forest plot has a panel for each group of runs that differ in features or TAG alone,
and one for the ensembles of runs. If these are several, one more panel shows all runs.
All panels have the same axis. A dot is hollow if its run does not differ clearly from
the best of the ranking.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd

from featurestack.analysis import tables
from featurestack.analysis.findings import Findings, Row
from featurestack.analysis.runs import Run
from featurestack.scores.metrics import Floats, most_confused

# in the small confusion matrix; if there are more, those with the most frequent errors
CLASSES_SHOWN = 12


def first_screen_values(found: Findings) -> dict[str, object]:
    """The template's values: forest plot, small matrix, common mistake."""
    best = found.runs[0]
    axis: dict[str, object] = {
        "panels": forest_panels(found),
        "ticks": axis_of(found.rows, found.chance),
    }
    if best.task.metric.errors != "confusion":
        return axis
    counts = tables.confusion_by_category(best)["counts"]
    return axis | {
        "confusion": counts,
        "shown_classes": classes_shown(counts),
        "mistake": common_mistake(best),
    }


def axis_of(rows: Sequence[Row], chance: float) -> range:
    """The forest plot's ticks, in whole tens of percent."""
    columns = ["accuracy", "accuracy_low", "accuracy_high"]
    accuracy = pd.DataFrame([*rows])[columns]
    numbers = accuracy.assign(chance=chance).to_numpy(float)
    low = int(np.floor(10 * np.nanmin(numbers)))
    high = int(np.ceil(10 * np.nanmax(numbers)))
    return range(10 * min(low, high - 1), 10 * high + 1, 10)


def forest_panels(found: Findings) -> dict[str, list[Row]]:
    """Title -> rows of the main ranking, best first: `all` first, then those that are
    trained alike.

    The key `name` is added to the rows: the features, or the label if the panel has
    them twice or has several models.
    """
    assert found.main, "runs that are drawn have a ranking"
    panels: dict[str, list[Row]] = {}
    for run, row in zip(found.main.runs, found.rows):
        title = "ensembles of runs"
        if run.choice or run.foreign:
            title = run.model
        elif run.trained:
            title = found.main.setting_of(run)
        panels.setdefault(title, []).append(row)
    for title, rows in panels.items():
        counts = Counter(row["features"] for row in rows)
        panels[title] = [
            row | {"name": row["features" if counts[row["features"]] == 1 else "label"]}
            for row in rows
        ]
    if len(panels) == 1:
        return panels
    every = [row | {"name": row["label"]} for row in found.rows]
    return {"all": every} | panels


def classes_shown(counts: Floats, most: int = CLASSES_SHOWN) -> list[int]:
    """The classes that a confusion matrix shows: those with the most errors."""
    confused = chain(*most_confused(counts, counts.size))
    others = range(len(counts))
    classes = list(dict.fromkeys([*confused, *others]))
    return sorted(classes[:most])


def common_mistake(run: Run) -> Row | None:
    """The most frequent error of a run, and two clips to compare; None if it predicts
    everything correctly.

    Keys: true, predicted, count, of, share as in `confused_pairs`; wrong, the id of the
    surest clip with this error; right, the id of the surest correct clip of the
    predicted class, '' for none; equals, the number of other pairs of classes with the
    same count.
    """
    pairs = tables.confused_pairs(run, len(run.classes) ** 2)
    if pairs.empty:
        return None
    first = pairs.iloc[0]
    true = run.classes.index(first["true"])
    predicted = run.classes.index(first["predicted"])
    probability = run.probabilities.mean(axis=0)[:, predicted]
    as_predicted = run.predicted == predicted
    mistaken = (run.target == true) & as_predicted.any(axis=0)
    correct = (run.target == predicted) & as_predicted.all(axis=0)
    surest = {}
    for key, chosen in (("wrong", mistaken), ("right", correct)):
        place = np.where(chosen, probability, -1).argmax()
        surest[key] = str(run.clip_ids[place]) if chosen.any() else ""
    as_frequent = pairs["count"] == first["count"]
    return {**first.to_dict(), **surest, "equals": int(as_frequent.sum()) - 1}
