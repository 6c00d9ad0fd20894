"""Importance: its fits are those of `train run`; a second call makes only those that
are lacking.
"""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import featurestack as fs
from featurestack.commandline.errors import RequestError
from featurestack.rooms.importance import folder as folders
from featurestack.rooms.importance.folder import (
    EXACT,
    ImportanceFolder,
    permutations,
    sampled_shapley,
    shapley,
)
from featurestack.rooms.importance.measure import (
    LoadedFolds,
    importance_summary,
    measure_importance,
)
from featurestack.rooms.importance.options import ImportanceOptions
from featurestack.storage.files import Lock
from tests.train.little import execute


@pytest.fixture
def measure(cache_folder, tmp_path):
    """Measures on the little cache."""
    return lambda features, **more: measure_importance(
        ImportanceOptions(
            dataset=str(cache_folder), runs=tmp_path, features=features, **more
        )
    )


@pytest.mark.parametrize("model", ["linear", "texturenet"])
def test_alone_full_set_and_drop_one_are_runs_of_the_model(
    measure, cache_folder, options, model
):
    folder = measure("mel chroma blank", model=model, epochs=2)
    for features in ("mel", "chroma", "mel+chroma+blank", "mel+blank"):
        same = {"grid": "64x216", "batch": 32, "model": model, "features": features}
        trained = execute(options, dataset=str(cache_folder), **same)
        rows = trained.scored().set_index("clip_id").loc[folder.clips["clip_id"]]
        of_target = [row[row["target"]] for _, row in rows.iterrows()]
        probability, correct = folder.scores[frozenset(features.split("+"))]
        assert np.array_equal(np.float32(probability), np.float32(of_target))
        assert (
            correct.tolist()
            == (rows[trained.classes].idxmax(axis=1) == rows["target"]).tolist()
        )


def test_only_what_is_lacking_is_fitted(measure, monkeypatch):
    fitted = []
    score = LoadedFolds.score
    monkeypatch.setattr(
        LoadedFolds, "score", lambda folds, fit: fitted.append(fit) or score(folds, fit)
    )
    folder = measure("mel chroma")
    assert len(fitted) == 4
    file = folder.path / "scores.csv"
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])  # killed while it wrote the last
    assert len(ImportanceFolder(folder.path).lacking) == 1
    measure("mel chroma")
    assert len(fitted) == 5 and file.read_bytes() == whole
    wider = measure("mel chroma blank")
    assert wider.path == folder.path and len(fitted) == 5 + 4
    assert file.read_bytes().startswith(whole)
    assert wider.features == ["mel", "chroma", "blank"]
    narrower = measure("chroma mel")
    assert len(fitted) == 5 + 4 and narrower.features == ["chroma", "mel"]
    # a report shows the larger call
    assert ImportanceFolder(wider.path).features == wider.features


def test_a_second_call_is_refused_or_waits(measure):
    path = measure("mel chroma").path
    with ThreadPoolExecutor(1) as threads:
        with Lock(path / ".lock"):
            with pytest.raises(RequestError, match="add WAIT=1"):
                measure("mel chroma blank")
            second = threads.submit(measure, "mel chroma blank", wait=True)
            with pytest.raises(TimeoutError):
                second.result(0.5)
        assert "blank" in second.result().features


def test_equal_features_share_equally_and_the_class_is_in_mel(measure):
    folder = measure("mel mel:0-15 blank")
    assert "the best" in importance_summary(folder)
    shares = folder.contributions()["shapley"]
    np.testing.assert_allclose(shares[:, 0], shares[:, 1], atol=1e-3)
    assert shares[:, 0].mean() > 3 * abs(shares[:, 2].mean())


def test_more_than_eight_features_are_sampled(measure, monkeypatch):
    monkeypatch.setattr(folders, "PAIRS", 2)
    names = [f"mel:{row}-{row}" for row in range(EXACT + 1)]
    folder = measure(" ".join(names))
    assert "standard error of a share" in importance_summary(folder)
    values = folder.values()
    shares = folder.contributions()["shapley"]
    assert len(values) < 2 ** len(names) / 4
    np.testing.assert_allclose(
        shares.sum(axis=1), values[frozenset(names)] - values[frozenset()], atol=1e-12
    )


def test_the_python_function_gives_the_tables(cache_folder, tmp_path):
    tables = fs.importance("mel chroma", dataset=str(cache_folder), runs=tmp_path)
    assert list(tables) == ["features", "classes", "sets", "kept"]


def random_values(features, clips=3):
    rng = np.random.default_rng(len(features))
    subsets = (
        itertools.combinations(features, size) for size in range(len(features) + 1)
    )
    return {
        frozenset(subset): rng.normal(size=clips)
        for subset in itertools.chain(*subsets)
    }


@pytest.mark.parametrize("features", ["a", "ab", "abcde"])
def test_shapley_values_are_the_mean_gain_over_all_orders(features):
    values = random_values(features)
    expected = np.zeros((3, len(features)))
    for order in itertools.permutations(features):
        for size, name in enumerate(order):
            before = frozenset(order[:size])
            gain = values[before | {name}] - values[before]
            expected[:, features.index(name)] += gain / math.factorial(len(features))
    np.testing.assert_allclose(shapley(values, features), expected, atol=1e-12)


def test_sampled_shapley_values_approach_the_exact_ones():
    features = "abcdefghi"
    values = random_values(features)
    exact = shapley(values, features)
    shares, errors = sampled_shapley(values, features, permutations(features, 400, 0))
    assert (
        np.abs(shares.mean(axis=0) - exact.mean(axis=0)) < 4 * errors
    ).all() and errors.max() < 0.1
