"""Separation before training: planted, absent, undefined; and maps that keep neighbours together."""

import numpy as np
import pandas as pd
import pytest
from sklearn.manifold import TSNE, trustworthiness

from analysis import data
from features_cache.index import write_failures
from tests.analysis.extras.test_gallery import cache_of

RNG = np.random.default_rng


def clips(apart, count=200, classes=4):
    """Clips (count, 6) of unit spread whose classes lie `apart` deviations from the centre, at random."""
    target = np.arange(count) % classes
    centres = RNG(1).normal(size=(classes, 6)) * apart
    return RNG(2).normal(size=(count, 6)) + centres[target], target


def measures(values, target):
    columns = data.standardised(values)
    components = data.principal_components(columns)
    chance = 1 / len(np.unique(target))
    neighbours = data.neighbour_accuracy(components, target, np.arange(len(target)))
    return np.array(
        [
            data.fisher_ratio(columns, target),
            data.mutual_information(components, target, 0),
            (neighbours - chance) / max(1 - chance, 0.1),
        ]
    )


def test_separate_classes_measure_higher_than_mixed_ones_in_any_unit():
    mixed, near, far = (measures(*clips(apart)) for apart in (0, 1, 10))
    assert (mixed < near).all() and (near < far).all() and (mixed < 0.06).all()
    values, target = clips(1)
    assert measures(values * [1e4, 1, 1e-3, 1, 1, 1] + 300, target) == pytest.approx(near)


@pytest.mark.parametrize(
    ("values", "target"),
    [
        (np.ones((20, 3)), np.arange(20) % 2),  # a constant feature
        (np.arange(20.0)[:, None], np.zeros(20, dtype=int)),  # one class
        (np.arange(4.0)[:, None], np.arange(4)),  # one clip a class
        (np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat([0, 1], 10)),  # two values only
    ],
)
def test_measures_are_finite_on_what_cannot_be_measured(values, target):
    assert np.isfinite(measures(values, target)).all()


def test_measures_by_hand_and_by_scikit_learn():
    # Class means -1 and 1 around 0, variance within 1/4: ratio of the between to the within variance 4.
    values = np.array([[-1.5], [-0.5], [0.5], [1.5]])
    target = np.array([0, 0, 1, 1])
    assert data.fisher_ratio(data.standardised(values), target) == pytest.approx(1 / 0.25)
    from sklearn.feature_selection import mutual_info_classif

    values, target = clips(1)
    nats = mutual_info_classif(values, target, n_neighbors=data.NEIGHBOURS, random_state=0)
    assert data.mutual_information(values, target, 0) == pytest.approx(nats.mean() / np.log(4))


def test_a_neighbour_is_of_another_recording():
    values = np.array([[0.0], [0.1], [0.3], [5]])
    target = np.array([0, 0, 1, 1])
    recording = np.arange(4)
    assert data.neighbour_accuracy(values, target, recording) == 0.75
    # The first two were cut from one recording: the nearest of another is the third, of the other class.
    assert data.neighbour_accuracy(values, target, np.array(["a", "a", "b", "c"])) == 0.25
    assert data.neighbour_accuracy(values, target, np.zeros(4, str)) == 0


def test_tsne_keeps_neighbours_as_scikit_learn_does():
    components = data.principal_components(data.standardised(clips(1, count=150)[0]))
    own = data.tsne_projection(components)
    theirs = TSNE(random_state=0).fit_transform(components)
    kept, reference = (trustworthiness(components, places) for places in (own, theirs))
    assert kept > reference - 0.01 and kept > trustworthiness(components, data.pca_projection(components))


def test_summary_is_mean_and_deviation_over_time():
    feature = np.array([[[1, 3], [2, 2]], [[0, 4], [5, 5]]], dtype=np.float16)
    assert data.summary_over_time(feature).tolist() == [[2, 2, 1, 0], [2, 5, 2, 0]]


@pytest.mark.parametrize("project", [data.pca_projection, data.tsne_projection])
def test_maps_keep_classes_together_and_are_seeded(project):
    values, target = clips(10, count=60, classes=3)
    places = project(data.principal_components(data.standardised(values)))
    distance = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert places.shape == (60, 2) and (target[distance.argmin(axis=1)] == target).mean() > 0.9
    assert project(data.principal_components(data.standardised(values))) == pytest.approx(places)
    for few in (np.ones((10, 3)), np.arange(3.0)[:, None], np.ones((1, 2))):
        places = project(data.principal_components(data.standardised(few)))
        assert places.shape == (len(few), 2) and np.isfinite(places).all()


def test_class_means_are_in_deviations_from_the_mean_of_all():
    values = pd.DataFrame([[1.0, 5], [1, 5], [3, 5]])
    means = data.class_means(values, pd.Series(["a", "a", "b"])).to_numpy()
    assert means[:, 0] == pytest.approx([-np.sqrt(0.5), np.sqrt(2)]) and not means[:, 1].any()


def test_a_clip_that_lacks_one_feature_is_tested_and_named_apart(tmp_path):
    cache = cache_of(tmp_path, mel=RNG(0).normal(size=(6, 4, 5)))
    write_failures(tmp_path, cache.clips, np.arange(6), ["mel"], [(0, "mel", "NaN"), (0, "gone", "no cache")])
    facts = data.data_facts(cache)
    assert not facts["Clips that failed"] and facts["Features that failed"].startswith("mel of 1 clip;")
    write_failures(tmp_path, cache.clips, np.array([1]), ["mel"], [(1, "all", "empty")])
    facts = data.data_facts(cache)
    assert facts["Clips that failed"] == "1, so 5 are tested" and "mel of 1" in facts["Features that failed"]
