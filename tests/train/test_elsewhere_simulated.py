"""A dataset from the same population shows no fall."""

import numpy as np

from tests.train.simulated import scored_elsewhere


def test_models_scored_alone_show_no_change_where_there_is_none():
    """Five models that answer together would show a gain of about 4 points."""
    rng = np.random.default_rng(0)
    drawn = [scored_elsewhere(10, 60, 200, rng) for _ in range(20)]
    together, alone = zip(*drawn)
    assert np.mean([each.change for each in together]) > 0.02
    assert abs(np.mean([each.change for each in alone])) < 0.01
    assert np.mean([abs(each.change) <= each.reach for each in alone]) >= 0.9
