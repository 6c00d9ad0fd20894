"""Registries: things by name, each entered by decorating a function or class.

    MODELS: Registry[Model] = Registry("model")

    @MODELS.register()
    def texturenet(shape): ...

    MODELS["texturenet"]  # the function
    MODELS["texturnet"]   # RequestError: unknown model; did you mean 'texturenet'?

LOAD=mine.py adds features and models of the user's own. A file runs once. What it
defines goes to worker processes by value, as what a script defines does.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import Any, TypeVar

from featurestack.base import DEFINING, LOADED, NAME
from featurestack.base.errors import Error, RequestError, nearest, reason_of
from featurestack.base.shell import quoted

Entry = TypeVar("Entry")
Registered = TypeVar("Registered", bound=Callable[..., object])
CODE_DIGITS = 12


class Registry(dict[str, Entry]):
    """A dictionary that refuses unknown names and a second entry of a name."""

    def __init__(
        self,
        subject: str,
        entries: Mapping[str, Entry] = MappingProxyType({}),
        others: Sequence[str] = (),
        special: Mapping[str, str] = MappingProxyType({}),
        extensible: bool = False,
    ) -> None:
        """`subject` is the word for an entry in messages, such as "model".

        others      modules that enter what few commands use; they are imported when a
                    name is missing
        special     entries that only their name chooses, and the module of each
        extensible  whether files of LOAD= may add entries
        """
        super().__init__(entries)
        self.subject = subject
        self.others = [*others]
        self.special = dict(special)
        self.extensible = extensible
        # name -> module of the user's own that registered it
        self.owners: dict[str, str] = {}

    def __setitem__(self, name: str, entry: Entry) -> None:
        if name in self:
            raise ValueError(
                f"{self.subject} {name!r} is registered twice: {self[name]} and {entry}"
            )
        super().__setitem__(name, entry)

    def knows(self, name: str) -> bool:
        """Whether there is an entry of this name, loaded or not."""
        return name in self.special or self.find(name) is not None

    def find(self, name: str) -> Entry | None:
        """The entry of this name, from another module if need be; None without one."""
        if name in self.special and name not in self:
            importlib.import_module(self.special[name])
        while name not in self and self.others:
            importlib.import_module(self.others.pop(0))
        return self.get(name)

    def complete(self) -> dict[str, Entry]:
        """The entries of all `others` too, without the special ones."""
        while self.others:
            importlib.import_module(self.others.pop(0))
        return {name: entry for name, entry in self.items() if name not in self.special}

    def __missing__(self, name: str) -> Entry:
        entry = self.find(name)
        if entry is not None:
            return entry
        message = nearest(self.subject, name, [*self, *self.special])
        if self.extensible:
            message += "; LOAD=FILE.py adds your own"
        raise RequestError(message)

    def register(
        self, name: str = "", entry: Callable[[Any], Any] = lambda function: function
    ) -> Callable[[Registered], Registered]:
        """Decorator: enter `entry(function)` under the function's name or `name`."""

        def decorate(function: Registered) -> Registered:
            key, home = name or function.__name__, function.__module__
            made = entry(function)
            if not home.startswith("featurestack."):
                if key == "<lambda>":
                    raise RequestError(f"a {self.subject} needs a name: write def")
                if self.owners.get(key) == home:  # a notebook's cell runs again
                    self.pop(key, None)  # absent if its last run failed
                if self.knows(key):
                    raise RequestError(
                        f"there is a {self.subject} {key!r} already: give yours another"
                        " name"
                    )
                self.owners[key] = home
            self[key] = made
            files = [file for file, module in LOADED.items() if module == home]
            if not files and not home.startswith("featurestack."):
                file = getattr(sys.modules.get(home), "__file__", None)
                files = [Path(file).name] if file else []  # a notebook has none
            DEFINING.update(dict.fromkeys(files))
            return function

        return decorate


def object_at(place: str) -> Any:
    """The object at `module:name`, or the module."""
    module, _, name = place.partition(":")
    home = importlib.import_module(module)
    return getattr(home, name) if name else home


def code_digest(defined: Callable[..., object]) -> str:
    """A short hash of the file that defines a user's function or class, of the file
    that enters it, and of all that these import from their folders; of the cell in a
    notebook; of its byte code where there is no source, as in Python's own shell. Empty
    for the product's own, whose versions change with their values.
    """
    if defined.__module__.startswith("featurestack."):
        return ""
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__", "").startswith("featurestack."):
        frame = frame.f_back
    files = imported_from(Path(frame.f_code.co_filename)) if frame else set()
    try:
        files |= imported_from(Path(inspect.getsourcefile(defined) or ""))
        text = "".join(inspect.findsource(defined)[0])
    except (OSError, TypeError):
        members = vars(defined).values() if isinstance(defined, type) else [defined]
        codes = [each.__code__ for each in members if inspect.isfunction(each)]
        text = "\n".join(map(_byte_code, codes))
    content = [path.read_bytes() for path in sorted(files)] or [text.encode()]
    return hashlib.sha256(b"\0".join(content)).hexdigest()[:CODE_DIGITS]


def imported_from(file: Path) -> set[Path]:
    """A Python file and what it imports, directly or through others, from its folder or
    the folder of its package; none if there is no such file.
    """
    folder = inside = file.absolute().parent
    while (folder / "__init__.py").is_file():
        inside, folder = folder, folder.parent
    files = set[Path]()
    names = [file.absolute()]
    while names:
        file = names.pop()
        of_product = file.is_relative_to(folder / NAME)
        if (
            file in files
            or of_product
            or not (file.is_relative_to(inside) and file.is_file())
        ):
            continue
        files.add(file)
        nodes = list[ast.AST]()
        with suppress(SyntaxError):  # of another Python; it is not run then
            nodes += ast.walk(ast.parse(file.read_bytes()))
        for node in nodes:
            modules = list[Path]()
            if isinstance(node, ast.Import):
                modules = [folder / name.name.replace(".", "/") for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = file.parents[node.level - 1] if node.level else folder
                module = base / (node.module or "").replace(".", "/")
                modules = [module, *(module / name.name for name in node.names)]
            for place in {p for module in modules for p in (module, *module.parents)}:
                if place.is_relative_to(folder):
                    names += [
                        place.with_name(f"{place.name}.py"),
                        place / "__init__.py",
                    ]
    return files


def _byte_code(code: CodeType) -> str:
    """The instructions of a function and of the functions inside it, without line
    numbers.
    """
    parts = [code.co_code.hex(), *code.co_names]
    for constant in code.co_consts:
        inner = isinstance(constant, CodeType)
        parts.append(_byte_code(constant) if inner else repr(constant))
    return " ".join(parts)


def refuse_positional(function: Callable[..., object]) -> None:
    """RequestError for an option, which has a default, that does not follow `*`."""
    for parameter in inspect.signature(function).parameters.values():
        if (
            parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            and parameter.default is not parameter.empty
        ):
            name = function.__name__
            raise RequestError(
                f"{name}: an option follows *: def {name}(…, *, {parameter})"
            )


def first_sentence(described: object) -> str:
    """The first paragraph of a docstring in one line, empty without a docstring."""
    paragraph = (inspect.getdoc(described) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


MEANING = "your Python files, whose features and models the command can then use"


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
            load_file(file)
    return others


def load_file(file: str) -> None:
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
    except BaseException as error:  # a user's file raises anything, also SystemExit
        del LOADED[file]
        if isinstance(error, Error | KeyboardInterrupt):
            raise
        raise RequestError(f"LOAD={file}: {reason_of(error)}") from error
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


@contextmanager
def defined_in(files: Sequence[str], wanted: str) -> Iterator[None]:
    """A context whose RequestError asks for the files that define what is wanted."""
    try:
        yield
    except RequestError:
        absent = [file for file in files if file not in DEFINING]
        if not absent:
            raise
        way = quoted(f"LOAD={' '.join(absent)}")
        raise RequestError(f"this run needs {wanted}: {way}") from None
