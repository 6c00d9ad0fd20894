"""What few users ask for: each module is found through EXTRAS and imported only when it is asked for.

Deleting a file here removes its capability and nothing else.
"""

import importlib
from types import ModuleType

from commandline.registry import RequestError

# capability -> its module here, and the file of the packages that it needs beside the project's own
EXTRAS = {
    "export": ("onnx_export", "requirements-onnx.txt"),
    "listen": ("listen", ""),
    "torchrun": ("torchrun", ""),
}


def load(capability: str) -> ModuleType:
    """The module of a capability; RequestError if its file has been removed, or a package that it needs."""
    module, requirements = EXTRAS[capability]
    try:
        return importlib.import_module(f"train.extras.{module}")
    except ModuleNotFoundError as error:
        if error.name == f"train.extras.{module}":
            raise RequestError(f"{capability} needs train/extras/{module}.py, which is not here") from None
        if not requirements:
            raise
        raise RequestError(f"{capability} needs {error.name}: pip install -r {requirements}") from None
