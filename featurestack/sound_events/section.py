"""The section of a report on the detections of the best run."""

from pathlib import Path

import pandas as pd

from featurestack.analysis.sections import PageInputs, Section
from featurestack.sound_events import scores
from featurestack.sound_events.scored_frames import (
    SAME_PLACE,
    ScoredFrames,
    mean_scores,
)
from featurestack.sound_events.scores import ALL, together
from featurestack.sound_events.song import submit_song

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
    submit_song(page, best.features, first)
    return Section(
        "events",
        "Events",
        tables={
            "events": mean_scores(seeds).reset_index(),
            f"{best.name}.event_errors": errors(first),
        },
        values={
            "tested": {
                "same_place": SAME_PLACE if first.unit == "block" else "",
                "unit": first.unit,
                "rules": first.frames.stretches["fold"].nunique() > 1,
            }
        },
    )


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
