"""A room's additions are found by its entry point; a broken room is one line."""

import json
import os
import shutil

import pytest

from featurestack.commandline import rooms
from tests.golden.commands import ROOT, Answer, done, inside
from tests.golden.sounds import easy_clips
from tests.processes import python

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


# a command that a room of ours adds
TAKEN, ADDED = next(iter(rooms.names("commands").items()))
# what is broken -> code, entry point, the line that tells it
BROKEN = {
    "a library": ("import nolibrary", ENTRY, "No module named 'nolibrary'"),
    "the name": ("", ENTRY, "TypeError: whales:ROOM is no Room"),
} | {
    told: (
        ROOM + added,
        ENTRY,
        f" of room whales of whales 1.0 is left out: {told}",
    )
    for added, told in (
        (f"ROOM.commands['{TAKEN}'] = COUNT", ADDED.room.place.title),
        ("ROOM.commands['features'] = COUNT", "the core has it"),
        (
            "ROOM.adds = {'options': {'PredictOptions': 'whales:ENTRY'}}; ENTRY = 3",
            "TypeError",
        ),
    )
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a command says beside broken rooms, each called whales and a number."""
    folder = tmp_path_factory.mktemp("broken")
    for number, (code, entry, _) in enumerate(BROKEN.values()):
        own = code.replace("whales", f"whales{number:02d}")
        write_room(folder, own, entry, f"whales{number:02d}")
    ended = python("-m", "featurestack", "help", "ALL", cwd=folder, check=False)
    *lines, answer = ended.stderr.splitlines()
    assert "unknown variable" in answer  # the command goes on
    return lines


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_room_is_one_line_and_the_command_goes_on(broken, told):
    name = f"whales{[*BROKEN].index(broken):02d}"
    (line,) = [line.replace(name, "whales") for line in told if name in line]
    assert BROKEN[broken][2] in line and "left out" in line


SESSION = """
import json, sys
from tests.golden.commands import command
print(json.dumps([command(words) for words in sys.argv[1:]]))
"""


def typed(folder, *commands):
    """The answers to commands in this folder, where its modules can be imported."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = python("-c", SESSION, *commands, cwd=folder, environment=environment)
    return [Answer(*answer) for answer in json.loads(ended.stdout)]


@pytest.fixture(scope="module")
def ocean(tmp_path_factory):
    """A folder in which the room of tests/whales is installed, with a trained run, and
    the answers to commands in it.
    """
    folder = tmp_path_factory.mktemp("ocean")
    shutil.copytree(ROOT / "tests" / "whales", folder, dirs_exist_ok=True)
    easy_clips(folder / "easy")
    return folder, typed(
        folder,
        "features DATASET=easy FEATURES='song rms' JOBS=2",
        "train DATASET=easy FEATURES=song+rms MODEL=small EPOCHS=1 FOLDS=1 THREADS=1",
        "predict AUDIO=easy/siren RUN=last",
        "bundle RUN=last OUT=small.pt",
        "predict AUDIO=easy/siren RUN=small.pt",
        "analysis DATASET=easy OCEAN=Atlantic",
        "show",
        "whales LOUD=1",
        "--help",
        "analysis DATASET=easy OCEAN=Styx REPORTS=river",
    )


@pytest.mark.slow
def test_another_distributions_additions_work_in_every_command(ocean):
    folder, answers = ocean
    _, _, by_run, _, by_bundle, _, shown, whales, listed, _ = answers
    assert [answer.status for answer in answers[:-1]] == [0] * 9, answers
    assert not any("of room whales" in answer.err for answer in answers[:-1])
    assert "siren " in by_run.out and by_bundle.out == by_run.out
    page = (folder / "reports" / "easy" / "index.html").read_text()
    assert "Whales are heard." in page and "In the Atlantic." in page
    assert "song " in shown.out and "Count whales." in listed.out
    assert whales.out == "WHALES at 10\n"


@pytest.mark.slow
def test_a_run_of_a_room_that_is_gone_says_what_is_missing(ocean):
    with inside(ocean[0]):  # these tests know no such room
        answer = done("predict", 2, AUDIO="easy", RUN="last")
    assert "unknown model 'small'" in answer.err


@pytest.mark.slow
def test_a_section_that_raises_is_one_line(ocean):
    line = "tide of room whales of whales 1.0 is left out: AssertionError"
    *_, raised = ocean[1]
    assert [text.startswith(line) for text in raised.err.splitlines()] == [True]
