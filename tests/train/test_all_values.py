"""Channels whose columns are not time enter models that summarise over time with all their values."""

from itertools import product

import numpy as np
import pytest
import soundfile

from analysis.separability import summarise
from features_cache import Cache, external
from features_cache.all_values import column_means, kept_columns
from pipeline.extract import run as extract
from pipeline.options import FeaturesCommand
from tests.train.little import CLASSES, clip_table, execute, little_options
from train import run
from train.importance import measure_importance
from train.options import ExportOptions, ImportanceOptions, RunOptions

RATE, SECONDS = 16_000, 3.0
BANDS = 400.0, 3200.0  # Hz
BEATS = 3.0, 11.0  # Hz


def beating(slow_below, chance):
    """(n,) two carriers in noise; the lower one beats slowly and the upper one fast, or vice versa."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    beats = BEATS if slow_below else BEATS[::-1]
    y = 0.01 * chance.normal(size=len(time))
    for carrier, beat in zip(BANDS, beats):
        phase, tune = chance.uniform(0, 2 * np.pi), chance.uniform(0.95, 1.05)
        envelope = 1 + np.sin(2 * np.pi * beat * time + phase)
        y += chance.uniform(0.05, 0.15) * envelope * np.sin(2 * np.pi * carrier * tune * time)
    return y.astype(np.float32)


def test_linear_finds_which_rate_beats_in_which_band_by_modulation_alone(tmp_path):
    rows = ["filename,label,fold"]
    for fold, slow_below, take in product((1, 2), (False, True), range(8)):
        name = f"{slow_below}-{fold}-{take}.wav"
        y = beating(slow_below, np.random.default_rng([fold, slow_below, take]))
        soundfile.write(tmp_path / name, y, RATE, subtype="FLOAT")
        rows.append(f"{name},{slow_below},{fold}")
    table = tmp_path / "beats.csv"
    table.write_text("\n".join(rows))
    data = tmp_path / "data"
    assert not extract(FeaturesCommand(dataset=str(table), data=data, features="modulation", jobs=1))
    given = {"dataset": str(table), "data": data, "runs": tmp_path / "runs"}
    trained = run.execute(RunOptions(features="modulation", model="linear", **given))
    assert trained.scores()["accuracy"].min() == 1


def rates(columns, seed=0):
    """(N, 32, columns): classes differ in the columns of their peaks, not in means and deviations of rows."""
    chance = np.random.default_rng(seed)
    number = clip_table()["label"].map(CLASSES.index).to_numpy()
    values = 0.2 * chance.normal(size=(len(number), 32, columns))
    for clip, label in enumerate(number):
        for half in (0, 1):
            peak = columns * (label >> half & 1) // 2 + columns // 4
            values[clip, 16 * half : 16 * half + 16, peak - columns // 8 : peak + columns // 8] += 4
    return values


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates") / "little" / "features"
    table = clip_table()
    external.create_cache(folder, table, sample_rate=8000, duration=0.5)
    for name, columns in (("rates", 16), ("many", 512)):
        external.write_feature(folder, name, rates(columns), table["clip_id"], frame_unit="Hz")
    external.write_feature(folder, "level", rates(16), table["clip_id"], frame_unit="s")
    return folder


@pytest.mark.parametrize("model", ["linear", "mlp", "texture", "cnn4+texture"])
def test_a_run_and_its_onnx_file_read_all_values(cached, tmp_path, model):
    options = little_options(cached, tmp_path / "runs")
    given = {"features": "rates+level", "grid": "32x32", "epochs": 20, "folds": (1, 2), "model": model}
    trained = execute(options, **given, tta=2)
    assert trained.scores()["accuracy"].min() >= 0.9
    pytest.importorskip("onnxruntime")
    onnx_export = pytest.importorskip("train.extras.onnx_export")
    exported = ExportOptions(run=str(trained.path), data=cached.parents[1], out=tmp_path / "model.onnx")
    assert onnx_export.export_run(exported) == 0


def test_time_columns_are_summarised_as_before_and_have_another_identity(cached, tmp_path):
    options = little_options(cached, tmp_path / "runs")
    level, by_rate = (execute(options, features=name, model="linear") for name in ("level", "rates"))
    assert level.scores()["accuracy"].mean() < 0.6 < by_rate.scores()["accuracy"].mean()


def test_neighbouring_columns_of_more_values_are_averaged_and_it_is_said(cached, tmp_path, capsys):
    assert kept_columns(32, 512) == 128
    means = column_means(32, 512)
    assert np.allclose(means.sum(axis=0), 1) and (means[:4, 0] == 0.25).all()
    trained = execute(little_options(cached, tmp_path / "runs"), features="many", model="linear")
    assert trained.scores()["accuracy"].min() >= 0.9
    assert "many: neighbouring columns are averaged, 512 to 128" in "".join(capsys.readouterr())


@pytest.mark.parametrize("model", ["linear", "texture"])
def test_importance_and_neighbours_find_what_lies_in_the_columns(cached, tmp_path, model):
    given = {"dataset": str(cached), "runs": tmp_path / "runs", "features": "rates level", "epochs": 20}
    folder = measure_importance(ImportanceOptions(model=model, **given))
    share = dict(zip(folder.features, folder.contributions()["alone"].mean(axis=0)))
    assert share["rates"] > 0.5 + share["level"] if model == "linear" else share["rates"] > 0.5
    assert summarise(Cache(cached), "rates", clip_table()["clip_id"].tolist()).shape[1] == 32 * 16
