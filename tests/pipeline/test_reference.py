"""The tolerance: what agrees, what does not, and for which features a part may differ."""

import numpy as np
import pytest

from pipeline import reference


def clips(count: int, rows: int = 2, frames: int = 500) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.uniform(-1, 1, (rows, frames)) * [[100.0], [1.0]] for _ in range(count)]


def test_scale_is_the_largest_of_the_row_and_a_thousandth_of_the_feature() -> None:
    assert reference.row_scale([np.array([[1.0, -200.0], [0.1, 0.0]]), np.array([[5.0, 0], [0, 0]])]) == (
        pytest.approx(np.array([[200.0], [0.2]]))
    )


def test_one_value_outside_is_too_many() -> None:
    theirs = clips(3)
    ours = [values.copy() for values in theirs]
    assert reference.agreement("mel", ours, theirs).holds
    scale = reference.row_scale(theirs)
    ours[1][1, 7] += 0.9e-4 * scale[1, 0]
    assert reference.agreement("mel", ours, theirs).holds
    ours[1][1, 7] += 0.2e-4 * scale[1, 0]
    found = reference.agreement("mel", ours, theirs)
    assert not found.holds and (found.values_outside, found.clips_outside) == (1, 1)
    assert found.worst == pytest.approx(1.1, abs=0.01)
    assert "DIFFERS: 1 of 3000 values and 1 of 3 clips" in str(found)


def test_not_a_number_is_outside() -> None:
    theirs = clips(1)
    ours = [theirs[0].copy()]
    ours[0][0, 0] = np.nan
    assert not reference.agreement("mel", ours, theirs).holds


def test_features_that_pick_a_bin_may_miss_one_value_in_a_thousand() -> None:
    theirs = clips(2)
    ours = [values.copy() for values in theirs]
    ours[0][0, :2] += 50
    assert reference.agreement("yin", ours, theirs).holds
    ours[0][0, :3] += 50
    assert not reference.agreement("yin", ours, theirs).holds


def test_features_by_estimate_may_miss_one_clip_in_two_hundred() -> None:
    theirs = clips(200, frames=5)
    ours = [values.copy() for values in theirs]
    ours[3] += 1
    assert reference.agreement("chroma", ours, theirs).holds
    assert not reference.agreement("mel", ours, theirs).holds
    ours[4] += 1
    assert not reference.agreement("chroma", ours, theirs).holds


def test_rounding_for_storage_is_allowed_on_top() -> None:
    theirs = clips(2)
    stored = [values.astype(np.float16).astype(float) for values in theirs]
    assert not reference.agreement("mel", stored, theirs).holds
    assert reference.agreement("mel", stored, theirs, stored=np.float16).holds


def test_where_all_is_nought_nought_is_expected() -> None:
    nought = [np.zeros((1, 3))]
    assert reference.agreement("onset", nought, nought).holds
    assert not reference.agreement("onset", [np.full((1, 3), 1e-9)], nought).holds


def test_definitions_are_librosas_defaults() -> None:
    y = np.random.default_rng(0).normal(0, 0.1, 22050).astype(np.float32)
    import librosa

    assert np.array_equal(reference.compute("rms", y, 22050), librosa.feature.rms(y=y))
    halves = librosa.decompose.hpss(np.abs(librosa.stft(y)))
    expected = librosa.power_to_db(librosa.feature.melspectrogram(S=halves[1] ** 2, sr=22050, n_mels=128))
    assert np.array_equal(reference.compute("percussive", y, 22050), expected)
    assert reference.compute("fourier_tempogram", y, 22050).shape == (193, 45)
