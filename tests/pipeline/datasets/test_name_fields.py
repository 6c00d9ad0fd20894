"""Fields of names that may be speakers, sites or devices, and the GROUP= that makes
them groups.
"""

import re

import pandas as pd
import pytest

from featurestack.pipeline.datasets.name_fields import name_fields


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
    (field,) = name_fields(clips(DIGITS))
    assert field.sentence == (
        "field 2 of the names has 3 values, each in all 4 classes (george, lucas,"
        " theo): speakers, sites, devices? GROUP='_(.*)_' FOLDS_BY=group"
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
    field = name_fields(table)[0]
    assert field.group == pattern
    assert field.of_clips(table).tolist() == [site for _, site, _ in rows]


def test_a_further_column_is_named_as_its_own_group():
    names = [f"{label}_{n}" for label in ("a", "b") for n in range(6)]
    (field,) = name_fields(clips(names, device=["phone", "desk", "phone"] * 4))
    assert (field.where, field.options) == (
        "column device",
        ["GROUP=device", "FOLDS_BY=group"],
    )


@pytest.mark.parametrize(
    "names",
    [
        [f"{label}_{n}" for label in ("dog", "cat") for n in range(30)],  # a count
        [f"{label} (take {n})" for label in ("dog", "cat") for n in range(30)],
        [f"{label}_{n}_A" for label in ("dog", "cat") for n in range(30)],
        [f"{label}_{label}{n}" for label in ("dog", "cat") for n in range(9)],
        ["dog_1", "cat"],
    ],
)
def test_counts_takes_and_classes_are_no_speakers(names):
    table = clips(names)
    assert not [
        field for field in name_fields(table) if not field.values[0].isdecimal()
    ]


def test_nothing_is_named_if_clips_have_groups():
    table = clips(DIGITS)
    table["group"] = table["label"] + "x"
    assert not name_fields(table)


def test_a_name_of_one_word_in_each_folder_is_a_field():
    names = [f"{word}/{speaker}" for word in "abc" for speaker in ("george", "lucas")]
    table = clips(names).assign(label=[name[0] for name in names])
    (field,) = name_fields(table)
    assert field.options == ["GROUP=^([^_]+)", "FOLDS_BY=group"]
