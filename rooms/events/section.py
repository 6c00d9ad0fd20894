"""The section of a report on the detections of the best run, and its time line."""

import base64
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from matplotlib.axes import Axes

from featurestack.analysis.clips import compressed
from featurestack.analysis.figures.drawing import (
    INK,
    PAPER,
    SERIES,
    figure,
    grid_lines,
    shorten,
)
from featurestack.analysis.sections import PageInputs, Section
from featurestack.rooms.events import scores
from featurestack.rooms.events.scores import ALL, f1_of, together
from featurestack.rooms.events.tested import SAME_PLACE, ScoredFrames, mean_scores

EXCERPT = 20.0  # longest time line, seconds
MOST_ERRORS = 10  # errors shown per class and kind


def events(page: PageInputs) -> Section | None:
    """The events of the best run, if its task is that of events."""
    found = page.found
    if found.main is None or found.main.best.task.name != "events":
        return None
    best = found.main.best
    seeds: tuple[ScoredFrames, ...] = best.answers
    first = seeds[0]
    if not first.tallies[ALL].counts[1].any():
        return None  # the tested recordings hold none
    file, begin, end = excerpt(first)
    detections = first.frames.table(first.detections)
    page.writer.submit(
        "time_line",
        begin=begin,
        end=end,
        events=within(first.events, file, begin, end),
        detections=within(detections, file, begin, end),
    )
    audio = ""
    with suppress(OSError, soundfile.LibsndfileError):
        channel = best.config.audio_channel
        sound = compressed(Path(file), begin, EXCERPT, channel)
        audio = base64.b64encode(sound).decode()
    return Section(
        "events",
        "Events",
        tables={
            "events": mean_scores(seeds).reset_index(),
            f"{best.name}.event_errors": errors(first),
        },
        values={
            "excerpt": {
                "name": Path(file).name,
                "audio": audio,
                "same_place": SAME_PLACE if first.unit == "block" else "",
                "unit": first.unit,
                "rules": first.frames.stretches["fold"].nunique() > 1,
            }
        },
    )


def excerpt(tested: ScoredFrames) -> tuple[str, float, float]:
    """The recording with the median F1, and the seconds that are shown."""
    stretches = tested.frames.stretches
    f1 = f1_of(tested.tallies[ALL].counts.T)
    known = np.flatnonzero(~np.isnan(f1))
    order = known[np.argsort(f1[known], kind="stable")]
    stretch = stretches.iloc[order[len(order) // 2]]
    own = within(tested.events, stretch["file"], stretch["start"], stretch["end"])
    first = own["start"].min() if len(own) else stretch["start"]
    begin = max(float(stretch["start"]), float(first) - 1)
    return str(stretch["file"]), begin, min(begin + EXCERPT, float(stretch["end"]))


def within(table: pd.DataFrame, file: str, begin: float, end: float) -> pd.DataFrame:
    """The rows of one recording that overlap a span of seconds."""
    of_file = table["file"] == file
    return table[of_file & (table["end"] >= begin) & (table["start"] < end)]


def errors(tested: ScoredFrames) -> pd.DataFrame:
    """The surest errors of each class, by kind; a missed event has no score."""
    every = together([*tested.spans.values()])
    parts = []
    for name, found in tested.detections.items():
        for kind, wrong in scores.errors(tested.spans[name], found, every).items():
            table = tested.frames.place(name, wrong).assign(kind=kind)
            surest = table.sort_values("score", ascending=False, kind="stable")
            parts.append(surest.head(MOST_ERRORS))
    columns = ["label", "kind", "file", "start", "end", "score"]
    table = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    return table.assign(file=[Path(file).name for file in table["file"]])


@figure(
    "Time line of one recording: annotated events above, detections below",
    lambda events, detections, **_: (
        0.7 + 0.3 * len({*events["label"], *detections["label"]})
    ),
)
def draw_time_line(
    ax: Axes,
    *,
    events: pd.DataFrame,  # start, end, label
    detections: pd.DataFrame,
    begin: float,  # seconds
    end: float,
) -> Axes:
    """Draw a row for each class, events above its detections."""
    classes = sorted({*events["label"], *detections["label"]})
    for table, top, colour, name in (
        (events, 0.1, INK, "event"),
        (detections, 0.5, SERIES[1], "detection"),
    ):
        for row, label in enumerate(classes):
            own = table[table["label"] == label]
            spans = list(zip(own["start"], own["end"] - own["start"]))
            ax.broken_barh(
                spans,
                (row + top, 0.35),
                facecolor=colour,
                edgecolor=PAPER,  # parts of a divided detection touch
                linewidth=0.4,
                label="" if row else name,
            )
    names = [shorten(label, 21) for label in classes]
    ax.set_yticks(np.arange(len(classes)) + 0.5, names)
    ax.set(xlim=(begin, end), ylim=(len(classes), 0), xlabel="seconds")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    grid_lines(ax, "x")
    return ax
