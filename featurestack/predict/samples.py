"""Samples of new audio, before a model sees them: arrays of a caller as mono floats of
full scale 1, blocks of a recording as windows, and the level that GATE asks for.

A recording is read, resampled and cut block by block, so that a long one is never in
memory as a whole.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted

# length of the parts of a window whose levels are compared with GATE
LEVEL_SECONDS = 0.05
# samples of an integer type -> their zero and their full scale, as in audio files
FULL_SCALE = {"uint8": (128, 128.0), "int16": (0, 2.0**15), "int32": (0, 2.0**31)}
LOUDEST = 4.0  # floating-point audio, such as decoded MP3, is rarely above it
MOST_CHANNELS = 32  # more are frames or features, no audio

Samples = NDArray[np.float32]
Span = tuple[float, float]  # start and end of a window, in seconds


def scaled(samples: ArrayLike) -> Samples:
    """Samples as float32 of full scale 1; RequestError for what is no audio."""
    y = np.asarray(samples)
    if y.size == 0:
        raise RequestError("the clip is empty: expected at least one sample")
    if y.dtype.name in FULL_SCALE:  # in either order of bytes
        zero, full = FULL_SCALE[y.dtype.name]
        return ((y.astype(np.float64) - zero) / full).astype(np.float32)
    if y.dtype.kind != "f":
        raise RequestError(
            f"samples are {y.dtype}: expected floats of full scale 1, int16, int32 or"
            " uint8"
        )
    unfit = int((~np.isfinite(y)).sum())
    if unfit:
        are = "is" if unfit == 1 else "are"
        raise RequestError(
            f"{counted(unfit, 'sample')} of {y.size:,} {are} NaN or infinite"
        )
    peak = float(np.abs(y).max())
    # integers that were only cast to floats are whole, however quiet they are
    if peak > LOUDEST or (peak > 1 and (y == np.rint(y)).all()):
        raise RequestError(
            f"samples of up to {peak:,.0f}, and full scale is 1: divide 16-bit samples"
            " by 32768, or give them as int16"
        )
    return y.astype(np.float32)


def mono(y: Samples, channel: int) -> Samples:
    """(n,) a channel, counted from 1 in the shorter axis, or their mean (0)."""
    if y.ndim == 1:
        return y
    if y.ndim != 2 or min(y.shape) > MOST_CHANNELS or y.shape[0] == y.shape[1] > 1:
        raise RequestError(
            f"samples of shape {y.shape}: expected (samples,), (samples, channels) or"
            " (channels, samples)"
        )
    axis = int(y.shape[1] < y.shape[0])
    if channel > y.shape[axis]:
        raise RequestError(
            f"samples of shape {y.shape} have no channel {channel}, on which the model"
            " was trained"
        )
    if not channel:
        return y.mean(axis=axis)
    return np.moveaxis(y, axis, 0)[channel - 1]


def loudest_level(y: Samples, sample_rate: int) -> float:
    """The level of the loudest LEVEL_SECONDS, in dB of full scale; a full-scale sine
    has -3, silence -200.

    >>> round(loudest_level(np.full(1000, 0.1, np.float32), 8000))
    -20
    """
    length = max(1, round(LEVEL_SECONDS * sample_rate))
    padded = np.pad(y, (0, -len(y) % length))
    squares = np.square(padded, dtype=np.float64)
    powers = squares.reshape(-1, length).mean(axis=1)
    loudest = powers.max(initial=0)
    return float(10 * np.log10(loudest + 1e-20))


def windows_of(
    blocks: Iterable[Samples], sample_rate: int, samples: int, hop: int
) -> Iterator[tuple[Span, Samples]]:
    """Windows of `samples` samples, one every `hop` samples, from blocks of any length;
    the last ends with the recording, and is shorter if the recording is.
    """
    # `before`: the hop of samples before `rest`
    before = rest = np.zeros(0, np.float32)
    start = 0
    for block in blocks:
        rest = np.concatenate([rest, block])
        # more than one window: this one does not reach the end
        while len(rest) > samples:
            yield (start / sample_rate, (start + samples) / sample_rate), rest[:samples]
            before, rest = rest[:hop], rest[hop:]
            start += hop
    end = start + len(rest)
    last = np.concatenate([before, rest])[-samples:]
    yield ((end - len(last)) / sample_rate, end / sample_rate), last


def resampled(
    blocks: Iterable[Samples], rate: int, sample_rate: int
) -> Iterator[Samples]:
    """Blocks at `rate` as blocks at `sample_rate`, without discontinuities."""
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
