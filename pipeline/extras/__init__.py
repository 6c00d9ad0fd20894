"""Capabilities that few users need: EXTRAS names each module, which is imported only on
request.

Deleting a file here removes its capability and nothing else.
"""

import functools

from featurestack.commandline.registry import load_extra

# capability -> its module here, and the extra of pyproject.toml that it needs
EXTRAS = {
    "dask": ("dask_cluster", "scale"),
    "embedding": ("embedding", "embeddings"),
}

load = functools.partial(load_extra, __name__, EXTRAS)
