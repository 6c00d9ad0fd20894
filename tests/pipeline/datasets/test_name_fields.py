"""Fields of names that may be speakers, sites or devices, and the GROUP= that makes
them groups.
"""

import re
import uuid

import numpy as np
import pandas as pd
import pytest

from featurestack.pipeline.datasets.name_fields import name_field


def clips(names, **columns):
    """A table of clips that are groups of their own; a name's first field is its
    class.
    """
    table = pd.DataFrame(
        {"clip_id": names, "path": [f"/x/{name}.wav" for name in names]}
    )
    labels = [re.split("[_ ]", name)[0] for name in names]
    return table.assign(group=table["clip_id"], label=labels, **columns)


DIGITS = [
    f"{digit}_{speaker}_{take}"
    for digit in range(4)
    for speaker in ("george", "lucas", "theo")
    for take in range(5)
]


def test_speakers_of_digits_are_named_with_the_words_to_type():
    field = name_field(clips(DIGITS))
    assert field.sentence == (
        "field 2 of the names has 3 values, each in all 4 classes (george, lucas,"
        " theo): speakers, sites, devices? GROUP='_(.*)_'"
    )


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("{word}_{site}_x_{take}", r"_([^_]+)_"),
        ("{word}_{take}0_{site}", r"([^_]+)$"),
        ("{word}-{site}_{take}", r"[\-_](.*)[\-_]"),
        ("{word} [{site}] ({take})", r"[ ()\[\]]([^ ()\[\]]+)[ ()\[\]]"),
        ("[{site}] {word} ({take})", r"[ ()\[\]]([^ ()\[\]]+)[ ()\[\]]"),
    ],
)
def test_the_pattern_gives_the_sites_and_not_the_class(name, pattern):
    rows = [
        (word, site, take)
        for word in ("dog", "cat")
        for site in ("mill", "yard")
        for take in range(4)
    ]
    names = [name.format(word=word, site=site, take=take) for word, site, take in rows]
    table = clips(names).assign(label=[word for word, *_ in rows])
    field = name_field(table)
    assert field.group == pattern
    assert field.of_clips(table).tolist() == [site for _, site, _ in rows]


def test_a_speaker_with_a_hyphen_moves_no_field():
    names = [
        f"{speaker}_{word}_{take}"
        for speaker in ("Ann-Kathrin", "Tom", "Eva")
        for word in ("dog", "cat")
        for take in range(4)
    ]
    table = clips(names).assign(label=[name.split("_")[1] for name in names])
    field = name_field(table)
    assert field.values == ("Ann-Kathrin", "Eva", "Tom")
    assert field.group == "^([^_]+)"


def test_a_word_of_nearly_all_names_is_no_speaker():
    names = [f"Aufnahme {n:02d}" for n in range(48)] + ["Probe 1", "Probe 2"]
    table = clips(names).assign(label=["dog", "cat"] * 25)
    assert name_field(table) is None


def test_a_further_column_is_named_as_its_own_group():
    names = [f"{label}_{n}" for label in ("a", "b") for n in range(6)]
    field = name_field(clips(names, device=["phone", "desk", "phone"] * 4))
    assert (field.where, field.group) == ("column device", "device")


def test_a_name_of_one_word_in_each_folder_is_a_field():
    names = [f"{word}/{speaker}" for word in "abc" for speaker in ("george", "lucas")]
    table = clips(names).assign(label=[name[0] for name in names])
    field = name_field(table)
    assert field.group == "^([^_]+)"


WORDS = ("dog", "cat", "rain", "door", "siren")
INNOCENT = {
    "a counter": "{word}_{n:03d}",
    "a counter before a word": "{word}_{n:03d}_final",
    "a counter after a counter": "{n:03d}_{word}_loud",
    "a counter of all clips": "{word}_{all:04d}",
    "a counter and a version": "{word}_{n:02d}_v{two}",
    "a counter first": "{n:02d}_{word}",
    "a number in brackets": "{word} ({n})",
    "a take and a letter": "{word}_{n:02d}_{letter}",
    "hours and minutes": "2026-05-05 {hour:02d}.{minute:02d}.00 {word}",
    "a time stamp": "{word}_20260505_{hour:02d}{minute:02d}{second:02d}",
    "a time stamp with T": "{word}_20260505T{hour:02d}{minute:02d}{second:02d}",
    "a time of day": "20260505_{hour:02d}{minute:02d}_{word}_{n}",
    "seconds of a cut": "{word}_{n}_{start}_{end}",
    "a cut": "{word}_{start}_{end}",
    "milliseconds": "{word}_{start}000_{end}000_{n}",
    "a part of the data": "{split}_{word}_{n:03d}",
    "a part at the end": "{word}_{n:03d}_{split}",
    "a fold": "{word}_{n:03d}_fold{five}",
    "a fold first": "fold{five}_{word}_{n:03d}",
    "a fold as a number": "{five}-{word}-{n:03d}",
    "altered copies": "{word}_{n:03d}_{altered}",
    "original or not": "{word}_{n:03d}_{original}",
    "a version": "v{two}_{word}_{n:03d}",
    "a channel": "{word}_{n:03d}_{side}",
    "a channel in words": "{word}_{n:03d}_{side_word}",
    "a distance": "{word}_{n:03d}_{metres}m",
    "a signal-to-noise ratio": "{word}_{n:03d}_{snr}dB",
    "a labelled ratio": "{word}_snr{snr}_{n:03d}",
    "a duration": "{word}_{n:03d}_{duration}s",
    "a hash": "{hash}",
    "a hash and a count": "{word}_{hash}_{one_of_ten}",
    "Freesound": "{freesound}__{word}__{n}-sound",
}
ALTERED = ("pitch", "stretch", "noise", "gain")


def innocent(pattern):
    """200 clips of five classes, named by the pattern."""
    rng = np.random.default_rng(0)
    names = []
    for place in range(200):
        start = int(rng.integers(0, 20))
        n = place // 5
        names.append(
            pattern.format(
                word=WORDS[place % 5],
                n=n,
                all=place,
                two=1 + n % 2,
                five=1 + int(rng.integers(5)),
                letter="AB"[n % 2],
                hour=int(rng.integers(24)),
                minute=int(rng.integers(60)),
                second=int(rng.integers(60)),
                start=start,
                end=start + 5,
                split=("train", "val", "test")[int(rng.integers(3))],
                altered=ALTERED[int(rng.integers(4))],
                original=("orig", "pitch")[n % 2],
                side="LR"[n % 2],
                side_word=("left", "right")[n % 2],
                metres=(1, 2, 5, 10)[int(rng.integers(4))],
                snr=(0, 5, 10, 20)[int(rng.integers(4))],
                duration=(1.5, 2.5, 3.5, 5.0)[int(rng.integers(4))],
                hash=uuid.UUID(bytes=rng.bytes(16)).hex,
                one_of_ten=int(rng.integers(10)),
                freesound=int(rng.integers(1e5, 1e6)),
            )
        )
    table = clips(names)
    return table.assign(label=[WORDS[place % 5] for place in range(200)])


def test_at_most_3_of_32_innocent_kinds_of_names_are_suspected():
    suspected = [kind for kind, form in INNOCENT.items() if name_field(innocent(form))]
    assert len(INNOCENT) == 32 and len(suspected) <= 3, suspected


RAVDESS = [
    (
        f"03-01-{emotion:02d}-{loud:02d}-{said:02d}-{again:02d}-{actor:02d}",
        f"e{emotion}",
    )
    for actor in range(1, 25)
    for emotion in range(1, 9)
    for loud in (1, 2)[: 1 + (emotion > 1)]
    for said in (1, 2)
    for again in (1, 2)
]
EMO_DB = [
    (f"{speaker:02d}{text}{emotion}{version}", emotion)
    for speaker in (3, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    for text in ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    for emotion in "WLEAFTN"
    for version in "ab"
]


@pytest.mark.parametrize(
    ("rows", "where", "values"),
    [
        (RAVDESS, "field 7 of the names", 24),
        (EMO_DB, "field 1 of the names", 10),
    ],
    ids=["RAVDESS", "EMO-DB"],
)
def test_speakers_of_published_datasets_are_named(rows, where, values):
    names, labels = zip(*rows)
    table = clips(list(names)).assign(label=labels)
    field = name_field(table)
    assert (field.where, len(field.values)) == (where, values)
