"""Durations, sizes, counts and percentages in words."""

import pytest

from featurestack.base.quantities import count, duration, percent, points, size


@pytest.mark.parametrize(
    ("shown", "values", "texts"),
    [
        (
            duration,
            [0.04, 9.96, 59.6, 192, 7500],
            "0.0 s|10 s|1 min 00 s|3 min 12 s|2 h 05 min",
        ),
        (size, [512, 1234, 99_960, 1.2e9, 3e12], "512 B|1.2 kB|100 kB|1.2 GB|3.0 TB"),
        (count, [0, 2000, 11_175_370, 1.82e9], "0|2,000|11.2 M|1.8 G"),
        (percent, [0.285, 0.1125, 0.0875], "28.5|11.2|8.8"),  # halves go up
        (lambda share: percent(share, 0), [0.285, 1 / 40, 5 / 40], "28|2|12"),
        (points, [0.031, -0.0004, -1e-9, 1e-9], "+3.1|−0.04|below 0|above 0"),
    ],
)
def test_numbers_read_naturally(shown, values, texts):
    assert [shown(value) for value in values] == texts.split("|")
