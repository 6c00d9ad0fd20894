"""Windows of recordings: the rule that labels them, the time that each stands for, and
the two files that describe them. No torch.

A row of a table is a window or an event: file, start and end in seconds, label. Windows
are sorted by file and start. A window has an event's label if they share at least half
of the shorter one's time. A window stands for the hop in its middle, since an event
lies in the middle of the windows that hold it.

`make windows` writes beside the dataset's CSV what the windows were made from:

    events.csv    file (absolute), start, end, label of each annotated event
    windows.json  length, hop and block in seconds; a block of null is a whole recording
"""

import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache.table import SEPARATOR
from featurestack.results.scores import Floats, Ints

EVENTS_FILE, WINDOWS_FILE = "events.csv", "windows.json"
EVENT_COLUMNS = ["file", "start", "end", "label"]
BACKGROUND = "background"  # the label of windows without an event: no detection
HOP_SHARE = 0.25  # default HOP of predict, as a share of a window's length
HALF = 0.5  # least overlap, as a share of the shorter one
NEAR = 0.2  # seconds; pairs that are up to so far apart are compared


class Annotated(NamedTuple):
    """The events and settings that a dataset's windows were made from."""

    events: pd.DataFrame  # EVENT_COLUMNS
    length: float  # seconds of a window
    hop: float  # seconds from window to window
    block: float | None  # seconds of a recording that are a group; None for all of it


def read_annotated(source: Path) -> Annotated | None:
    """Read the two files beside a dataset's CSV; None if they are missing, or if
    another program wrote an events.csv there.
    """
    try:
        described = json.loads(
            source.with_name(WINDOWS_FILE).read_text(encoding="utf-8")
        )
        length, hop = float(described["length"]), float(described["hop"])
        block = described["block"]
        block = None if block is None else float(block)
        events = pd.read_csv(
            source.with_name(EVENTS_FILE),
            dtype={"file": str, "label": str},
            keep_default_na=False,
        )
        times = events[["start", "end"]].astype(float)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not {*EVENT_COLUMNS} <= {*events}:
        return None
    events = events.assign(start=times["start"], end=times["end"])
    return Annotated(events, length, hop, block)


def block_groups(rows: pd.DataFrame, block: float | None) -> pd.Series:
    """The group of each window or event: its file, or the block of its file in which it
    starts, as `a.wav@120`.

    >>> rows = pd.DataFrame({"file": ["a.wav", "a.wav"], "start": [12.5, 121.0]})
    >>> block_groups(rows, 120).tolist()
    ['a.wav@0', 'a.wav@120']
    """
    if block is None:
        return rows["file"]
    starts = np.floor(rows["start"] / block) * block
    return rows["file"] + starts.map("@{:g}".format)


def middles(windows: pd.DataFrame, hop: float) -> pd.DataFrame:
    """The time that each window stands for: file, start, end, `follows` (it continues
    the one before).

    A recording's first and last windows also stand for its ends. Windows more than a
    hop (seconds) apart do not touch: the windows between them were left out.
    """
    centre = (windows["start"] + windows["end"]) / 2
    # NaN for a file's first window, and after its last one
    before = centre.groupby(windows["file"]).diff()
    after = before.shift(-1)
    start = centre - before.clip(upper=hop) / 2
    start = start.fillna(windows["start"])
    end = centre + after.clip(upper=hop) / 2
    end = end.fillna(windows["end"])
    follows = before <= 1.01 * hop  # times may be rounded
    return pd.DataFrame(
        {"file": windows["file"], "start": start, "end": end, "follows": follows}
    )


def near_pairs(
    first: pd.DataFrame,
    second: pd.DataFrame,
    columns: list[str],
) -> tuple[Ints, Floats]:
    """All pairs of rows that agree in `columns` and overlap or are at most NEAR apart.

    Row numbers (2, P), the second's counted from 0; start and end (2, P, 2). Time and
    memory grow with the number of pairs, however long a single row lasts.
    """
    both = pd.concat([first, second])
    times = both[["start", "end"]].to_numpy(float)
    group = both.groupby(columns).ngroup().to_numpy()
    return near_spans(times, group, len(first))


def near_spans(times: Floats, group: Ints, count: int) -> tuple[Ints, Floats]:
    """The pairs of `near_pairs`, of the first `count` spans and the others.

    times  (N, 2) start and end; group (N,) spans of different groups make no pair
    """
    # Groups follow each other on one axis, too far apart to be near.
    shift = group * (times.max(initial=0) + 3 * NEAR)
    starts, ends = times.T + shift
    # A near pair is of one kind: the second row starts while the first one lasts, or
    # the first one starts after the second one, which still lasts.
    later = starting_within(
        starts[count:],
        starts[:count] - NEAR,
        ends[:count] + NEAR,
        side="left",
    )
    earlier = starting_within(
        starts[:count],
        starts[count:] + NEAR,
        ends[count:] + NEAR,
        side="right",
    )
    pairs = np.concatenate([later, earlier[::-1]], axis=1)
    pairs = pairs[:, np.lexsort(pairs[::-1])]
    return pairs, times[pairs + np.array([[0], [count]])]


def starting_within(
    starts: Floats,
    begin: Floats,
    end: Floats,
    side: Literal["left", "right"],
) -> Ints:
    """Pairs (2, P) of a span and a start that lies in it.

    starts      (N,) times
    begin, end  (M,) each span's first and last time
    side        left if a start at a span's very beginning counts
    """
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    low = np.searchsorted(ordered, begin, side=side)
    high = np.searchsorted(ordered, end, side="right")
    number = np.maximum(high - low, 0)
    # 0, 1, …, number - 1 within each span
    first = np.cumsum(number) - number
    within = np.arange(number.sum()) - np.repeat(first, number)
    places = np.repeat(low, number) + within
    span = np.repeat(np.arange(len(begin)), number)
    return np.stack([span, order[places]])


def overlaps(first: Floats, second: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Seconds (P,) that the spans (P, 2) share, negative for a gap; whether that is at
    least HALF of one.
    """
    later_start = np.maximum(first, second)[:, 0]
    earlier_end = np.minimum(first, second)[:, 1]
    shared = earlier_end - later_start
    shorter = np.minimum(np.diff(first), np.diff(second))[:, 0]
    return shared, shared >= HALF * shorter


def label_windows(
    windows: pd.DataFrame,
    events: pd.DataFrame,
    *,
    longest: bool = False,
) -> pd.Series:
    """Each window's labels, joined by `;`: those of events that share half of the
    shorter one's time with it.

    The label is BACKGROUND if no event touches the window, and empty if the overlaps
    are shorter: such windows are left out. `longest` keeps only the label whose events
    fill most of the window.
    """
    (window, event), spans = near_pairs(windows, events, ["file"])
    shared, held = overlaps(*spans)
    pairs = pd.DataFrame(
        {
            "window": window,
            "label": events["label"].to_numpy()[event],
            "held": held,
            "seconds": shared.clip(0),
        }
    )
    by_label = pairs.groupby(["window", "label"])
    filled = by_label.agg({"held": "max", "seconds": "sum"}).reset_index()
    filled = filled[filled["held"]]
    if longest:
        order = filled.sort_values("seconds", ascending=False, kind="stable")
        filled = order.groupby("window").head(1)
    joined: dict[int, str] = {}  # a tenth of the time of pandas' aggregation
    for place, label in zip(filled["window"], filled["label"]):
        if place in joined:
            joined[place] += f"{SEPARATOR}{label}"
        else:
            joined[place] = label
    labels = pd.Series(BACKGROUND, windows.index, name="label")
    labels.iloc[window[shared > 0]] = ""
    labels.iloc[list(joined)] = list(joined.values())
    return labels
