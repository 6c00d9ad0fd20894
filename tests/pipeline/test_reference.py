"""The tolerance of `agreement`."""

import numpy as np
import pytest

from featurestack.pipeline import reference


def clips(count, rows=2, frames=500):
    generator = np.random.default_rng(0)
    return [
        generator.uniform(-1, 1, (rows, frames)) * [[100.0], [1.0]]
        for _ in range(count)
    ]


def test_scale_is_the_largest_of_the_row_and_a_thousandth_of_the_feature():
    theirs = [[[1.0, -200.0], [0.1, 0.0]], [[5.0, 0], [0, 0]]]
    assert reference.row_scale(theirs).tolist() == [[200], [pytest.approx(0.2)]]


def test_one_value_outside_is_too_many():
    theirs = clips(3)
    ours = [values.copy() for values in theirs]
    scale = reference.row_scale(theirs)
    ours[1][1, 7] += 0.9e-4 * scale[1, 0]
    assert reference.agreement("mel", ours, theirs).holds
    ours[1][1, 7] += 0.2e-4 * scale[1, 0]
    holds, text = reference.agreement("mel", ours, theirs)
    assert not holds
    assert (
        text
        == "mel DIFFERS: 1 of 3000 values and 1 of 3 clips outside the tolerance, at"
        " most 1.1 times it"
    )
    ours[1][1, 7] = np.nan
    assert not reference.agreement("mel", ours, theirs).holds
