"""What few users ask for: each module is found through EXTRAS and imported only when it is asked for.

Deleting a file here removes its capability and nothing else.
"""

import importlib
from typing import Any

from commandline.registry import RequestError

# capability -> its module here, and the file of the packages that it needs beside the project's own
EXTRAS = {
    "dask": ("dask_cluster", "requirements-scale.txt"),
    "embedding": ("embedding", "requirements-onnx.txt"),
}


def load(capability: str) -> Any:
    """The module of a capability; RequestError if its file has been removed, or a package that it needs."""
    module, requirements = EXTRAS[capability]
    try:
        return importlib.import_module(f"pipeline.extras.{module}")
    except ModuleNotFoundError as error:
        if error.name == f"pipeline.extras.{module}":
            raise RequestError(f"{capability} needs pipeline/extras/{module}.py, which is not here") from None
        raise RequestError(f"{capability} needs {error.name}: pip install -r {requirements}") from None
