"""What a command proposes is typed where it was printed, and works: every `next:`, and
every remedy of a refusal.
"""

import re
import shlex

import numpy as np
import pytest
import soundfile

from tests.cases import cases
from tests.golden.commands import ROOT
from tests.golden.sounds import easy_clips, easy_tables
from tests.processes import forked, python
from tests.test_structure import TOP

TYPED = {"AUDIO=FILE": "AUDIO=new.wav"}  # what a user types for a placeholder
PROPOSED = re.compile(
    r"(?:next:|then:|run) +(featurestack .+?)(?:   .*)?$", re.MULTILINE
)


@pytest.fixture(scope="module")
def sounds_folder(tmp_path_factory):
    """A folder with sounds in class folders, a CSV of them, and one with tags."""
    place = tmp_path_factory.mktemp("desk")
    easy_clips(place / "easy")
    easy_tables(place / "easy", place / "marks")
    table = (place / "easy.csv").read_text().splitlines()
    rows = [f"easy/{row}" for row in table[1:]]
    (place / "listed.csv").write_text("\n".join([table[0], *rows]) + "\n")
    rows = [row.replace(",siren,", ",siren;hiss,") for row in rows]
    head = table[0].replace("label", "labels")
    (place / "tagged.csv").write_text("\n".join([head, *rows]) + "\n")
    noise = 0.1 * np.random.default_rng(1).normal(size=16_000)
    soundfile.write(place / "new.wav", noise, 16_000)
    return place


def typed(command, place):
    """What the command printed; every part of a line with && ends with 0."""
    printed = ""
    for part in command.split(" && "):
        words = [TYPED.get(word, word) for word in shlex.split(part)[1:]]
        done = python("-m", "featurestack", *words, cwd=place, check=False)
        # 1 of a check: it found something, and that is no failure
        fine = (0, 1) if words[0] == "check" else (0,)
        assert done.returncode in fine, f"{part}\n{done.stdout}{done.stderr}"
        printed += done.stdout
    return printed


def proposed(text):
    """The commands of a text, without what is said after them."""
    return [re.split(r"; | \(", match[1])[0] for match in PROPOSED.finditer(text)]


def test_no_message_proposes_a_stage_without_its_dataset():
    """Such a command would download the default dataset."""
    stages = "analysis|check|curve|data|features|importance|train"
    bare = re.compile(rf"make_command\([\"']({stages})[\"']\)")
    for place in ("featurestack", *TOP):
        for file in (ROOT / place).rglob("*.py"):
            assert not bare.search(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize(
    "words",
    [
        "train DATASET=easy FEATURES=rms MODEL=ridge TAG=a",
        pytest.param(
            "train DATASET=listed.csv NAME=marked FEATURES=zcr:0-0 MODEL=ridge TAG=b",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "importance DATASET=easy FEATURES='centroid rolloff'",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_remedy_of_a_refusal_lets_the_command_work(words, sounds_folder):
    words_of_command = "-m", "featurestack", *shlex.split(words)
    refusal = forked(*words_of_command, cwd=sounds_folder)
    assert refusal.returncode == 2
    (remedy,) = proposed(refusal.stderr)
    typed(remedy, sounds_folder)
    again = forked(*words_of_command, cwd=sounds_folder)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
@cases("first")
def test_what_is_next_works_until_nothing_is_left_or_it_predicts(first, sounds_folder):
    printed = typed(f"featurestack {first}", sounds_folder)
    seen = []
    while (commands := proposed(printed)) and commands[0] not in seen:
        seen.append(commands[0])
        printed = "".join(typed(command, sounds_folder) for command in commands)
    assert any(" predict " in command for command in seen), seen
