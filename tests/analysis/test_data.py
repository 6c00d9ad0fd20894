"""Separation before training: planted, absent, undefined; and maps that keep neighbours together."""

from pathlib import Path

import numpy as np
import pytest

from analysis.data import (
    MEASURES,
    class_means,
    data_facts,
    pca_projection,
    summary_over_time,
    tsne_projection,
)
from features_cache import Cache, external
from features_cache.index import write_failures

RNG = np.random.default_rng


def clips(
    apart: float, count: int = 200, classes: int = 4, columns: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Clips of unit spread whose classes' means lie `apart` deviations from the centre, at random."""
    rng = RNG(1)
    target = np.arange(count) % classes
    centres = rng.normal(size=(classes, columns)) * apart
    return rng.normal(size=(count, columns)) + centres[target], target


@pytest.mark.parametrize("name", MEASURES)
def test_separate_classes_measure_higher_than_mixed_ones(name: str) -> None:
    together, near, far = (MEASURES[name](*clips(apart), RNG(0)) for apart in (0, 1, 10))
    assert together < near < far
    assert together < 0.06


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(
    ("values", "target"),
    [
        (np.ones((20, 3)), np.arange(20) % 2),  # a constant feature
        (np.arange(20.0)[:, None], np.zeros(20, dtype=int)),  # one class
        (np.arange(4.0)[:, None], np.arange(4)),  # one clip a class
        (np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat([0, 1], 10)),  # two values only
    ],
)
def test_measures_are_finite_on_what_cannot_be_measured(
    name: str, values: np.ndarray, target: np.ndarray
) -> None:
    assert np.isfinite(MEASURES[name](values, target, RNG(0)))


def test_fisher_ratio_by_hand() -> None:
    # Class means -1 and 1 around 0, variance within 1/4: ratio of the between to the within variance 4.
    values = np.array([[-1.5], [-0.5], [0.5], [1.5]])
    assert MEASURES["fisher_ratio"](values, np.array([0, 0, 1, 1]), RNG(0)) == pytest.approx(1 / 0.25)


def test_units_do_not_matter() -> None:
    values, target = clips(1)
    in_hertz = values * np.array([1e4, 1, 1e-3, 1, 1, 1]) + 300
    for name, function in MEASURES.items():
        assert function(in_hertz, target, RNG(0)) == pytest.approx(function(values, target, RNG(0))), name


def test_summary_is_mean_and_deviation_over_time() -> None:
    feature = np.array([[[1, 3], [2, 2]], [[0, 4], [5, 5]]], dtype=np.float16)
    assert summary_over_time(feature).tolist() == [[2, 2, 1, 0], [2, 5, 2, 0]]


@pytest.mark.parametrize("draw", [pca_projection, tsne_projection])
def test_maps_keep_classes_together_and_are_seeded(draw: object) -> None:
    values, target = clips(10, count=60, classes=3)
    places = draw(values, RNG(0))
    assert places.shape == (60, 2)
    distance = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (target[distance.argmin(axis=1)] == target).mean() > 0.9
    assert draw(values, RNG(0)) == pytest.approx(places)


@pytest.mark.parametrize("draw", [pca_projection, tsne_projection])
@pytest.mark.parametrize("values", [np.ones((10, 3)), np.arange(3.0)[:, None], np.ones((1, 2))])
def test_maps_of_next_to_nothing(draw: object, values: np.ndarray) -> None:
    places = draw(values, RNG(0))
    assert places.shape == (len(values), 2)
    assert np.isfinite(places).all()


def test_class_means_are_in_deviations_from_the_mean_of_all() -> None:
    values = np.array([[1.0, 5], [1, 5], [3, 5]])
    means = class_means(values, np.array([0, 0, 1]), 3)
    assert means[:, 0] == pytest.approx([-np.sqrt(0.5), np.sqrt(2), 0])
    assert means[:, 1].tolist() == [0, 0, 0]


def test_a_clip_that_lacks_one_feature_is_tested_and_named_apart(tmp_path: Path) -> None:
    ids = [f"c{place}" for place in range(6)]
    external.create_cache(tmp_path, {"clip_id": ids, "label": list("aaabbb"), "fold": [1, 2, 3] * 2})
    external.write_feature(tmp_path, "mel", RNG(0).normal(size=(6, 4, 5)), ids)
    cache = Cache(tmp_path)
    failures = [(0, "mel", "1 value is NaN"), (0, "gone", "no longer cached")]
    write_failures(tmp_path, cache.clips, np.arange(6), ["mel"], failures)
    facts = dict(data_facts(cache))
    assert "Clips that failed" not in facts
    assert facts["Features that failed"] == "mel of 1 clip; runs without it test these clips"
    write_failures(tmp_path, cache.clips, np.array([1]), ["mel"], [(1, "all", "empty")])
    facts = dict(data_facts(cache))
    assert facts["Clips that failed"] == "1, so 5 are tested"
    assert facts["Features that failed"].startswith("mel of 1 clip;")
