"""The score against the number of training recordings."""

import pandas as pd
import pytest

from featurestack.commandline.quantities import points
from featurestack.rooms.importance.measure import (
    curve_summary,
    measure_curve,
    write_curve,
)
from featurestack.rooms.importance.options import CurveOptions


@pytest.fixture(scope="module")
def curve(sounding):
    root = sounding.path.parents[2]
    return measure_curve(
        CurveOptions(
            dataset=str(root / "sounds" / "little.csv"),
            data=root / "data",
            runs=root / "runs",
            features="mel mfcc+chroma",
        )
    )


@pytest.fixture
def of_mel(curve):
    return curve[curve["features"] == "mel"]


def test_the_parts_grow_to_all_recordings(curve, of_mel):
    assert curve["features"].unique().tolist() == ["mel", "mfcc+chroma"]
    curve = of_mel
    assert curve["part"].tolist() == ["1/8", "1/4", "1/2", "all"]
    assert curve["recordings"].is_monotonic_increasing
    assert curve["recordings"].iloc[-1] == 12


def test_the_summary_says_what_the_second_half_brings(curve):
    for features, rows in curve.groupby("features"):
        gain = rows["accuracy"].iloc[-1] - rows["accuracy"].iloc[-2]
        told = f"{features}: the second half of the recordings brings {points(gain)}"
        assert told in curve_summary(curve)


def test_the_table_is_written_with_a_figure_beside_it(curve, tmp_path):
    write_curve(curve, tmp_path / "curve.csv")
    again = pd.read_csv(tmp_path / "curve.csv")
    pd.testing.assert_frame_equal(again, curve)
    drawn = (tmp_path / "curve.svg").read_text(encoding="utf-8")
    assert "<svg" in drawn and "mfcc+chroma" in drawn
