"""LOAD=: Python files of the user's own, whose features and models a command knows.

    make features LOAD=mine.py FEATURES="mel song"
    make train LOAD="mine.py theirs.py" MODEL=small

A file runs once. What it defines goes to worker processes by value, as what a script
defines does. A run keeps the names of the files that its process had loaded.
"""

import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from featurestack.commandline import DEFINING, LOADED
from featurestack.commandline.errors import Error, RequestError, quoted

MEANING = "Python files of your own, whose features and models the command then knows"


def load_given(words: Sequence[str]) -> list[str]:
    """Load the files of LOAD= and --load; returns the other words."""
    others = []
    rest = iter(words)
    for word in rest:
        if word == "--load":
            text = next(rest, "")
        elif word.startswith(("LOAD=", "--load=")):
            text = word.partition("=")[2]
        else:
            others.append(word)
            continue
        if not text.strip():
            raise RequestError("LOAD= is empty: give a Python file, or leave it out")
        for file in [text] if Path(text).is_file() else text.split():
            load(file)
    return others


def load(file: str) -> None:
    """Run a Python file as a module of its own; RequestError if it cannot be run."""
    if file in LOADED:
        return
    if not Path(file).is_file():
        raise RequestError(f"LOAD={file}: there is no such file")
    name = f"loaded_{len(LOADED)}_{Path(file).stem}"
    spec = importlib.util.spec_from_file_location(name, Path(file).resolve())
    if spec is None or spec.loader is None:
        raise RequestError(f"LOAD={file}: expected a Python file, .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    LOADED[file] = name
    sys.path.append(str(Path(file).resolve().parent))  # its own helpers
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del LOADED[file]
        if isinstance(error, Error):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise RequestError(
            f"LOAD={file}: {type(error).__name__}: {error}"
            f" ({Path(place.filename).name}, line {place.lineno})"
        ) from error
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


@contextmanager
def defined_in(files: Sequence[str], wanted: str) -> Iterator[None]:
    """A context whose RequestError asks for files of a run that are not loaded, which
    define what is wanted, such as "the model small".
    """
    try:
        yield
    except RequestError:
        absent = [file for file in files if file not in DEFINING]
        if not absent:
            raise
        load_words = quoted(f"LOAD={' '.join(absent)}")
        raise RequestError(f"this run needs {wanted}: {load_words}") from None
