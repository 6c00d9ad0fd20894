"""Known answers of the way from stored values to a network's input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from featurestack.features_cache import external
from featurestack.features_cache.row_statistics import column_means, kept_columns
from featurestack.train.models.sizes import example_channel
from featurestack.train.network_input import KINDS, InputSpec, resize, resizing
from tests.train.small_cache import CLASSES, clip_table, run_with, small_options

MEL = example_channel("mel", rows=2, frames=431)


def test_a_clip_has_its_own_frames_and_two_at_least():
    spec = InputSpec(KINDS["linear"], (MEL,), (1, 1), drop_padding=True)

    def own(filled, **changes):
        return spec.own_frames(replace(MEL, **changes), np.array(filled)).tolist()

    assert own([1e-5, 0.1, 0.5, 1.0]) == [2, 44, 216, 431]
    assert own([0.1, 1.0], frames=1) == [1, 1]
    assert own([0.1], frame_unit="Hz") == [431]


def test_mean_and_deviation_survive_half_precision():
    values = np.full((1, 2, 100_000), -80, np.float16)
    values[0, 1, ::2] = -79
    channels = (replace(MEL, frames=100_000),)
    spec = InputSpec(KINDS["linear"], channels, (1, 1), drop_padding=False)
    x = spec.prepare([values], [None], np.ones(1))
    assert x.shape == (1, *spec.shape) and x.dtype == torch.float32
    assert np.allclose(x.flatten(), [-80, -79.5, 0, 0.5], atol=1e-3)


def test_resizing_is_linear_between_values_and_the_same_when_exported():
    values = torch.randn(2, 12, 40, generator=torch.Generator().manual_seed(0))
    small = resize(values, (6, 10))
    # the exported form
    torch.testing.assert_close(resizing(12, 6).T @ values @ resizing(40, 10), small)
    ramp = torch.arange(8.0).view(1, 1, 8)
    assert torch.equal(resize(ramp, (4, 8)), ramp.expand(1, 4, 8))
    assert resize(ramp, (1, 16))[0, 0, 1:-1].diff().allclose(torch.tensor(0.5))


# ---- columns that are not time


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


@pytest.mark.parametrize(
    ("model", "features"),
    [("mlp", "rates+level"), ("texturenet", "rates+level"), ("linear", "many")],
)
def test_a_run_reads_all_values_or_their_means(cached, tmp_path, model, features):
    options = small_options(cached, tmp_path / "runs")
    given = {"features": features, "grid": "32x32", "epochs": 12}
    run = run_with(options, folds=(1,), model=model, **given)
    assert run.scores()["accuracy"].min() >= 0.9


def test_neighbouring_columns_of_many_values_are_averaged():
    assert kept_columns(32, 512) == 128
    means = column_means(32, 512)
    assert np.allclose(means.sum(axis=0), 1) and (means[:4, 0] == 0.25).all()
