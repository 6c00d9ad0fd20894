"""What few users ask for: each module is found through EXTRAS and imported only when it is asked for.

Deleting a file here removes its capability and nothing else.
"""

import importlib
from types import ModuleType

EXTRAS = {"gallery": "gallery", "latex": "latex", "methods": "methods"}  # capability -> its module here


def load(capability: str) -> ModuleType | None:
    """The module of a capability; None if its file was removed."""
    name = EXTRAS[capability]
    try:
        return importlib.import_module(f"analysis.extras.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"analysis.extras.{name}":
            return None
        raise
