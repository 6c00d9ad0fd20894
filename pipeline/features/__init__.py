"""Every feature type: a registry, and one small decorated function a feature in the modules beside it.

Each module of this folder is loaded with the package, so that a new file with a decorated function is all
that a new feature needs.
"""

import importlib
import pkgutil

from pipeline.axes import Impossible
from pipeline.clip import Clip
from pipeline.features.registry import FEATURES, Feature, Variant, feature, resolve_feature

READING_ORDER = ["spectra", "pitch", "spectral_shape", "rhythm"]  # of lists and tables; further files follow

for _name in [*READING_ORDER, *(module.name for module in pkgutil.iter_modules(__path__))]:
    importlib.import_module(f"{__name__}.{_name}")

__all__ = ["FEATURES", "Clip", "Feature", "Impossible", "Variant", "feature", "resolve_feature"]
