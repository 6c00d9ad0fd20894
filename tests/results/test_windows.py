"""Windows: which pairs are near, and the files that describe a dataset of windows."""

import json

import numpy as np
import pandas as pd
import pytest

from featurestack.results.windows import NEAR, near_pairs, read_annotated


def spans(rng, count, longest):
    start = rng.uniform(0, 50, count)
    return pd.DataFrame(
        {
            "file": rng.choice(["a", "b"], count),
            "start": start,
            "end": start + rng.uniform(0, longest, count),
        }
    )


@pytest.mark.parametrize("longest", [0.0, 1.0, 60.0])
def test_near_pairs_are_those_of_a_comparison_of_each_with_each(longest):
    rng = np.random.default_rng(0)
    first = spans(rng, 80, 1.0)
    second = spans(rng, 60, longest)
    (row, other), times = near_pairs(first, second, ["file"])
    expected = [
        (i, j)
        for i, one in enumerate(first.itertuples(index=False))
        for j, two in enumerate(second.itertuples(index=False))
        if one.file == two.file
        and two.start <= one.end + NEAR
        and one.start <= two.end + NEAR
    ]
    assert list(zip(row.tolist(), other.tolist())) == expected
    assert np.array_equal(times[0], first[["start", "end"]].to_numpy()[row])
    assert np.array_equal(times[1], second[["start", "end"]].to_numpy()[other])


def test_one_long_event_beside_many_short_ones_makes_no_further_pairs():
    """Rain over a whole day, and a call every two seconds."""
    start = np.arange(43_200) * 2.0
    calls = pd.DataFrame({"file": "a", "start": start, "end": start + 0.1})
    rain = pd.DataFrame({"file": ["a"], "start": [0.0], "end": [86_400.0]})
    events = pd.concat([rain, calls])
    (window, _), _ = near_pairs(calls, events, ["file"])
    assert len(window) == 2 * len(calls)


@pytest.mark.parametrize(
    "text", ["filename,onset,offset\nx,1,2\n", "", "file,start,end,label\na,x,2,b\n"]
)
def test_an_events_csv_of_another_program_is_none_of_ours(tmp_path, text):
    (tmp_path / "events.csv").write_text(text)
    described = {"length": 1, "hop": 0.5, "block": None}
    (tmp_path / "windows.json").write_text(json.dumps(described))
    assert read_annotated(tmp_path / "mine.csv") is None


def test_without_windows_json_nothing_is_known_of_the_windows(tmp_path):
    (tmp_path / "events.csv").write_text("file,start,end,label\na,1,2,b\n")
    assert read_annotated(tmp_path / "mine.csv") is None
