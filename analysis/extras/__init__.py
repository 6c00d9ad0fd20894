"""What few users ask for: each module is found through EXTRAS and imported only when it is asked for.

Deleting a file here removes its capability and nothing else.
"""

import functools

from commandline.registry import load_extra

EXTRAS = {name: (name, "") for name in ("latex", "methods")}  # capability -> its module here

load = functools.partial(load_extra, __name__, EXTRAS)
