"""The makers of tables that take hours run to the end, on a few made clips, and give
the columns of their files.
"""

import contextlib
import csv
import re
import shlex
import subprocess
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from docs import made_tables, pretrained, tables
from tests.docs.conftest import write_esc50
from tests.golden.commands import ROOT, done, inside
from tests.train.sounds import CLASSES, RATE, sound

pytestmark = pytest.mark.slow

FEW = "mel mfcc chroma contrast modulation pcen gammatone rms zcr"
LINEAR = ("MODEL=linear",)
MAKERS = (
    "esc50",
    "esc50_single",
    "pretrained",
    "pretrained_both",
    "few_labels",
    "stacks",
)


def write_clips(folder, table):
    """Clips of five speakers with a CSV beside."""
    (folder / "audio").mkdir(parents=True)
    rows = ["filename,label,group"]
    for speaker, label, take in product(range(5), CLASSES, range(2)):
        name = f"audio/{speaker}-{label}-{take}.wav"
        soundfile.write(folder / name, sound(label, 10 * speaker + take), RATE)
        rows.append(f"{name},{label},{speaker}")
    (folder / table).write_text("\n".join(rows) + "\n")


def write_songs(folder):
    """Five recordings of six marked sounds."""
    (folder / "audio").mkdir(parents=True)
    with (folder / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "start", "end", "label"])
        for song in range(5):
            parts = []
            for place, label in enumerate(CLASSES * 2):
                parts.append(sound(label, 10 * song + place, seconds=0.5))
                name = f"audio/{song}.wav"
                writer.writerow([name, place / 2, place / 2 + 0.5, label])
            soundfile.write(folder / "audio" / f"{song}.wav", np.hstack(parts), RATE)


def few(command, check, **given):
    """Run a command here, with few features and one epoch."""
    module, *words = command[2:]
    words = [
        f"FEATURES={FEW}" if word in ("FEATURES=all", "FEATURES=small") else word
        for word in words
    ]
    if module.endswith(".pipeline"):
        words.append("JOBS=1")
    elif words[0] in ("sweep", "run") and "MODEL=linear" not in words:
        words.append("EPOCHS=1")
        if not {"MODEL=texturenet", "RECIPE=accurate"} & {*words}:
            words += ["GRID=64x54", "BATCH=16"]
    done(shlex.join([module.removeprefix("featurestack."), *words]))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small datasets under the names of the large ones; commands run in this process,
    and networks have features of the project in their place.
    """
    place = tmp_path_factory.mktemp("makers")
    sounds = place / "sounds"
    for name in ("esc50_16k", "esc10"):
        write_esc50(sounds / name)
    write_clips(sounds / "fsdd", "fsdd.csv")
    write_clips(sounds / "commands", "commands.csv")
    write_songs(sounds / "finch")
    here = SimpleNamespace(run=few)
    features = {name: made_tables.FEATURES[name] for name in FEW.split()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(inside(place))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(made_tables, "subprocess", here)
        patch.setattr(made_tables, "FEATURES", features)
        patch.setattr(made_tables, "RESNET", LINEAR)
        patch.setattr(pretrained, "CLASSES", len(CLASSES))
        patch.setattr(pretrained, "SPEECH", "rms")
        patch.setattr(pretrained, "YAMNET", "zcr")
        patch.setattr(pretrained, "fetch_network", lambda name, file: None)
        yield made_tables.Folders(sounds, place / "out")


def columns_of_file(name):
    """The columns of a file, without those that `write` adds."""
    row = next(iter(tables.read(name).values()))
    return {*row} - {*tables.SOURCE}


@pytest.mark.parametrize("name", MAKERS)
def test_a_maker_gives_the_columns_of_its_file(folders, name):
    rows = made_tables.MAKERS[name](folders)
    assert columns_of_file(name) == {*rows} - {*tables.SOURCE}
    assert rows.iloc[:, 0].is_unique


def test_the_tutorial_shows_what_answer_prints(tmp_path, monkeypatch):
    """After a change of a sentence: `python -m docs.tables SOUNDS OUT answer`."""
    sounds = ROOT.parent / "shared"
    if not (sounds / "esc10").is_dir():
        pytest.skip("ESC-10 is not here")
    monkeypatch.setattr(made_tables, "subprocess", subprocess)
    rows = made_tables.MAKERS["answer"](made_tables.Folders(sounds, tmp_path))
    stored = [str(row["text"]) for row in tables.read("answer").values()]
    words = [re.sub(r"\d+(\.\d+)?", "0", text) for text in [*rows["text"], *stored]]
    assert words[: len(rows)] == words[len(rows) :]
