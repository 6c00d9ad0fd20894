"""A room's additions are found by its entry point; a broken room is one line."""

import re
import shutil

import pytest

from tests.golden.commands import ROOT
from tests.golden.sounds import easy_clips
from tests.processes import python


def test_a_missing_library_is_named_with_what_to_install():
    code = (
        "import sys; sys.modules['onnxruntime'] = None;"
        " from featurestack.commandline.words import function_of, named;"
        " function_of(named('export'))"
    )
    done = python("-c", code, check=False)
    said = r"export needs onnxruntime: .*python.* -m pip install '?\S*\[onnx\]"
    assert re.search(said, done.stderr)


ENTRY = "[featurestack.rooms]\nwhales = whales:ROOM\n"
ROOM = """
from featurestack.commandline.options import Options, option
from featurestack.commandline.rooms import Command, Room

COUNT = Command("whales:whales", "whales:Whales", "Count whales.")
ROOM = Room(commands={"whales": COUNT})

class Whales(Options):
    depth: int = option(10, "metres")

def whales(options: Whales) -> None:
    print("whales at", options.depth)
"""


def write_room(folder, code, entry=ENTRY, name="whales"):
    """A distribution that is importable in this folder."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(entry.replace("whales", name))


# what is broken -> code, entry point, the line that tells it
BROKEN = {
    "a library": ("import nolibrary", ENTRY, "No module named 'nolibrary'"),
    "an interface": ("from os import nothing", ENTRY, "ImportError: cannot import"),
    "syntax": ("def :", ENTRY, "SyntaxError: "),
    "an exception": ("1 / 0", ENTRY, "ZeroDivisionError: division by zero"),
    "an exit": ("import sys; sys.exit(3)", ENTRY, "SystemExit: 3"),
    "the name": ("", ENTRY, "TypeError: whales:ROOM is no Room"),
    "no room": ("ROOM = None", ENTRY, "TypeError: whales:ROOM is no Room"),
    "the colon": (ROOM, ENTRY.replace(":ROOM", ""), "TypeError: whales is no Room"),
    "entry points": (ROOM, "[featurestack.rooms]\nwhales\n", "entry_points.txt of "),
} | {
    told: (
        ROOM + f"ROOM.add({kind!r}, {name!r})(lambda: [{entry}])\n",
        ENTRY,
        f" of room whales of whales 1.0 is left out: {told}",
    )
    for kind, name, entry, told in (
        ("commands", "answer", "COUNT", "room answer of featurestack"),
        ("commands", "features", "COUNT", "the core has it"),
        ("options", "PredictOptions", "3", "TypeError"),
    )
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a command says beside broken rooms, each called whales and a number."""
    folder = tmp_path_factory.mktemp("broken")
    for number, (code, entry, _) in enumerate(BROKEN.values()):
        own = code.replace("whales", f"whales{number:02d}")
        write_room(folder, own, entry, f"whales{number:02d}")
    done = python("-m", "featurestack", "help", "ALL", cwd=folder, check=False)
    *lines, answer = done.stderr.splitlines()
    assert "unknown variable" in answer  # the command goes on
    return lines


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_room_is_one_line_and_the_command_goes_on(broken, told):
    name = f"whales{[*BROKEN].index(broken):02d}"
    (line,) = [line.replace(name, "whales") for line in told if name in line]
    assert BROKEN[broken][2] in line and "left out" in line


@pytest.fixture(scope="module")
def ocean(tmp_path_factory):
    """A folder in which the room of tests/whales is installed, with a trained run."""
    folder = tmp_path_factory.mktemp("ocean")
    shutil.copytree(ROOT / "tests" / "whales", folder, dirs_exist_ok=True)
    easy_clips(folder / "easy")
    call(folder, "features", "DATASET=easy", "FEATURES=song rms", "JOBS=2")
    words = "FEATURES=song+rms MODEL=small EPOCHS=1 FOLDS=1 PRECISION=fp32 THREADS=1"
    call(folder, "train", "DATASET=easy", *words.split())
    return folder


def call(folder, *words):
    """What a command prints in this folder, where its modules can be imported."""
    done = python("-m", "featurestack", *words, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    assert "of room whales" not in done.stderr
    return done.stdout


def test_another_distributions_feature_is_listed_and_its_model_predicts(ocean):
    assert "song " in call(ocean, "show")
    clip = next((ocean / "easy").glob("*/*.wav"))
    predicted = call(ocean, "predict", f"AUDIO={clip}", "RUN=last")
    assert "siren " in predicted
    call(ocean, "bundle", "RUN=last", "OUT=small.pt")
    assert call(ocean, "predict", f"AUDIO={clip}", "RUN=small.pt") == predicted


def test_another_distributions_section_and_option_are_on_the_page(ocean):
    call(ocean, "analysis", "DATASET=easy", "OCEAN=Atlantic")
    page = (ocean / "reports" / "easy" / "index.html").read_text()
    assert "Whales are heard." in page and "In the Atlantic." in page


def test_another_distributions_command_is_a_target(ocean):
    assert call(ocean, "whales", "LOUD=1") == "WHALES at 10\n"
    assert "Count whales." in call(ocean, "--help")


def test_a_run_of_a_room_that_is_gone_says_what_is_missing(ocean):
    shutil.move(ocean / "whales-1.0.dist-info", ocean / "gone")
    (run,) = (ocean / "runs" / "easy").iterdir()
    words = ["-m", "featurestack", "predict", "AUDIO=easy", f"RUN={run.name}"]
    done = python(*words, cwd=ocean, check=False)
    shutil.move(ocean / "gone", ocean / "whales-1.0.dist-info")
    assert done.returncode == 2 and "unknown model 'small'" in done.stderr


RAISING = """
@ROOM.sections("tide")
def load_sections():
    return [lambda page: 1 / 0]


@ROOM.claims("tide")
def load_claims():
    return [lambda source: 1 / 0]
"""


def test_a_section_and_a_claim_that_raise_are_one_line(ocean, tmp_path):
    shutil.copytree(ocean, tmp_path, dirs_exist_ok=True)
    code = (tmp_path / "whales" / "__init__.py").read_text()
    (tmp_path / "whales" / "__init__.py").write_text(code + RAISING)
    words = ["-m", "featurestack", "analysis", "DATASET=easy"]
    told = python(*words, cwd=tmp_path).stderr.splitlines()
    line = "tide of room whales of whales 1.0 is left out: ZeroDivisionError"
    assert [text.startswith(line) for text in told] == [True]


def test_the_package_of_somebody_else_adds_a_command(tmp_path):
    write_room(tmp_path, ROOM)
    words = ["-m", "featurestack"]
    assert "Count whales." in python(*words, "--help", cwd=tmp_path).stdout
    done = python(*words, "whales", "DEPTH=20", cwd=tmp_path)
    assert done.stdout == "whales at 20\n"
