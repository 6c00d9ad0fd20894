"""No command replaces or removes a file of the user's, wherever its options lead it."""

import io
import shutil

import numpy as np
import pytest
import soundfile

from featurestack.commandline.words import commands_taking
from tests.golden.commands import command, done

# Options that name a place to write, each with one among the user's files.
PLACES = {
    "out": "mine/clips.csv",
    "file": "mine/clips.csv",
    "reports": "mine",
    "runs": "mine",
    "data": "mine",
}
SOUNDS = {"DATASET": "mine/clips"}
LINEAR = {**SOUNDS, "FEATURES": "rms", "MODEL": "linear"}
RUN = {"RUN": "runs/clips/rms-linear"}
PREDICTIONS = {**SOUNDS, "PREDICTIONS": "mine/guesses.csv"}
# What each command is given beside the place.
GIVEN = {
    "answer": {**SOUNDS, "FEATURES": "rms", "JOBS": 1},
    "analysis": {**SOUNDS, "PAPER": 1},
    "data": {"DATASET": "esc50", "ARCHIVE": "mine/clips.csv"},
    "features": {**SOUNDS, "FEATURES": "rms zcr", "JOBS": 1},
    "check": SOUNDS,
    "events": {"AUDIO": "mine/clips"},
    "show": {"AUDIO": "mine/clips/dog/0.wav", "FEATURES": "rms"},
    "train": LINEAR,
    "sweep": LINEAR,
    "importance": {**SOUNDS, "FEATURES": "rms zcr"},
    "curve": {**SOUNDS, "FEATURES": "rms"},
    "predict": {**RUN, "DATASET": "mine/other.csv", "OUT": "mine"},
    "network": {},
    "verify": RUN,
    "bundle": RUN,
    "export": RUN,
    "runs": {},
    "remove": RUN,
    "demo": None,  # it runs `answer` on sounds of its own
    "listen": None,  # it writes nothing, and ends with its audio
    "bench": None,  # it writes its times to the terminal alone
}
KEPT = ("mine", "data", "runs")
CASES = [
    (words, option)
    for option in PLACES
    for words in commands_taking(option)
    if GIVEN[words] is not None
]


def files_of(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the user's files in `mine`, their features and a run."""
    root = tmp_path_factory.mktemp("world")
    mine = root / "mine"
    tone = np.sin(2 * np.pi * np.arange(4000) / 20)
    for number, label in enumerate(("dog", "cat")):
        for clip in range(2):
            file = mine / "clips" / label / f"{clip}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            level = (0.1 + 0.5 * number) * (1 + 0.05 * clip)
            soundfile.write(file, level * tone, 8000)
    rows = [f"clips/dog/{clip}.wav,dog\nclips/cat/{clip}.wav,cat" for clip in range(2)]
    (mine / "other.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    rows = [f"clips/dog/{clip}.wav,dog\nclips/cat/{clip}.wav,dog" for clip in range(2)]
    (mine / "guesses.csv").write_text("\n".join(["file,predicted", *rows]) + "\n")
    (mine / "clips" / "guesses").mkdir()
    (mine / "clips" / "guesses" / "run.json").write_text("my own run.json\n")
    own = ("clips.csv", "index.html", "latex/main.tex", "tables/comparison.csv")
    own += (
        "clips.png",
        "predictions.csv",
        "scores.csv",
        "importance/importance.json",
        "audio/1.txt",
    )
    for name in own:
        for folder in (mine, mine / "clips"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"my own {name}\n")
    with pytest.MonkeyPatch.context() as there:
        there.chdir(root)
        done("features", **GIVEN["features"])
        done("train", **LINEAR)
    for name in KEPT:
        shutil.copytree(root / name, root / "kept" / name)
    return root


@pytest.mark.parametrize(
    ("words", "option", "given"),
    [
        *((words, option, GIVEN[words]) for words, option in CASES),
        *(("analysis", option, PREDICTIONS) for option in ("reports", "runs", "data")),
    ],
)
def test_no_file_of_the_user_changes(world, monkeypatch, request, words, option, given):
    monkeypatch.chdir(world)
    for name in KEPT:
        shutil.rmtree(world / name)
        shutil.copytree(world / "kept" / name, world / name)
    before = files_of(world / "mine")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    monkeypatch.setattr("featurestack.answers.choice.TEXTURE", "ridge")  # quick
    if option != "reports":
        request.getfixturevalue("without_figures")
    answer = command(words, **{option.upper(): PLACES[option]} | given)
    assert answer.status in (0, 1, 2), answer.err
    after = files_of(world / "mine")
    assert {file: after.get(file) for file in before} == before, answer
