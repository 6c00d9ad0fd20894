"""Importance: its fits are those of `train run MODEL=linear`; a second call fits only what is lacking."""

import itertools
import math

import numpy as np
import pytest

import lab
from commandline.registry import RequestError
from features_cache import external
from results.importance import EXACT, ImportanceFolder, interactions, permutations, sampled_shapley, shapley
from tests.train.little import clip_table, execute, fill
from train.importance import SubsetFits, measure_importance, summary
from train.options import ImportanceOptions


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """The little cache, with mel a second time under another name."""
    folder = fill(tmp_path_factory.mktemp("importance") / "little" / "features", clip_table())
    from features_cache import Cache

    cache = Cache(folder)
    ids = cache.clips["clip_id"]
    external.write_feature(folder, "twin", cache.read("mel", ids), ids, units="dB", row_unit="Hz")
    return folder


def measure(cached, runs, features, **more) -> ImportanceFolder:
    options = ImportanceOptions(dataset=str(cached), runs=runs, features=features, **more)
    return measure_importance(options)


def test_alone_full_set_and_drop_one_are_the_runs_of_the_linear_model(cached, options, tmp_path):
    folder = measure(cached, tmp_path, "mel chroma blank")
    for features in ("mel", "chroma", "mel+chroma+blank", "mel+blank"):
        trained = execute(options, dataset=str(cached), features=features, model="linear")
        rows = trained.scored().set_index("clip_id").loc[folder.clips["clip_id"]]
        of_target = [row[row["target"]] for _, row in rows.iterrows()]
        probability, correct = folder.scores()[frozenset(features.split("+"))]
        assert np.array_equal(np.float32(probability), np.float32(of_target))
        assert correct.tolist() == (rows[trained.classes].idxmax(axis=1) == rows["target"]).tolist()


def test_only_what_is_lacking_is_fitted(cached, tmp_path, monkeypatch):
    fitted = []
    score = SubsetFits.score
    monkeypatch.setattr(
        SubsetFits, "score", lambda fits, subset: fitted.append(subset) or score(fits, subset)
    )
    folder = measure(cached, tmp_path, "mel chroma")
    assert len(fitted) == 4
    file = folder.path / "scores.csv"
    whole = file.read_bytes()
    measure(cached, tmp_path, "mel chroma")
    assert len(fitted) == 4 and file.read_bytes() == whole
    file.write_bytes(whole[:-30])  # killed while it wrote the last subset
    measure(cached, tmp_path, "mel chroma")
    assert len(fitted) == 5 and file.read_bytes() == whole
    wider = measure(cached, tmp_path, "mel chroma blank")
    assert wider.path == folder.path and len(fitted) == 9
    assert file.read_bytes().startswith(whole) and wider.features == ["mel", "chroma", "blank"]


def test_equal_features_share_equally_and_the_class_is_in_mel(cached, tmp_path):
    folder = measure(cached, tmp_path, "mel twin blank")
    assert "the best" in summary(folder)
    shares = shapley(folder.values(), 3)
    np.testing.assert_allclose(shares[:, 0], shares[:, 1], atol=1e-3)
    assert shares[:, 0].mean() > 3 * abs(shares[:, 2].mean())
    assert interactions(folder.values(), 3)[0, 1] < 0
    np.testing.assert_allclose(shares.sum(axis=1), folder.values()[7] - folder.values()[0], atol=1e-12)


def test_more_than_eight_features_are_sampled(cached, tmp_path):
    names = [f"mel:{row}-{row}" for row in range(EXACT + 1)]
    folder = measure(cached, tmp_path, " ".join(names), permutations=2)
    assert "standard error of a share" in summary(folder)
    values = folder.values()
    assert len(values) < 2 ** len(names) / 4
    shares, errors = sampled_shapley(values, folder.permutations)
    np.testing.assert_allclose(shares.sum(axis=1), values[2 ** len(names) - 1] - values[0], atol=1e-12)
    assert (errors >= 0).all()


def test_lab_gives_the_tables(cached, tmp_path):
    tables = lab.importance("mel chroma", dataset=str(cached), runs=tmp_path)
    assert set(tables["features"]["measure"]) == {"shapley", "alone", "lost", "added"}
    assert len(tables["classes"]) == 2 * 4 and tables["sets"]["size"].tolist() == [1, 2]
    assert tables["pairs"].loc["mel", "chroma"] == tables["pairs"].loc["chroma", "mel"]


def random_values(features: int, clips: int = 3) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(features)
    return {subset: rng.normal(size=clips) for subset in range(2**features)}


@pytest.mark.parametrize("features", [1, 2, 5])
def test_shapley_values_are_the_mean_gain_over_all_orders(features):
    values = random_values(features)
    expected = np.zeros((3, features))
    for order in itertools.permutations(range(features)):
        subset = 0
        for feature in order:
            expected[:, feature] += values[subset | 1 << feature] - values[subset]
            subset |= 1 << feature
    np.testing.assert_allclose(shapley(values, features), expected / math.factorial(features), atol=1e-12)


def test_sampled_shapley_values_approach_the_exact_ones():
    values, exact = random_values(9), shapley(random_values(9), 9)
    shares, errors = sampled_shapley(values, permutations(9, 400, 0))
    assert (np.abs(shares.mean(axis=0) - exact.mean(axis=0)) < 4 * errors).all() and errors.max() < 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"features": "mel"}, "two or more different features"),
        ({"features": "mel melody"}, "melody"),
        ({"features": "mel chroma", "model": "cnn4"}, "linear models"),
    ],
)
def test_a_wrong_request_is_refused(cached, tmp_path, given, message):
    with pytest.raises(RequestError, match=message):
        measure(cached, tmp_path, **given)
