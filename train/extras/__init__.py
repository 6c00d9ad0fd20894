"""Capabilities for few users: each module is found through EXTRAS and imported when it is asked for.

Deleting a file here removes its capability and nothing else.
"""

import functools

from commandline.registry import load_extra

# capability -> its module here, and the extra of pyproject.toml that it needs
EXTRAS = {
    "export": ("onnx_export", "onnx"),
    "listen": ("listen", ""),
    "torchrun": ("torchrun", ""),
    "trackers": ("trackers", ""),
}

load = functools.partial(load_extra, __name__, EXTRAS)
