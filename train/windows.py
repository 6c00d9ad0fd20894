"""Windows through an endless sound that comes block by block, in constant memory."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

PCM: dict[str, np.dtype[Any]] = {"s16": np.dtype("<i2"), "s32": np.dtype("<i4"), "f32": np.dtype("<f4")}


class Window(NamedTuple):
    """A piece of a sound: where it begins and ends, in seconds, and its samples; zeros behind the end."""

    start: float
    end: float
    y: Samples


def windows(blocks: Iterable[Samples], sample_rate: int, samples: int, hop: int) -> Iterator[Window]:
    """Windows of `samples`, one each `hop`, from blocks of any length.

    The last one is the first to reach the sound's end, filled up with zeros; a sound without a sample
    gives one window of silence.
    """
    held, start = np.zeros(0, np.float32), 0

    def window(y: Samples) -> Window:
        end = (start + len(y)) / sample_rate
        return Window(start / sample_rate, end, np.pad(y, (0, samples - len(y))))

    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > samples:  # more than one window: this one does not reach the end
            yield window(held[:samples])
            held, start = held[hop:], start + hop
    yield window(held)


def resampled(blocks: Iterable[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """Blocks at `rate` as blocks at `sample_rate`, without a seam between them."""
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def pcm_blocks(stream: BinaryIO, form: str, samples: int) -> Iterator[Samples]:
    """Mono samples from raw PCM, `samples` at a time as they come; integers become -1 to 1."""
    kind = PCM[form]
    while raw := stream.read(samples * kind.itemsize):
        whole = raw[: len(raw) // kind.itemsize * kind.itemsize]
        values = np.frombuffer(whole, kind)
        scale = np.iinfo(kind).max + 1.0 if kind.kind == "i" else 1.0
        yield (values / scale).astype(np.float32)
