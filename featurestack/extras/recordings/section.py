"""The section of a report on the detections of the best run: scores by class, and a
figure of one piece of a recording with its annotated and detected events.
"""

import os
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from featurestack.analysis.clips import features_to_show, read_batches
from featurestack.analysis.figures import SERIES, figure, panels
from featurestack.analysis.figures.drawn import feature_map_image
from featurestack.analysis.page import Page, Section
from featurestack.extras.recordings.scores import (
    ALL,
    FEW,
    ScoredFrames,
    alarms,
    confused_labels,
    mean_scores,
)

MOST_NAMED = 12  # classes in the legend
DISTINCT = 5  # colours of SERIES that are easily told apart
SAME_PLACE = (
    "Groups are blocks of recordings: scores and intervals are only for these"
    " recordings, and optimistic for another day or place."
)
MEANING = (
    "The harmonic mean of precision and recall. A detection is right if it and an event"
    " of its label overlap for at least half of the time that the two cover together"
    " (IoU 0.5)."
)


def events(page: Page) -> Section | None:
    """The section on the events of the best run, if it is a run of events."""
    found = page.found
    if found.main is None or found.main.best.task.name != "events":
        return None
    best = found.main.best
    seeds: tuple[ScoredFrames, ...] = best.answers
    first = seeds[0]
    if not first.tallies[ALL].counts[1].any():
        return None  # the tested recordings hold none
    submit_song(page, best.features, first)
    scores = mean_scores(seeds)
    table = scores.reset_index()
    errors = [seed.errors for seed in seeds]
    confused = confused_labels(errors)
    above = os.path.commonpath([Path(n).parent for n in first.frames.stretches["file"]])
    errors[0]["recording"] = [os.path.relpath(n, above) for n in errors[0]["recording"]]
    return Section(
        "events",
        "Events",
        leads={"What is event F1?": MEANING},
        tables={"events": table, "confused_labels": confused, "errors": errors[0]},
        values={
            "hourly": first.hours >= 1,
            "tested": {
                "same_place": SAME_PLACE if first.unit == "block" else "",
                "unit": first.unit,
                "few": FEW,
                "alarms": alarms(scores.loc[ALL], first.frames.seconds.sum()),
                "rules": first.frames.stretches["fold"].nunique() > 1,
            },
        },
    )


@figure(
    "The piece with the most annotated events, and the detections in it",
    lambda **data: 2.6,
    pixels=True,
)
def draw_song(
    ax: Axes,
    *,
    values: np.ndarray,
    begin: float,
    seconds: float,
    marks: pd.DataFrame,
    title: str,
) -> Axes:
    """Draw a feature map (rows, frames) that begins at `begin` in its recording, and
    below it `marks`: what (annotated or detected), start, end, label.
    """
    image, lanes = panels(ax, 2, 1, wide=0, high=0.15)
    feature_map_image(image, values, seconds)
    image.set(xticks=[], yticks=[])
    names = sorted({*marks["label"]})
    many = matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, len(names)))
    colours = dict(zip(names, SERIES if len(names) <= DISTINCT else many))
    for what, height in (("annotated", 1), ("detected", 0)):
        for row in marks[marks["what"] == what].itertuples():
            span = [(row.start, row.end - row.start)]
            lanes.broken_barh(span, (height - 0.4, 0.8), color=colours[row.label])
    lanes.set(xlim=(begin, begin + seconds), ylim=(-0.5, 1.5), xlabel="s")
    lanes.set_yticks([0, 1], ["detected", "annotated"])
    shown = [Patch(color=colours[name], label=name) for name in names[:MOST_NAMED]]
    lanes.legend(handles=shown, loc="upper left", bbox_to_anchor=(1, 2.2))
    ax.set_title(title)
    return ax


def submit_song(page: Page, features: str, tested: ScoredFrames) -> None:
    """Submit the figure of the piece with the most events, if the cache has its map."""
    cache = page.cache
    names = features_to_show(cache, page.features, [features]) if cache else []
    if not (cache and names):
        return
    parts = []
    for what, spans in (("annotated", tested.spans), ("detected", tested.detections)):
        parts.append(tested.frames.table(spans).assign(what=what))
    marks = pd.concat(parts, ignore_index=True)
    # by group and name, since recordings may have been moved since the run
    stretches, pieces = tested.frames.stretches, cache.clips
    files = stretches["file"].map(os.path.basename)
    file_of = dict(zip(zip(stretches["group"], files), stretches["file"]))
    keys = zip(pieces["group"], pieces["path"].map(os.path.basename))
    pieces = pieces.assign(path=[*map(file_of.get, keys)]).dropna(subset=["path"])
    places = zip(pieces["path"], pieces["start"], pieces["end"])
    events = marks[marks["what"] == "annotated"]
    number = [
        ((events["file"] == path) & events["start"].between(start, end)).sum()
        for path, start, end in places
    ]
    piece = pieces.iloc[int(np.argmax(number))]
    for _, values in read_batches(cache, names[0], [piece["clip_id"]]):
        begin, lasts = piece["start"], piece["end"] - piece["start"]
        own = marks[(marks["file"] == piece["path"])]
        own = own[(own["end"] >= begin) & (own["start"] <= piece["end"])]
        filled = round(values.shape[2] * lasts / cache.duration)
        place = {"begin": float(begin), "seconds": float(lasts), "marks": own}
        title = f"{Path(piece['path']).stem}, {begin:g} to {piece['end']:g} s"
        values = values[0][:, :filled]
        page.writer.submit("song", values=values, title=title, **place)
