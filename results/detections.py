"""Detections in recordings, scored against annotated events; the rules that join
windows to them, chosen by these scores. No torch.

A row of a table is an event, a detection or a window, as in `results.windows`.

Each of three criteria makes an event and a detection of one file and label partners:

    shared  their overlap is at least half of the shorter one; one detection may find
            several events
    iou     their intersection is at least 0.3 of their union; one to one
    collar  their starts differ by at most 0.2 s, their ends by at most 0.2 s or half of
            the event's duration; one to one (mir_eval.transcription.match_notes at one
            pitch, sed_eval's event-based scores)

F1 is the share of events and detections that have a partner. Conventions: W windows, K
classes.
"""

import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from featurestack.features_cache.table import label_indicator
from featurestack.results.config import JoiningRule
from featurestack.results.joining import (
    LEAST_THRESHOLD,
    Times,
    join_windows,
)
from featurestack.results.scores import Floats, Ints
from featurestack.results.tags import average_precision, decision_scores, macro
from featurestack.results.windows import (
    BACKGROUND,
    EVENT_COLUMNS,
    HALF,
    NEAR,
    middles,
    near_spans,
    overlaps,
)

ALL = "all classes"
IOU = 0.3  # DCASE's few-shot task has the same
COLLAR = NEAR  # seconds
# mir_eval, too, rounds differences of times to 0.1 ms: as floats, 2.2 - 2.0 is more
# than 0.2
DIGITS = 4
# Values that `fit_rules` tries; gap and lengths as shares of the class's median event.
THRESHOLDS = (LEAST_THRESHOLD, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
GAPS = (0.0, 0.125, 0.25, 0.5, 1.0)
LENGTHS = (0.0, 0.25, 0.4, 0.6, 1.0)
DIVISIONS = (1.0, 1.25, 1.5, 2.0)  # beside none
ROUNDS = 3  # the search goes through the parameters at most so often


class Partners(NamedTuple):
    """Whether each event and detection (N,) has a partner, by criterion."""

    shared: NDArray[np.bool_]
    iou: NDArray[np.bool_]
    collar: NDArray[np.bool_]


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
    group = items.groupby(["file", "label"]).ngroup().to_numpy()
    found = partners(items[["start", "end"]].to_numpy(float), group, len(events))
    return items.assign(**found._asdict())


def partners(times: Floats, group: Ints, count: int) -> Partners:
    """Whether the first `count` spans, which are events, and the others, which are
    detections, have a partner.

    times  (N, 2) start and end; group (N,) a number for each file and label
    """
    pairs, (event, detection) = near_spans(times, group, count)
    rows = pairs + np.array([[0], [count]])  # rows of `times`
    seconds, held = overlaps(event, detection)
    first = np.minimum(event, detection)[:, 0]
    last = np.maximum(event, detection)[:, 1]
    starts_off, ends_off = np.round(np.abs(event - detection), DIGITS).T
    tolerated = np.maximum(COLLAR, HALF * (event[:, 1] - event[:, 0]))
    agree = (starts_off <= COLLAR) & (ends_off <= tolerated)
    shared = np.zeros(len(times), np.bool_)
    shared[rows[:, held]] = True
    return Partners(
        shared=shared,
        iou=matched(rows[:, seconds >= IOU * (last - first)], len(times)),
        collar=matched(rows[:, agree], len(times)),
    )


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

    events, detections  counts
    event_recall        share of events with a `shared` partner
    false_alarms        detections an hour without a `shared` partner
    f1_iou, f1_collar   F1 by that criterion
    """
    hours = (middle["end"] - middle["start"]).sum() / 3600
    rows = [*np.unique(items["label"]), ALL]
    items = pd.concat([items, items.assign(label=ALL)])
    both = items.groupby("label")
    detections = items[items["detected"]].groupby("label")["shared"]
    is_event = ~items["detected"]
    false = detections.size() - detections.sum()
    scores = {
        "events": is_event.groupby(items["label"]).sum(),
        "detections": detections.size(),
        "event_recall": items[is_event].groupby("label")["shared"].mean(),
        "false_alarms": false / hours,
        "f1_iou": both["iou"].mean(),
        "f1_collar": both["collar"].mean(),
    }
    return (
        pd.DataFrame(scores, rows)
        .fillna({"detections": 0, "false_alarms": 0})
        .rename_axis("label")
    )


def best_possible(
    events: pd.DataFrame,
    windows: pd.DataFrame,
    hop: float,
) -> pd.DataFrame:
    """`event_scores` of a perfect classifier of windows: what their length and hop
    allow.

    A window's `label` is names joined by `;`. Labels that no event has do not count. A
    classifier that errs may have a higher F1: a missed window, or a rule that divides,
    can separate two events that the perfect one joins.

        best_possible(events, windows, hop=0.25).loc["all classes", "f1_collar"]
    """
    names = sorted({*events["label"]})
    perfect = pd.DataFrame(label_indicator(windows["label"], names), columns=names)
    middle = middles(windows, hop)
    detections = join_windows(middle, perfect, perfect)
    return event_scores(compare(events, detections), middle)


def detection_scores(
    windows: pd.DataFrame,
    chosen: pd.DataFrame,
    scores: pd.DataFrame,
    hop: float,
    events: pd.DataFrame,
    detections: pd.DataFrame,
) -> pd.DataFrame:
    """Scores of the windows, of their detections, and the best possible: a row for each
    class and for ALL.

    windows  with the column `label`, as in `label_windows`; a window with an empty
             label has no window score
    chosen   (W, K), a column a class: whether it is predicted
    scores   (W, K), probabilities or their ranks
    detections  of `join_windows` or `join_by_rules`

    The columns are window_precision, window_recall, window_f1, window_support (a
    count), window_average_precision (ALL has the mean over the classes), those of
    `event_scores`, best_f1_iou, best_f1_collar.
    """
    names = chosen.columns.drop(BACKGROUND, errors="ignore")
    events = events[events["label"].isin(names)]
    scored = (windows["label"] != "").to_numpy()
    target = label_indicator(windows["label"][scored], names)
    decisions = chosen[names].to_numpy()[scored]
    precision = average_precision(target, scores[names].to_numpy()[scored])
    by_class = decision_scores(target, decisions)
    by_class["average_precision"] = precision
    pooled = decision_scores(target.reshape(-1, 1), decisions.reshape(-1, 1))
    pooled["average_precision"] = np.array([macro(precision)])
    of_windows = pd.concat([pd.DataFrame(by_class, names), pd.DataFrame(pooled, [ALL])])
    found = event_scores(compare(events, detections), middles(windows, hop))
    best = best_possible(events, windows, hop)[["f1_iou", "f1_collar"]]
    table = of_windows.add_prefix("window_").join(found).join(best.add_prefix("best_"))
    return table.rename_axis("label")


def fit_rules(
    middle: pd.DataFrame,
    probabilities: pd.DataFrame,
    events: pd.DataFrame,
) -> dict[str, JoiningRule]:
    """The joining rule of each class that is best for these events.

    What counts is F1 at IoU 0.3 plus the share of events that are found: F1 alone drops
    whole events if windows are too long for their kind. Threshold and share together,
    then the longest length, the gap and the least length take the best of their values,
    several times. A class without an event has the rule of 0.5 alone.

    middle         of `middles`; windows of every part of the recordings
    probabilities  (W, K)
    """
    times = Times.of(middle)
    recordings = pd.Index(middle["file"].unique())  # in the order of Times.recording
    rules = {}
    for name in probabilities.columns.drop(BACKGROUND, errors="ignore"):
        of_class = events[events["label"] == name]
        rules[name] = JoiningRule(threshold=0.5)
        if len(of_class):
            probability = probabilities[name].to_numpy(float)
            spans = of_class[["start", "end"]].to_numpy(float)
            recording = recordings.get_indexer(of_class["file"])
            rules[name] = fit_rule(times, probability, spans, recording)
    return rules


def fit_rule(
    times: Times,
    probability: Floats,
    events: Floats,
    recording: Ints,
) -> JoiningRule:
    """The best rule for the events of one class.

    probability  (W,)
    events       (E, 2) start and end; recording (E,) as in `Times`
    """
    median = float(np.median(events[:, 1] - events[:, 0]))
    tried: dict[JoiningRule, float] = {}

    def quality(rule: JoiningRule) -> float:
        if rule not in tried:
            first, last = times.joined(probability, rule)
            detections = np.column_stack([times.start[first], times.end[last]])
            spans = np.concatenate([events, detections])
            group = np.concatenate([recording, times.recording[first]])
            found = partners(spans, group, len(events))
            recall = found.shared[: len(events)].mean()
            tried[rule] = float(found.iou.mean() + recall)
        return tried[rule]

    extents = [
        {"threshold": threshold, "share": share}
        for threshold, share in itertools.product(THRESHOLDS, SHARES)
    ]
    divisions: list[dict[str, float | None]] = [{"longest_length": None}]
    divisions += [{"longest_length": share * median} for share in DIVISIONS]
    gaps = [{"longest_gap": share * median} for share in GAPS]
    lengths = [{"least_length": share * median} for share in LENGTHS]
    best = JoiningRule(threshold=0.5)
    for _ in range(ROUNDS):
        before = best
        for choices in (extents, divisions, gaps, lengths):
            rules = [replace(best, **values) for values in choices]
            # a tie keeps the present rule, which `max` meets first
            best = max([best, *rules], key=quality)
        if best == before:
            break
    return best
