"""`texture@of=NAME`: texture statistics of another feature's map."""

import numpy as np
import pytest

from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import resolve_feature

RATE = 16_000


def vector(y, of="mel"):
    feature = resolve_feature(parse_feature_name(f"texture@of={of}"), RATE)
    values = feature.compute(Clip(y.astype(np.float32), RATE))
    assert values.shape == feature.shape(RATE, len(y))
    return values[:, 0]


def clicks(rate, seconds=2):
    """So many clicks a second in faint noise."""
    y = np.random.default_rng(0).normal(0, 1e-3, RATE * seconds)
    y[:: RATE // rate] += 1
    return y


@pytest.mark.parametrize("of", ["mel", "mfcc", "chroma"])
def test_a_clip_of_any_length_becomes_as_many_finite_numbers(of):
    for seconds in (0.3, 2):
        values = vector(clicks(4, seconds=1)[: int(RATE * seconds)], of)
        assert len(values) == 1300 and np.isfinite(values).all() and values.std() > 0


def test_the_order_of_events_counts_less_than_their_rate():
    y = clicks(4)
    own, shifted, faster = vector(y), vector(np.roll(y, 1000)), vector(clicks(16))
    assert np.linalg.norm(own - shifted) < np.linalg.norm(own - faster) / 3
