"""Projections: neighbours stay together, equal data gives equal places."""

import numpy as np
import pytest
from sklearn.manifold import TSNE, trustworthiness

from analysis.projections import pca_projection, tsne_projection
from analysis.separability import principal_components, standardised
from tests.analysis.test_separability import clips


def test_tsne_keeps_neighbours_as_scikit_learn_does():
    components = principal_components(standardised(clips(1, count=150)[0]))
    own = tsne_projection(components)
    theirs = TSNE(random_state=0).fit_transform(components)
    kept, reference = (trustworthiness(components, places) for places in (own, theirs))
    assert kept > reference - 0.01 and kept > trustworthiness(components, pca_projection(components))


@pytest.mark.parametrize("project", [pca_projection, tsne_projection])
def test_projections_keep_classes_together_and_are_repeatable(project):
    values, target = clips(10, count=60, classes=3)
    places = project(principal_components(standardised(values)))
    distance = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert places.shape == (60, 2) and (target[distance.argmin(axis=1)] == target).mean() > 0.9
    assert project(principal_components(standardised(values))) == pytest.approx(places)
    for few in (np.ones((10, 3)), np.arange(3.0)[:, None], np.ones((1, 2))):
        places = project(principal_components(standardised(few)))
        assert places.shape == (len(few), 2) and np.isfinite(places).all()
