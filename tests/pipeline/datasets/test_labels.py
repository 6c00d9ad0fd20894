"""Classes from file names, where folders are sites or dates."""

import itertools
import re

import numpy as np
import pytest
import soundfile

from featurestack.pipeline.datasets.name_fields import fields_of_names
from tests.pipeline.datasets.folders import dataset
from tests.refusal import refused

SITES = ("site1", "site-2", "2024-05-14")
BIRDS = ("wren", "robin", "song-thrush")


@pytest.fixture
def sites(tmp_path):
    """Folders of sites, whose names have bird__take."""
    folder = tmp_path / "birds"
    for place, site in enumerate(SITES):
        folder.joinpath(site).mkdir(parents=True)
        for number, bird in enumerate(BIRDS):
            for take in range(2):
                noise = np.random.default_rng([place, number, take]).normal(size=800)
                name = folder / site / f"{bird}__{10 * place + take}.wav"
                soundfile.write(name, 0.1 * noise, 8000)
    return folder


def test_the_pattern_gives_the_classes_and_later_commands_need_none(sites, tmp_path):
    given = dataset(sites, tmp_path, label="(.+?)__", group=".*/")
    assert sorted({*given.table["label"]}) == sorted(BIRDS)
    assert given.table["group"].nunique() == 3
    later = dataset(sites, tmp_path)
    assert later.table["label"].tolist() == given.table["label"].tolist()


def test_a_pattern_that_lacks_a_clip_is_refused(sites, tmp_path):
    with refused("gives 6 clips of 18 no class"):
        dataset(sites, tmp_path, label="(wren|robin)__")
    with refused("is no pattern"):
        dataset(sites, tmp_path, label="(wren")


def test_folders_that_are_sites_are_named_with_a_pattern_that_works(sites, tmp_path):
    before = dataset(sites, tmp_path)
    (note,) = [note for note in before.notes if "look like sites" in note]
    assert "3 words (robin, song-thrush, wren)" in note and not before.fields
    pattern = note.partition("LABEL='")[2].partition("'")[0]
    found = dataset(sites, tmp_path, label=pattern)
    assert sorted({*found.table["label"]}) == ["robin", "song-thrush", "wren"]


@pytest.mark.parametrize(
    ("stems", "values", "pattern"),
    [
        (["great-tit__s-1", "wren__s-2"], ["great-tit", "wren"], "^(.+?)__"),
        (["great-tit_s-1", "wren_s-2"], ["great-tit", "wren"], "^(.+?)_"),
        (["s-1_great-tit", "s-2_wren"], ["s-1", "s-2"], "^(.+?)_"),
    ],
)
def test_a_field_keeps_its_hyphens(stems, values, pattern):
    place, words, found = next(fields_of_names(stems))
    assert (place, words, found) == (0, values, pattern)
    assert [re.search(found, stem)[1] for stem in stems] == values


def test_a_later_field_is_matched_by_its_place():
    stems = ["s-1_great-tit_3", "s-2_wren_12"]
    for place, words, pattern in itertools.islice(fields_of_names(stems), 3):
        assert [re.search(pattern, stem)[1] for stem in stems] == words, place


def test_classes_that_are_words_or_digits_get_no_note(tmp_path):
    for word in ("0", "1"):
        tmp_path.joinpath("digits", word).mkdir(parents=True)
        for speaker in ("george", "jackson"):
            for take in range(4):
                noise = np.random.default_rng([int(word), take]).normal(size=800)
                name = tmp_path / "digits" / word / f"{word}_{speaker}_{take}.wav"
                soundfile.write(name, 0.1 * noise, 8000)
    notes = dataset(tmp_path / "digits", tmp_path).notes
    assert not any("look like sites" in note for note in notes)
