"""The registry of features, and in the modules beside it one small decorated function for each.

Every module of this folder is loaded with the package: a new feature needs only a new file with a decorated
function.
"""

import importlib
import pkgutil

from pipeline.axes import Impossible
from pipeline.clip_spectra import Clip
from pipeline.features.registry import FEATURES, Feature, Variant, feature, resolve_feature

READING_ORDER = ["spectra", "pitch", "spectral_shape", "rhythm"]  # in lists and tables; further files follow

for _name in [*READING_ORDER, *(module.name for module in pkgutil.iter_modules(__path__))]:
    importlib.import_module(f"{__name__}.{_name}")

__all__ = ["FEATURES", "Clip", "Feature", "Impossible", "Variant", "feature", "resolve_feature"]
