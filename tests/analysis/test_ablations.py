"""The effect of further features, planted and found."""

import pytest

from featurestack.analysis.ranking import rankings
from featurestack.analysis.tables import ablations
from tests.analysis.made_runs import MadeRun, of_sets


def gains_of(results):
    return ablations(rankings(results.runs)[0])


def test_a_planted_gain_is_found_and_a_loss_is_negative(made):
    runs = made(
        *of_sets(mel=0.6, mel_chroma=0.75),
        *of_sets(model="cnn4", mel=0.7, mel_chroma=0.6),
    )
    gain, loss = gains_of(runs)
    assert gain.name == "chroma added to mel (resnet18)"
    assert (gain.without, gain.with_) == ("mel-resnet18", "mel+chroma-resnet18")
    of_gain, of_loss = gain.difference, loss.difference
    assert (of_gain.value, of_loss.value) == pytest.approx((0.15, -0.1))
    assert 0 < of_gain.low < 0.15 < of_gain.high
    assert of_loss.low < -0.1 < of_loss.high < 0
    assert (gain.verdict, loss.verdict) == ("clear gain", "clear loss")


@pytest.mark.parametrize(
    ("runs", "steps"),
    [
        (  # steps lead through the sets in between
            of_sets(mel_mfcc_chroma=0.8, mel_mfcc=0.7, mel=0.6, chroma=0.3),
            [
                ("mel+mfcc", "chroma"),
                ("chroma", "mel+mfcc"),
                ("mel", "mfcc"),
            ],
        ),
        (  # runs of a pair share every other option
            [
                MadeRun(features="mel+mfcc"),
                MadeRun(model="cnn4"),
                MadeRun(features="mfcc", augment="none"),
            ],
            [],
        ),
        ([MadeRun(), MadeRun(features="mel+mel+mel")], [("mel", "mel+mel")]),
    ],
)  # fmt: skip
def test_steps_between_feature_sets(made, runs, steps):
    gains = gains_of(made(*runs))
    assert [(gain.base, gain.added) for gain in gains] == steps
