"""Projections: neighbours stay together, equal data gives equal places."""

import numpy as np
import pytest
from sklearn.manifold import TSNE, trustworthiness

from featurestack.analysis.separability import (
    neighbour_accuracy,
    pca_projection,
    principal_components,
    standardised,
    tsne_projection,
)
from tests.analysis.test_separability import clips


def test_tsne_keeps_neighbours_as_scikit_learn_does():
    """In the median of some draws: rounding leads one of them to another minimum on
    some processors.
    """
    lost = []
    for seed in range(1, 6):
        components = principal_components(standardised(clips(seed, count=150)[0]))
        theirs = TSNE(random_state=0).fit_transform(components)
        kept = trustworthiness(components, tsne_projection(components))
        lost.append(trustworthiness(components, theirs) - kept)
        assert kept > trustworthiness(components, pca_projection(components))
    assert np.median(lost) < 0.01


@pytest.mark.parametrize("project", [pca_projection, tsne_projection])
def test_projections_keep_classes_together_and_are_repeatable(project):
    values, target = clips(10, count=60, classes=3)
    components = principal_components(standardised(values))
    places = project(components)
    assert (
        places.shape == (60, 2)
        and neighbour_accuracy(places, target, np.arange(60)) > 0.9
    )
    assert project(components) == pytest.approx(places)
