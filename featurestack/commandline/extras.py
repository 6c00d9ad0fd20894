"""Libraries of the distribution's extras, and the command that installs them."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from featurestack.commandline import CLONE, HOME, NAME
from featurestack.commandline.errors import RequestError


@contextmanager
def needed(extra: str, subject: str) -> Iterator[None]:
    """A context in which a library of this extra that is not installed becomes a
    RequestError with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(NAME):
            raise
        install = install_command(extra)
        raise RequestError(f"{subject} needs {error.name}: {install}") from None


def install_command(extra: str) -> str:
    """The command that installs an extra into this environment."""
    place = HOME if CLONE else NAME
    return f"{pip_install()} {shlex.quote(f'{place}[{extra}]')}"


def pip_install() -> str:
    """The words that install for this Python: another `pip` may be first in PATH."""
    return shlex.join([sys.executable, "-m", "pip", "install"])
