"""Modules for what few users need: each is found through EXTRAS and imported only when
it is used.

Deleting a file here removes its capability and nothing else.
"""

import functools

from featurestack.commandline.registry import load_extra

# capability -> (module here, no dependency)
EXTRAS = {name: (name, "") for name in ("latex", "methods")}

load = functools.partial(load_extra, __name__, EXTRAS)
