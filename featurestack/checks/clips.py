"""Findings of the audio: clips that are silent, clipped, padded or cut; and leaks
between folds, a source recording or the same audio in two folds.

The same audio is found even if it is shifted, cut or scaled. A clip's fingerprint
describes its loudest moments, called landmarks after Wang (2003). Pairs of clips that
share a landmark are candidates, and their correlation at that shift decides. All steps
use differences of samples, since low rumble would make clips similar.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, lru_cache
from itertools import combinations, islice, pairwise

import numpy as np
import pandas as pd
import scipy  # loads its modules on first use
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.base.terminal import progress
from featurestack.checks import LEAK, NOTE, WARNING, Finding
from featurestack.features_cache.clip_table import by_label, has_tags, spans
from featurestack.pipeline import audio
from featurestack.pipeline.audio import Samples
from featurestack.pipeline.datasets.load import (
    Dataset,
    another_name,
    is_cut,
    shorter_duration,
)

# seconds, the most that DURATION allows; the rest of a clip is not read
LONGEST_DURATION = 3600
ONE_GROUP = (
    "keep one of the equal clips, or give them one group: GROUP= or a CSV's column"
    " `group`"
)
# recordings that lie in two of ESC-50's own folds
OF_ESC50 = ("131943", "134049", "209698", "234879")
ONE_FOLD = "nothing here; for other programs put each recording into one fold"
KEPT_AT_HAND = 64  # decoded clips in memory while candidates are compared
LANDMARKS = 16  # landmarks of a clip, at most
LANDMARK_SECONDS = 0.1  # least seconds between two landmarks of a clip
REACH = 0.03  # seconds that are compared on each side of a landmark
# codes of a landmark, bits of a code; one equal code makes two clips a candidate
BANDS, BITS = 8, 24
# if more landmarks have the same code, each is compared only with the next one
CROWD = 30
# most pairs that are correlated, those with the most equal codes at one shift
MOST_CANDIDATES = 50_000
# least correlation of similar audio; similar calls of one animal reach it
SIMILAR = 0.9
SAME = 0.99  # least correlation of the same audio
SHARED_ENERGY = 0.25  # least share of each clip's energy that lies in their common time
# share of full scale; softer ends of a clip are padding, also after a lossy codec
QUIET = 1e-4
SILENT = 1e-3  # share of full scale; a clip that is never louder is silent
CLIPPED_AT = 0.99  # share of full scale
CLIPPED_RUN = 3  # neighbouring samples at full scale that make a flat top
# dB of full scale; a softer band is empty; 16-bit rounding lies 20 dB lower
EMPTY = -105.0
FRAME_SAMPLES = 1024  # samples of a spectrum
# a clip is clipped if at least this share of its samples lies in flat tops
CLIPPED_SHARE = 0.001
# share of the Nyquist frequency; silence above comes from a lower rate or a codec
NARROW_BAND = 0.8


# positions of a clip's landmarks (landmarks,), in samples, and their codes
# (landmarks, BANDS)
AudioFingerprint = tuple[NDArray[np.int64], NDArray[np.uint32]]


def audio_fingerprint(y: Samples, sample_rate: int) -> AudioFingerprint:
    """The fingerprint of a clip; silence has no landmarks."""
    steps = sample_differences(y)
    reach = round(REACH * sample_rate)
    apart = round(LANDMARK_SECONDS * sample_rate)
    loudness = np.abs(steps)
    peaks = list[int]()
    while len(peaks) < LANDMARKS and loudness.any():
        peak = int(loudness.argmax())
        loudness[max(0, peak - apart) : peak + apart] = 0
        peaks.append(peak)
    positions = np.array(peaks, np.int64)
    places = positions[:, None] + np.arange(2 * reach + 1)
    snippets = np.pad(steps, reach)[places]
    # a clip times -1 has the same codes
    upright = snippets * np.sign(steps[positions])[:, None]
    signs = upright @ projections(2 * reach + 1) > 0
    codes = signs.reshape(-1, BANDS, BITS) @ (1 << np.arange(BITS, dtype=np.uint32))
    return positions, codes.astype(np.uint32)


@cache
def projections(samples: int) -> NDArray[np.float64]:
    """(samples, BANDS * BITS) random directions, always the same."""
    return np.random.default_rng(0).standard_normal((samples, BANDS * BITS))


def find_near_duplicates(
    fingerprints: Sequence[AudioFingerprint],
    files: Sequence[str],
    load: Callable[[int], Samples],
) -> list[tuple[int, int, int, float]]:
    """Pairs of similar clips (a, b, shift, correlation): b[n + shift] is like a[n]."""
    each, codes_of_each = zip(*fingerprints)
    # the clip and the position of each landmark
    clips = np.repeat(np.arange(len(each)), [*map(len, each)]).tolist()
    positions = np.concatenate(each).tolist()
    codes = np.concatenate(codes_of_each)
    votes = Counter[tuple[int, int, int]]()  # pair of clips and shift -> equal codes
    for band in range(BANDS):
        order = np.argsort(codes[:, band], kind="stable")
        ordered = codes[order, band]
        changes = np.flatnonzero(np.diff(ordered)) + 1
        for equal in np.split(order, changes):
            landmarks = equal.tolist()
            if len(landmarks) <= CROWD:
                meetings: Iterable[tuple[int, int]] = combinations(landmarks, 2)
            else:
                meetings = pairwise(landmarks)
            for first, second in meetings:
                a = clips[first]
                b = clips[second]
                if files[a] != files[b]:
                    shift = positions[second] - positions[first]
                    votes[a, b, shift] += 1
    # a candidate's shift is the commonest among its equal landmarks
    shift_of: dict[tuple[int, int], int] = {}
    for (a, b, shift), _ in votes.most_common():
        shift_of.setdefault((a, b), shift)
    pairs = []
    for (a, b), shift in islice(shift_of.items(), MOST_CANDIDATES):
        correlation = correlate(load(a), load(b), shift)
        if abs(correlation) >= SIMILAR:
            pairs.append((a, b, shift, correlation))
    return sorted(pairs)


def correlate(a: Samples, b: Samples, shift: int) -> float:
    """Correlation if `b` lags by `shift` samples; 0 if the clips share less than
    SHARED_ENERGY.
    """
    whole = sample_differences(a)
    shifted = sample_differences(b)
    begin = max(0, -shift)
    end = min(len(whole), len(shifted) - shift)
    if begin >= end:
        return 0.0
    one = whole[begin:end]
    other = shifted[begin + shift : end + shift]
    energy_of_one = one @ one
    energy_of_other = other @ other
    common = energy_of_one > SHARED_ENERGY * (whole @ whole)
    if not common or energy_of_other <= SHARED_ENERGY * (shifted @ shifted):
        return 0.0
    return float(one @ other / np.sqrt(energy_of_one * energy_of_other))


def sample_differences(y: Samples) -> NDArray[np.float64]:
    """Differences of neighbouring samples; the first is 0, which avoids a click."""
    precise = y.astype(np.float64)
    return np.diff(precise, prepend=precise[:1])


def source_finding(table: pd.DataFrame) -> Finding:
    """Recordings in several folds: a leak, but only a note for those of ESC-50."""
    folds_of = table.groupby("group")["fold"].unique()
    across = folds_of[folds_of.map(len) > 1]
    of_esc50 = across.index.isin(OF_ESC50).all()
    sources = [
        f"{group} (folds {', '.join(map(str, sorted(folds)))})"
        for group, folds in across.items()
    ]
    what = (
        "a source recording is in several folds; training leaves out clips of tested"
        " recordings"
    )
    severity, remedy = (NOTE, "") if of_esc50 else (LEAK, ONE_FOLD)
    return Finding("source_across_folds", severity, what, sources, remedy, "source")


def duplicate_findings(
    table: pd.DataFrame, fingerprints: Sequence[AudioFingerprint], dataset: Dataset
) -> list[Finding]:
    across_folds, in_one_fold, similar, two_labels = (list[str]() for _ in range(4))
    paths = table["path"].tolist()
    places = spans(table)
    rate = dataset.sample_rate

    @lru_cache(KEPT_AT_HAND)
    def decode_row(row: int) -> Samples:
        return audio.decode(paths[row], rate, LONGEST_DURATION, places[row])

    pairs = find_near_duplicates(fingerprints, paths, decode_row)
    for first, second, shift, correlation in pairs:
        a, b = table.iloc[first], table.iloc[second]
        same = abs(correlation) >= SAME  # not just similar
        shifted = f", shifted by {shift / rate:+.3f} s" if shift else ""
        if a.group != b.group:  # clips of one group are never on both sides of a split
            pairs_of_folds = in_one_fold if a.fold == b.fold else across_folds
            (pairs_of_folds if same else similar).append(
                f"{a.clip_id} (fold {a.fold}) {'=' if same else '~'} {b.clip_id}"
                f" (fold {b.fold}){shifted}, correlation {correlation:.3f}"
            )
        # two cuts of a recording may each hold some of several labels
        if same and a.label != b.label and not (shift and has_tags(table)):
            two_labels.append(f"{a.clip_id} is {a.label}, {b.clip_id} is {b.label}")
    twice = "the same audio is in two folds"
    in_fold = "two source recordings of one fold have the same audio"
    alike = (
        "two source recordings have very similar audio, such as two calls of an animal"
        " or two takes of one session"
    )
    session = "give them one group if they are from one session"
    labelled = "the same audio has two labels"
    right = "keep the clip with the right label and remove the other"
    of = ONE_GROUP, "pair"
    return [
        Finding("duplicates_across_folds", LEAK, twice, across_folds, *of),
        Finding("duplicates", WARNING, in_fold, in_one_fold, *of),
        Finding("similar", NOTE, alike, similar, session, "pair"),
        Finding("two_labels", WARNING, labelled, two_labels, right, "pair"),
    ]


# artefacts of recording and editing in one clip, at its file's own rate
OF_FILE = ["sample_rate", "seconds", "channels"]
OF_SAMPLES = ["peak", "level", "lead", "trail", "clipped", "offset", "bandwidth"]
ARTEFACTS = OF_FILE + OF_SAMPLES


def measure_clip(y: Samples, sample_rate: int, audio_channels: int) -> dict[str, float]:
    """ARTEFACTS of a clip, (samples,) at its file's own rate."""
    loud = np.flatnonzero(np.abs(y) >= QUIET)
    first = last = len(y)
    inner = y
    if len(loud):
        first = loud[0]
        last = loud[-1] + 1
        inner = y[first:last]
    # flat tops, CLIPPED_RUN or longer, of one sign; binary opening drops shorter ones
    run = np.ones(CLIPPED_RUN)
    flat = (scipy.ndimage.binary_opening(x >= CLIPPED_AT, run) for x in (y, -y))
    power = np.mean(np.square(inner, dtype=np.float64))
    in_flat_tops = sum(map(np.count_nonzero, flat))
    return {
        "sample_rate": sample_rate,  # Hz
        "seconds": len(y) / sample_rate,
        "channels": audio_channels,
        "peak": float(np.abs(y).max(initial=0)),  # share of full scale
        "level": 10 * float(np.log10(power + 1e-12)),  # dB of it, without padding
        "lead": first / sample_rate,  # seconds of padding
        "trail": (len(y) - last) / sample_rate,
        "clipped": in_flat_tops / max(1, len(y)),  # share of the samples
        "offset": float(np.mean(y, dtype=np.float64)),  # mean, share of full scale
        "bandwidth": clip_bandwidth(
            inner, sample_rate
        ),  # Hz; above it is only rounding
    }


def clip_bandwidth(y: Samples, sample_rate: int) -> float:
    """The highest frequency (Hz) whose mean level is above EMPTY, 0 without one."""
    y = np.pad(y.astype(float), (0, max(0, FRAME_SAMPLES - len(y))))
    frequencies, power = scipy.signal.welch(
        y,
        sample_rate,
        np.hanning(FRAME_SAMPLES),
        noverlap=0,
        detrend=False,
        scaling="spectrum",
    )
    # a full-scale sine has power 1/2 = 0 dB
    return float(frequencies[2 * power > 10 ** (EMPTY / 10)].max(initial=0))


def measure_clips(
    table: pd.DataFrame, sample_rate: int
) -> tuple[pd.DataFrame, list[AudioFingerprint]]:
    """Each clip's ARTEFACTS, `reason` if unreadable, `damaged`, and its fingerprint."""
    file_info = lru_cache(audio.file_info)  # a recording has many windows
    silence = np.zeros(1, np.float32)
    suspects = set[str]()

    def measure_file(
        path: str, span: audio.Span
    ) -> tuple[dict[str, object], AudioFingerprint]:
        try:
            info = file_info(path)
            with audio.damaged_frames() as damaged:
                y = audio.decode(path, None, LONGEST_DURATION, span)
        except audio.AudioError as error:
            return {"reason": str(error)}, audio_fingerprint(silence, sample_rate)
        suspects.update(damaged)
        at_rate = audio.resample(y, info.sample_rate, sample_rate)
        measures = measure_clip(y, info.sample_rate, info.audio_channels)
        fingerprint = audio_fingerprint(at_rate, sample_rate)
        return {"reason": "", **measures}, fingerprint

    # decoding works outside Python's lock; matrix products get no threads of their own
    with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as threads:
        answers = threads.map(measure_file, table["path"], spans(table))
        shown = progress(answers, total=len(table), label="decode", unit="clips")
        measures, fingerprints = zip(*shown)
    measured = pd.DataFrame(measures, columns=["reason", *ARTEFACTS])
    # threads share their errors: the suspected files are decoded again, one by one
    errors = []
    for path, span in zip(table["path"], spans(table)):
        with audio.damaged_frames() as damaged, suppress(audio.AudioError):
            if path in suspects:
                audio.decode(path, seconds=LONGEST_DURATION, span=span)
        errors.append(damaged.get(path, ""))
    return measured.assign(damaged=errors), [*fingerprints]


def clip_findings(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """Findings about clips that are silent, clipped, damaged, padded or cut, and about
    classes that a fold lacks.
    """
    labels = by_label(table)
    by_fold = pd.crosstab(labels["label"], labels["fold"]).drop("", errors="ignore")
    missing = by_fold.index[(by_fold == 0).any(axis=1)].tolist()
    clips, seconds, end = table["clip_id"], table["seconds"], dataset.duration
    silent = table["peak"] < SILENT
    clipped = table["clipped"] >= CLIPPED_SHARE
    errors = table["damaged"][table["damaged"] != ""]
    sound = (seconds - table["trail"]).clip(upper=end) - table["lead"]
    low = table["bandwidth"] < NARROW_BAND * table["sample_rate"] / 2
    other = another_name(dataset.name)
    shorter = shorter_duration(seconds.to_numpy(), end, other) if len(table) else ""
    listen = "listen to them, and remove empty clips"
    if (table.loc[silent, "channels"] > 1).any():
        listen += (
            "; channels are averaged, and channels in antiphase cancel: write the"
            " channel that you want to mono files with a tool of your own"
        )
    never = "silent: never above -60 dB"
    flat = f"clipped: at least {100 * CLIPPED_SHARE:.1f} % of the samples in flat tops"
    softer = "record at a lower level, or give each class as many clipped clips"
    frames = "damaged MP3 frames, which are silent or distorted; the others are used"
    again = "make the files again from their source, or remove them"
    absent = "a class is missing in some fold"
    add = "add clips of this class; scores of the fold leave the class out"
    half = f"mostly silent: less than half of {end:.4g} s has sound"
    longer = f"longer than {end:.4g} s: the end is cut"
    top = f"no energy in the top {100 * (1 - NARROW_BAND):.0f} % of the spectrum"
    coded = f"{top}: probably upsampled or compressed"
    proposed = ["DURATION"] if shorter else []
    damaged, reasons = clips[errors.index], errors.tolist()
    return [
        Finding("silent", WARNING, never, [*clips[silent]], listen),
        Finding("clipped", WARNING, flat, [*clips[clipped]], softer),
        Finding("damaged", WARNING, frames, [*damaged], again, reasons=reasons),
        Finding("missing_class", WARNING, absent, missing, add, "class"),
        Finding("padded", NOTE, half, [*clips[(sound < end / 2) & ~silent]]),
        Finding("cut", NOTE, longer, [*clips[is_cut(seconds, end)]]),
        Finding("narrow", NOTE, coded, [*clips[low & ~silent]]),
        Finding("length", NOTE, shorter, proposed, about="length"),
    ]
