"""Projections: neighbours stay together, equal data gives equal places."""

import numpy as np
import pytest

from featurestack.analysis.separability import (
    neighbour_accuracy,
    pca_projection,
    principal_components,
    standardised,
    tsne_projection,
)
from tests.analysis.test_separability import clips


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
