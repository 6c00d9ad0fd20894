"""Windows through long recordings, by a model of clips: `predict HOP=2.5`.

`windows_of` and `resampled` work block by block, so that a long recording is never in
memory as a whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import soxr

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import duration
from featurestack.commandline.terminal import progress
from featurestack.pipeline import audio
from featurestack.predict.files import tell_failures, tell_low_rates
from featurestack.predict.predictor import Predictor, Samples

TIME_DIGITS = 6  # decimals of seconds: finer than a sample

Span = tuple[float, float]  # start and end of a window, in seconds


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


def window_and_step(model: Predictor, window: float, hop: float) -> tuple[int, int]:
    """The samples of a window, and from one to the next; RequestError if audio between
    them would be left out.
    """
    rate = model.sample_rate
    samples = model.window_samples(window)
    if hop > samples / rate:
        raise RequestError(
            f"HOP={hop:g}: expected at most the {samples / rate:g} seconds of a window"
        )
    return samples, max(1, round(hop * rate))


def predict_recordings(
    model: Predictor, recordings: Mapping[str, Path], window: float, hop: float
) -> pd.DataFrame:
    """A row for each window of `window` seconds, one every `hop` seconds: file, start,
    end, `predicted` (see `Predictor.predict`), and a probability for each class.
    Recordings that cannot be read are left out, and named.
    """
    rate = model.sample_rate
    samples, step = window_and_step(model, window, hop)
    rates = {}
    failures = {}

    def windows() -> Iterator[tuple[tuple[str, float, float], Samples]]:
        for name, file in recordings.items():
            try:
                info = audio.file_info(file)
                rates[file] = info.sample_rate
                blocks = audio.blocks(file, model.audio_channel)
                blocks = resampled(blocks, info.sample_rate, rate)
                seconds = info.frames / info.sample_rate
                after_first = max(0.0, seconds * rate - samples)
                for (start, end), y in progress(
                    windows_of(blocks, rate, samples, step),
                    total=1 + int(np.ceil(after_first / step)),
                    label=f"{file.name} ({duration(seconds)})",
                    unit="windows",
                ):
                    yield (name, round(start, TIME_DIGITS), round(end, TIME_DIGITS)), y
            except audio.AudioError as error:
                failures[file] = str(error)

    answers = [*model.predict(windows())]
    tell_low_rates(rates, rate)
    tell_failures(failures, len(recordings))
    table = pd.DataFrame([key for key, *_ in answers], columns=["file", "start", "end"])
    table["predicted"] = [text for *_, text in answers]
    values = np.reshape([own for _, own, _ in answers], (-1, len(model.classes)))
    table = pd.concat([table, pd.DataFrame(values, columns=model.classes)], axis=1)
    unread = [name for name, file in recordings.items() if file in failures]
    return table[~table["file"].isin(unread)]
