"""Every name of the product in pages, notebooks, scripts and docstrings is there: a
function `fs.NAME`, a command, an option, a parameter of a feature or model. What was
removed is named with its places.
"""

import ast
import json
import re
from functools import cache

import pytest

import featurestack as fs
from featurestack.cli.words import every_options
from featurestack.pipeline.features import FEATURES
from featurestack.train.models import MODELS
from tests.docs.test_commands import (
    PAGES,
    READ_BY_MAKEFILE,
    WITHOUT_OPTIONS,
)
from tests.golden.commands import ROOT

CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`+([^`]+)`", re.M | re.S)
FUNCTION = re.compile(r"(?<![\w.])fs\.([A-Za-z_]\w*)")
# at the beginning of a line of code, or with an option
COMMAND = re.compile(
    r"^[ $]*(?:make|featurestack) ([a-z]+)(?![\w(./:-]| [a-z]+ )"
    r"|\b(?:make|featurestack) ([a-z]+) [A-Z_]+=",
    re.M,
)
OPTION = re.compile(r"(?<![\w.{$])([A-Z][A-Z_]+)=(?!=)")
VARIANT = re.compile(r"(?<![\w@])([a-z]\w*)@(\w+=[\w.-]+(?:,\w+=[\w.-]+)*)")
BARE = re.compile("[a-z]+ [A-Z_]+=")  # a command as a bench types it
# settings of shells, libraries and tools that pages and scripts name
ENVIRONMENT = (
    "CI HOME PATH TMPDIR VIRTUAL_ENV XDG_CACHE_HOME DEBIAN_FRONTEND LD_PRELOAD"
    " OMP_NUM_THREADS MPLBACKEND PYTHONHASHSEED PYTHONPATH CUDA_VISIBLE_DEVICES"
    " WANDB_MODE"
)
PRODUCT = ("featurestack", "pipeline", "features_cache", "train", "analysis")


def texts_of(path):
    """What a file says to its readers: the code of a page, a notebook's cells, a
    script, the docstrings and the texts of a module.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        for cell in json.loads(text)["cells"]:
            source = "".join(cell["source"])
            yield from [source] if cell["cell_type"] == "code" else code_in(source)
    elif path.suffix == ".md":
        yield from code_in(text)
    elif path.suffix == ".py":
        yield from (found[0] for found in FUNCTION.finditer(text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from code_in(node.value)
                yield from re.findall(
                    r"\b(?:make|featurestack) [a-z]+ [A-Z_]+=.*", node.value
                )
                if path.parent.name == "bench" and BARE.match(node.value):
                    yield f"make {node.value}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "make_command":
                word = node.args[0]
                if isinstance(word, ast.Constant):
                    yield f"make {word.value}"
    else:
        yield text


def code_in(text):
    return [fenced or inline for fenced, inline in CODE.findall(text)]


FILES = [
    *PAGES,
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "bench").glob("*.py")),
    *sorted((ROOT / "docs").glob("*.py")),
    ROOT / ".ci" / "run",
    *(
        file
        for package in PRODUCT
        for file in sorted((ROOT / package).rglob("*.py"))
        # links lead to the other packages
        if not any(parent.is_symlink() for parent in file.parents)
    ),
]


@cache
def known():
    options = {name.upper() for each in every_options().values() for name in each}
    for bench in (ROOT / "bench").glob("*.py"):  # each has options of its own
        fields = re.findall(r"^    (\w+): .* = option\(", bench.read_text(), re.M)
        options |= {name.upper() for name in fields}
    return {
        "function": {*vars(fs), *fs.__all__},
        "command": {*every_options(), *WITHOUT_OPTIONS, "help"},
        "option": {*options, *READ_BY_MAKEFILE, *ENVIRONMENT.split(), "LOAD"},
    }


def unknown_parameters(text):
    """The features and models with a parameter or option that they do not have."""
    for name, given in VARIANT.findall(text):
        keys = {pair.partition("=")[0] for pair in given.split(",")}
        if feature := FEATURES.find(name):
            yield from (f"{name}@{key}" for key in keys - {*feature.declared, "frame"})
        elif name in MODELS:
            yield from (f"{name}@{key}" for key in keys - {*MODELS[name].options})


def unknown(path):
    """The names in a file that are not there."""
    found = set()
    kinds = {"function": FUNCTION, "command": COMMAND, "option": OPTION}
    for text in texts_of(path):
        for kind, pattern in kinds.items():
            names = {match[match.lastindex] for match in pattern.finditer(text)}
            found |= {f"{kind} {name}" for name in names - known()[kind]}
        found |= {*unknown_parameters(text)}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_function_command_and_option_that_a_file_names_is_there(path):
    assert unknown(path) == set()


def test_a_name_that_is_gone_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Type `make curl DATASET=x TIDE=3`, `mel@n_mel=4`,\n```\nfs.nothing()\n```\n"
    )
    gone = {"command curl", "option TIDE", "function nothing", "mel@n_mel"}
    assert unknown(page) == gone
