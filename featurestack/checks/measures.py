"""Measures of each clip; findings about clips: silent, clipped, padded, cut."""

from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # loads its modules on first use
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from featurestack.checks import NOTE, WARNING, Finding
from featurestack.checks.leaks import (
    LONGEST_DURATION,
    AudioFingerprint,
    audio_fingerprint,
)
from featurestack.commandline.terminal import progress
from featurestack.features_cache.table import by_label, spans
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.load import Dataset, shorter_duration

# share of full scale; softer ends of a clip are padding, also after a lossy codec
QUIET = 1e-4
SILENT = 1e-3  # share of full scale; a clip that is never louder is silent
CLIPPED_AT = 0.99  # share of full scale
CLIPPED_RUN = 3  # neighbouring samples at full scale that make a flat top
# dB of full scale; a softer band is empty; 16-bit rounding lies 20 dB lower
EMPTY = -105.0
FRAME = 1024  # samples of a spectrum
# a clip is clipped if at least this share of its samples lies in flat tops
CLIPPED_SHARE = 0.001
# share of the Nyquist frequency; silence above comes from a lower rate or a codec
NARROW = 0.8


class Measures(NamedTuple):
    """Artefacts of recording and editing in one clip, at its file's own rate."""

    sample_rate: int  # Hz
    seconds: float
    channels: int
    peak: float  # share of full scale
    level: float  # dB of full scale, without padding
    lead: float  # seconds of padding at the beginning
    trail: float  # seconds of padding at the end
    clipped: float  # share of samples in flat tops at full scale
    offset: float  # mean, as a share of full scale
    bandwidth: float  # Hz; above it there is nothing but rounding


ARTEFACTS = list(Measures._fields)


def measure_clip(y: audio.Samples, sample_rate: int, channels: int) -> Measures:
    """The measures of a clip, (samples,) at its file's own rate."""
    loud = np.flatnonzero(np.abs(y) >= QUIET)
    first = last = len(y)
    inner = y
    if len(loud):
        first = loud[0]
        last = loud[-1] + 1
        inner = y[first:last]
    # flat tops, CLIPPED_RUN or longer, of one sign; binary opening drops shorter ones
    flat = (
        scipy.ndimage.binary_opening(side * y >= CLIPPED_AT, np.ones(CLIPPED_RUN))
        for side in (1, -1)
    )
    return Measures(
        sample_rate=sample_rate,
        seconds=len(y) / sample_rate,
        channels=channels,
        peak=float(np.abs(y).max(initial=0)),
        level=10 * float(np.log10(np.mean(np.square(inner, dtype=np.float64)) + 1e-12)),
        lead=first / sample_rate,
        trail=(len(y) - last) / sample_rate,
        clipped=float(sum(map(np.count_nonzero, flat)) / max(1, len(y))),
        offset=float(np.mean(y, dtype=np.float64)),
        bandwidth=bandwidth(inner, sample_rate),
    )


def bandwidth(y: audio.Samples, sample_rate: int) -> float:
    """The highest frequency (Hz) whose mean level is above EMPTY, 0 without one."""
    y = np.pad(y.astype(float), (0, max(0, FRAME - len(y))))
    frequencies, power = scipy.signal.welch(
        y, sample_rate, np.hanning(FRAME), noverlap=0, detrend=False, scaling="spectrum"
    )
    # a full-scale sine has power 1/2 = 0 dB
    return float(frequencies[2 * power > 10 ** (EMPTY / 10)].max(initial=0))


def measure_clips(
    table: pd.DataFrame, sample_rate: int, channel: int
) -> tuple[pd.DataFrame, list[AudioFingerprint]]:
    """Each clip's Measures, `reason` if unreadable, `damaged`, and its fingerprint."""
    file_info = lru_cache(audio.file_info)  # a recording has many windows
    silence = np.zeros(1, np.float32)
    suspects = set[str]()

    def measure_file(
        path: str, span: audio.Span
    ) -> tuple[dict[str, object], AudioFingerprint]:
        try:
            info = file_info(path)
            with audio.damaged_frames() as damaged:
                y = audio.decode(path, None, LONGEST_DURATION, span, channel)
        except audio.AudioError as error:
            return {"reason": str(error)}, audio_fingerprint(silence, sample_rate)
        suspects.update(damaged)
        at_rate = audio.resample(y, info.sample_rate, sample_rate)
        measures = measure_clip(y, info.sample_rate, info.channels)
        fingerprint = audio_fingerprint(at_rate, sample_rate)
        return {"reason": "", **measures._asdict()}, fingerprint

    # decoding works outside Python's lock; products of matrices have no threads then
    with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as threads:
        answers = threads.map(measure_file, table["path"], spans(table))
        shown = progress(answers, total=len(table), label="decode", unit="clips")
        measures, fingerprints = zip(*shown)
    measured = pd.DataFrame(measures, columns=["reason", *ARTEFACTS])
    measured["damaged"] = damaged_clips(table, suspects)
    return measured, [*fingerprints]


def damaged_clips(table: pd.DataFrame, suspects: Set[str]) -> list[str]:
    """The decoder's first error in each clip, or "". Threads share their errors, so the
    suspected files are decoded again, one after the other.
    """
    errors = []
    for path, span in zip(table["path"], spans(table)):
        with audio.damaged_frames() as damaged, suppress(audio.AudioError):
            if path in suspects:
                audio.decode(path, seconds=LONGEST_DURATION, span=span)
        errors.append(damaged.get(path, ""))
    return errors


def clip_warnings(table: pd.DataFrame) -> list[Finding]:
    """Findings about clips that are silent, clipped or damaged, and missing classes."""
    labels = by_label(table)
    by_fold = pd.crosstab(labels["label"], labels["fold"]).drop("", errors="ignore")
    clips = table["clip_id"]
    silent = table["peak"] < SILENT
    remedy = "listen to them, and remove empty clips"
    if (table.loc[silent, "channels"] > 1).any():
        remedy += "; if channels in antiphase cancel, CHANNEL=1 takes only the first"
    return [
        Finding(
            "silent",
            WARNING,
            "silent: never above -60 dB",
            clips[silent].tolist(),
            remedy,
        ),
        Finding(
            "clipped",
            WARNING,
            f"clipped: at least {CLIPPED_SHARE:.1%} of the samples in flat tops",
            clips[table["clipped"] >= CLIPPED_SHARE].tolist(),
            "record at a lower level, or give each class as many clipped clips",
        ),
        Finding(
            "damaged",
            WARNING,
            "damaged MP3 frames: they are silent or distorted, the others are used",
            clips[table["damaged"] != ""].tolist(),
            "make the files again from their source, or remove them",
            reasons=table.loc[table["damaged"] != "", "damaged"].tolist(),
        ),
        Finding(
            "missing_class",
            WARNING,
            "a class is missing in some fold",
            by_fold.index[(by_fold == 0).any(axis=1)].tolist(),
            "add clips of this class; scores of the fold leave the class out",
            "class",
        ),
    ]


def clip_notes(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    sounding = table["peak"] >= SILENT
    seconds = table["seconds"]
    end = dataset.duration
    sound = (seconds - table["trail"]).clip(upper=end) - table["lead"]
    shorter = shorter_duration(seconds.to_numpy(), end) if len(table) else ""
    narrow = table["bandwidth"] < NARROW * table["sample_rate"] / 2
    clips = table["clip_id"]
    return [
        Finding(
            "padded",
            NOTE,
            f"mostly silent: less than half of {end:.4g} s has sound",
            clips[(sound < end / 2) & sounding].tolist(),
        ),
        Finding(
            "cut",
            NOTE,
            f"longer than {end:.4g} s: the end is cut",
            clips[seconds > end * 1.01].tolist(),
        ),
        Finding(
            "resampled",
            NOTE,
            f"another rate than {dataset.sample_rate} Hz: resampled",
            clips[table["sample_rate"] != dataset.sample_rate].tolist(),
        ),
        Finding(
            "narrow",
            NOTE,
            f"nothing in the top {1 - NARROW:.0%} of the band: once at a lower rate, or"
            " coded",
            clips[narrow & sounding].tolist(),
        ),
        Finding(
            "length", NOTE, shorter, ["DURATION"] if shorter else [], about="length"
        ),
    ]
