"""The score against the number of training recordings."""

import pytest

from featurestack.importance.curve import measure_curve, summary
from featurestack.importance.options import CurveOptions


@pytest.fixture(scope="module")
def curve(sounding):
    root = sounding.path.parents[2]
    return measure_curve(
        CurveOptions(
            dataset=str(root / "sounds" / "little.csv"),
            data=root / "data",
            runs=root / "runs",
            features="mel",
        )
    )


def test_the_parts_grow_to_all_recordings(curve):
    assert curve["part"].tolist() == ["1/8", "1/4", "1/2", "all"]
    assert curve["recordings"].is_monotonic_increasing
    assert curve["recordings"].iloc[-1] == 12


def test_easy_sounds_are_told_from_all_recordings(curve):
    assert curve["accuracy"].iloc[-1] > 0.9
    assert curve["accuracy"].iloc[0] <= curve["accuracy"].iloc[-1]


def test_the_summary_says_what_the_second_half_brings(curve):
    gain = curve["accuracy"].iloc[-1] - curve["accuracy"].iloc[-2]
    assert f"brings {gain:+.3f} in accuracy" in summary(curve)
