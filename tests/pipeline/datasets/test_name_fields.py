"""Fields of names that may be speakers, sites or devices, and the GROUP= that makes
them groups.
"""

import itertools
import re
import uuid

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.pipeline.datasets.name_fields import name_field
from tests.cases import cases, data
from tests.golden.commands import command, inside


def clips(names, **columns):
    """A table of clips that are groups of their own; a name's first field is its
    class.
    """
    paths = [f"/x/{name}.wav" for name in names]
    table = pd.DataFrame({"clip_id": names, "path": paths})
    labels = [re.split("[_ ]", name)[0] for name in names]
    return table.assign(group=table["clip_id"], label=labels, **columns)


SPEAKERS = "george", "lucas", "theo"
DIGITS = [
    "{}_{}_{}".format(*row) for row in itertools.product("0123", SPEAKERS, "01234")
]


def test_speakers_of_digits_are_named_with_the_words_to_type():
    field = name_field(clips(DIGITS))
    assert field.sentence == (
        "field 2 of the names has 3 values (george, lucas and theo): if they are"
        " speakers, sites or devices, add GROUP='_(.*)_'"
    )


def test_speakers_whom_some_class_lacks_are_in_several():
    names = [name for name in DIGITS if not name.startswith("0_theo")]
    assert name_field(clips(names)).where == "field 2 of the names"


@cases("name", "pattern")
def test_the_pattern_gives_the_sites_and_not_the_class(name, pattern):
    rows = [*itertools.product(("dog", "cat"), ("mill", "yard"), range(4))]
    names = [name.format(word=word, site=site, take=take) for word, site, take in rows]
    table = clips(names).assign(label=[word for word, *_ in rows])
    field = name_field(table)
    assert field.group == pattern
    assert field.value_of.tolist() == [site for _, site, _ in rows]


def test_a_speaker_with_a_hyphen_moves_no_field():
    speakers = "Ann-Kathrin", "Tom", "Eva"
    rows = itertools.product(speakers, ("dog", "cat"), range(4))
    names = [f"{speaker}_{word}_{take}" for speaker, word, take in rows]
    table = clips(names).assign(label=[name.split("_")[1] for name in names])
    field = name_field(table)
    assert {*field.value_of} == {"Ann-Kathrin", "Eva", "Tom"}
    assert field.group == "^([^_]+)"


def test_a_word_of_nearly_all_names_is_no_speaker():
    names = [f"Aufnahme {n:02d}" for n in range(48)] + ["Probe 1", "Probe 2"]
    table = clips(names).assign(label=["dog", "cat"] * 25)
    assert name_field(table) is None


def test_a_further_column_is_named_as_its_own_group():
    names = [f"{label}_{n}" for label in ("a", "b") for n in range(6)]
    field = name_field(clips(names, device=["phone", "desk", "phone"] * 4))
    assert (field.where, field.group) == ("column device", "device")


def test_a_column_of_speakers_counts_and_not_one_of_what_they_share():
    names = [f"{label}_{n}" for label in ("a", "b") for n in range(12)]
    table = clips(names, speaker=["1", "2", "3", "4"] * 6, sex=["man", "woman"] * 12)
    assert name_field(table).group == "speaker"
    sites = table.assign(site=["mill", "yard", "road"] * 8)
    assert "GROUP=site or GROUP=speaker" in name_field(sites).sentence
    assert name_field(table[:0]) is None


def test_a_name_of_one_word_in_each_folder_is_a_field():
    names = [f"{word}/{speaker}" for word in "abc" for speaker in ("george", "lucas")]
    table = clips(names).assign(label=[name[0] for name in names])
    field = name_field(table)
    assert {*field.value_of} == {"george", "lucas"}


WORDS = ("dog", "cat", "rain", "door", "siren")
INNOCENT = data(__file__)["INNOCENT"]


def innocent(pattern):
    """200 clips of five classes, named by the pattern."""
    rng = np.random.default_rng(0)
    names = []
    for place, word in enumerate(WORDS * 40):
        n = place // 5
        five, hour, minute = rng.integers(0, [5, 24, 60]).tolist()
        words = {
            "split": rng.choice(["train", "val", "test"]),
            "altered": rng.choice(["pitch", "stretch", "noise", "gain"]),
            "side": "LR"[n % 2],
            "hash": uuid.UUID(bytes=rng.bytes(16)).hex,
        }
        numbers = {"n": n, "five": 1 + five, "hour": hour, "minute": minute}
        names.append(pattern.format(word=word, **words, **numbers))
    return clips(names).assign(label=WORDS * 40)


@pytest.mark.parametrize("kind", INNOCENT)
def test_what_is_no_speaker_or_site_is_not_suspected(kind):
    assert name_field(innocent(INNOCENT[kind])) is None


EMO_DB = [
    (f"{speaker:02d}{text}{emotion}{version}", emotion)
    for speaker in (3, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    for text in ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    for emotion in "WLEAFTN"
    for version in "ab"
]


def test_speakers_of_emo_db_whose_names_have_no_separator_are_named():
    names, labels = zip(*EMO_DB)
    field = name_field(clips(list(names)).assign(label=labels))
    assert (field.where, field.value_of.nunique()) == ("field 1 of the names", 10)


# ESC-50's names, without their class
ESC = {
    0: (
        "1-100032-A 1-110389-A 1-30226-A 1-30344-A 1-32318-A 1-59513-A 1-85362-A"
        " 2-114280-A 2-114280-B 2-114587-A 2-116400-A 2-117271-A 3-136288-A"
    ),
    1: (
        "1-26806-A 1-27724-A 1-34119-A 1-34119-B 1-40730-A 1-43382-A 1-44831-A"
        " 2-100786-A 2-65750-A 2-71162-A 2-95567-A 3-134049-A 3-134049-B 4-134049-C"
    ),
}


@pytest.mark.parametrize("ending", ["", "-{}"])
def test_of_esc_50_the_recordings_are_named_and_not_the_folds(ending):
    rows = [(name, n) for n, names in ESC.items() for name in names.split()]
    table = clips([name + ending.format(n) for name, n in rows])
    field = name_field(table.assign(label=[str(n) for _, n in rows]))
    assert field.where == "source recording"
    assert field.value_of.tolist() == [name.split("-")[1] for name, _ in rows]


def test_numbers_of_speakers_come_before_takes_that_each_speaker_has():
    rows = itertools.product(range(11, 21), range(4), "AB", range(3))
    names = ["{}-{}-{}-{}".format(*row) for row in rows]
    table = clips(names).assign(label=[name[-1] for name in names])
    assert name_field(table).where == "field 1 of the names"


# speakers and takes of four spoken words, as in Speech Commands
TAKES = data(__file__)["TAKES"]


@pytest.mark.parametrize("words", [2, 3, 4])
def test_speakers_of_a_few_clips_are_named_and_never_the_number_of_the_take(words):
    names = [
        f"{word}_{take.replace(':', '_nohash_')}"
        for word in [*TAKES][:words]
        for take in TAKES[word].split()
    ]
    field = name_field(clips(names))
    assert (field.where, field.group) == ("field 2 of the names", "_([^_]+)_")
    once = [name.replace("_", f"_{n}", 1) for n, name in enumerate(names)]
    assert name_field(clips(once)) is None


def test_a_number_that_recurs_by_chance_is_not_suspected():
    rng = np.random.default_rng(0)
    seconds = rng.integers(60, size=120)
    paths = [f"{n}/{WORDS[n % 5]}_{second}.wav" for n, second in enumerate(seconds)]
    table = clips(paths).assign(path=paths, label=WORDS * 24)
    assert name_field(table) is None


def test_of_two_fields_both_are_named_and_the_user_is_asked():
    speakers, sentences, emotions = range(1001, 1011), ("DFA", "IEO", "IOM"), "ANS"
    rows = [*itertools.product(speakers, sentences, emotions)]
    names = ["{}_{}_{}".format(*row) for row in rows]
    field = name_field(clips(names).assign(label=[name[-1] for name in names]))
    assert field.sentence == (
        "field 2 of the names has 3 values (DFA, IEO and IOM), field 1 of the names"
        " has 10 values (1001, 1002, 1003 and 7 more): if one of them is the"
        " speaker, site or device, add GROUP='_(.*)_' or GROUP='^([^_]+)'"
    )
    assert field.group == "_(.*)_"


# recordings of the tutorial, each with its takes
RECORDINGS = {
    "dog": "100032:A 110389:A 144027:AB 172649:ABCDE 152007:ABCDE",
    "rain": "17367:ABC 17742:A 21189:A 54505:A 60676:ABC",
    "rooster": "26806:A 27724:A 34119:AB 40730:A 43382:A",
}


def names_of_takes(pattern):
    """(name, class, recording) of each take in RECORDINGS, named by the pattern."""
    for label, recordings in RECORDINGS.items():
        for recording in recordings.split():
            number, takes = recording.split(":")
            for place, take in enumerate(takes):
                spelt = {"A": take, "a": take.lower(), "n": place + 1, "z": place}
                name = pattern.format(label=label, number=number, **spelt)
                yield name, label, number


@cases("pattern", "group")
def test_takes_of_a_recording_are_proposed_and_never_their_letters(pattern, group):
    names, labels, numbers = zip(*names_of_takes(pattern))
    field = name_field(clips(list(names)).assign(label=labels))
    assert (field.where, field.group) == ("source recording", group)
    assert len({*zip(field.value_of, numbers)}) == len({*numbers})
    assert f"takes of {len({*numbers})} source recordings" in field.sentence


def test_recordings_of_one_take_each_are_not_proposed():
    names = [f"{number}-A" for number in range(17367, 17407)]
    assert name_field(clips(names).assign(label=["dog", "rain"] * 20)) is None


def test_the_commands_and_functions_propose_the_same(tmp_path):
    for name, label, _ in names_of_takes("{number}-{A}"):
        noise = np.random.default_rng([*name.encode()]).standard_normal(800)
        (tmp_path / "mine" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "mine" / label / f"{name}.wav", noise / 9, 8_000)
    with inside(tmp_path):
        for words in ("data", "features FEATURES='mel rms'", "check", "answer"):
            answer = command(f"{words} DATASET=mine")
            said = " ".join(f"{answer.out}{answer.err}".split())
            assert "source recordings, add GROUP='(.*)-[A-Z]'" in said, answer
            if words == "check":  # and the price of what they propose
                assert "source recording costs nothing" in said
