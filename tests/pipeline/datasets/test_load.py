"""DATASET=: names, folders, CSV files, caches; sample rate and duration; the summary,
and the command that follows from a dataset's state.
"""

import re
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from featurestack.base.errors import see
from featurestack.cli.parser import options_from
from featurestack.features_cache import external
from featurestack.pipeline import extract
from featurestack.pipeline.datasets.load import (
    cut_clips,
    held_whole,
    summarise_dataset,
)
from featurestack.pipeline.extraction_plan import plan_extraction
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from tests.cases import cases
from tests.pipeline.datasets.folders import (
    class_folders,
    csv,
    dataset,
    esc_layout,
    write,
)
from tests.pipeline.extraction import options
from tests.pipeline.noise_dataset import with_flac_length
from tests.refusal import refused


@cases("word", "told")
def test_a_dataset_that_is_not_there_gets_the_nearest_beside_it(
    tmp_path, monkeypatch, word, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my sounds" / "dog").mkdir(parents=True)
    csv(tmp_path / "clips.csv", "filename,label\n")
    write(tmp_path / "a.wav")
    with refused(told):
        dataset(word, tmp_path)


def test_a_cache_is_used_as_it_is_without_audio(tmp_path, capsys):
    table = {"clip_id": ["a", "b"], "label": ["x", "y"], "fold": [1, 2]}
    external.create_cache(tmp_path / "brought", table, sample_rate=8_000, duration=2.0)
    clips = dataset(tmp_path / "brought", tmp_path)
    assert clips.table["clip_id"].tolist() == ["a", "b"]
    assert (clips.name, clips.samples, clips.source) == ("brought", 16_000, "brought")
    external.create_cache(
        tmp_path / "data" / "own" / "features", table, sample_rate=8_000, duration=2.0
    )
    assert dataset("own", tmp_path).read_only
    where = FeaturesCommand(dataset=str(tmp_path / "brought"), data=tmp_path / "data")
    assert summarise_dataset(where) == 0
    with refused("no audio"):
        plan_extraction(where)


def test_the_commonest_rate_and_the_longest_clip_up_to_thirty_seconds(tmp_path):
    sounds = {"dog": (0.2, 8_000), "cat": (0.75, 8_000), "owl": (0.5, 16_000)}
    for label, given in sounds.items():
        write(tmp_path / "mine" / label / "a.wav", *given)
    cut = write(tmp_path / "mine" / "dog" / "cut.wav", 2, 8_000)
    cut.write_bytes(cut.read_bytes()[:20_000])
    lying = write(tmp_path / "mine" / "dog" / "lying.flac", 2, 8_000)
    with_flac_length(lying, 432 * 3600 * 8_000)
    clips = dataset(tmp_path / "mine", tmp_path)
    assert (clips.sample_rate, clips.duration, clips.samples) == (8_000, 0.75, 6_000)
    assert "1 clip of 16,000 Hz" in clips.notes
    given = dataset(tmp_path / "mine", tmp_path, sample_rate=16_000)
    low = "clips of 8,000 Hz: no sound above 4,000 Hz, so models may be"
    assert any(low in note for note in given.notes)
    write(tmp_path / "mine" / "dog" / "long.wav", 60, 8_000)
    assert dataset(tmp_path / "mine", tmp_path).duration == 30
    assert dataset(tmp_path / "mine", tmp_path, duration=60).samples == 480_000


def test_a_cache_keeps_its_rate_and_duration_until_others_are_given(tmp_path, capsys):
    folder = class_folders(tmp_path / "mine", each=3)
    where = {"dataset": str(folder), "data": tmp_path / "data"}
    asked = FeaturesCommand(**where, features="rms", jobs=1)
    assert extract.extract_features(replace(asked, duration=0.05)) == 0
    write(folder / "dog" / "longer.wav", 2, 8_000)
    assert extract.extract_features(asked) == 0
    shown = capsys.readouterr().out
    assert "the cache's settings are used, 0.05 s at 8000 Hz;" in shown
    assert "1 of 7 feature maps" in shown
    other = dataset(folder, tmp_path, duration=0.1)
    assert (other.sample_rate, other.duration) == (8_000, 0.1)
    assert not any("the cache's settings" in note for note in other.notes)


def test_sounds_that_were_moved_keep_their_features_and_others_do_not_replace_them(
    tmp_path,
):
    folder = class_folders(tmp_path / "mine", each=3)
    where = FeaturesCommand(dataset=str(folder), data=tmp_path / "data", jobs=1)
    asked = replace(where, features="rms")
    assert extract.extract_features(asked) == 0
    other = class_folders(tmp_path / "others" / "mine", each=4)
    with refused(f"belongs to {folder}, and {other} has other .* NAME=mine2"):
        dataset(other, tmp_path)
    (named,) = {dataset("mine", tmp_path).source, dataset(folder, tmp_path).source}
    assert named == str(folder)  # the cache's name, typed elsewhere
    folder.rename(folder.with_name("elsewhere"))
    with refused(f"audio is needed, which was in {folder}: .* NAME=mine"):
        dataset("mine", tmp_path)
    moved = dataset(tmp_path / "elsewhere", tmp_path, name="mine")
    assert moved.cached is not None and moved.source == f"{tmp_path}/elsewhere"
    class_folders(tmp_path / "new", each=2)
    with refused("belongs to"):
        dataset(tmp_path / "new", tmp_path, name="mine")


def test_moved_sounds_keep_their_features_though_a_file_is_empty(tmp_path):
    folder = class_folders(tmp_path / "mine", each=3)
    (folder / "dog" / "empty.wav").touch()
    where = FeaturesCommand(dataset=str(folder), data=tmp_path / "data", jobs=1)
    assert extract.extract_features(replace(where, features="rms")) == 1
    folder.rename(folder.with_name("elsewhere"))
    moved = dataset(tmp_path / "elsewhere", tmp_path, name="mine")
    assert moved.cached is not None


def test_nothing_readable_at_all_is_reported_with_a_reason(tmp_path):
    for name, content, reason in (("a.wav", b"", "0 bytes"), ("a.m4a", b"x", "ffmpeg")):
        for label in ("dog", "cat"):
            (tmp_path / name / label).mkdir(parents=True)
            (tmp_path / name / label / name).write_bytes(content)
        with refused(f"none of 2 files .*{reason}.*AUDIO_DIR="):
            dataset(tmp_path / name, tmp_path)
    with refused("needs a CSV"):
        dataset(tmp_path / "a.wav", tmp_path, audio_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "longest", "chosen"),
    [
        ([0.32] * 19 + [2.0], 2.0, 0.35),
        ([0.32] * 18 + [2.0] * 2, 2.0, 2.0),  # 0.35 s would cut a tenth
        ([11.0] * 77 + [12.2], 12.2, 12.2),  # 10 % padding
        ([20.0, 20.0, 60.0], 30.0, 30.0),
    ],
)
def test_the_shortest_duration_holds_95_percent_of_the_clips_if_much_is_padding(
    seconds, longest, chosen
):
    assert held_whole(np.array(seconds, float), longest) == chosen


def test_clips_that_are_much_longer_than_the_others_are_cut_and_named(tmp_path):
    folder = class_folders(tmp_path / "mine", each=48)  # 96 clips of 0.1 s
    for number, seconds in enumerate((0.5, 2, 0.4, 0.3)):
        write(folder / "dog" / f"long{number}.wav", seconds, 8_000)
    clips = dataset(folder, tmp_path)
    assert clips.duration == 0.1
    (note,) = [note for note in clips.notes if "cut" in note]
    assert note == (
        "4 of 100 clips are cut to 0.1 s: dog/long1 (2 s), dog/long0 (0.5 s),"
        " dog/long2 (0.4 s) and dog/long3 (0.3 s); DURATION=2 NAME=mine2 keeps them"
        f" whole, with 94 % padding{see('howto/datasets.md')}"
    )


def test_the_words_that_keep_clips_whole_work_in_the_command_that_printed_them(
    tmp_path, capsys
):
    folder = class_folders(tmp_path / "my sounds", each=48)
    write(folder / "dog" / "long.wav", 0.5, 8_000)
    given = {"dataset": str(folder), "data": str(tmp_path / "data"), "features": "rms"}
    given["jobs"] = "1"
    assert extract.extract_features(options_from(FeaturesCommand, given)) == 0
    told = re.search(r"; (DURATION=\S+ NAME=.*) keeps them", capsys.readouterr().out)
    words = dict(word.split("=") for word in shlex.split(told[1]))
    typed = {name.lower(): value for name, value in words.items()}
    assert extract.extract_features(options_from(FeaturesCommand, given | typed)) == 0
    assert "cut to" not in capsys.readouterr().out


def test_clips_are_cut_if_they_are_a_hundredth_longer_as_the_check_says():
    seconds = pd.Series({"a": 1.0, "b": 1.005, "c": 1.02})
    assert cut_clips(seconds[:2], 1.0, "NAME=b") == []
    (note,) = cut_clips(seconds, 1.0, "NAME=b")
    assert note.startswith("1 of 3 clips is cut to 1 s: c (1.02 s);")


def test_data_shows_imbalance_absent_files_and_the_next_command(tmp_path, capsys):
    rows = "a.wav,1,dog,1 b.wav,1,dog,2 c.wav,2,dog,4 d.wav,1,rain,2"
    rows += " missing.wav,1,owl,3"
    folder = esc_layout(tmp_path / "my sounds", rows)
    given = SourceOptions(dataset=str(folder), data=tmp_path / "data")
    assert summarise_dataset(given) == 0
    assert f"DATASET='{folder}'" in capsys.readouterr().out.splitlines()[-1]
    (folder / "audio" / "missing.wav").unlink()
    assert summarise_dataset(given) == 1
    shown = capsys.readouterr().out
    # `check` and the report count alike
    assert "my sounds: 4 clips of 3 source recordings, 2 classes, 2 folds\n" in shown
    assert "balance: 1 to 3 clips per class" in shown
    assert f"{folder / 'audio' / 'missing.wav'}: missing" in shown


def test_a_folder_in_esc_50s_layout_has_five_seconds_at_the_commonest_rate(tmp_path):
    folder = esc_layout(tmp_path / "esc", "1-1-A-0.wav,1,dog,1 2-2-A-1.wav,2,cat,2")
    clips = dataset(folder, tmp_path)
    assert clips.sample_rate == 8_000
    assert clips.duration == 5


def test_a_dataset_is_followed_by_its_features_and_these_by_training(sounds, capsys):
    asked = options(sounds, runs=sounds.folder.parent / "runs")
    assert summarise_dataset(asked) == 0
    words = f"DATASET={sounds.csv} DATA={asked.data} RUNS={asked.runs}"
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("next: make features ") and {*words.split()} < {
        *last.split()
    }
    extract.extract_features(asked)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"next: make train {words} FEATURES='rms zcr' MODEL=ridge"


def test_the_features_that_were_asked_for_are_trained_next(sounds, capsys):
    extract.extract_features(options(sounds, features="rms@frame=46 zcr"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("FEATURES='rms@frame=46 zcr' MODEL=ridge")
    extract.extract_features(options(sounds, features="rms zcr", frame=23))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("FEATURES='rms@frame=23 zcr@frame=23' MODEL=ridge")


def test_a_dataset_of_one_fold_is_told_in_the_place_of_the_command(sounds, capsys):
    for row in sounds.rows:
        row["fold"] = 1
    sounds.write()
    asked = options(sounds)
    summarise_dataset(asked)
    reason = capsys.readouterr().out.splitlines()[-1]
    assert reason.startswith("no training yet: one fold")
    assert extract.extract_features(asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == reason


def test_faults_are_all_named_or_counted(tmp_path, capsys):
    folder = class_folders(tmp_path / "mine")
    given = SourceOptions(dataset=str(folder), data=tmp_path / "data")
    files = sorted(folder.rglob("*.wav"))
    for broken, left in ((11, 0), (12, 2)):
        for file in files[:broken]:
            file.write_bytes(b"no sound")
        assert summarise_dataset(given) == 1
        told = capsys.readouterr().out
        assert f"{broken} faults" in told
        assert told.count("not audio") == broken - left
        assert ("and 2 more" in told) == bool(left)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Ant", "ant"], "'Ant' and 'ant'"),
        (["ant", "ant b", "antb"], "'ant b' and 'antb'"),
        (["caf\u00e9", "cafe\u0301"], r"'cafe\u0301' and 'caf\xe9'"),
    ],
)
def test_classes_that_look_the_same_are_named(tmp_path, names, said):
    rows = [f"{number}.wav,{names[number % len(names)]}" for number in range(6)]
    for number in range(6):
        write(tmp_path / f"{number}.wav")
    listed = csv(tmp_path / "list.csv", "\n".join(["filename,label", *rows]) + "\n")
    notes = dataset(listed, tmp_path).notes
    assert any(note.startswith(f"{said} are different classes") for note in notes)
