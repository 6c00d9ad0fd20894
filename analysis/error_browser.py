"""The data behind the error browser: every clip that was tested, and every run's prediction for it.

The page's script reads one JSON object:

    features   names of the features that clips have images of
    no_audio   what stands where a clip has no audio
    clips      [{id, group, number, link}]  number: of its images and audio; 0 is the hardest clip
    test_sets  [{classes, categories, clips, target, folds}]  what runs on the same clips share; classes stand
               by category, clips are numbers in `clips`, target are numbers in `classes`
    runs       [{name, test_set, top}]  top: one row a clip, the three most probable classes (-1 where there
               are fewer), their probabilities in percent, then the true class's
    views      [{name, runs, top}]  what can be chosen: a configuration over all its seeds, then each seed.
               runs are numbers in `runs`, whose counts are added; top, of several, is of their mean
               probabilities
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results import Run, same_clips
from analysis.tables import confusion_counts
from commandline.terminal import HALVES_UP
from results.scores import Floats, Ints

TOP = 3
NO_AUDIO = "no audio: the clip's file is not on this machine"


def clip_difficulty(runs: Sequence[Run]) -> pd.DataFrame:
    """Every tested clip by its id, hardest first: group, `wrong` (the share of runs that were wrong), `doubt`
    (1 - P(true class)).
    """
    parts = []
    for run in runs:
        rows = np.arange(len(run.target))
        of_true_class = run.probabilities[:, rows, run.target].mean(axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "clip_id": run.clip_ids,
                    "group": run.groups,
                    "wrong": 1 - run.correct,
                    "doubt": 1 - of_true_class,
                }
            )
        )
    together = pd.concat(parts).groupby("clip_id").agg({"group": "first", "wrong": "mean", "doubt": "mean"})
    return together.sort_values(["wrong", "doubt"], ascending=False, kind="stable")


def by_category(run: Run) -> Ints:
    """The run's classes, as numbers in its own list, those of one category side by side."""
    order = {category: place for place, category in reversed(list(enumerate(run.categories)))}
    return np.array(sorted(range(len(run.classes)), key=lambda place: (order[run.categories[place]], place)))


def browser_data(
    runs: Sequence[Run],
    clips: pd.DataFrame,
    *,
    features: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The object that the page's script reads; `links`: clip id -> address."""
    links = links or {}
    numbers = {clip: number for number, clip in enumerate(clips.index)}
    test_sets: list[tuple[Run, dict[str, Any]]] = []
    entries: list[dict[str, Any]] = []
    views: list[dict[str, Any]] = []
    for run in runs:
        test_set, order, seeds = _test_set(run, test_sets, numbers), by_category(run), len(run.seeds)
        places = list(range(len(entries), len(entries) + seeds))
        for folder, probabilities in zip(run.folders, run.probabilities, strict=True):
            entries.append(
                {"name": folder.name, "test_set": test_set, "top": top(probabilities, run.target, order)}
            )
        if seeds > 1:
            mean = top(run.probabilities.mean(axis=0), run.target, order)
            views.append({"name": f"{run.name}, all {seeds} seeds", "runs": places, "top": mean})
        for place, seed in zip(places, run.seeds, strict=True):
            one = f" (seed {seed}, one of {seeds})" if seeds > 1 else ""
            views.append({"name": f"{entries[place]['name']}{one}", "runs": [place]})
    groups = clips["group"].tolist()
    return {
        "features": list(features),
        "no_audio": NO_AUDIO,
        "clips": [
            {"id": clip, "group": group, "number": number, "link": links.get(clip, "")}
            for number, (clip, group) in enumerate(zip(clips.index, groups, strict=True))
        ],
        "test_sets": [test_set for _, test_set in test_sets],
        "runs": entries,
        "views": views,
    }


def static_matrix(run: Run) -> dict[str, Any]:
    """A run's confusion matrix for a page whose script does not run: classes by category, and rows of
    {name, place, cells} with (count, share of the row) a cell; `place` is the cell of the correct ones.
    """
    order = by_category(run)
    counts = confusion_counts(run)[np.ix_(order, order)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [run.classes[place] for place in order]
    cells = [list(zip(*row, strict=True)) for row in zip(counts.tolist(), shares.tolist(), strict=True)]
    rows = [{"name": name, "place": place, "cells": cells[place]} for place, name in enumerate(names)]
    return {"classes": names, "rows": rows}


def top(probabilities: Floats, target: Ints, order: Ints) -> list[list[int]]:
    """(N, K) -> a row a clip: three numbers in `order`, -1 where there are no more, four percentages."""
    sorted_ = probabilities[:, order]
    place = np.argsort(order)[target]
    first = np.full((len(target), TOP), -1)
    shown = min(TOP, len(order))
    # Ties go to the class that stands first in run.json, as in the prediction itself.
    most_probable = np.argsort(-probabilities, axis=1, kind="stable")[:, :shown]
    first[:, :shown] = np.argsort(order)[most_probable]
    rows = np.arange(len(target))[:, None]
    shares = np.where(first >= 0, sorted_[rows, np.maximum(first, 0)], 0)
    of_target = sorted_[rows, place[:, None]]
    return (
        np.hstack([first, np.rint(100 * shares + HALVES_UP), np.rint(100 * of_target + HALVES_UP)])
        .astype(int)
        .tolist()
    )


def _test_set(run: Run, known: list[tuple[Run, dict[str, Any]]], numbers: Mapping[str, int]) -> int:
    """The number of the run's test set, entered where the run is the first on it."""
    for number, (other, _) in enumerate(known):
        if same_clips(run, other):
            return number
    order = by_category(run)
    test_set = {
        "classes": [run.classes[place] for place in order],
        "categories": [run.categories[place] for place in order],
        "clips": [numbers[clip] for clip in run.clip_ids],
        "target": np.argsort(order)[run.target].tolist(),
        "folds": run.folds.tolist(),
    }
    known.append((run, test_set))
    return len(known) - 1
