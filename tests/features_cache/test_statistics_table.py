"""Row statistics of clips as one table."""

import numpy as np
import pandas as pd
import pytest

from featurestack.features_cache import external
from featurestack.features_cache.contents import statistics_table, write_table
from tests.features_cache.conftest import CLIPS
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


@pytest.mark.parametrize("name", ["index.h5", "t.xlsx", "folds.csv"])
def test_a_file_of_another_kind_is_not_replaced(cache, tmp_path, name):
    table = statistics_table(cache, ["mine"])
    (tmp_path / name).write_text("clip_id,fold\n")
    with refused("ends in .csv|was not written by this command"):
        write_table(table, tmp_path / name)
    assert (tmp_path / name).read_text() == "clip_id,fold\n"


def test_a_table_of_its_own_is_replaced(cache, tmp_path):
    table = statistics_table(cache, ["mine"])
    write_table(table.head(2), tmp_path / "t.csv")
    write_table(table, tmp_path / "t.csv")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 8
