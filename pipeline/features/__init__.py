"""Features: one decorated function each, and the registry that holds them.

Every module of this folder is loaded with the package, so a new feature needs only a
new file with a decorated function.
"""

import importlib
import pkgutil

from featurestack.pipeline.axes import Impossible
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features.registry import (
    FEATURES,
    Feature,
    Variant,
    feature,
    resolve_feature,
)

# order of modules in lists and tables; other modules follow
READING_ORDER = ["spectra", "pitch", "spectral_shape", "rhythm"]

for _name in [
    *READING_ORDER,
    *(module.name for module in pkgutil.iter_modules(__path__)),
]:
    importlib.import_module(f"{__name__}.{_name}")

__all__ = [
    "FEATURES",
    "Clip",
    "Feature",
    "Impossible",
    "Variant",
    "feature",
    "resolve_feature",
]
