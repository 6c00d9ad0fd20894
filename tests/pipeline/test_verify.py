"""`verify`: damage by CRC, and agreement with plain librosa."""

import numpy as np

from featurestack.pipeline import reference
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import VerifyCommand
from tests.pipeline.extraction import options, run
from tests.refusal import refused


def status(sounds, recompute=3, **given):
    """The command's exit status."""
    where = options(sounds)
    return reference.verify_features(
        VerifyCommand(
            dataset=where.dataset, data=where.data, recompute=recompute, **given
        )
    )


def test_a_cache_agrees_with_plain_librosa(sounds, capsys):
    run(sounds, features="mel rms", copies=1, alter="pitch,noise")
    assert status(sounds, recompute=16) == 0
    shown = capsys.readouterr().out
    assert "mel: 16 clips intact" in shown and "16 clips computed again" in shown
    assert "mel agrees: 0 of " in shown and "rms agrees" in shown


def test_values_that_differ_by_more_than_tolerance_and_rounding_are_found(
    sounds, capsys, monkeypatch
):
    def louder(clip, **parameters):
        return right(clip, **parameters) * np.float32(1.01)

    right = FEATURES["rms"].function
    monkeypatch.setitem(vars(FEATURES["rms"]), "function", louder)
    run(sounds, features="mel rms")
    assert status(sounds) == 1
    shown = capsys.readouterr().out
    assert "rms DIFFERS" in shown and "mel agrees" in shown


def test_a_feature_that_is_not_there_gets_what_to_type(sounds):
    run(sounds)
    with refused(r"make features .*FEATURES=mel"):
        status(sounds, features="mel")
