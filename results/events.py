"""Events in recordings: detections joined from windows, and their scores against
annotated events. No torch.

A row of a table is an event, a detection or a window: file, start and end in seconds,
label. Windows are sorted by file and start. A window has an event's label if they share
at least half of the shorter one's time. A window stands for the hop in its middle,
since an event lies in the middle of the windows that hold it.

Each of three criteria makes an event and a detection of one file and label partners:

    shared  their overlap is at least half of the shorter one; one detection may find
            several events
    iou     their intersection is at least 0.3 of their union; one to one
    collar  their starts differ by at most 0.2 s, their ends by at most 0.2 s or half of
            the event's duration;
            one to one (mir_eval.transcription.match_notes at one pitch, sed_eval's
            event-based scores)

F1 is the share of events and detections that have a partner. Conventions: W windows, K
classes.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from featurestack.features_cache.table import SEPARATOR, label_indicator
from featurestack.results.scores import Floats, Ints
from featurestack.results.tags import average_precision, decision_scores, macro

BACKGROUND = "background"  # the label of windows without an event: no detection
ALL = "all classes"
EVENT_COLUMNS = ["file", "start", "end", "label"]
HALF = 0.5  # least overlap, as a share of the shorter one
IOU = 0.3  # DCASE's few-shot task has the same
COLLAR = 0.2  # seconds
# mir_eval, too, rounds differences of times to 0.1 ms: as floats, 2.2 - 2.0 is more
# than 0.2
DIGITS = 4


def middles(windows: pd.DataFrame, hop: float) -> pd.DataFrame:
    """The time that each window stands for: file, start, end, `follows` (it continues
    the one before).

    A recording's first and last windows also stand for its ends. Windows more than a
    hop (seconds) apart do not touch: the windows between them were left out.
    """
    centre = (windows["start"] + windows["end"]) / 2
    before = centre.groupby(windows["file"]).diff()  # NaN for a file's first window
    start = (centre - before.clip(upper=hop) / 2).fillna(windows["start"])
    end = (centre + before.shift(-1).clip(upper=hop) / 2).fillna(windows["end"])
    follows = before <= 1.01 * hop  # times may be rounded
    return pd.DataFrame(
        {"file": windows["file"], "start": start, "end": end, "follows": follows}
    )


def join_windows(
    middle: pd.DataFrame, chosen: pd.DataFrame, probabilities: pd.DataFrame
) -> pd.DataFrame:
    """Detections: neighbouring windows of `middles` with the same class are joined;
    BACKGROUND makes none.

    chosen         (W, K), a column a class: whether it is predicted for the window
    probabilities  (W, K), a column a class

    The columns are EVENT_COLUMNS, then the mean and the largest of the windows'
    probabilities.
    """
    names = chosen.columns.drop(BACKGROUND, errors="ignore")
    on = chosen[names].to_numpy(bool)
    before = np.roll(on, 1, axis=0) & middle[["follows"]].to_numpy()
    column, row = np.nonzero(on.T)  # class by class
    number = (~before[row, column]).cumsum()  # the detection of each window
    windows = middle.iloc[row].assign(
        label=names[column], probability=probabilities[names].to_numpy()[row, column]
    )
    joined = windows.groupby(number).agg(
        file=("file", "first"),
        start=("start", "first"),
        end=("end", "last"),
        label=("label", "first"),
        mean=("probability", "mean"),
        largest=("probability", "max"),
    )
    return joined.sort_values(EVENT_COLUMNS, ignore_index=True)


def near_pairs(
    first: pd.DataFrame, second: pd.DataFrame, columns: list[str]
) -> tuple[Ints, Floats]:
    """All pairs of rows that agree in `columns` and overlap or are up to COLLAR apart,
    and a few others.

    Row numbers (2, P), those of `second` counted on from those of `first`; start and
    end (2, P, 2). A table of all pairs would not fit into memory for a day of
    recording.
    """
    both = pd.concat([first, second])
    times = both[["start", "end"]].to_numpy(float)
    group = both.groupby(columns).ngroup().to_numpy()
    # groups follow each other on one axis
    start, end = times.T + group * (times.max(initial=0) + 2 * COLLAR)
    count = len(first)
    order = count + np.argsort(start[count:])
    latest = np.maximum.accumulate(end[order])
    begin = np.searchsorted(latest, start[:count] - COLLAR)
    behind = np.searchsorted(start[order], end[:count] + COLLAR, side="right")
    near = np.maximum(behind - begin, 0)
    places = np.arange(near.sum()) + np.repeat(begin + near - np.cumsum(near), near)
    pairs = np.stack([np.repeat(np.arange(count), near), order[places]])
    return pairs, times[pairs]


def overlaps(first: Floats, second: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Seconds (P,) that the spans (P, 2) share, negative for a gap; whether that is at
    least HALF of one.
    """
    shared = np.minimum(first, second)[:, 1] - np.maximum(first, second)[:, 0]
    return shared, shared >= HALF * np.minimum(np.diff(first), np.diff(second))[:, 0]


def label_windows(
    windows: pd.DataFrame, events: pd.DataFrame, *, longest: bool = False
) -> pd.Series:
    """Each window's labels, joined by `;`: those of events that share half of the
    shorter one's time with it.

    The label is BACKGROUND if no event touches the window, and empty if the overlaps
    are shorter: such windows are left out. `longest` keeps only the label whose events
    fill most of the window.
    """
    (window, event), spans = near_pairs(windows, events, ["file"])
    shared, held = overlaps(*spans)
    names = events["label"].to_numpy()[event - len(windows)]
    columns = {"window": window, "label": names, "held": held}
    filled = (
        pd.DataFrame(columns)
        .assign(seconds=shared.clip(0))
        .groupby(["window", "label"])
    )
    filled = filled.agg({"held": "max", "seconds": "sum"}).query("held").reset_index()
    if longest:
        filled = (
            filled.sort_values("seconds", ascending=False, kind="stable")
            .groupby("window")
            .head(1)
        )
    joined = filled.groupby("window")["label"].agg(SEPARATOR.join)
    labels = pd.Series(BACKGROUND, windows.index, name="label")
    labels.iloc[window[shared > 0]] = ""
    labels.iloc[joined.index] = joined
    return labels


def compare(events: pd.DataFrame, detections: pd.DataFrame) -> pd.DataFrame:
    """Events, then detections: EVENT_COLUMNS, `detected` (False for events), and
    whether the row has a partner by `shared`, `iou`, `collar`.

        compare(events, detections).groupby("file")["iou"].mean()  # F1 of each
            recording
    """
    both = [
        events[EVENT_COLUMNS].assign(detected=False),
        detections[EVENT_COLUMNS].assign(detected=True),
    ]
    items = pd.concat(both, ignore_index=True)
    (event, detection), (first, second) = near_pairs(
        events, detections, ["file", "label"]
    )
    shared, held = overlaps(first, second)
    union = np.maximum(first, second)[:, 1] - np.minimum(first, second)[:, 0]
    late, ends_late = np.round(np.abs(first - second), DIGITS).T
    fits = {
        "shared": held,
        "iou": shared >= IOU * union,
        "collar": (
            (late <= COLLAR)
            & (ends_late <= np.maximum(COLLAR, HALF * np.diff(first)[:, 0]))
        ),
    }
    for criterion, fit in fits.items():
        partners = [event[fit], detection[fit]]
        if criterion != "shared":
            graph = csr_matrix((fit[fit], partners), (len(items), len(items)))
            # -1: no partner
            matched = maximum_bipartite_matching(graph, perm_type="column")
            partners = [np.flatnonzero(matched >= 0), matched]
        items[criterion] = items.index.isin(np.concatenate(partners))
    return items


def event_scores(items: pd.DataFrame, middle: pd.DataFrame) -> pd.DataFrame:
    """Scores of the table of `compare`, a row for each label and one for ALL; `middle`
    comes from `middles`.

    events, detections  counts                  event_recall   share of events with a
                        `shared` partner
    f1_iou, f1_collar   F1 by that criterion    false_alarms   detections an hour
                        without a `shared` partner
    """
    hours = (middle["end"] - middle["start"]).sum() / 3600
    rows = [*np.unique(items["label"]), ALL]
    items = pd.concat([items, items.assign(label=ALL)])
    detections = items[items["detected"]].groupby("label")["shared"]
    scores = {
        "events": (~items["detected"]).groupby(items["label"]).sum(),
        "detections": detections.size(),
        "event_recall": items[~items["detected"]].groupby("label")["shared"].mean(),
        "false_alarms": (detections.size() - detections.sum()) / hours,
        "f1_iou": items.groupby("label")["iou"].mean(),
        "f1_collar": items.groupby("label")["collar"].mean(),
    }
    return (
        pd.DataFrame(scores, rows)
        .fillna({"detections": 0, "false_alarms": 0})
        .rename_axis("label")
    )


def best_possible(
    events: pd.DataFrame, windows: pd.DataFrame, hop: float
) -> pd.DataFrame:
    """`event_scores` of a perfect classifier of windows: what their length and hop
    allow.

    A window's `label` is names joined by `;`. Labels that no event has do not count. A
    classifier that errs may have a higher F1: a missed window can separate two events
    that the perfect one joins.

        best_possible(events, windows, hop=0.25).loc["all classes", "f1_collar"]
    """
    names = sorted({*events["label"]})
    perfect = pd.DataFrame(label_indicator(windows["label"], names), columns=names)
    middle = middles(windows, hop)
    return event_scores(compare(events, join_windows(middle, perfect, perfect)), middle)


def detection_scores(
    windows: pd.DataFrame,
    chosen: pd.DataFrame,
    scores: pd.DataFrame,
    hop: float,
    events: pd.DataFrame,
) -> pd.DataFrame:
    """Scores of the windows, of their detections, and the best possible: a row for each
    class and for ALL.

    windows  with the column `label`, as in `label_windows`; a window with an empty
             label has no window score
    chosen   (W, K), a column a class: whether it is predicted
    scores   (W, K), probabilities or their ranks

    The columns are window_precision, window_recall, window_f1, window_support (a
    count), window_average_precision (ALL has the mean over the classes), those of
    `event_scores`, best_f1_iou, best_f1_collar.
    """
    names = chosen.columns.drop(BACKGROUND, errors="ignore")
    events = events[events["label"].isin(names)]
    scored = (windows["label"] != "").to_numpy()
    target = label_indicator(windows["label"][scored], names)
    decisions = chosen[names].to_numpy()[scored]
    by_class = decision_scores(target, decisions)
    by_class["average_precision"] = average_precision(
        target, scores[names].to_numpy()[scored]
    )
    pooled = decision_scores(target.reshape(-1, 1), decisions.reshape(-1, 1))
    pooled["average_precision"] = np.array([macro(by_class["average_precision"])])
    table = pd.concat(
        [pd.DataFrame(by_class, names), pd.DataFrame(pooled, [ALL])]
    ).add_prefix("window_")
    middle = middles(windows, hop)
    found = event_scores(compare(events, join_windows(middle, chosen, scores)), middle)
    best = best_possible(events, windows, hop)[["f1_iou", "f1_collar"]].add_prefix(
        "best_"
    )
    return table.join(found).join(best).rename_axis("label")
