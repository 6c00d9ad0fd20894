"""Channels whose columns are not time enter models that summarise over time with all
their values.
"""

import numpy as np
import pytest

from featurestack.features_cache import external
from featurestack.features_cache.row_statistics import column_means, kept_columns
from featurestack.train.network_input import example_channel
from tests.train.little import CLASSES, clip_table, execute, little_options


def rates(columns, seed=0):
    """(N, 32, columns): classes differ in the columns of their peaks, not in means and
    deviations of rows.
    """
    chance = np.random.default_rng(seed)
    number = clip_table()["label"].map(CLASSES.index).to_numpy()
    values = 0.2 * chance.normal(size=(len(number), 32, columns))
    for clip, label in enumerate(number):
        for half in (0, 1):
            peak = columns * (label >> half & 1) // 2 + columns // 4
            rows = slice(16 * half, 16 * half + 16)
            values[clip, rows, peak - columns // 8 : peak + columns // 8] += 4
    return values


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates") / "little" / "features"
    table = clip_table()
    external.create_cache(folder, table, sample_rate=8000, duration=0.5)
    for name, columns in (("rates", 16), ("many", 512)):
        external.write_feature(
            folder, name, rates(columns), table["clip_id"], frame_unit="Hz"
        )
    external.write_feature(folder, "level", rates(16), table["clip_id"], frame_unit="s")
    return folder


def test_a_single_frame_is_described_by_its_values():
    assert example_channel("embedding", rows=512, frames=1).statistics == 512
    assert example_channel("mel", rows=128, frames=2).statistics == 256


@pytest.mark.parametrize("model", ["mlp", "texturenet"])
def test_a_run_reads_all_values(cached, tmp_path, model):
    options = little_options(cached, tmp_path / "runs")
    given = {"features": "rates+level", "grid": "32x32", "epochs": 12}
    run = execute(options, folds=(1,), model=model, **given)
    assert run.scores()["accuracy"].min() >= 0.9


def test_neighbouring_columns_of_more_values_are_averaged_and_it_is_said(
    cached, tmp_path, capsys
):
    assert kept_columns(32, 512) == 128
    means = column_means(32, 512)
    assert np.allclose(means.sum(axis=0), 1) and (means[:4, 0] == 0.25).all()
    trained = execute(
        little_options(cached, tmp_path / "runs"), features="many", model="linear"
    )
    assert trained.scores()["accuracy"].min() >= 0.9
    assert "many: neighbouring columns are averaged, 512 to 128" in "".join(
        capsys.readouterr()
    )
