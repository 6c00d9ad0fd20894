"""The table of differences between this project and two versions of librosa."""

import numpy as np
import pytest

from docs import librosas, tables
from docs.librosas import EVERY, LibrosasOptions
from tests.docs.conftest import write_esc50


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(librosas, "names", lambda: ["rms", "zcr"])


def of(ours, theirs):
    """Values of two features of one clip; the largest is 2 in each row."""
    values = {}
    for name in ("rms", "zcr"):
        values[f"ours {name}"] = np.array([[[2.0, ours]]])
        values[f"theirs {name}"] = np.array([[[2.0, theirs]]])
    return values


def test_differences_are_millionths_of_the_largest_value_of_a_row(two):
    old, new = of(1.0, 1.0), of(1.0, 1.001)
    new["theirs zcr"] = old["theirs zcr"]
    rows = librosas.compared(old, new).set_index("feature")
    assert rows["old"].tolist() == [0, 0, 0]
    assert rows.loc["rms", "new"] == pytest.approx(500)
    assert rows.loc["rms", "between"] == pytest.approx(500)
    # one of two values is beyond 100 millionths
    assert rows.loc["rms", "new_outside"] == 50
    assert rows.loc["zcr", "new"] == 0
    assert rows.loc[EVERY].equals(rows.loc["rms"].rename(EVERY))


def test_both_sides_are_computed_from_the_same_clips(two, tmp_path):
    write_esc50(tmp_path / "esc50")
    place = tmp_path / "values.npz"
    options = LibrosasOptions(
        dataset=str(tmp_path / "esc50"), data=tmp_path, clips=2, out=str(place)
    )
    librosas.librosas(options)
    values = np.load(place)
    for name in ("rms", "zcr"):
        ours, theirs = values[f"ours {name}"], values[f"theirs {name}"]
        assert len(ours) == 2
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_every_feature_that_librosa_defines_has_a_row():
    rows = tables.read("librosas")
    assert [*rows] == [EVERY, *librosas.names()]
    assert rows[EVERY]["between"] < 100
