"""Pages of the reference that are made from the code when the site is built.

    write_all(folder)      options.md, commands.md, models.md, ..., and the figures of the features
    with_figures(text)     reference/features.md with a figure, players and librosa's page for each card

Every page is a function that returns Markdown, entered in PAGES by its file's name. Nothing here is stored.
"""

import ast
import dataclasses
import inspect
import re
import shutil
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import soundfile

import lab
from analysis.figures import FIGURES
from commandline.commands import commands, options_of
from commandline.options import fields, kind_of
from commandline.registry import Registry
from pipeline import reference, synth
from pipeline.features import FEATURES
from train import recipes
from train.augment import AUGMENTS
from train.models.registry import all_models

ROOT = Path(__file__).resolve().parent.parent
LIBROSA = "https://librosa.org/doc/0.11.0/generated/{}.html"
SHOWN_CLASSES = ("chimes_in_c", "galloping_beat", "hiss")  # a clip with pitch, with rhythm, of noise
PAGES: Registry[Callable[[], str]] = Registry("generated page")


def version() -> str:
    """The version in CITATION.cff, the one place where it stands."""
    (found,) = re.findall(
        r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found


def write_all(folder: Path) -> None:
    """Write every page of PAGES, and the figures and players of features.md, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text(page(), encoding="utf-8")
    draw_features(folder)


def copy_notebooks(folder: Path) -> None:
    """Put the notebooks, which are pages of the course, beside its first page."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder / notebook.name)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars inside a cell are escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# Options and commands


def default_of(field: "dataclasses.Field[typing.Any]") -> str:
    """A field's default as it would be typed."""
    value = field.default
    if value is dataclasses.MISSING:
        return "must be given"
    if isinstance(value, tuple):
        value = " ".join(str(one) for one in value if one is not None)
    if value in (None, "", ()):
        return ""
    return f"`{int(value) if isinstance(value, bool) else value}`"


def values_of(field: "dataclasses.Field[typing.Any]") -> str:
    """What may be given: the words, or the kind of number and its bounds."""
    kind, several, _ = kind_of(field)
    many = "several " if several else ""
    if typing.get_origin(kind) is typing.Literal:
        return many + ", ".join(f"`{word}`" if word else "nothing" for word in typing.get_args(kind))
    bounds = str(field.metadata["bounds"])
    shown = {bool: "1 or 0", int: "integer", float: "number", Path: "path"}.get(kind, "text")
    return f"{many}{shown}{', ' if bounds else ''}{bounds}"


def all_options() -> dict[str, dict[tuple[str, str, str], list[str]]]:
    """Variable -> (default, values, meaning) -> the commands that take it so."""
    found: dict[str, dict[tuple[str, str, str], list[str]]] = {}
    for words, function in commands():
        options = options_of(function)
        for name, field in fields(options).items():
            said = (default_of(field), values_of(field), field.metadata["meaning"])
            found.setdefault(name.upper(), {}).setdefault(said, []).append(words)
    return found


@PAGES.register("options")
def options_page() -> str:
    """Every option, in the order of the alphabet."""
    parts = []
    for variable, meanings in sorted(all_options().items()):
        parts.append(f"## {variable}\n")
        for (default, values, meaning), users in meanings.items():
            parts.append(sentence(meaning) + "\n")
            facts = [f"Default: {default or 'not set'}", f"values: {values}"]
            parts.append(f"{'; '.join(facts)}. Commands: {', '.join(map(command_link, users))}.\n")
    return "# Options\n\n" + OPTIONS_INTRODUCTION + "\n" + "\n".join(parts)


OPTIONS_INTRODUCTION = """Every option of every command, made from the code. An option is a variable for make
(`make train EPOCHS=10`), the same word without make (`python -m train run EPOCHS=10`), or a flag
(`python -m train run --epochs 10`): the three spellings mean the same. In `sweep` nearly every option of a
run takes a list (`LR="0.001 0.002"`), and every combination is trained.
"""


def sentence(text: str) -> str:
    """A meaning as it stands in the code, begun with a capital and ended with a full stop."""
    return (
        text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
        if text
        else "No description."
    )


def command_link(words: str) -> str:
    return f"[`{words}`](commands.md#{words.replace(' ', '-')})"


@PAGES.register("commands")
def commands_page() -> str:
    """Every command with its options and their defaults."""
    parts = [COMMANDS_INTRODUCTION]
    for words, function in commands():
        options = options_of(function)
        parts.append(f"## {words}\n\n{(inspect.getdoc(function) or '').splitlines()[0]}\n")
        parts.append(f"```\npython -m {words} --help\n```\n")
        rows = [
            (
                f"[`{field.name.upper()}`](options.md#{field.name.lower()})",
                default_of(field),
                field.metadata["meaning"],
            )
            for field in fields(options).values()
        ]
        parts.append(
            table(("option", "default", "meaning"), rows) + "\n" if rows else "It takes no options.\n"
        )
    return "\n".join(parts)


COMMANDS_INTRODUCTION = """# Commands

Every command, made from the code. `make <target>` calls one of them: `make help` says which. Exit status 0
means done, 1 that the work ran and something in it failed (the summary names it), 2 that the request was
wrong.
"""


# Registries


@PAGES.register("models")
def models_page() -> str:
    rows = [
        (f"`{model.name}`", KINDS[model.kind], model.summary, options_of_builder(model.options))
        for model in sorted(all_models().values(), key=lambda model: (model.kind, model.name))
    ]
    text = "# Models by name\n\nMade from the registry of models; [models](../models.md) explains them.\n\n"
    return text + table(("name", "takes", "what it is", "options"), rows) + "\n"


KINDS = {
    "image": "any feature set",
    "wave": "`waveform`",
    "linear": "any features",
    "vector": "vectors, and row statistics of any features",
}


def options_of_builder(options: dict[str, typing.Any]) -> str:
    return ", ".join(f"`@{key}={value}`" for key, value in options.items())


AUGMENTED = {"image": "feature maps", "wave": "waveforms", "vector": "vectors"}


@PAGES.register("augmentations")
def augmentations_page() -> str:
    rows = [
        (
            f"`{entry.name}`",
            first_sentence(entry.transform),
            f"{entry.default:g}",
            f"{entry.maximum:g}",
            " and ".join(AUGMENTED[kind] for kind in entry.kinds),
        )
        for entry in AUGMENTS.values()
    ]
    head = ("name", "what it does", "default strength", "largest", "for")
    return AUGMENTATIONS_INTRODUCTION + table(head, rows) + "\n"


AUGMENTATIONS_INTRODUCTION = """# Augmentations by name

Made from the registry of augmentations; [models](../models.md#augmentations) explains them.

"""


def first_sentence(function: Callable[..., typing.Any]) -> str:
    paragraph = (inspect.getdoc(function) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


@PAGES.register("recipes")
def recipes_page() -> str:
    parts = [RECIPES_INTRODUCTION]
    for name in recipes.names():
        parts.append(
            f"## {name}\n\n{recipes.description(name)}\n\n```\n"
            + "\n".join(recipes.recipe_words(name))
            + "\n```\n"
        )
    return "\n".join(parts)


RECIPES_INTRODUCTION = """# Recipes

A recipe is a named list of options, one file in `train/recipes/`. `make train RECIPE=stopping` puts its
values in place of the defaults; what you give besides wins.
"""


@PAGES.register("figures")
def figures_page() -> str:
    parts = [FIGURES_INTRODUCTION]
    for entry in FIGURES.values():
        call = f"lab.draw({entry.name!r}, {arguments(entry.draw)})"
        parts.append(f"## {entry.name}\n\n{entry.caption}.\n\n```python\n{call}\n```\n")
        parts.append(documentation(entry.draw) + "\n")
    return "\n".join(parts)


FIGURES_INTRODUCTION = """# Figures

Every figure of a report, made from the registry. `lab.draw(name, ...)` draws one from Python.
"""


def arguments(function: Callable[..., typing.Any]) -> str:
    """The keyword-only arguments of a function, those with a default with it."""
    found = inspect.signature(function).parameters.values()
    return ", ".join(
        f"{one.name}=..." if one.default is one.empty else f"{one.name}={one.default!r}"
        for one in found
        if one.kind is one.KEYWORD_ONLY
    )


# The Python interface


@PAGES.register("interface")
def interface_page() -> str:
    from features_cache import Cache, external

    parts = [INTERFACE_INTRODUCTION]
    parts += [described_function(function, "lab.") for function in public_functions(lab)]
    parts.append(
        "## features_cache\n\nThe reader of a feature cache. `lab.cache(...)` and `Cache(folder)` give one.\n"
    )
    parts.append(f"### Cache\n\n{documentation(Cache)}\n")
    parts += [described_function(member, "Cache.") for member in public_methods(Cache)]
    parts.append("## features_cache.external\n\nFeatures that were computed elsewhere.\n")
    parts += [described_function(function, "external.") for function in public_functions(external)]
    return "\n".join(parts)


INTERFACE_INTRODUCTION = """# The Python interface

Made from the docstrings; [Python](../python.md) shows it in use.

## lab
"""


def public_functions(module: typing.Any) -> Iterator[Callable[..., typing.Any]]:
    for name, function in vars(module).items():
        if (
            inspect.isfunction(function)
            and function.__module__ == module.__name__
            and not name.startswith("_")
        ):
            yield function


def public_methods(owner: type) -> Iterator[Callable[..., typing.Any]]:
    for name, member in vars(owner).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            yield member


def described_function(function: Callable[..., typing.Any], prefix: str) -> str:
    call = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(inspect.signature(function)))
    name = prefix + function.__name__
    return f"### {name}\n\n```python\n{name}{call}\n```\n\n{documentation(function)}\n"


def documentation(thing: typing.Any) -> str:
    """A docstring as Markdown: what is indented in it is code, stars and underscores are themselves."""
    lines, code, shown = (inspect.getdoc(thing) or "").splitlines(), False, []
    for line in lines:
        indented = line.startswith("    ") or (code and not line)
        if indented != code:
            shown.append("```python" if indented else "```\n")
            code = indented
        shown.append(line[4:] if code else line)
    return "\n".join([*shown, "```"] if code else shown)


# Messages


@PAGES.register("messages")
def messages_page() -> str:
    """Every message of a refused request, from the calls of RequestError in the code."""
    parts = [MESSAGES_INTRODUCTION]
    for package, subject in SUBJECTS.items():
        parts.append(f"## {subject}\n")
        found = sorted({text for path in (ROOT / package).rglob("*.py") for text in messages_in(path)})
        parts += [f"* {text[:1].upper()}{text[1:]}" if text[0].isalpha() else f"* {text}" for text in found]
        parts.append("")
    return "\n".join(parts)


SUBJECTS = {
    "commandline": "Options of every command",
    "pipeline": "Datasets and extraction",
    "features_cache": "The cache and names of features",
    "train": "Training and predicting",
    "analysis": "Reports",
}
MESSAGES_INTRODUCTION = """# Messages

Every message with which a command refuses a request (exit status 2), made from the code. The dots stand for
what was given or found. [Troubleshooting](../../howto/troubleshooting.md) explains the common ones.
"""


def messages_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "RequestError" and node.args:
            text = re.sub(r"…( ?…)+", "…", message_text(node.args[0])).strip()
            if re.search(r"[a-z]{3} \S", text):
                yield "".join("\\" + sign if sign in "*_<>[]|`" else sign for sign in " ".join(text.split()))


def message_text(node: ast.expr) -> str:
    """A message with dots in place of its values."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(message_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return message_text(node.left) + message_text(node.right)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "nearest":
        return f"unknown {message_text(node.args[0])} …; did you mean …? Known: …"
    return "…"


# Figures of the features


def example_clips(folder: Path) -> dict[str, lab.Clip]:
    """The first synthetic clip of each of SHOWN_CLASSES; its audio goes into `folder` for the players."""
    rows, clips = synth.clip_rows(), {}
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHOWN_CLASSES:
        row = next(row for row in rows.itertuples() if row.category == name)
        path = folder / f"{name}.flac"
        soundfile.write(path, synth.clip(row), synth.SAMPLE_RATE)
        clips[name] = lab.read(path)
    return clips


def draw_features(folder: Path) -> None:
    """One PNG a feature: its feature map of each example clip."""
    clips = example_clips(folder / "players" / "clips")
    for name in FEATURES:
        maps = [dataclasses.replace(lab.feature(clip, name), name=shown) for shown, clip in clips.items()]
        lab.draw("gallery", features=maps, title=name).savefig(folder / f"{name}.png")


def with_figures(text: str) -> str:
    """reference/features.md with figure, players and librosa's page below the heading of each card."""
    for name in FEATURES:
        text = text.replace(f"\n## {name}\n", f"\n## {name}\n\n{figure_and_players(name)}", 1)
    return text


def figure_and_players(name: str) -> str:
    players = " ".join(
        f'<span>{shown} <audio controls preload="none" src="../_static/clips/{shown}.flac"></audio></span>'
        for shown in SHOWN_CLASSES
    )
    pages = (
        ", ".join(f"[{call}]({LIBROSA.format(call)})" for call in librosa_calls(name))
        or f"none{', the samples themselves' * (name == 'waveform')}"
    )
    return (
        f"![Feature maps of {name} for three synthetic clips](generated/{name}.png)\n\n"
        f'```{{raw}} html\n<p class="players">{players}</p>\n```\n\n- **librosa:** {pages}\n'
    )


def librosa_calls(name: str) -> list[str]:
    """The public functions of librosa that define a feature, from the source of its definition, if any."""
    found: list[str] = []
    todo, seen = [reference.DEFINITIONS[name]] if name in reference.DEFINITIONS else [], set()
    while todo:
        function = todo.pop(0)
        seen.add(function)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for call in (node.func for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = ast.unparse(call)
            own = getattr(reference, called, None)
            if called == "melspectrogram":
                found.append("librosa.feature.melspectrogram")
            elif called.startswith("librosa."):
                found.append(called)
            elif inspect.isfunction(own) and own.__module__ == reference.__name__ and own not in seen:
                todo.append(own)
    return list(dict.fromkeys(found))
