"""From the word after DATASET= to a table."""

import numpy as np
import pandas as pd
import pytest

from commandline import RequestError
from features_cache import external
from pipeline.datasets import load
from pipeline.datasets.categories import ESC50, categories_of
from pipeline.datasets.command import run, summary
from pipeline.options import SourceOptions
from tests.pipeline.datasets.sounds import class_folders, write


def test_twenty_thousand_clips_are_handled(tmp_path):
    """One file under many names is enough for the table, the headers, the folds and the summary."""
    first = write(tmp_path / "mine" / "class 0" / "0-A.wav", 0.05, 8_000)
    for label in range(1, 10):
        (tmp_path / "mine" / f"class {label}").mkdir()
    for number in range(1, 20_000):
        (tmp_path / "mine" / f"class {number % 10}" / f"{number // 2}-{'AB'[number % 2]}.wav").hardlink_to(
            first
        )
    dataset = load(str(tmp_path / "mine"), tmp_path / "data", group="(.*)-[A-Z]")
    assert len(dataset.table) == 20_000
    assert np.ptp(np.bincount(dataset.table["fold"])[1:]) <= 20
    assert "20,000 clips" in summary(dataset)


def test_fifty_classes_in_five_categories_of_ten():
    assert pd.Series(ESC50).value_counts().tolist() == [10] * 5
    assert categories_of(["dog", "rain", "owl"]) == ["", "", ""]  # all or none


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("esc5", "unknown dataset 'esc5'; did you mean 'esc50'?"),
        ("no/such/folder", "there is no such folder or file"),
        ("missing.csv", "there is no such folder or file"),
    ],
)
def test_a_dataset_that_is_not_there_is_told(tmp_path, word, message):
    with pytest.raises(RequestError) as told:
        load(word, tmp_path)
    assert message in str(told.value)


def test_a_file_that_is_no_table_is_told(tmp_path):
    with pytest.raises(RequestError, match="is a file, but no CSV"):
        load(str(write(tmp_path / "a.wav")), tmp_path / "data")


def test_a_cache_is_used_as_it_is_without_audio(tmp_path):
    table = {"clip_id": ["a", "b"], "label": ["x", "y"], "fold": [1, 2], "group": ["g", "h"]}
    external.create_cache(tmp_path / "brought", table, sample_rate=8_000, duration=2.0)
    dataset = load(str(tmp_path / "brought"), tmp_path / "data")
    assert dataset.table["clip_id"].tolist() == ["a", "b"]
    assert (dataset.name, dataset.samples, dataset.source) == ("brought", 16_000, "brought")
    assert run(SourceOptions(dataset=str(tmp_path / "brought"), data=tmp_path / "data")) == 0


def test_options_without_use_are_named(tmp_path):
    folder = str(class_folders(tmp_path / "mine", each=1))
    notes = load(folder, tmp_path / "data", url="http://x", audio_dir=tmp_path).notes
    assert [note.split()[0] for note in notes[:2]] == ["URL", "AUDIO_DIR"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    folder = str(class_folders(tmp_path / "mine", each=1))
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(RequestError, match="cannot be written"):
        load(folder, tmp_path / "data")
