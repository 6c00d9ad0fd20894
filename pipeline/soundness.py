"""What a clip's samples say about how it was made: level, padding, clipping, bandwidth.

These are artefacts of recording and editing. They should not tell the classes apart; how far they do is
how far a score may come from them.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

QUIET = 1e-4  # full scale; softer samples at a clip's ends are padding, also after a lossy codec
SILENT = 1e-3  # full scale; a clip that never gets louder is silent
CLIPPED_AT = 0.99  # full scale
CLIPPED_RUN = 3  # neighbouring samples at full scale that make a flat top
EMPTY = -105.0  # dB of full scale in a band; rounding to 16 bits lies 20 dB below
FRAME = 1024  # samples of a spectrum


@dataclass(frozen=True)
class Soundness:
    """One clip's measures, from its file's own samples."""

    sample_rate: int  # Hz, of the file
    seconds: float  # of the file
    channels: int
    peak: float  # of full scale
    level: float  # dB of full scale, of the part that is not padding
    lead: float  # seconds of padding before the sound
    trail: float  # and after it
    clipped: float  # share of samples in flat tops at full scale
    offset: float  # mean, of full scale
    bandwidth: float  # Hz; above it there is nothing but rounding


ARTEFACTS = tuple(field.name for field in fields(Soundness))


def measure(y: Samples, sample_rate: int, channels: int) -> Soundness:
    """The measures of a clip, (samples,) at its file's own rate."""
    loud = np.flatnonzero(np.abs(y) >= QUIET)
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (len(y), len(y))
    sound = y[first:last] if len(loud) else y
    return Soundness(
        sample_rate=sample_rate,
        seconds=len(y) / sample_rate,
        channels=channels,
        peak=float(np.abs(y).max(initial=0)),
        level=10 * float(np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12)),
        lead=first / sample_rate,
        trail=(len(y) - last) / sample_rate,
        clipped=clipped_share(y),
        offset=float(np.mean(y, dtype=np.float64)),
        bandwidth=bandwidth(sound, sample_rate),
    )


def clipped_share(y: Samples) -> float:
    """The share of samples that stand at full scale beside others on the same side."""
    full = np.where(np.abs(y) >= CLIPPED_AT, np.sign(y), 0)
    ends = np.flatnonzero(np.diff(full, prepend=0, append=0))
    runs = np.diff(ends)  # lengths of stretches of one value, zero or full scale
    flat = (full[ends[:-1]] != 0) & (runs >= CLIPPED_RUN)
    return float(runs[flat].sum() / max(1, len(y)))


def bandwidth(y: Samples, sample_rate: int) -> float:
    """The highest frequency (Hz) that holds more than rounding, on average over the clip's whole frames."""
    y = np.pad(y, (0, max(0, FRAME - len(y))))
    whole = y[: len(y) // FRAME * FRAME].reshape(-1, FRAME)
    window = np.hanning(FRAME)
    power = np.mean(np.abs(np.fft.rfft(whole * window, axis=1)) ** 2, axis=0) / window.sum() ** 2 * 4
    filled = np.flatnonzero(10 * np.log10(power + 1e-20) > EMPTY)
    return float(filled[-1] * sample_rate / FRAME) if len(filled) else 0.0
