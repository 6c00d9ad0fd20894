"""What few users ask for: each module is found through EXTRAS and imported only when it is asked for.

Deleting a file here removes its capability and nothing else.
"""

import functools

from commandline.registry import load_extra

# capability -> its module here, and the extra of pyproject.toml that it needs
EXTRAS = {
    "dask": ("dask_cluster", "scale"),
    "embedding": ("embedding", "onnx"),
}

load = functools.partial(load_extra, __name__, EXTRAS)
