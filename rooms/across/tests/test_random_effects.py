"""The random-effects model: frozen values of another implementation, and the cases in
which it says little.
"""

import numpy as np
import pytest

from featurestack.rooms.across.random_effects import prediction_interval, random_effects

APART = ([0.031, -0.004, 0.062, 0.011, 0.12], [0.012, 0.008, 0.02, 0.015, 0.03])
ALIKE = ([0.01, 0.012, 0.011, 0.013], [0.02, 0.03, 0.025, 0.02])
THREE = ([0.14, -0.01, 0.05], [0.01, 0.02, 0.013])


def pooled(gains, errors):
    return random_effects(np.array(gains), np.array(errors), np.random.default_rng(0))


# statsmodels 0.15, combine_effects(method_re="iterated", use_t=True): tau2, mean and
# the Hartung-Knapp interval
@pytest.mark.parametrize(
    ("given", "variance", "mean", "low", "high"),
    [
        (APART, 0.00184812478739, 0.03886844943, -0.0188238831, 0.09656078197),
        (THREE, 0.00547188646522, 0.06125947956, -0.1261576731, 0.2486766322),
    ],
)
def test_the_model_equals_statsmodels_to_six_digits(given, variance, mean, low, high):
    model = pooled(*given)
    assert (model.tau**2, model.mean, model.low, model.high) == pytest.approx(
        (variance, mean, low, high), rel=1e-6
    )


def test_gains_that_agree_too_well_do_not_narrow_the_interval():
    model = pooled(*ALIKE)
    error = 0.01138784427  # statsmodels' sd_eff_w_re, without Hartung and Knapp's scale
    assert model.tau == 0
    assert (model.high - model.mean) / 3.182446305 == pytest.approx(error, rel=1e-6)


def test_p_is_below_a_twentieth_exactly_if_the_interval_excludes_zero():
    gains = np.array(APART[0])
    for shift in np.linspace(0, 0.06, 13):
        model = pooled(gains + shift, APART[1])
        assert (model.p < 0.05) == (model.low > 0)


def test_a_new_gain_is_predicted_from_five_data_sets_on():
    four = pooled(APART[0][:4], APART[1][:4])
    five = pooled(*APART)
    assert np.isnan(four.new_low)
    assert five.new_low < five.low < five.high < five.new_high


def test_the_prediction_interval_holds_new_gains():
    rng = np.random.default_rng(5)
    held = []
    for _ in range(200):
        errors = 0.02 * np.exp(rng.normal(size=6) / 2)
        measured = 0.02 * rng.normal(size=6) + errors * rng.normal(size=6)
        low, high = prediction_interval(measured, errors, rng, draws=500)
        held.append(low <= 0.02 * rng.normal() <= high)
    assert np.mean(held) > 0.9
