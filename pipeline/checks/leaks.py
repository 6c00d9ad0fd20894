"""Leaks between folds: a source recording, or the same audio, in two folds."""

from collections.abc import Sequence
from functools import lru_cache, partial

import pandas as pd

from featurestack.features_cache.table import spans
from featurestack.pipeline import audio
from featurestack.pipeline.checks.findings import LEAK, NOTE, WARNING, Finding
from featurestack.pipeline.checks.measures import LONGEST_DURATION
from featurestack.pipeline.checks.near_duplicates import (
    AudioFingerprint,
    find_near_duplicates,
)
from featurestack.pipeline.datasets.load import Dataset

ONE_GROUP = (
    "keep one of the equal clips, or give them one group: GROUP= or a CSV's column"
    " `group`"
)
# recordings that lie in two of ESC-50's own folds
OF_ESC50 = ("131943", "134049", "209698", "234879")
ONE_FOLD = "nothing for this project; for others put each recording into one fold"
KEPT_AT_HAND = 64  # decoded clips in memory while candidates are compared


def source_findings(table: pd.DataFrame) -> list[Finding]:
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
    return [
        Finding(
            "source_across_folds",
            NOTE if of_esc50 else LEAK,
            "a source recording is in several folds; training leaves out clips of"
            " tested recordings",
            sources,
            "" if of_esc50 else ONE_FOLD,
            "source",
        )
    ]


def duplicate_findings(
    table: pd.DataFrame, fingerprints: Sequence[AudioFingerprint], dataset: Dataset
) -> list[Finding]:
    """Findings about clips with the same or similar audio."""
    across_folds, in_one_fold, similar, two_labels = (list[str]() for _ in range(4))
    paths = table["path"].tolist()
    places = spans(table)
    rate, channel = dataset.sample_rate, dataset.audio_channel
    given = partial(audio.decode, seconds=LONGEST_DURATION, channel=channel)
    decode_row = lru_cache(KEPT_AT_HAND)(
        lambda row: given(paths[row], rate, span=places[row])
    )
    for pair in find_near_duplicates(fingerprints, paths, decode_row):
        a = table.iloc[pair.a]
        b = table.iloc[pair.b]
        seconds = pair.shift / rate
        shifted = f", shifted by {seconds:+.3f} s" if seconds else ""
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
            "very similar audio under two source recordings, as an animal's calls can"
            " be: no leak",
            similar,
            of="pair",
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
