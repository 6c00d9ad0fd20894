"""The figures of importance draw like the others."""

import numpy as np
import pandas as pd
import pytest

from featurestack.feature_importance import section  # noqa: F401  # enters its figures
from tests.analysis.test_figures import INTERVALS, NAMES, assert_drawn

CLASSES = {
    "class": np.repeat(NAMES, 3),
    "feature": NAMES * 3,
    "mean": [0.25, -0.25, 10.25] * 3,
    "significant": True,
}
EXAMPLES = {
    "importance": INTERVALS,
    "importance_by_class": {"classes": pd.DataFrame(CLASSES)},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_figure_draws_into_its_axes_at_a_papers_width_with_no_small_text(name):
    assert_drawn(name, EXAMPLES[name])
