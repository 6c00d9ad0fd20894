"""Axes and filter banks are librosa's, shapes are those of what is computed; no librosa or numba loads."""

import dataclasses
import subprocess
import sys

import librosa
import numpy as np
import pytest

from features_cache.names import parse_channel
from pipeline import axes
from pipeline.features import FEATURES, Clip, Impossible, resolve_feature
from pipeline.kernels import spectrum
from pipeline.parameters import MelBank, Wavelets

RATES = (8000, 22050, 44100, 96000)
VARIANTS = [
    "mel@hop_length=441",
    "mfcc@n_mels=20",
    "mel_delta@width=5",
    "poly@order=3",
    "contrast@n_bands=3",
    "cqt@hop_length=192,n_bins=30",
    "cqt@bins_per_octave=24,n_bins=96",
    "vqt@gamma=5,hop_length=320",
    "chroma_cqt@hop_length=256",
    "tempogram@win_length=64",
    "fourier_tempogram@hop_length=300",
    "yin@fmin=200",
]


@pytest.mark.parametrize("rate", RATES)
def test_frequencies_are_librosas_bit_by_bit(rate: int) -> None:
    assert np.array_equal(axes.frequency_axis(rate, n_fft=600), librosa.fft_frequencies(sr=rate, n_fft=600))
    assert np.array_equal(
        axes.tempo_axis(rate, win_length=384, hop_length=512),
        librosa.fourier_tempo_frequencies(sr=rate, win_length=384, hop_length=512),
    )
    for bank in (MelBank(), MelBank(40, 50.0, 3000.0), MelBank(7, 0.0, 500.0)):
        top = bank.fmax or rate / 2
        theirs = librosa.mel_frequencies(bank.n_mels + 2, fmin=bank.fmin, fmax=top)
        assert np.array_equal(axes.mel_edges(rate, **dataclasses.asdict(bank)), theirs)


@pytest.mark.parametrize(
    "bank",
    [
        axes.Bank(Wavelets()),
        axes.Bank(Wavelets(30, 36), tuning=0.13),
        axes.Bank(Wavelets(), just=True),
        axes.Bank(Wavelets(252, 36), gamma=None),
    ],
)
def test_constant_q_banks_are_librosas_bit_by_bit(bank: axes.Bank) -> None:
    shape, frequency = bank.wavelets, bank.frequencies()
    theirs = librosa.interval_frequencies(
        shape.n_bins,
        fmin=librosa.note_to_hz("C1") * 2.0 ** (bank.tuning / shape.bins_per_octave),
        intervals="ji5" if bank.just else "equal",
        bins_per_octave=shape.bins_per_octave,
    )
    assert np.array_equal(frequency, theirs)
    relative = librosa.filters._relative_bandwidth(freqs=theirs)
    assert np.array_equal(bank.bandwidths(frequency)[0], relative)


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("rate", RATES)
def test_filters_are_librosas_bit_by_bit(rate: int) -> None:
    bank = MelBank(64, 50.0)
    ours = spectrum.mel_filters(rate, 1024, bank).toarray()
    assert np.array_equal(ours, librosa.filters.mel(sr=rate, n_fft=1024, n_mels=64, fmin=50.0))
    for tuning in (0.0, -0.31):
        theirs = librosa.filters.chroma(sr=rate, n_fft=600, tuning=tuning)
        assert np.array_equal(spectrum.chroma_filters(rate, 600, tuning), theirs)
    magnitude = np.random.default_rng(0).random((252, 5), np.float32)
    folded = librosa.filters.cq_to_chroma(252, bins_per_octave=36) @ magnitude
    assert spectrum.fold_octaves(magnitude, 3) == pytest.approx(folded, rel=1e-6)
    for order in (1, 2, np.inf):
        ours, theirs = spectrum.normalised(folded, order), librosa.util.normalize(folded, norm=order)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("rate", "samples"), [(8000, 8000), (22050, 22051), (44100, 37 * 512 - 1), (96000, 9601)]
)
@pytest.mark.parametrize("name", [*FEATURES, *VARIANTS])
def test_the_shape_by_formula_is_that_of_the_values(name: str, rate: int, samples: int) -> None:
    chosen = resolve_feature(parse_channel(name))
    clip = Clip(np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32), rate)
    try:
        rows, frames = chosen.shape(rate, samples)
    except Impossible:
        assert rate == 8000 or name.startswith("mel_delta")
        return
    assert chosen.feature.function(clip, **chosen.arguments).shape == (rows, frames)
    first, *_, last = chosen.frame_axis(rate, samples)
    if chosen.feature.frame_unit == "s":
        assert first == 0 and samples / rate - 0.1 < last < samples / rate + 0.1


@pytest.mark.parametrize(
    ("name", "rate", "samples"),
    [
        ("cqt", 8000, 40000),
        ("contrast", 8000, 40000),
        ("contrast@fmin=20", 44100, 44100),
        ("mel_delta", 44100, 8 * 511),
        ("yin@fmin=10", 44100, 44100),
        ("yin@fmax=30000", 44100, 44100),
    ],
)
def test_what_cannot_exist_says_why(name: str, rate: int, samples: int) -> None:
    chosen = resolve_feature(parse_channel(name))
    with pytest.raises(Impossible, match=r"\d"):
        chosen.shape(rate, samples)
    with pytest.raises(Impossible):
        chosen.compute(Clip(np.zeros(samples, np.float32), rate))


def test_clips_of_nine_frames_have_a_delta() -> None:
    assert resolve_feature(parse_channel("mel_delta")).shape(44100, 8 * 512) == (128, 9)


def test_shapes_are_known_without_numba_librosa_and_scipys_signal_processing() -> None:
    code = (
        "import sys; from pipeline.listing import feature_table; feature_table(44100, 5.0);"
        "import pipeline.extract; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numba", "librosa.core", "scipy.signal", "scipy.fft"} & set(done.stdout.split())
