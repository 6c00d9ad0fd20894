"""The data behind the error browser: every clip that was tested, and what every run said about it.

The page's script reads one JSON object:

    features  names of the features that clips have pictures of
    silent    what stands where a clip has no sound
    clips     [{id, group, place, rank, link}]  place: of its picture and sound; rank: 0 is the hardest
    spaces    [{classes, categories, clips, target, folds}]  what runs on the same clips share; classes stand
              by category, clips are places in `clips`, target are places in `classes`
    runs      [{name, space, top}]  top: one row a clip, the three likeliest classes (-1 where there are
              fewer), their probabilities in percent, then the true class's
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.results import Run, same_clips
from train.scores import Floats, Ints

TOP = 3
SILENT = "no sound here: the clip's audio file is not on this machine"


@dataclass(frozen=True, eq=False)
class Clips:
    """Every tested clip, hardest first: `table` is indexed by clip_id, with group, wrong, doubt."""

    table: pd.DataFrame

    @property
    def ids(self) -> list[str]:
        return self.table.index.tolist()

    @property
    def missed(self) -> list[str]:
        """The clips that any run got wrong, hardest first."""
        return self.table.index[self.table["wrong"] > 0].tolist()


def gather(runs: Sequence[Run]) -> Clips:
    """The clips of all runs: `wrong` is the share of runs that erred, `doubt` 1 - P(truth)."""
    parts = []
    for run in runs:
        rows = np.arange(len(run.target))
        of_truth = run.probabilities[:, rows, run.target].mean(axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "clip_id": run.clip_ids,
                    "group": run.groups,
                    "wrong": 1 - run.correct,
                    "doubt": 1 - of_truth,
                }
            )
        )
    together = pd.concat(parts).groupby("clip_id").agg({"group": "first", "wrong": "mean", "doubt": "mean"})
    return Clips(together.sort_values(["wrong", "doubt"], ascending=False, kind="stable"))


def by_category(run: Run) -> Ints:
    """The run's classes, as places in its own list, those of one category side by side."""
    order = {category: place for place, category in reversed(list(enumerate(run.categories)))}
    return np.array(sorted(range(len(run.classes)), key=lambda place: (order[run.categories[place]], place)))


def payload(
    runs: Sequence[Run],
    clips: Clips,
    *,
    features: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """The JSON object for the page, fit to stand inside a <script> element; `links`: clip id -> address."""
    links = links or {}
    place_of = {clip: place for place, clip in enumerate(clips.ids)}
    spaces: list[tuple[Run, dict[str, Any]]] = []
    entries = []
    for run in runs:
        number = _space(run, spaces, place_of)
        order = by_category(run)
        names = [folder.name for folder in run.folders]
        for name, probabilities in zip(names, run.probabilities, strict=True):
            entries.append({"name": name, "space": number, "top": top(probabilities, run.target, order)})
    groups = clips.table["group"].tolist()
    content = {
        "features": list(features),
        "silent": SILENT,
        "clips": [
            {"id": clip, "group": group, "place": place, "rank": place, "link": links.get(clip, "")}
            for place, (clip, group) in enumerate(zip(clips.ids, groups, strict=True))
        ],
        "spaces": [space for _, space in spaces],
        "runs": entries,
    }
    return in_script(content)


def in_script(content: object) -> str:
    """JSON in which nothing can end the <script> element around it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def top(probabilities: Floats, target: Ints, order: Ints) -> list[list[int]]:
    """(N, K) -> a row a clip: three places in `order`, -1 where there are no more, four percentages."""
    sorted_ = probabilities[:, order]
    place = np.argsort(order)[target]
    first = np.full((len(target), TOP), -1)
    shown = min(TOP, len(order))
    # Ties go to the class that stands first in run.json, as in the prediction itself.
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :shown]
    first[:, :shown] = np.argsort(order)[likeliest]
    rows = np.arange(len(target))[:, None]
    percent = np.where(first >= 0, sorted_[rows, np.maximum(first, 0)], 0)
    truth = sorted_[rows, place[:, None]]
    return np.hstack([first, np.rint(100 * percent), np.rint(100 * truth)]).astype(int).tolist()


def _space(run: Run, spaces: list[tuple[Run, dict[str, Any]]], place_of: Mapping[str, int]) -> int:
    """The number of the space that the run shares, entered where it is the first."""
    for number, (other, _) in enumerate(spaces):
        if same_clips(run, other):
            return number
    order = by_category(run)
    space = {
        "classes": [run.classes[place] for place in order],
        "categories": [run.categories[place] for place in order],
        "clips": [place_of[clip] for clip in run.clip_ids],
        "target": np.argsort(order)[run.target].tolist(),
        "folds": run.folds.tolist(),
    }
    spaces.append((run, space))
    return len(spaces) - 1
