"""The caches and runs of the tests of training and analysis."""

from tests.analysis.conftest import hand_run, made, reported, workshop  # noqa: F401
from tests.conftest import (  # noqa: F401
    cache_folder,
    changed,
    finished,
    mixed,
    options,
    sounding,
    trained,
)
