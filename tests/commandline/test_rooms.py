"""What a room adds is found by its entry point, and names the library that it lacks."""

import sys

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


ROOM = """
from featurestack.commandline.options import Options, option
from featurestack.commandline.rooms import Room

class Whales(Options):
    depth: int = option(10, "metres")

def whales(options: Whales) -> None:
    "Count whales."
    print("whales at", options.depth)

ROOM = Room(commands={"pipeline whales": "whales:whales"}, distribution="whales")
"""


def test_the_package_of_somebody_else_adds_a_command(tmp_path):
    (tmp_path / "whales.py").write_text(ROOM)
    (tmp_path / "whales-1.dist-info").mkdir()
    for name, text in {
        "METADATA": "Metadata-Version: 2.1\nName: whales\nVersion: 1\n",
        "entry_points.txt": "[featurestack.rooms]\nwhales = whales:ROOM\n",
    }.items():
        (tmp_path / "whales-1.dist-info" / name).write_text(text)
    words = ["-m", "featurestack.pipeline"]
    assert "Count whales." in python(*words, "--help", cwd=tmp_path).stdout
    done = python(*words, "whales", "DEPTH=20", cwd=tmp_path)
    assert done.stdout == "whales at 20\n"
