"""The caches and runs of the tests of training and analysis."""

from tests.analysis.conftest import hand_run, made  # noqa: F401
from tests.conftest import (  # noqa: F401
    cache_folder,
    finished,
    mixed,
    options,
    short,
    sounding,
    trained,
)
