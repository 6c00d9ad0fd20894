"""The table of extras: each of its names is there, and the core works without any of
them, and without all.
"""

import json
import os
import re
import shlex
import shutil
import tomllib

import pytest

import featurestack
from featurestack.analysis.sections import SECTIONS
from featurestack.base import extras
from featurestack.base.extras import EXTRAS, EXTRAS_FOLDER
from featurestack.base.options import declared_fields
from featurestack.base.registry import object_at
from featurestack.cli.words import COMMANDS, options_of
from tests.docs.test_commands import PAGES
from tests.golden.commands import ROOT
from tests.processes import python

# folders that a copy of the product has; featurestack/ has links to some
PRODUCT = ("featurestack", "pipeline", "features_cache", "train", "analysis")
OF_PRODUCT = {word: COMMANDS[word] for word in COMMANDS if word != "bench"}
PLACES = {  # what names a place -> module:name
    **featurestack.PLACES,
    **{f"{word} runs": command.run for word, command in OF_PRODUCT.items()},
    **{f"{word} takes": command.options for word, command in OF_PRODUCT.items()},
    **{f"{name}=": place for name, place in extras.OPTIONS.items()},
    **extras.MODEL_PLACES,
    **{f"section {name}": place for name, (place, *_) in SECTIONS.items()},
}
# what the code names where a distribution has another name
MODULE_OF = {"scikit.learn": "sklearn"}


@pytest.mark.parametrize("name", PLACES)
def test_every_name_in_a_table_of_text_is_there(name):
    try:
        entry = object_at(PLACES[name])
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    assert callable(entry) or name in ("FIGURES", "RATE")


def test_the_table_has_every_extra_and_options_that_a_command_takes():
    paths = [
        path for path in EXTRAS_FOLDER.iterdir() if (path / "__init__.py").is_file()
    ]
    modules = [
        path for path in EXTRAS_FOLDER.glob("*.py") if path.name != "__init__.py"
    ]
    assert {*EXTRAS} == {path.stem for path in [*paths, *modules]}
    options = [declared_fields(options_of(word)) for word in COMMANDS]
    served = {n for own in options for n in own if own[n].metadata.get("extra")}
    assert served == {*extras.OPTIONS}, "fields with extra=True"
    assert featurestack.FIGURES.keys()


def test_every_extra_has_its_tests_and_a_page_names_its_commands_and_options():
    files = (ROOT / "tests" / "extras").iterdir()
    tests = {path.stem.removeprefix("test_") for path in files} - {"__pycache__"}
    assert tests == {*EXTRAS}
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name, extra in EXTRAS.items():
        commands = [f"(make|featurestack) {word}" for word in extra.words]
        for words in [*commands, *(f"{option.upper()}=" for option in extra.options)]:
            assert re.search(rf"\b{words}", pages), f"no page names {words} of {name}"


def test_every_library_that_pyproject_asks_for_is_named_by_the_code():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folders = [*PRODUCT, "bench"]
    files = [file for name in folders for file in (ROOT / name).rglob("*.py")]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    for group in groups.keys() - {"docs", "notebooks", "test"}:
        for library in groups[group]:
            name = re.match(r"[\w-]+", library)[0].replace("-", ".")
            module = MODULE_OF.get(name, name)
            assert re.search(rf"\b{module}\b", code), f"{library} of [{group}]"


# ---- without one, and without all

LIBRARIES = (
    "h5py, jinja2, matplotlib.figure, pandas, sklearn.pipeline, soundfile, torch"
)
# For each extra in turn, away(extra) takes its module away, and a fork of the process,
# which has the libraries, loads all that is there and prints the names.
THERE = f"""
import contextlib, json, os, sys
from pathlib import Path
import {LIBRARIES}
with contextlib.suppress(ModuleNotFoundError):
    import distributed
sys.path.insert(0, os.getcwd())

def names():
    import featurestack
    from featurestack.analysis.sections import SECTIONS
    from featurestack.base import extras
    from featurestack.base.registry import object_at
    from featurestack.cli import words
    assert featurestack.__file__.startswith(os.getcwd()), featurestack.__file__
    places = [*featurestack.PLACES.values(), *extras.OPTIONS.values()]
    places += [place for place, *_ in SECTIONS.values()]
    for command in words.COMMANDS.values():
        places += [command.run, command.options]
    for place in places:
        try:
            object_at(place)
        except ModuleNotFoundError as error:
            assert not error.name.startswith("featurestack"), error
    pages = "\\n".join(words.help_on([word]) for word in words.COMMANDS)
    lines = [line.strip() for line in pages.splitlines()]
    of_extras = [n for extra in extras.EXTRAS.values() for n in extra.options]
    absent = [n for n in of_extras if n not in extras.OPTIONS]
    assert not [n for n in absent if n.upper() + "=" in lines]
    of_help = [word for word in words.COMMANDS if f"  {{word}} " in words.listing()]
    of_help += [f"{{n.upper()}}=" for n in extras.OPTIONS if n.upper() + "=" in lines]
    return dict(
        help=of_help, functions=featurestack.__all__, sections=[*SECTIONS],
        figures=[*featurestack.FIGURES], models=[*extras.MODEL_PLACES],
    )

folder, away = Path("featurestack/extras"), Path("away")
for names_away in json.loads(sys.argv[1]):
    away.mkdir()
    for name in names_away:
        for path in folder.glob(f"{{name}}*"):
            path.rename(away / path.name)
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        print(json.dumps(names()), flush=True)
        os._exit(0)
    for path in away.iterdir():
        path.rename(folder / path.name)
    away.rmdir()
"""
NONE, ALL = "none", "all"
CASES = {NONE: [], ALL: [*EXTRAS]} | {name: [name] for name in EXTRAS}


def copy_of_product(folder):
    for name in PRODUCT:
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def names_without(tmp_path_factory):
    """What help, `fs` and reports have in a copy without these extras."""
    folder = copy_of_product(tmp_path_factory.mktemp("copy"))
    given = json.dumps([*CASES.values()])
    done = python("-c", THERE, given, cwd=folder)
    lines = map(json.loads, done.stdout.splitlines())
    return dict(zip(CASES, lines, strict=True))


@pytest.mark.parametrize("name", [name for name in CASES if name != NONE])
def test_without_an_extra_its_names_are_gone_and_all_others_are_there(
    name, names_without
):
    away = {*CASES[name]}
    away |= {other for other, extra in EXTRAS.items() if extra.needs in away}
    rows = [EXTRAS[extra] for extra in away]
    gone = {
        "help": [*(w for row in rows for w in row.words)]
        + [f"{option.upper()}=" for row in rows for option in row.options],
        "functions": [f for row in rows for f in row.functions],
        "sections": [s for row in rows for s in row.sections],
        "models": [m for row in rows for m in row.models],
    }
    for kind, names in gone.items():
        assert {*names_without[NONE][kind]} - {*names_without[name][kind]} == {
            *names
        }, kind
    assert any(row.figures for row in rows) == bool(
        {*names_without[NONE]["figures"]} - {*names_without[name]["figures"]}
    )


# ---- without all: the stages, a report over what an extra has written, the tests

STAGES = """
data DATASET=synth
features DATASET=synth FEATURES='mfcc rms zcr' JOBS=1
check DATASET=synth
train DATASET=synth FEATURES='mfcc mfcc+rms' MODEL=ridge
analysis DATASET=synth
answer DATASET=synth FEATURES='mfcc rms' JOBS=1
predict AUDIO=FILE RUN=last
help
"""


@pytest.fixture
def core(tmp_path):
    """A copy without extras, and the environment of a Python that uses it."""
    shutil.rmtree(copy_of_product(tmp_path / "core") / "featurestack" / "extras")
    return tmp_path / "core", os.environ | {"PYTHONPATH": str(tmp_path / "core")}


@pytest.mark.slow
def test_the_stages_need_no_extra_and_leave_its_files_alone(core, tmp_path):
    _, environment = core
    foreign = {
        tmp_path / "runs" / "synth" / place: f"{place} of an extra"
        for place in ("mfcc-ridge/stress.json", "importance/importance.json")
    }
    for line in STAGES.strip().splitlines():
        word, *given = shlex.split(line)
        if word == "analysis":
            for file, text in foreign.items():
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
        how = {"cwd": tmp_path, "environment": environment, "check": False}
        if word == "predict":
            given[0] = f"AUDIO={min((tmp_path / 'data/synth/audio').iterdir())}"
        done = python("-m", "featurestack", word, *given, **how)
        assert not done.returncode, f"{line}\n{done.stdout}{done.stderr}"
    assert {file: file.read_text() for file in foreign} == foreign
    assert "stress" not in done.stdout and "train" in done.stdout


@pytest.mark.slow
def test_the_tests_of_the_core_need_no_extra(core):
    folder, environment = core
    ignored = shutil.ignore_patterns("__pycache__", "extras")
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    for name in ("bench", "docs", "notebooks", "conftest.py", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    words = "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"
    how = {"cwd": folder, "environment": environment, "check": False}
    collected = python(*words, **how)
    assert not collected.returncode, collected.stdout
    quick = [
        f"tests/{name}" for name in ("base", "comparison", "results", "test_ridge.py")
    ]
    passed = python(*words[:2], "-q", "-x", *words[4:], *quick, **how)
    assert not passed.returncode, passed.stdout
