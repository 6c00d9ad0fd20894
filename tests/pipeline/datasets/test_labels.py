"""Classes from file names, where folders are sites or dates."""

import numpy as np
import pytest
import soundfile

from tests.pipeline.datasets.folders import csv, dataset
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
    with refused("is not a valid regular expression"):
        dataset(sites, tmp_path, label="(wren")


def test_a_misspelt_column_is_answered_with_the_tables_own(tmp_path):
    listed = csv(tmp_path / "list.csv", "filename,word,speaker\na.wav,yes,ann\n")
    with refused("LABEL=words: unknown column 'words'; did you mean 'word'"):
        dataset(listed, tmp_path, label="words")
