"""Durations, sizes, counts and percentages in words."""

from featurestack.base import quantities
from tests.cases import cases


@cases("function", "values", "texts")
def test_numbers_read_naturally(function, values, texts):
    shown = getattr(quantities, function)
    assert [shown(value) for value in values] == texts


def test_a_percentage_may_have_no_decimals_and_halves_go_up():
    shares = 0.285, 1 / 40, 5 / 40
    assert [quantities.percent(share, 0) for share in shares] == ["28", "2", "12"]
