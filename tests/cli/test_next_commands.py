"""What a command proposes is typed where it was printed, and works: every `next:`, and
every remedy of a refusal.
"""

import re
import shlex

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.base.next_step import PLACEHOLDERS
from tests.extras.recordings.field import write_recordings
from tests.golden.sounds import easy_clips, easy_tables
from tests.processes import python

TYPED = {"AUDIO=FILE": "AUDIO=new.wav"}  # what a user types for a placeholder
PROPOSED = re.compile(
    r"(?:next:|then:|run) +(featurestack .+?)(?:   .*)?$", re.MULTILINE
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
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
    """The commands of a text, without what is said after them: it says what to type in
    the place of their placeholders.
    """
    for line in text.splitlines():
        for word, value in PLACEHOLDERS.items():
            assert word not in line or value in line
    return [re.split(r"; | \(", match[1])[0] for match in PROPOSED.finditer(text)]


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
def test_the_remedy_of_a_refusal_lets_the_command_work(words, desk):
    refusal = python("-m", "featurestack", *shlex.split(words), cwd=desk, check=False)
    assert refusal.returncode == 2
    (remedy,) = proposed(refusal.stderr)
    typed(remedy, desk)
    again = python("-m", "featurestack", *shlex.split(words), cwd=desk, check=False)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("name", ["audio", "calls"])
def test_a_dataset_of_events_is_known_by_its_name(tmp_path, name):
    write_recordings(tmp_path, recordings=3)
    words = f"AUDIO=audio TABLES=events.csv{' NAME=calls' * (name == 'calls')}"
    typed(f"featurestack events {words}", tmp_path)

    asked = f"train DATASET={name} FEATURES=rms MODEL=frames".split()
    refusal = python("-m", "featurestack", *asked, cwd=tmp_path, check=False)
    (remedy,) = proposed(refusal.stderr)
    assert remedy == f"featurestack features DATASET={name} FEATURES=rms"
    asked = f"analysis DATASET={name}".split()
    refusal = python("-m", "featurestack", *asked, cwd=tmp_path, check=False)
    assert f"(featurestack features DATASET={name})" in refusal.stderr
    (then,) = proposed(typed(remedy, tmp_path))
    assert then.startswith(f"featurestack train DATASET={name} ")
    typed(f"{remedy} FRAME=23", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "features DATASET=easy NAME=folders FEATURES='mel mfcc' JOBS=1",
        "features DATASET=listed.csv FEATURES=mel JOBS=1",
        "features DATASET=tagged.csv FEATURES=mel JOBS=1",
        "events AUDIO=easy TABLES=marks NAME=heard",
    ],
)
def test_what_is_next_works_until_nothing_is_left_or_it_predicts(first, desk):
    printed = typed(f"featurestack {first}", desk)
    seen = []
    while (commands := proposed(printed)) and commands[0] not in seen:
        seen.append(commands[0])
        printed = "".join(typed(command, desk) for command in commands)
    assert any(" predict " in command for command in seen), seen


@pytest.mark.slow
def test_a_check_by_ear_is_carried_to_its_end(desk, monkeypatch):
    monkeypatch.setenv("HOME", str(desk))  # a browser saves in its Downloads
    typed("featurestack events AUDIO=easy TABLES=marks NAME=ear", desk)
    typed("featurestack features DATASET=data/ear/ear.csv FEATURES=mel", desk)
    typed("featurestack train DATASET=ear FEATURES=mel MODEL=frames EPOCHS=2", desk)
    (desk / "my site").mkdir()
    for file in (desk / "easy" / "bell").iterdir():
        (desk / "my site" / file.name).symlink_to(file)
    words = "featurestack predict AUDIO='my site' RUN=last THRESHOLD=0.001"
    (command,) = proposed(typed(f"{words} CHECK=10", desk))
    table = desk / "reports" / "ear" / "my site" / "check" / "check.csv"
    saved = desk / "Downloads" / "my-site-10-answers.csv"
    saved.parent.mkdir()
    pd.read_csv(table).assign(correct="yes").to_csv(saved, index=False)
    assert shlex.split(command)[-1] == f"CHECKED=~/Downloads/{saved.name}"
    (command,) = proposed(typed(f"{command} PROMISE=0.5", desk))
    # the present thresholds keep PROMISE: other recordings, which the user names
    assert " AUDIO=FILE RUN=runs/ear/mel-frames" in command
    typed(command.replace("AUDIO=FILE", "AUDIO=easy/bell"), desk)
    typed(f"{words} CHECK=20 CHECKED={saved}", desk)
    assert pd.read_csv(table)["correct"].tolist()[:10] == ["yes"] * 10
