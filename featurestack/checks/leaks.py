"""Leaks between folds: a source recording, or the same audio, in two folds.

The same audio is found also if it is shifted, cut or scaled. A clip's fingerprint
describes its loudest moments, called landmarks after Wang (2003). Pairs of clips that
share a landmark are candidates, and their correlation at that shift decides. All steps
use differences of samples: low rumble would make clips similar.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import combinations, islice, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.checks import LEAK, NOTE, WARNING, Finding
from featurestack.features_cache.table import spans
from featurestack.pipeline import audio
from featurestack.pipeline.audio import Samples
from featurestack.pipeline.datasets.load import Dataset

# seconds, the most that DURATION allows; the rest of a clip is not read
LONGEST_DURATION = 3600
ONE_GROUP = (
    "keep one of the equal clips, or give them one group: GROUP= or a CSV's column"
    " `group`"
)
# recordings that lie in two of ESC-50's own folds
OF_ESC50 = ("131943", "134049", "209698", "234879")
ONE_FOLD = "nothing for this project; for others put each recording into one fold"
KEPT_AT_HAND = 64  # decoded clips in memory while candidates are compared
LANDMARKS = 16  # landmarks of a clip, at most
APART = 0.1  # least seconds between two landmarks of a clip
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
SHARED = 0.25  # least share of each clip's energy that lies in their common time


class AudioFingerprint(NamedTuple):
    """The landmarks of a clip and their codes."""

    positions: NDArray[np.int64]  # (landmarks,) samples from its beginning
    codes: NDArray[np.uint32]  # (landmarks, BANDS)


class Pair(NamedTuple):
    """Two clips with similar audio: b[n + shift] resembles a[n] times a factor."""

    a: int
    b: int
    shift: int  # samples
    correlation: float

    @property
    def same(self) -> bool:
        """Whether the audio is the same, not just similar."""
        return abs(self.correlation) >= SAME


def audio_fingerprint(y: Samples, sample_rate: int) -> AudioFingerprint:
    """The fingerprint of a clip; silence has no landmarks."""
    steps = sample_differences(y)
    reach = round(REACH * sample_rate)
    apart = round(APART * sample_rate)
    loudness = np.abs(steps)
    peaks = list[int]()
    while len(peaks) < LANDMARKS and loudness.any():
        peak = int(loudness.argmax())
        loudness[max(0, peak - apart) : peak + apart] = 0
        peaks.append(peak)
    positions = np.array(peaks, np.int64)
    length = 2 * reach + 1
    places = positions[:, None] + np.arange(length)
    snippets = np.pad(steps, reach)[places]
    # a clip times -1 has the same codes
    upright = snippets * np.sign(steps[positions])[:, None]
    signs = upright @ projections(length) > 0
    powers = 1 << np.arange(BITS, dtype=np.uint32)
    codes = signs.reshape(-1, BANDS, BITS) @ powers
    return AudioFingerprint(positions, codes.astype(np.uint32))


@cache
def projections(samples: int) -> NDArray[np.float64]:
    """(samples, BANDS * BITS) random directions, always the same."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((samples, BANDS * BITS))


def find_near_duplicates(
    fingerprints: Sequence[AudioFingerprint],
    files: Sequence[str],
    load: Callable[[int], Samples],
) -> list[Pair]:
    """Pairs of clips of different `files` with similar audio, which `load` decodes."""
    # the clip and the position of each landmark
    clips = list[int]()
    positions = list[int]()
    for clip, fingerprint in enumerate(fingerprints):
        clips += [clip] * len(fingerprint.positions)
        positions += fingerprint.positions.tolist()
    codes = np.concatenate([fingerprint.codes for fingerprint in fingerprints])
    # pair of clips and shift -> equal codes
    votes = Counter[tuple[int, int, int]]()
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
            pairs.append(Pair(a, b, shift, correlation))
    return sorted(pairs)


def correlate(a: Samples, b: Samples, shift: int) -> float:
    """Correlation if `b` lags by `shift` samples; 0 if they share less than SHARED."""
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
    if energy_of_one <= SHARED * (whole @ whole):
        return 0.0
    if energy_of_other <= SHARED * (shifted @ shifted):
        return 0.0
    return float(one @ other / np.sqrt(energy_of_one * energy_of_other))


def sample_differences(y: Samples) -> NDArray[np.float64]:
    """Differences of neighbouring samples; the first is 0, no click."""
    precise = y.astype(np.float64)
    return np.diff(precise, prepend=precise[:1])


def source_finding(table: pd.DataFrame) -> Finding:
    """Recordings in several folds: a leak, but a note if ESC-50 has them so."""
    folds_of = table.groupby("group")["fold"].unique()
    across = folds_of[folds_of.map(len) > 1]
    clips = table[table["group"].isin(across.index)]
    named = "[1-5]-(" + "|".join(OF_ESC50) + ")-[A-Z]-[0-9]+"
    of_esc50 = clips["clip_id"].str.fullmatch(named).all()
    sources = [
        f"{group} (folds {', '.join(map(str, sorted(folds)))})"
        for group, folds in across.items()
    ]
    return Finding(
        "source_across_folds",
        NOTE if of_esc50 else LEAK,
        "a source recording is in several folds; training leaves out clips of tested"
        " recordings",
        sources,
        "" if of_esc50 else ONE_FOLD,
        "source",
    )


def duplicate_findings(
    table: pd.DataFrame, fingerprints: Sequence[AudioFingerprint], dataset: Dataset
) -> list[Finding]:
    """Findings about clips with the same or similar audio."""
    across_folds, in_one_fold, similar, two_labels = (list[str]() for _ in range(4))
    paths = table["path"].tolist()
    places = spans(table)
    rate, channel = dataset.sample_rate, dataset.audio_channel

    @lru_cache(KEPT_AT_HAND)
    def decode_row(row: int) -> Samples:
        return audio.decode(paths[row], rate, LONGEST_DURATION, places[row], channel)

    for pair in find_near_duplicates(fingerprints, paths, decode_row):
        a = table.iloc[pair.a]
        b = table.iloc[pair.b]
        shifted = f", shifted by {pair.shift / rate:+.3f} s" if pair.shift else ""
        if a.group != b.group:  # clips of one group are never on both sides of a split
            found = in_one_fold if a.fold == b.fold else across_folds
            (found if pair.same else similar).append(
                f"{a.clip_id} (fold {a.fold}) {'=' if pair.same else '~'} {b.clip_id}"
                f" (fold {b.fold}){shifted}, correlation {pair.correlation:.3f}"
            )
        if pair.same and a.label != b.label:
            two_labels.append(f"{a.clip_id} is {a.label}, {b.clip_id} is {b.label}")
    return [
        Finding(
            "duplicates_across_folds",
            LEAK,
            "the same audio is in two folds",
            across_folds,
            ONE_GROUP,
            "pair",
        ),
        Finding(
            "duplicates",
            WARNING,
            "the same audio under two source recordings, in one fold",
            in_one_fold,
            ONE_GROUP,
            "pair",
        ),
        Finding(
            "similar",
            NOTE,
            "very similar audio under two source recordings, as two calls of an animal"
            " or two takes of one session are",
            similar,
            "give them one group if they are of one session",
            "pair",
        ),
        Finding(
            "two_labels",
            WARNING,
            "the same audio has two labels",
            two_labels,
            "keep the clip with the right label, remove the other",
            "pair",
        ),
    ]
