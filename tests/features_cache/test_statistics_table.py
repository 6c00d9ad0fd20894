"""Row statistics of clips as one table."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from featurestack.features_cache import external
from featurestack.features_cache.statistics_table import statistics_table, write_table
from tests.features_cache.conftest import CLIPS
from tests.golden.commands import done
from tests.refusal import refused


def test_each_row_has_its_mean_and_deviation_over_frames(cache):
    values = cache.read("mine", CLIPS).astype(np.float32)
    table = statistics_table(cache, ["mine"])
    assert table["clip_id"].tolist() == list(CLIPS)
    assert np.allclose(table["mine_mean_2"], values[:, 2].mean(axis=1))
    assert np.allclose(table["mine_sd_2"], values[:, 2].std(axis=1))


def test_columns_that_are_not_times_keep_their_values(cache):
    values = np.arange(8 * 6, dtype=float).reshape(8, 2, 3)
    external.write_feature(cache.folder, "rates", values, CLIPS, frame_unit="Hz")
    table = statistics_table(cache, ["rates"])
    assert table["rates_1_2"].tolist() == values[:, 1, 2].tolist()


def test_a_clip_without_one_of_the_features_is_left_out(cache, values):
    external.write_feature(cache.folder, "some", values[:3], CLIPS[:3])
    assert len(statistics_table(cache, ["mine", "some"])) == 3


def test_the_command_writes_a_csv_that_pandas_reads(cache, tmp_path):
    file = tmp_path / "mine.csv"
    shown = done(
        "features_cache table", DATASET=cache.folder, FEATURES="mine", FILE=file
    )
    assert "8 clips" in shown.out
    table = pd.read_csv(file)
    expected = statistics_table(cache, ["mine"])
    assert np.allclose(table["mine_mean_0"], expected["mine_mean_0"])


@pytest.mark.parametrize("name", ["index.h5", "t.xlsx", "folds.csv"])
def test_a_file_of_another_kind_is_not_replaced(cache, tmp_path, name):
    table = statistics_table(cache, ["mine"])
    (tmp_path / name).write_text("clip_id,fold\n")
    with refused("ends in .csv or .parquet|another table"):
        write_table(table, tmp_path / name)
    assert (tmp_path / name).read_text() == "clip_id,fold\n"


def test_a_table_of_its_own_is_replaced(cache, tmp_path):
    table = statistics_table(cache, ["mine"])
    write_table(table.head(2), tmp_path / "t.csv")
    write_table(table, tmp_path / "t.csv")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 8


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed"
)
def test_parquet_without_its_package_is_refused_in_a_sentence(cache, tmp_path):
    given = {"DATASET": cache.folder, "FEATURES": "mine"}
    refusal = done("features_cache table", 2, FILE=tmp_path / "a.parquet", **given)
    assert "Parquet needs pyarrow" in refusal.err
