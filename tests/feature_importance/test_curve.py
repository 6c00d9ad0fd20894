"""The score against the number of training recordings."""

import pytest

from featurestack.commandline.quantities import points
from featurestack.feature_importance.curve import (
    curve_summary,
    measure_curve,
)
from featurestack.feature_importance.options import CurveOptions


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
