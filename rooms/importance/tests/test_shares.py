"""The Shapley shares of several datasets, and whether their order agrees."""

import numpy as np
import pytest

from featurestack.analysis.report_inputs import ReportJob
from featurestack.rooms.importance.shares import (
    importance_shares,
    rank_correlation,
)
from featurestack.rooms.importance.tests.test_tables import made_folder
from tests.analysis.made_datasets import made_options


@pytest.fixture
def options(tmp_path, monkeypatch):
    return made_options(tmp_path, monkeypatch)


def importance_of(options, *names):
    """Jobs of these datasets, each with the same call of importance."""
    for name in names:
        folder = made_folder(options.runs / name)
        folder.path.rename(options.runs / name / folder.path.name)
    return [ReportJob(name, (), None, options.reports / name, ()) for name in names]


def test_shapley_shares_sum_to_one_and_equal_datasets_agree(options):
    given = importance_of(options, "birds", "digits")
    measured = importance_shares(given, options.runs)
    assert [*measured.shares] == ["birds", "digits"]
    assert measured.shares.sum().to_numpy() == pytest.approx(1)
    # loud is worth 1 nat to half of the clips, soft 0.1 to all
    assert measured.shares["birds"].to_numpy() == pytest.approx(
        [0.5 / 0.6, 0.1 / 0.6, 0], abs=0.02
    )
    assert measured.correlation == pytest.approx(1)
    assert measured.low <= measured.correlation


def test_one_call_of_importance_is_not_compared(options):
    assert importance_shares(importance_of(options, "birds"), options.runs) is None


def test_equal_orders_correlate_by_one():
    assert rank_correlation(np.array([[1, 2, 3], [0.1, 0.5, 2]])) == 1
    opposite = np.array([[1, 2, 3], [3, 2, 1]])
    assert rank_correlation(opposite) == pytest.approx(-1)
