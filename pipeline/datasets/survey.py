"""Sample rate and duration of a dataset, from its files' headers."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from commandline import RequestError, progress
from commandline import duration as shown
from pipeline import audio
from pipeline.datasets.dataset import Source

LONGEST = 30.0  # seconds; a longer clip is cut unless DURATION says otherwise
THREADS = 8  # opening a file waits for the disk, and libsndfile works outside Python's lock


def survey(source: Source, sample_rate: int | None, duration: float | None) -> Source:
    """The source with its rate and duration: as given, as it tells, or found in its files.

    Found are the commonest rate (the higher where two are as common) and the longest clip, 30 s at most.
    """
    _refuse_impossible(sample_rate, duration)
    sample_rate, duration = sample_rate or source.sample_rate, duration or source.duration
    if sample_rate and duration:
        return replace(source, sample_rate=sample_rate, duration=duration)
    headers = _headers(source.table["path"].tolist())
    rates = Counter(header.sample_rate for header in headers)
    commonest = max(rates, key=lambda rate: (rates[rate], rate))
    longest = max(header.frames / header.sample_rate for header in headers)
    notes = [f"{times} clips of {rate} Hz" for rate, times in rates.most_common()] if len(rates) > 1 else []
    if longest > LONGEST and not duration:
        notes.append(
            f"the longest clip, {shown(longest)}, is cut to {shown(LONGEST)}: DURATION= sets another"
        )
    return replace(
        source,
        sample_rate=sample_rate or commonest,
        duration=duration or min(longest, LONGEST),
        notes=(*source.notes, *notes),
    )


def _headers(paths: list[str]) -> list[audio.Info]:
    """Those of the files that can be opened; the others are named when they are decoded."""
    headers, first_reason = [], ""
    with ThreadPoolExecutor(THREADS) as threads:
        for answer in progress(threads.map(_header, paths), total=len(paths), label="headers", unit="files"):
            if isinstance(answer, audio.Info):
                headers.append(answer)
            else:
                first_reason = first_reason or answer
    if not headers:
        raise RequestError(f"none of {len(paths)} files can be read; the first: {paths[0]}, {first_reason}")
    return headers


def _header(path: str) -> audio.Info | str:
    try:
        return audio.info(path)
    except audio.AudioError as error:
        return str(error)


def _refuse_impossible(sample_rate: int | None, duration: float | None) -> None:
    if sample_rate is not None and not 100 <= sample_rate <= 1_000_000:
        raise RequestError(f"SAMPLE_RATE={sample_rate}: expected a number of Hz such as 44100")
    if duration is not None and not 0 < duration <= 3600:
        raise RequestError(f"DURATION={duration:g}: expected seconds above 0 and up to 3600")
