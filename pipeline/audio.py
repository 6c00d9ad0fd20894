"""Decode any audio file that libsndfile reads: float32, mono, at a wanted rate, padded or cut.

The samples are those of `librosa.load(path, sr=sample_rate)` within rounding. Files are read in blocks
and only as far as needed, so neither a header that lies nor an hour of audio takes gigabytes; what
is not whole is refused with its reason and never silently shortened.

Only regular files are opened, and no more than MOST_SAMPLES are decoded or resampled of one. That bounds
memory and time, whatever a small file unpacks to; a limit in seconds would depend on the machine.
"""

import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

BLOCK = 2**18  # values a read, whatever the number of channels
MOST_SAMPLES = 2**29  # of one file at once, 2 GiB: an hour at 149 kHz
LEAST_RATE, MOST_RATE = 100, 10_000_000  # Hz; beyond them a header is damaged, and resampling would explode
LARGEST_SAMPLE = 1e10  # five times full scale of 32 bits; powers of spectra overflow float32 from 1e14 or so
RESAMPLER_REACH = (
    0.25,
    4096,
)  # seconds, and samples, at least, read past the cut: soxr's filters are shorter

# Audio files by their names, readable or not: what cannot be decoded is named with its reason, not left out.
AUDIO_FILE = re.compile(
    r".*\.(wave?|flac|og[ga]|opus|mp3|aif[fc]?|au|snd|caf|w64|rf64|m4a|mp4|aac|wma|amr|3gp|webm)",
    re.IGNORECASE | re.DOTALL,
)
CONVERTED = re.compile(r".*\.(m4a|mp4|aac|wma|amr|3gp|webm)", re.IGNORECASE | re.DOTALL)
ADVICE = "{} are not read: convert them, as in ffmpeg -i a.m4a a.flac"

# libsndfile's log says what a header promises, and mostly what it should be, and then goes on.
PROMISED = re.compile(r"(?:data|SSND|Data Size|riff)\s*: (\d+)(?: \(should be (\d+)\))?")
UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's number of frames of a FLAC file that was written to a pipe
CHUNK_PADDING = 64  # bytes that a promise may be off by in a file that is whole


class AudioError(Exception):
    """This file cannot be used as a clip; the text is the reason."""


class Info(NamedTuple):
    """What a file's header says."""

    sample_rate: int
    frames: int
    channels: int


def load_clip(path: str | Path, sample_rate: int, samples: int) -> Samples:
    """The first `samples` samples of a file at `sample_rate`, mono, (samples,) float32; zeros behind its end.

    Raises AudioError for a file that is missing, empty, truncated, not audio, or holds NaN, infinity or
    samples beyond LARGEST_SAMPLE.
    """
    y = decode(path, sample_rate, seconds=samples / sample_rate)[:samples]
    return y if len(y) == samples else np.pad(y, (0, samples - len(y)))


def decode(path: str | Path, sample_rate: int | None = None, seconds: float | None = None) -> Samples:
    """A file as mono float32 (n,), at its own rate or `sample_rate`, whole or its first `seconds`."""
    with _opened(path) as file:
        limit = file.frames
        if seconds is not None:
            reach = max(round(RESAMPLER_REACH[0] * file.samplerate), RESAMPLER_REACH[1])
            limit = min(limit, int(np.ceil(seconds * file.samplerate)) + reach)
        most = limit * max(1.0, (sample_rate or 1) / file.samplerate)
        if most > MOST_SAMPLES:
            raise AudioError(f"too long: {most:.3g} samples are more than the {MOST_SAMPLES:.3g} of one file")
        blocks = list(_mono_blocks(file, limit))
        rate = file.samplerate
    y = blocks[0] if len(blocks) == 1 else np.concatenate([*blocks, np.zeros(0, np.float32)])
    if len(y) < limit:
        raise AudioError(f"truncated: {len(y)} of {limit} samples could be decoded")
    _refuse_impossible_samples(y)
    return y if sample_rate in (None, rate) else resample(y, rate, sample_rate or rate)


def blocks(path: str | Path) -> Iterator[Samples]:
    """A whole file as mono blocks at its own rate, in constant memory; AudioError as in `load_clip`."""
    with _opened(path) as file:
        left = file.frames
        for block in _mono_blocks(file, file.frames):
            _refuse_impossible_samples(block)
            left -= len(block)
            yield block
        if left:
            raise AudioError(f"truncated: {left} of {file.frames} samples could not be decoded")


def _refuse_impossible_samples(y: Samples) -> None:
    """AudioError for a float file whose samples are no numbers, or so large that features overflow."""
    peak = np.abs(y).max(initial=0)  # NaN where one is
    if np.isfinite(peak) and peak > LARGEST_SAMPLE:
        most = f"{LARGEST_SAMPLE:.0e}"
        raise AudioError(f"samples of up to {peak:.3g}, where full scale is 1 and at most {most} is taken")
    if not np.isfinite(peak):
        bad = np.count_nonzero(~np.isfinite(y))
        raise AudioError(f"{bad} of {len(y)} samples are NaN, infinite or beyond float32 (3.4e+38)")


def resample(y: Samples, rate: int, sample_rate: int) -> Samples:
    """`librosa.resample(y, orig_sr=rate, target_sr=sample_rate)`: soxr's high quality, length rounded up."""
    resampled = soxr.resample(y, rate, sample_rate, quality="HQ")
    wanted = int(np.ceil(len(y) * sample_rate / rate))
    return np.pad(resampled, (0, max(0, wanted - len(resampled))))[:wanted].astype(np.float32, copy=False)


def file_info(path: str | Path) -> Info:
    """Rate, length and channels without decoding; AudioError for what cannot be opened or is truncated."""
    with _opened(path) as file:
        return Info(file.samplerate, file.frames, file.channels)


def advice(paths: Iterable[str]) -> str:
    """What to do about those of these files that ffmpeg converts and libsndfile does not read; else ''.

    >>> advice(["a.wav", "b.M4A"])
    'files of .m4a are not read: convert them, as in ffmpeg -i a.m4a a.flac'
    """
    kinds = sorted({Path(path).suffix.lower() for path in paths if CONVERTED.fullmatch(path)})
    return ADVICE.format(f"files of {', '.join(kinds)}") if kinds else ""


def _opened(path: str | Path) -> soundfile.SoundFile:
    """An open file that is what its header says."""
    _refuse_non_files(Path(path))
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, OSError) as error:
        reason = _reason(error)
        if "does not exist" in reason:  # its words for an .mp3 that holds none; the file is there, see above
            reason = "Format not recognised"
        raise AudioError(f"not audio that libsndfile reads: {reason}") from None
    try:
        _refuse_damaged(file, Path(path))
    except AudioError:
        file.close()
        raise
    return file


def _refuse_non_files(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise AudioError("missing: there is no such file") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot be read: {_reason(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        raise AudioError("not a regular file")
    if not status.st_size:
        raise AudioError("empty: the file has 0 bytes")


def _refuse_damaged(file: soundfile.SoundFile, path: Path) -> None:
    if not LEAST_RATE <= file.samplerate <= MOST_RATE:
        raise AudioError(f"damaged: its header says {file.samplerate} samples a second")
    if file.format == "RAW":
        raise AudioError(
            "not audio that libsndfile reads: it has no header"
        )  # guessed from .au, .vox and the like
    for promised, there in PROMISED.findall(file.extra_info):
        there = there or path.stat().st_size
        if int(promised) > int(there) + CHUNK_PADDING:
            raise AudioError(
                f"truncated: its header promises {promised} bytes of audio, the file holds {there}"
            )
    if file.format == "FLAC" and not _reaches_its_end(file):
        raise AudioError(
            "truncated: its header does not say how long it is"
            if file.frames == UNKNOWN_LENGTH
            else f"truncated: its header promises {file.frames} samples, the file holds fewer"
        )
    if file.format == "OGG" and not _ends_with_whole_page(path):
        raise AudioError("truncated: the file ends in the middle of an Ogg page")
    if not file.frames:
        raise AudioError("empty: the file holds no samples")


def _reaches_its_end(file: soundfile.SoundFile) -> bool:
    """Whether the last sample that the header promises can be decoded; 0.3 ms."""
    try:
        file.seek(file.frames - 1)
        found = len(file.read(1))
        file.seek(0)
    except (soundfile.SoundFileError, RuntimeError):
        return False
    return found == 1


def _ends_with_whole_page(path: Path) -> bool:
    """Whether the last Ogg page is whole; libsndfile drops one that is not without a word."""
    longest_page = 27 + 255 + 255 * 255
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - longest_page))
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) < start + 27:
        return False
    segments = tail[start + 26]
    lengths = tail[start + 27 : start + 27 + segments]
    return len(lengths) == segments and start + 27 + segments + sum(lengths) <= len(tail)


def _mono_blocks(file: soundfile.SoundFile, limit: int) -> Iterator[Samples]:
    """The mean of the channels, block by block, until `limit` frames or the end of the data."""
    size = max(1, BLOCK // file.channels)
    while limit > 0:
        try:
            block = file.read(min(size, limit), dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(f"damaged: decoding stopped, {_reason(error)}") from None
        if not len(block):
            return
        limit -= len(block)
        yield block[:, 0] if file.channels == 1 else block.mean(axis=1)


def _reason(error: Exception) -> str:
    """The library's or system's words without the path, which the reader of a summary has already."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")
