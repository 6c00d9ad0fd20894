"""Decode any audio file that libsndfile reads to float32, mono, at a given rate, padded
or cut; the channels of a file are averaged.

The samples equal `librosa.load(path, sr=sample_rate)` within rounding, except for an
MP3 whose header does not state its length, of which librosa may lose the end. Files
are decoded in blocks, only as far as a clip needs. Only regular files are opened. At
most MOST_SAMPLES are read at once, because a small file may unpack to a huge one.
"""

import io
import math
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from featurestack.base.decoder_messages import decoder_messages
from featurestack.base.errors import RequestError, one_line
from featurestack.base.files import version_of
from featurestack.base.quantities import counted, first_names, is_or_are
from featurestack.base.terminal import progress
from featurestack.pipeline import audio_headers
from featurestack.pipeline.audio_headers import AudioError as AudioError
from featurestack.pipeline.audio_headers import Truncated as Truncated

Samples = NDArray[np.float32]

# Hz; a header with a rate beyond them is damaged
LEAST_RATE, MOST_RATE = 100, 10_000_000
NOT_AUDIO = (
    "not audio that libsndfile reads: convert it (ffmpeg -i a.m4a a.flac), or"
    " replace it"
)
# samples of an integer type -> their zero and their full scale, as in audio files
FULL_SCALE = {"uint8": (128, 128.0), "int16": (0, 2.0**15), "int32": (0, 2.0**31)}
LOUDEST = 4.0  # floating-point audio, such as decoded MP3, is rarely above it
MOST_AUDIO_CHANNELS = 8  # more are several clips, frames or features
# opening a file waits for the disk, and libsndfile works outside Python's lock
DECODING_THREADS = 8
SMALL_BLOCK = 2**10  # frames; if a block ends early, its decoded frames are lost
BLOCK_VALUES = 2**18  # values in one read, counted over all channels
MOST_SAMPLES = 2**29  # most samples that one call decodes, 2 GiB: an hour at 149 kHz
# (seconds, samples): the larger is read beyond each cut; soxr needs less
LEAST_REACH = 0.25, 4096
MP3_PART = 300  # seconds between the places where the decoder of an MP3 restarts
SHOWN_DAMAGED = 10  # MP3s with damaged frames that are named, at most
ROUNDED = 0.05  # seconds that a clip may end after its file, because tables round

# Names of audio files, readable or not: a file that cannot be decoded is reported with
# its reason.
AUDIO_FILE = re.compile(
    r".*\.(wave?|flac|og[ga]|opus|mp3|aif[fc]?|au|snd|caf|w64|rf64|m4a|mp4|aac|wma|amr"
    r"|3gp|webm)",
    re.IGNORECASE | re.DOTALL,
)


class Info(NamedTuple):
    sample_rate: int
    frames: int
    audio_channels: int
    # frames that the header promises and the file lacks; None if that is unknown
    lost: int | None = 0


Damaged = dict[str, str]  # MP3 with damaged frames -> the decoder's first error
_noting: ContextVar[Damaged | None] = ContextVar("noting", default=None)


@contextmanager
def damaged_frames() -> Iterator[Damaged]:
    """The MP3s with damaged frames that the decoder skips here, in any thread."""
    noted = Damaged()
    before = _noting.set(noted)
    try:
        yield noted
    finally:
        _noting.reset(before)


class _OpenFile(soundfile.SoundFile):
    """A file that is read block by block, without soundfile's seek after each block,
    which loses some milliseconds in an MP3 of a low bit rate.
    """

    def __init__(self, file: Any, path: str | Path) -> None:
        """Open a path or an open file; `path` is its name in `damaged_frames`."""
        self.path = path
        self.sought = False
        with decoder_messages.kept():
            super().__init__(file)

    def seekable(self) -> bool:
        return False

    def seek(self, frames: int, whence: int = io.SEEK_SET) -> int:
        self.sought = True
        with decoder_messages.kept():
            return super().seek(frames, whence)

    def read(self, *args: Any, **options: Any) -> Any:
        if self.format != "MP3":  # no other decoder prints
            return super().read(*args, **options)
        with decoder_messages.kept() as errors:
            block = super().read(*args, **options)
        # after a seek a frame may lack data of the frames before it
        noted = _noting.get()
        if errors and not self.sought and noted is not None:
            noted.setdefault(str(self.path), errors[0])
        self.sought = False
        return block


Span = tuple[float, float]  # (start, end) of a clip in its file, seconds
WHOLE_FILE = 0.0, 0.0  # the span that means the whole file


def load_clip(
    path: str | Path,
    sample_rate: int,
    samples: int,
    span: Span = WHOLE_FILE,
) -> Samples:
    """The first `samples` samples of a clip at `sample_rate`, mono, (samples,) float32,
    with zeros after its end. AudioError if the file is missing, empty, damaged, not
    audio or truncated, ends more than ROUNDED before the span does, has more than
    MOST_SAMPLES, or has samples that are NaN or infinite.
    """
    y = decode(path, sample_rate, samples / sample_rate, span)[:samples]
    return np.pad(y, (0, samples - len(y)))


# keeps the last recording open, because a worker reads its windows in a row
_last = threading.local()


def decode(
    path: str | Path,
    sample_rate: int | None = None,
    seconds: float | None = None,
    span: Span = WHOLE_FILE,
) -> Samples:
    """A clip as mono float32 (n,), whole or at least its first `seconds`."""
    start, end = span
    if end:
        end = end if seconds is None else min(end, start + seconds)
        key = os.getpid(), str(path), version_of(path)
        if getattr(_last, "key", None) != key:
            _last.recording = Recording(path)
            _last.key = key
        return _last.recording.window((start, end), sample_rate)
    with _opened(path) as file:
        rate = file.samplerate
        limit = file.frames
        if seconds is not None:
            limit = min(limit, int(np.ceil(seconds * rate)) + _reach(rate))
        y = _samples(file, limit, sample_rate or rate)
    return resample(y, rate, sample_rate or rate)


class Recording:
    """An open file that windows are read from; a window reuses the last one's samples.

    Each window equals the same span of the whole resampled recording to 1e-6: it is
    read with a margin on each side, from a sample that maps to a whole sample. An MP3
    is decoded anew from each MP3_PART, so that no window depends on another.
    """

    def __init__(self, path: str | Path) -> None:
        self.frames = kept_info(path).frames
        self.file = _opened(path, whole=False)
        # where in the file the samples `y` begin; -1 after an error
        self.begin = 0
        self.y = np.empty(0, np.float32)  # the samples that were read last
        self.part = 0  # where in the file the decoder of an MP3 began
        self.path = path

    def window(self, span: Span, sample_rate: int | None = None) -> Samples:
        """The samples of a span; AudioError as in `load_clip`."""
        start, end = span
        rate = self.file.samplerate
        target = sample_rate or rate
        ends = self.frames / rate
        if start >= ends or end > ends + ROUNDED:
            raise AudioError(
                f"too short: {start:.7g} to {end:.7g} s should be read, but the file"
                f" lasts {ends:.7g} s"
            )
        first = round(start * target)
        last = first + round((end - start) * target)
        whole = rate // math.gcd(rate, target)
        begin = max(0, first * rate // target - _reach(rate)) // whole * whole
        stop = min(self.frames, last * rate // target + _reach(rate))
        part = self.part
        if self.file.format == "MP3":
            part = begin // (MP3_PART * rate) * (MP3_PART * rate)
        within = 0 <= self.begin <= begin <= self.begin + len(self.y)
        follows = within and part == self.part
        y = self.y[begin - self.begin :] if follows else self.y[:0]
        self.begin = -1
        if not follows:
            self._go_to(begin, part)
        padding = stop - begin - len(y)
        if padding > 0:
            y = np.concatenate([y, _samples(self.file, padding, target)])
        self.begin, self.y = begin, y
        skipped = begin * target // rate
        resampled = resample(y[: stop - begin], rate, target)
        return resampled[first - skipped : last - skipped]

    def _go_to(self, begin: int, part: int) -> None:
        source = self.file.name
        try:
            if self.file.format != "MP3":
                self.file.seek(begin)
                return
            if isinstance(source, io.BytesIO):
                source.seek(0)
            self.file = _OpenFile(source, self.path)
            self.part = part
            if part:  # even a seek to 0 would change the samples
                self.file.seek(part)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(f"damaged: seeking failed, {error}") from None
        for _ in _mono_blocks(self.file, begin - part):
            pass  # decoded only to reach `begin`


def _reach(rate: int) -> int:
    """Number of samples that are read beyond each side of a cut."""
    return max(round(LEAST_REACH[0] * rate), LEAST_REACH[1])


def _samples(file: _OpenFile, frames: int, sample_rate: int) -> Samples:
    """The next `frames`, mono; AudioError for more than MOST_SAMPLES."""
    most = frames * max(1.0, sample_rate / file.samplerate)
    if most > MOST_SAMPLES:
        raise AudioError(
            f"too long: {most:.3g} samples, at most {MOST_SAMPLES:.3g} are read"
        )
    return np.concatenate(list(_mono_blocks(file, frames)))


def resample(y: Samples, rate: int, sample_rate: int) -> Samples:
    """`librosa.resample(y, orig_sr=rate, target_sr=sample_rate)`, by soxr."""
    if rate == sample_rate:
        return y
    resampled = soxr.resample(y, rate, sample_rate, quality="HQ")
    length = int(np.ceil(len(y) * sample_rate / rate))
    return np.pad(resampled, (0, max(0, length - len(resampled))))[:length]


def file_info(path: str | Path) -> Info:
    """Rate, length and channels; AudioError if the file is found damaged."""
    with _opened(path) as file:
        return Info(file.samplerate, file.frames, file.channels)


def kept_info(path: str | Path) -> Info:
    """`file_info`; if the file is truncated, of the part that can be decoded."""
    try:
        return file_info(path)
    except Truncated:
        with _opened(path, whole=False) as file:
            frames_promised = file.frames
            for promised, actual in audio_headers.promised_bytes(file, Path(path)):
                frames_promised = round(file.frames * promised / max(1, actual))
            frames = 0
            with suppress(soundfile.SoundFileError, RuntimeError):
                while read := len(file.read(SMALL_BLOCK)):
                    frames += read
            lost = frames_promised - frames if frames_promised > frames else None
            return Info(file.samplerate, frames, file.channels, lost)


def damaged_parts(files: Mapping[str, str]) -> list[str]:
    """Lines that name MP3s with damaged frames; files -> the decoder's first error."""
    if not files:
        return []
    named = [f"{file}: {error}" for file, error in files.items()]
    number = "1 MP3 has" if len(files) == 1 else f"{len(files):,} MP3s have"
    begun = f"{number} damaged frames, which are silent or distorted"
    lines = [f"  {name}" for name in first_names(named, SHOWN_DAMAGED)]
    return [f"{begun}; the other frames are used:", *lines]


def file_infos(paths: Sequence[str | Path]) -> list[Info | AudioError]:
    """`file_info` of each file, or the AudioError."""

    def info(path: str | Path) -> Info | AudioError:
        try:
            return file_info(path)
        except AudioError as error:
            return error

    files = list(dict.fromkeys(paths))  # a recording has many windows
    with ThreadPoolExecutor(DECODING_THREADS) as threads:
        read = threads.map(info, files)
        infos = progress(read, total=len(files), label="headers", unit="files")
        answers = dict(zip(files, infos))
    return [answers[path] for path in paths]


def _opened(name: str | Path, *, whole: bool = True) -> _OpenFile:
    """The open file; AudioError as in `load_clip`, for truncation only if `whole`."""
    path = Path(name)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise AudioError("missing: there is no such file") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot be read: {error}") from None
    if not stat.S_ISREG(status.st_mode):  # reading a FIFO waits, /dev/zero never ends
        raise AudioError("not a regular file")
    if not status.st_size:
        raise AudioError("empty: the file has 0 bytes")
    try:
        path.open("rb").close()
        file = _OpenFile(path, path)
        if file.format == "MP3" and file.subtype == "MPEG_LAYER_III":
            # opened again if its header does not state its length
            content = audio_headers.with_length(path.read_bytes())
            if content is not None:
                file.close()
                file = _OpenFile(io.BytesIO(content), path)
    except Truncated:
        if whole:
            file.close()
            raise
    except OSError as error:
        raise AudioError(f"cannot be read: {error}") from None
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError):
        raise AudioError(NOT_AUDIO) from None
    try:
        if not LEAST_RATE <= file.samplerate <= MOST_RATE:
            raise AudioError(
                f"damaged: its header says {file.samplerate} samples per second"
            )
        # guessed for .au, .vox and the like, where text would become noise
        if file.format == "RAW":
            raise AudioError(NOT_AUDIO)
        if whole:
            audio_headers.refuse_truncated(file, path)
        if not file.frames:
            raise AudioError("empty: the file holds no samples")
    except AudioError:
        # callers may keep the error, whose traceback would keep the file open
        file.close()
        raise
    return file


def _mono_blocks(file: _OpenFile, limit: int) -> Iterator[Samples]:
    """Blocks of the mean of the channels, `limit` frames; AudioError if fewer."""
    size = max(1, BLOCK_VALUES // file.channels)
    mixed = file.channels > 1
    left = limit
    while left > 0:
        try:
            block = file.read(min(size, left), dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(f"damaged: decoding stopped, {error}") from None
        if not len(block):
            raise AudioError(
                f"truncated: {limit - left} of {limit} samples could be decoded"
            )
        left -= len(block)
        y = block.mean(axis=1) if mixed else np.ascontiguousarray(block[:, 0])
        if bad := np.count_nonzero(~np.isfinite(y)):
            raise AudioError(
                f"{bad} of {len(y)} samples read are NaN, infinite or beyond float32"
                " (3.4e+38)"
            )
        yield y


# ---- samples of a caller


def checked_rate(sample_rate: Any) -> int:
    """A sample rate in Hz; RequestError if the value cannot be one."""
    plausible = (
        isinstance(sample_rate, Real) and LEAST_RATE <= float(sample_rate) <= MOST_RATE
    )
    if not (plausible and sample_rate == int(sample_rate)):
        raise RequestError(
            f"sample_rate={sample_rate!r}: expected a whole number of Hz from"
            f" {LEAST_RATE:,} to {MOST_RATE:,}"
        )
    return int(sample_rate)


def checked_samples(samples: ArrayLike) -> Samples:
    """Samples as mono float32 (n,) of full scale 1, the mean over the shorter axis of
    channels; RequestError for what is not audio.
    """
    try:
        values = np.asarray(samples)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = one_line(error)  # a ragged list, a tensor that has a gradient
        raise RequestError(
            f"the samples are no array ({reason}): expected numbers (n,)"
        ) from None
    y = _scaled(values)
    if y.ndim == 1:
        return y
    if (
        y.ndim != 2
        or min(y.shape) > MOST_AUDIO_CHANNELS
        or y.shape[0] == y.shape[1] > 1
    ):
        raise RequestError(
            f"samples of shape {y.shape}: expected (samples,), (samples, channels) or"
            f" (channels, samples), with {MOST_AUDIO_CHANNELS} channels at most;"
            " several clips are a list, which predict_many takes"
        )
    return y.mean(axis=int(y.shape[1] < y.shape[0]))


def _scaled(y: NDArray[Any]) -> Samples:
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
    if unfit := int((~np.isfinite(y)).sum()):
        number = f"{counted(unfit, 'sample')} of {y.size:,}"
        raise RequestError(f"{number} {is_or_are(unfit)} NaN or infinite")
    peak = float(np.abs(y).max())
    # integers that were only cast to floats are whole numbers, however quiet
    if peak > LOUDEST or (peak > 1 and (y == np.rint(y)).all()):
        raise RequestError(
            f"samples reach {peak:,.6g}, above the limit of {LOUDEST:g}; full scale is"
            " 1: divide 16-bit samples by 32768, or give them as int16"
        )
    return y.astype(np.float32, copy=False)
