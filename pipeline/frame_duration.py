"""Frames of a stated duration, at any sample rate.

librosa counts frames in samples: 2048 last 46 ms at 44.1 kHz, but 128 ms at 16 kHz.
FRAME= names a duration, and every feature gets the number of samples that lasts so long
at the dataset's rate, with frames a quarter of that apart, as librosa's are.
"""

import math
from collections.abc import Iterable

from featurestack.features_cache.names import FRAMING, Channel
from featurestack.pipeline.features import FEATURES, Variant

LONG = 60.0  # milliseconds; longer frames are mentioned
USUAL = 46.0  # milliseconds of 2048 samples at 44.1 kHz
SHORTEST = 16  # samples of a frame
OVERLAP = 4  # frames begin a quarter of their length apart
# A constant-Q transform of seven octaves needs a hop that 64 divides: lengths from 512
# samples on are multiples of this.
STEP = 256


def frame_samples(milliseconds: float, sample_rate: int) -> int:
    """The length of a frame in samples, about so many milliseconds.

    >>> [frame_samples(46, rate) for rate in (8000, 16000, 44100, 48000)]
    [384, 768, 2048, 2304]
    """
    samples = max(SHORTEST, milliseconds / 1000 * sample_rate)
    half = 2 ** int(math.log2(samples)) // 2
    step = min(STEP, half)
    return step * round(samples / step)


def with_frames(channel: Channel, milliseconds: float, sample_rate: int) -> Channel:
    """The channel with frames of this duration, unless its name states its own.

    >>> str(with_frames(Channel("mel"), 46, 16000))
    'mel@hop_length=192,n_fft=768'
    """
    given = dict(channel.parameters)
    if not FEATURES.knows(channel.name) or given.keys() & FRAMING:
        return channel
    length = frame_samples(milliseconds, sample_rate)
    scaled = {"n_fft": length, "frame_length": length, "hop_length": length // OVERLAP}
    known = FEATURES[channel.name].parameters
    for name, value in scaled.items():
        if name in known:
            given[name] = value
    parameters = tuple(sorted(given.items()))
    return Channel(channel.name, parameters, channel.rows)


def long_frames_note(variants: Iterable[Variant], sample_rate: int) -> str:
    """A line that says how long frames last; '' if they are not long."""
    lengths = [variant.parameters.get("n_fft") for variant in variants]
    samples = max((int(length) for length in lengths if length), default=0)
    milliseconds = 1000 * samples / sample_rate
    if milliseconds <= LONG:
        return ""
    return (
        f"a frame of {samples} samples lasts {milliseconds:.0f} ms at {sample_rate} Hz:"
        f" FRAME={USUAL:g} asks for frames of {USUAL:g} ms, as at 44.1 kHz"
        " (docs/howto/short-clips.md)"
    )
