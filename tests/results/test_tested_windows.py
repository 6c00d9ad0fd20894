"""Rules for the windows of a fold come from the other folds: known answers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.results.detections import compare
from featurestack.results.tested_windows import (
    FoldWindows,
    read_tested,
    write_tested,
)
from featurestack.results.windows import Annotated

HOP, SECONDS = 0.1, 60.0
EVERY = 5.0  # seconds from one event of 1 s to the next
TIMES = HOP * np.arange(round(SECONDS / HOP))


def recording(name, fold, probability, start=2.0):
    """Windows of one recording, their probabilities of x, and its events."""
    windows = pd.DataFrame({"file": name, "start": TIMES, "end": TIMES + HOP})
    begin = np.arange(start, SECONDS - 2, EVERY)
    events = pd.DataFrame(
        {"file": name, "start": begin, "end": begin + 1.0, "label": "x"}
    )
    return windows.assign(label="", fold=fold), probability, events


def windows_of(*recordings, block=None):
    windows, probabilities, events = zip(*recordings)
    annotated = Annotated(pd.concat(events, ignore_index=True), HOP, HOP, block)
    return FoldWindows.of(
        pd.concat(windows, ignore_index=True),
        pd.DataFrame({"x": np.concatenate(probabilities)}),
        annotated,
        HOP,
    )


def after_onset(start=2.0):
    """Seconds since the last event began, at the centre of each window."""
    return (TIMES + HOP / 2 - start) % EVERY


def high(start=2.0, low=0.05):
    return np.where(after_onset(start) < 1.0, 0.9, low)


def found(decided):
    return decided.detections[["file", "start", "end"]].round(3).to_numpy().tolist()


def split():
    """Each event has a hole of 0.2 s."""
    since = after_onset()
    return np.where((since > 0.4) & (since < 0.6), 0.05, high())


def with_moments():
    """A false alarm of 0.2 s between two events."""
    since = after_onset()
    return np.where((since > 3.0) & (since < 3.2), 0.95, high())


def with_quiet_tail():
    """An event is loud for 0.3 s, then 0.35 is left of it; half as much elsewhere."""
    since = after_onset()
    return np.where(since < 0.25, 0.9, np.where(since < 1.0, 0.4, 0.25))


@pytest.mark.parametrize(
    ("probability", "parameter"),
    [
        (split(), "longest_gap"),
        (with_moments(), "least_length"),
    ],
)
def test_a_gap_is_closed_and_a_moment_is_left_out(probability, parameter):
    both = [recording(name, fold, probability) for fold, name in enumerate("ab")]
    windows = windows_of(*both)
    assert getattr(windows.rules()["x"], parameter) > 0
    expected = windows.events[["file", "start", "end"]].round(3).to_numpy().tolist()
    assert found(windows.cross_fitted()) == expected


def test_a_quiet_tail_is_kept_by_hysteresis():
    noise = np.where((after_onset() > 2.5) & (after_onset() < 3.5), 0.5, 0.0)
    probability = np.maximum(with_quiet_tail(), noise)
    windows = windows_of(
        *(recording(name, n, probability) for n, name in enumerate("ab"))
    )
    rule = windows.rules()["x"]
    assert rule.threshold >= 0.5 and rule.share * rule.threshold < 0.4
    expected = windows.events[["file", "start", "end"]].round(3).to_numpy().tolist()
    assert found(windows.cross_fitted()) == expected


def test_the_tested_folds_events_do_not_choose_its_rules():
    first = recording("a", 1, split())
    second = recording("b", 2, high())
    honest = windows_of(first, second).cross_fitted()
    by_file = honest.detections.groupby("file").size()
    # the other fold knows no holes, so that they stay; and the other way round
    assert by_file["a"] == 2 * by_file["b"]
    windows, probability, events = first
    other_events = events.assign(start=events["start"] + 0.45)
    other = windows_of((windows, probability, other_events), second).cross_fitted()
    of_first = honest.detections["file"] == "a"
    pd.testing.assert_frame_equal(
        other.detections[other.detections["file"] == "a"], honest.detections[of_first]
    )


def test_events_of_unknown_classes_and_untested_recordings_are_left_out():
    windows, probability, events = recording("a", 1, high())
    others = pd.concat([events, events.assign(label="y"), events.assign(file="c")])
    assert len(windows_of((windows, probability, others)).events) == len(events)


def test_blocks_of_one_recording_lie_in_several_folds_and_never_join():
    windows, _, _ = recording("a", 1, high())
    events = pd.DataFrame(
        {"file": "a", "start": [0.0, 30.0], "end": [30.0, 60.0], "label": "x"}
    )
    folds = 1 + (windows["start"] + HOP / 2 >= 30).astype(int)
    probability = np.ones(len(windows))
    shuffled = np.random.default_rng(0).permutation(len(windows))
    windows = windows.assign(fold=folds).iloc[shuffled]
    blocks = windows_of((windows, probability, events), block=30.0)
    assert blocks.windows["start"].is_monotonic_increasing
    assert blocks.events.groupby("fold").size().tolist() == [1, 1]
    assert found(blocks.cross_fitted()) == [["a", 0.0, 30.0], ["a", 30.0, 60.0]]


def test_windows_of_one_fold_alone_have_a_threshold_of_one_half():
    decided = windows_of(recording("a", 1, high())).cross_fitted()
    assert decided.chosen["x"].equals(pd.Series(high() > 0.5, name="x"))
    items = compare(windows_of(recording("a", 1, high())).events, decided.detections)
    assert items["iou"].all()


def test_windows_everywhere_have_the_labels_of_the_events_and_a_median_hop():
    events = pd.DataFrame(
        {"file": "/a.wav", "start": [2.0], "end": [4.0], "label": ["x"]}
    )
    starts = [0.0, 0.5, 1.0, 1.5, 2.0, 2.2]
    tested = pd.DataFrame({"fold": 1, "file": "a", "start": starts})
    tested["end"] = tested["start"] + 1.0
    tested["x"] = np.linspace(0, 1, len(starts))
    clips = pd.DataFrame({"clip_id": ["a@0", "a@1"], "path": "/a.wav"})
    annotated = Annotated(events, 1.0, 0.5, None)
    windows = FoldWindows.everywhere(tested, annotated, SimpleNamespace(clips=clips))
    assert windows.hop == 0.5
    labels = ["background"] * 3 + ["x"] * 3
    assert windows.windows["label"].tolist() == labels
    assert windows.probabilities["x"].tolist() == tested["x"].tolist()
    assert windows.windows["file"].unique().tolist() == ["/a.wav"]


def test_written_windows_are_read_back(tmp_path):
    tested = pd.DataFrame(
        {"fold": [1, 2], "file": ["01", "NA"], "start": 1 / 3, "end": 4 / 3}
    ).assign(x=np.float32([0.123456, 1e-9]))
    write_tested(tmp_path, tested)
    run = SimpleNamespace(path=tmp_path, classes=["x"])
    again = read_tested(run)
    assert again["file"].tolist() == ["01", "NA"]
    assert again["start"].tolist() == [0.333333] * 2
    assert again["x"].tolist() == [0.12346, 0.0]
