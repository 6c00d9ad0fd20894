"""Answers and targets in, numbers out: tasks, metrics, intervals. No torch.

The package can be called: `fs.compare(…)` is the function, `featurestack.compare` the
package that holds its parts, and Python has one attribute for both.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *models: Any, **given: Any) -> Any:
        from featurestack.extras.predictions import compare

        return compare(*models, **given)


sys.modules[__name__].__class__ = _Callable
