"""What a room adds is found by its entry point; a broken room is one line."""

import sys

import pytest

from featurestack.commandline import rooms
from tests.processes import python
from tests.refusal import refused


def test_a_missing_library_is_named_with_what_to_install(monkeypatch):
    for module in ("export", "model"):
        name = f"featurestack.rooms.onnx.{module}"
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with refused(r"export needs onnxruntime: .*python.* -m pip install '?\S*\[onnx\]"):
        rooms.load("capabilities", "export")


def test_a_name_that_no_room_adds_is_refused():
    with refused("^teleport is in no room$"):
        rooms.load("capabilities", "teleport")


ENTRY = "[featurestack.rooms]\nwhales = whales:ROOM\n"
ROOM = """
from featurestack.commandline.options import Options, option
from featurestack.commandline.rooms import Room

ROOM = Room()

class Whales(Options):
    depth: int = option(10, "metres")

def whales(options: Whales) -> None:
    "Count whales."
    print("whales at", options.depth)

def strange() -> None:
    "Has no options."
"""


def write_room(folder, code, entry=ENTRY):
    """A distribution `whales` that is importable in this folder."""
    (folder / "whales.py").write_text(code)
    (folder / "whales-1.0.dist-info").mkdir()
    for name, text in {
        "METADATA": "Metadata-Version: 2.1\nName: whales\nVersion: 1.0\n",
        "entry_points.txt": entry,
    }.items():
        (folder / "whales-1.0.dist-info" / name).write_text(text)


def added(kind, name, what):
    return ROOM + f'@ROOM.{kind}("{name}")\ndef entry():\n    {what}\n'


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
    "a taken word": (
        added("commands", "answer", "return [whales]"),
        ENTRY,
        "answer of room whales of whales 1.0 is left out: room answer of featurestack",
    ),
    "a command's word": (
        added("commands", "pipeline features", "return [whales]"),
        ENTRY,
        "pipeline features of room whales of whales 1.0 is left out: the core has it",
    ),
    "no options": (
        added("commands", "pipeline whales", "return [strange]"),
        ENTRY,
        "pipeline whales of room whales of whales 1.0 is left out: KeyError",
    ),
    "options": (
        added("options", "PredictOptions", "return [3]"),
        ENTRY,
        "PredictOptions of room whales of whales 1.0 is left out: TypeError",
    ),
    "too few": (
        added("commands", "pipeline whales", "return []"),
        ENTRY,
        "pipeline whales of room whales of whales 1.0 is left out: IndexError",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_room_is_one_line_and_the_command_goes_on(broken, tmp_path):
    code, entry, line = BROKEN[broken]
    write_room(tmp_path, code, entry)
    done = python("-m", "featurestack", "help", "ALL", cwd=tmp_path, check=False)
    assert "unknown variable" in done.stderr  # the command's own answer
    told = done.stderr.splitlines()[:-1]
    assert len(told) == 1 and line in told[0]
    assert "whales" in told[0] and "left out" in told[0]


def test_the_package_of_somebody_else_adds_a_command(tmp_path):
    write_room(tmp_path, added("commands", "pipeline whales", "return [whales]"))
    words = ["-m", "featurestack.pipeline"]
    assert "Count whales." in python(*words, "--help", cwd=tmp_path).stdout
    done = python(*words, "whales", "DEPTH=20", cwd=tmp_path)
    assert done.stdout == "whales at 20\n"
