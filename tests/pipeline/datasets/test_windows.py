"""Windows of recordings: they cover everything, options choose among them, and the
dataset can be used.
"""

import multiprocessing
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.events.annotations import read_events
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.datasets.windows import (
    Annotated,
    default_length,
    run,
    window_grid,
)
from featurestack.pipeline.options import SourceOptions, WindowsCommand
from featurestack.results.windows import read_annotated
from featurestack.storage.files import Lock
from tests.refusal import refused

RATE = 8_000
TRACKS = {
    "dawn": "0.5\t1.0\tdog\n1.7\t2.2\towl\n2.0\t2.4\tdog\n",
    "dusk": "1.1\t1.2\towl\n",
}


def options(folder, **given):
    defaults = {
        "audio": folder / "audio",
        "tables": folder / "tables",
        "data": folder / "data",
        "name": "farm",
    }
    return WindowsCommand(**defaults | given)


@pytest.fixture
def folder(tmp_path):
    """Two recordings of 3 s with label tracks, one without."""
    rng = np.random.default_rng(0)
    for name in ("audio", "tables"):
        (tmp_path / name).mkdir()
    for name in ("dawn", "dusk", "noon"):
        soundfile.write(
            tmp_path / "audio" / f"{name}.flac",
            0.1 * rng.standard_normal(3 * RATE),
            RATE,
        )
    for name, text in TRACKS.items():
        (tmp_path / "tables" / f"{name}.txt").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("length", "hop"), [(0.3, 0.3), (1.0, 0.5), (3.0, 0.7), (0.25, 0.1)]
)
def test_windows_of_one_length_cover_each_recording_in_steps_of_at_most_the_hop(
    length, hop
):
    seconds = {f"{number:03}.wav": 20 + number / 7 for number in range(100)}
    grid = window_grid(seconds, length, hop)
    by_file = grid.groupby("file")
    assert not by_file["start"].min().any()
    assert by_file["end"].max().to_list() == pytest.approx(
        list(seconds.values()), abs=1e-6
    )
    assert (grid["end"] - grid["start"]).to_numpy() == pytest.approx(length)
    assert by_file["start"].diff().dropna().between(1e-6, hop + 1e-6).all()


def test_a_dataset_of_windows_is_written_and_extracted(folder, capsys):
    assert run(options(folder, length=1, hop=0.5)) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^background +0 +3$", shown, re.MULTILINE)
    assert re.search(
        r"^several labels: 1 window, a dataset of tags; SEVERAL=longest keeps one$",
        shown,
        re.MULTILINE,
    )
    assert "left out, no table: 1 recording, noon.flac; EMPTY=1" in shown
    assert re.search(r"^0\.25 +1\.00 ", shown, re.MULTILINE)
    path = folder / "data" / "farm" / "farm.csv"
    assert shown.endswith(
        f"next: make features DATASET={path} DATA={folder / 'data'}\n"
    )
    read = read_events(
        path.with_name("events.csv"), {"dawn.flac": 3.0, "dusk.flac": 3.0}
    )
    assert read.events.equals(
        read_events(folder / "tables", {"dawn.flac": 3.0, "dusk.flac": 3.0}).events
    )
    given = {"data": folder / "data", "name": "farm", "length": 1, "hop": 0.5}
    # refuses other windows
    assert fs.windows(folder / "audio", folder / "tables", **given) == path
    dataset = load(SourceOptions(dataset=str(path), data=folder / "data"))
    assert (dataset.duration, dataset.sample_rate) == (1.0, RATE)
    assert dataset.table.groupby("group")["fold"].nunique().tolist() == [1, 1]
    labels = dataset.table.set_index("clip_id")["label"].to_dict()
    assert labels["dawn@0"] == labels["dawn@0.5"] == "dog" and labels["dusk@2"] == ""
    assert labels["dawn@1.5"] == "dog;owl"
    with refused(
        r"farm\.csv is there with other windows: remove it to replace it, or give NAME="
    ):
        run(options(folder, length=1, hop=0.25))


@pytest.mark.parametrize("last", ["events.csv", "farm.csv"])
def test_a_killed_command_leaves_no_half_written_dataset(folder, monkeypatch, last):
    replace = Path.replace

    def replace_or_die(draft, target):
        if target.name == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(draft, target)

    def run_until_killed():
        monkeypatch.setattr(Path, "replace", replace_or_die)
        run(options(folder, length=1))

    process = multiprocessing.get_context("fork").Process(target=run_until_killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (folder / "data" / "farm" / "farm.csv").exists()
    for data in (folder / "data", folder / "undisturbed"):
        run(options(folder, length=1, data=data))
    files = [
        {file.name: file.read_bytes() for file in (data / "farm").glob("[!.]*")}
        for data in (folder / "data", folder / "undisturbed")
    ]
    assert files[0] == files[1]
    assert {*files[0]} == {"events.csv", "windows.json", "farm.csv"}


def labels_of(folder, several="longest", **given):
    """How many windows of a second have each label."""
    run(options(folder, length=1, several=several, **given))
    written = folder / "data" / "farm" / "farm.csv"
    labels = pd.read_csv(written, keep_default_na=False)["label"]
    written.unlink()
    return labels.value_counts().to_dict()


def test_options_say_which_windows_are_used(folder):
    everything = labels_of(folder)
    assert labels_of(folder, empty=True)["background"] == everything["background"] + 5
    assert labels_of(folder, background="0") == {
        name: everything[name] for name in ("dog", "owl")
    }
    assert labels_of(folder, background="0.25")["background"] == 2
    tags = labels_of(folder, several="tags")
    assert tags.pop("dog;owl") == 1 and tags.pop("") == everything.pop("background")
    assert everything == tags | {"owl": tags["owl"] + 1}
    assert labels_of(folder, ignore="dog", background="0") == {"owl": 3}


@pytest.mark.parametrize(
    ("lasts", "expected"), [(0.006, 0.01), (0.09, 0.2), (0.9, 2.0), (30.0, 5.0)]
)
def test_the_default_length_follows_the_events_without_a_floor(lasts, expected):
    """Events of bats last 6 ms, songs half a minute."""
    starts = np.arange(0.5, 10, 1.0) * max(lasts, 0.1) * 5
    rows = {"file": "a.wav", "start": starts, "end": starts + lasts, "label": "call"}
    events = pd.DataFrame(rows)
    seconds = {"a.wav": float(events["end"].max()) + 1}
    assert default_length(Annotated(seconds, events, events[:0], ())) == expected


@pytest.mark.parametrize("label", ["background", "all classes"])
def test_a_label_with_a_meaning_of_its_own_is_refused_unless_it_is_ignored(
    folder, label
):
    track = folder / "tables" / "dawn.txt"
    track.write_text(f"{TRACKS['dawn']}2.5\t2.9\t{label}\n")
    with refused(f"the label '{label}' has a meaning of its own here"):
        run(options(folder, length=1))
    run(options(folder, length=1, ignore=label))
    written = pd.read_csv(folder / "data" / "farm" / "events.csv")
    assert {*written["label"]} == {"dog", "owl"}


def test_a_length_that_loses_detections_has_a_better_one_proposed(folder, capsys):
    run(options(folder, length=3))
    printed = capsys.readouterr().out
    assert re.search(r"LENGTH=0\.\d+ would reach 1\.00 instead of 0\.\d\d", printed)


def blocks(folder):
    """One recording, whose blocks of 1.5 s are the groups."""
    one = folder / "audio" / "dawn.flac"
    return options(
        folder, audio=one, tables=folder / "tables" / "dawn.txt", length=0.5, block=1.5
    )


def test_blocks_of_one_recording_are_groups(folder):
    run(blocks(folder))
    clips = pd.read_csv(folder / "data" / "farm" / "farm.csv")
    assert {*clips["group"]} == {"dawn@0", "dawn@1.5"}


def test_no_window_lies_in_two_blocks(folder):
    run(blocks(folder))
    clips = pd.read_csv(folder / "data" / "farm" / "farm.csv")
    assert not ((clips["start"] < 1.5) & (clips["end"] > 1.5)).any()


def test_blocks_are_said_to_be_optimistic(folder, capsys):
    run(blocks(folder))
    assert (
        "groups: 2 blocks of 1.5 s; blocks of one recording" in capsys.readouterr().out
    )


def test_one_long_recording_has_blocks_proposed(folder, capsys):
    run(replace(blocks(folder), block=None))
    assert "BLOCK=120 makes a group of each two minutes" in capsys.readouterr().out


def test_a_block_as_long_as_the_recording_is_said_to_be_too_long(folder, capsys):
    run(replace(blocks(folder), block=120.0))
    assert "give less than BLOCK=120" in capsys.readouterr().out


def test_numbers_are_labels_as_they_are_written(folder):
    table = folder / "numbers.csv"
    table.write_text("file,start,end,label\ndawn.flac,0.5,1,1\ndusk.flac,1.1,1.2,02\n")
    run(options(folder, tables=table, length=0.5))
    events = read_annotated(folder / "data" / "farm" / "farm.csv").events
    assert events["label"].tolist() == ["1", "02"]
    path = folder / "data" / "farm" / "farm.csv"
    dataset = load(SourceOptions(dataset=str(path), data=folder / "data"))
    assert {*dataset.table["label"]} == {"1", "02", "background"}


def test_a_block_that_holds_no_two_windows_is_refused(folder):
    with refused("BLOCK=1.5: expected at least two windows of LENGTH=1"):
        run(replace(blocks(folder), length=1.0))


def test_two_commands_of_one_name_do_not_write_at_once(folder):
    path = folder / "data" / "farm" / "farm.csv"
    path.parent.mkdir(parents=True)
    with Lock(path.with_name(".windows.lock")), refused("by another process"):
        run(options(folder, length=1))
    assert not path.exists()


def test_length_and_hop_are_written_down(folder):
    run(options(folder, length=1, hop=0.4))
    annotated = read_annotated(folder / "data" / "farm" / "farm.csv")
    assert (annotated.length, annotated.hop) == (1, 0.4)
    assert len(annotated.events) == 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"length": 4}, r"LENGTH=4: d.*\.flac lasts 3 s"),
        ({"length": 1, "hop": 2}, "HOP=2: expected at most LENGTH=1"),
        ({"ignore": "owls"}, "IGNORE=owls: .*did you mean 'owl'"),
        ({"background": "some"}, "BACKGROUND=some: expected all, or a number"),
        ({"name": "esc50"}, "esc50 is another dataset"),
        (
            {"audio": Path("nowhere")},
            "AUDIO=nowhere: expected an audio file, or a folder",
        ),
        ({"ignore": "dog,owl"}, "holds no event to use"),
        ({"length": 3, "ignore": "owl"}, "no window with an event is left: IGNORE=owl"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(folder, given, words):
    with refused(words):
        run(options(folder, **given))
    assert not (folder / "data").exists()


def test_a_recording_that_cannot_be_read_is_named_and_the_others_are_done(
    folder, capsys
):
    (folder / "audio" / "dusk.flac").write_bytes(b"no sound")
    assert run(options(folder, length=1)) == 1
    assert "dusk.flac: not audio that libsndfile reads" in capsys.readouterr().err
    assert pd.read_csv(folder / "data" / "farm" / "farm.csv")[
        "group"
    ].unique().tolist() == ["dawn"]
