"""Detections in recordings: joined from windows, and scored against annotated events.
No torch.

A row of a table is an event, a detection or a window, as in `results.windows`.

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

from featurestack.features_cache.table import label_indicator
from featurestack.results.scores import Ints
from featurestack.results.tags import average_precision, decision_scores, macro
from featurestack.results.windows import (
    BACKGROUND,
    EVENT_COLUMNS,
    HALF,
    NEAR,
    middles,
    near_pairs,
    overlaps,
)

ALL = "all classes"
IOU = 0.3  # DCASE's few-shot task has the same
COLLAR = NEAR  # seconds
# mir_eval, too, rounds differences of times to 0.1 ms: as floats, 2.2 - 2.0 is more
# than 0.2
DIGITS = 4


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


def compare(events: pd.DataFrame, detections: pd.DataFrame) -> pd.DataFrame:
    """Events, then detections: EVENT_COLUMNS, `detected` (False for events), and
    whether the row has a partner by `shared`, `iou`, `collar`.

        compare(events, detections).groupby("file")["iou"].mean()  # F1 of each
            recording
    """
    items = pd.concat(
        [
            events[EVENT_COLUMNS].assign(detected=False),
            detections[EVENT_COLUMNS].assign(detected=True),
        ],
        ignore_index=True,
    )
    pairs, (event, detection) = near_pairs(events, detections, ["file", "label"])
    rows = pairs + np.array([[0], [len(events)]])  # rows of `items`
    shared, held = overlaps(event, detection)
    first = np.minimum(event, detection)[:, 0]
    last = np.maximum(event, detection)[:, 1]
    starts_off, ends_off = np.round(np.abs(event - detection), DIGITS).T
    tolerated = np.maximum(COLLAR, HALF * (event[:, 1] - event[:, 0]))
    items["shared"] = items.index.isin(rows[:, held].ravel())
    items["iou"] = matched(rows[:, shared >= IOU * (last - first)], len(items))
    agree = (starts_off <= COLLAR) & (ends_off <= tolerated)
    items["collar"] = matched(rows[:, agree], len(items))
    return items


def matched(pairs: Ints, count: int) -> NDArray[np.bool_]:
    """(count,) whether a row has a partner, if each has at most one and as many as
    possible have one; `pairs` (2, P) may be partners.
    """
    allowed = csr_matrix((np.ones(pairs.shape[1]), pairs), (count, count))
    partner = maximum_bipartite_matching(allowed, perm_type="column")  # -1: none
    has_partner = partner >= 0
    has_partner[partner[partner >= 0]] = True
    return has_partner


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
