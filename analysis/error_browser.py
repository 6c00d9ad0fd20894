"""The data behind the error browser: the tested clips and the predictions of each run.

The page's script reads one JSON object:

    group      what the dataset calls a group: recording, speaker, …
    features   names of the features whose images are shown
    clips      [{id, group, number, link}]  number: the clip's place by difficulty, used
               in the ids of its
               images and audio; 0 is the hardest
    test_sets  [{classes, categories, matrix, clips, target, folds}]  shared by runs on
               the same clips; classes of one category are neighbours, `matrix` has the
               places of the classes that the confusion matrix shows, `clips` are places
               in the list above, `target` places in `classes`
    runs       [{name, test_set, top}]  top: one row per clip, the places of the three
               most probable classes (-1 for none), their probabilities in percent, then
               that of the true class
    views      [{name, runs, top}]  what a reader can choose: a configuration with all
               its seeds, then each seed. `runs` are places in the list above, and the
               page adds up their counts. Only a view of several seeds has `top`, from
               their mean probabilities
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from featurestack.analysis import tables
from featurestack.analysis.runs import Run, same_clips
from featurestack.commandline.quantities import EXACT_DIGITS
from featurestack.scores.metrics import Floats, Ints, largest_first

TOP = 3
# in the confusion matrix; if there are more, those with the most frequent errors: the
# cells of 2,000 classes would be 140 MB
MATRIX_CLASSES = 100


def clip_difficulty(runs: Sequence[Run]) -> pd.DataFrame:
    """The tested clips by id, hardest first: group; wrong, the share of seeds that are;
    doubt, 1 minus the probability of the true class; means over the runs.
    """
    parts = []
    for run in runs:
        every = np.arange(len(run.target))
        of_true_class = run.probabilities[:, every, run.target]  # (S, N)
        columns = {
            "group": run.groups,
            "wrong": 1 - run.correct,
            "doubt": 1 - of_true_class.mean(axis=0),
        }
        index = pd.Index(run.clip_ids, name="clip_id")
        parts.append(pd.DataFrame(columns, index))
    over_runs = pd.concat(parts).groupby("clip_id")
    clips = over_runs.agg({"group": "first", "wrong": "mean", "doubt": "mean"})
    return clips.sort_values(["wrong", "doubt"], ascending=False, kind="stable")


def browser_data(
    runs: Sequence[Run],
    clips: pd.DataFrame,
    features: Sequence[str],
    links: Mapping[str, str],
) -> dict[str, Any]:
    """The object above without `group`; `links` is clip id -> address."""
    tested: list[Run] = []  # the first run of each test set
    test_sets: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    views = []
    for run in runs:
        order = run.class_order
        places = (n for n, other in enumerate(tested) if same_clips(run, other))
        test_set = next(places, len(tested))
        if test_set == len(tested):
            tested.append(run)
            matrix = tables.confusion_by_category(run)
            counts = matrix.pop("counts")
            test_sets.append(
                {
                    **matrix,
                    "matrix": tables.classes_shown(counts, MATRIX_CLASSES),
                    "clips": clips.index.get_indexer(run.clip_ids).tolist(),
                    "target": np.argsort(order)[run.target].tolist(),
                    "folds": run.folds.tolist(),
                }
            )
        seeds = len(run.seeds)
        if seeds > 1:
            view: dict[str, Any] = {"name": f"{run.name}, all {seeds} seeds"}
            view["runs"] = list(range(len(entries), len(entries) + seeds))
            view["top"] = top(run.probabilities.mean(axis=0), run.target, order)
            views.append(view)
        for folder, seed, probabilities in zip(
            run.folders, run.seeds, run.probabilities
        ):
            which = f" (seed {seed}, one of {seeds})" if seeds > 1 else ""
            views.append({"name": f"{folder.name}{which}", "runs": [len(entries)]})
            answers = top(probabilities, run.target, order)
            entries.append({"name": folder.name, "test_set": test_set, "top": answers})
    described = [
        {"id": clip, "group": group, "number": number, "link": links.get(clip, "")}
        for number, (clip, group) in enumerate(clips["group"].items())
    ]
    return {
        "features": list(features),
        "clips": described,
        "test_sets": test_sets,
        "runs": entries,
        "views": views,
    }


def top(probabilities: Floats, target: Ints, order: Ints) -> list[list[int]]:
    """A row for each clip as in `top` above; `order` has the classes as shown."""
    # Ties go to the class that is first in run.json, as in the prediction itself.
    first = largest_first(probabilities)[:, :TOP]
    shown_place = np.argsort(order)
    lacking = ((0, 0), (0, TOP - first.shape[1]))
    places = np.pad(shown_place[first], lacking, constant_values=-1)
    highest = np.take_along_axis(probabilities, first, axis=1)
    shares = np.pad(highest, lacking)
    of_target = np.take_along_axis(probabilities, target[:, None], axis=1)
    shares = np.hstack([shares, of_target])
    percentages = np.rint(np.round(100 * shares, EXACT_DIGITS))
    rows = np.hstack([places, percentages])
    return rows.astype(int).tolist()
