"""Folders in ESC-50's layout: the real clips, other classes, what is wrong with them."""

from pathlib import Path

import pandas as pd
import pytest

from commandline import RequestError
from features_cache.table import CLIP_COLUMNS
from pipeline.datasets import load
from tests.pipeline.datasets.sounds import esc_layout


def test_the_real_clips_in_esc50s_layout(esc10, tmp_path):
    dataset = load(str(esc10), tmp_path)
    meta = pd.read_csv(esc10 / "meta" / "esc10.csv")
    table = dataset.table
    assert list(table.columns) == list(CLIP_COLUMNS)
    assert table["clip_id"].tolist() == [name.removesuffix(".ogg") for name in meta["filename"]]
    assert table["label"].tolist() == meta["category"].tolist()
    assert table["fold"].tolist() == meta["fold"].tolist()
    assert table["group"].tolist() == meta["src_file"].astype(str).tolist()
    assert all(Path(path).is_file() and Path(path).is_absolute() for path in table["path"])
    assert (dataset.name, dataset.sample_rate, dataset.duration) == ("esc10", 44_100, 5.0)
    assert table.groupby("category")["label"].nunique().to_dict() == {
        "animals": 2,
        "natural soundscapes and water": 3,
        "human, non-speech": 2,
        "interior": 1,
        "exterior": 2,
    }
    assert not list(tmp_path.iterdir())  # official folds: nothing to keep


def test_a_layout_with_other_classes_has_no_categories_and_its_own_rate_when_asked(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A", "b.wav,2,0,owl,8,A"])
    dataset = load(str(folder), tmp_path / "data", sample_rate=8_000, duration=0.25)
    assert dataset.table["category"].tolist() == ["", ""]
    assert (dataset.sample_rate, dataset.samples) == (8_000, 2_000)
    assert load(str(folder), tmp_path / "data").sample_rate == 44_100


@pytest.mark.parametrize("fold", ["", "x", "0", "1.5", "-1"])
def test_a_fold_that_is_no_number_is_told(tmp_path, fold):
    folder = esc_layout(tmp_path / "mine", [f"a.wav,{fold},0,owl,7,A"])
    with pytest.raises(RequestError, match="has fold"):
        load(str(folder), tmp_path / "data")


def test_two_tables_are_told_and_one_of_them_can_be_chosen(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A"])
    (folder / "meta" / "other.csv").write_text((folder / "meta" / "any name.csv").read_text())
    with pytest.raises(RequestError, match="AUDIO_DIR="):
        load(str(folder), tmp_path / "data")
    chosen = load(str(folder / "meta" / "other.csv"), tmp_path / "data", audio_dir=folder / "audio")
    assert chosen.name == "other"
    assert chosen.sample_rate == 8_000  # a CSV's clips are measured
