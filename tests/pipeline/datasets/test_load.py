"""DATASET=: names, folders, CSV files, caches; sample rate, duration and altered copies."""

import numpy as np
import pandas as pd
import pytest

from commandline.registry import RequestError
from features_cache import external, parse_set
from pipeline.datasets import load
from pipeline.datasets.load import describe_lengths, describe_longest, frame_samples
from pipeline.datasets.readers import ESC50_CATEGORIES, categories_of
from pipeline.datasets.summary import dataset_summary, run
from pipeline.features import resolve_feature
from pipeline.options import SourceOptions
from pipeline.request import kept_copies
from tests.pipeline.changing import with_flac_length
from tests.pipeline.datasets.folders import class_folders, csv, write


def test_twenty_thousand_clips_are_handled(tmp_path):
    """One file under many names is enough for the table, the headers, the folds and the summary."""
    first = write(tmp_path / "mine" / "class 0" / "0-A.wav", 0.05, 8_000)
    for label in range(1, 10):
        (tmp_path / "mine" / f"class {label}").mkdir()
    for number in range(1, 20_000):
        (tmp_path / "mine" / f"class {number % 10}" / f"{number // 2}-{'AB'[number % 2]}.wav").hardlink_to(
            first
        )
    dataset = load(str(tmp_path / "mine"), tmp_path / "data", group="(.*)-[A-Z]")
    assert len(dataset.table) == 20_000
    assert np.ptp(np.bincount(dataset.table["fold"])[1:]) <= 20
    assert "20,000 clips" in dataset_summary(dataset)


def test_fifty_classes_in_five_categories_of_ten():
    assert pd.Series(ESC50_CATEGORIES).value_counts().tolist() == [10] * 5
    assert categories_of(["dog", "rain", "owl"]) == ["", "", ""]  # all or none


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("esc5", "unknown dataset 'esc5'; did you mean 'esc50'?"),
        ("no/such/folder", "there is no such folder or file"),
        ("missing.csv", "there is no such folder or file"),
    ],
)
def test_a_dataset_that_is_not_there_is_reported(tmp_path, word, message):
    with pytest.raises(RequestError) as told:
        load(word, tmp_path)
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("../my sond", "DATASET='../my sounds'?"),
        ("../my sond/dog", "DATASET='../my sounds/dog'?"),
        ("../clip.csv", "DATASET=../clips.csv?"),
        ("listes", "DATASET=list?"),
    ],
)
def test_a_mistyped_folder_or_table_gets_the_nearest_beside_it(tmp_path, monkeypatch, word, meant):
    for folder in ("my sounds/dog", "here/list"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "clips.csv").write_text("filename,label\n")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(RequestError) as told:
        load(word, tmp_path / "data")
    said = f"DATASET={word}: there is no such folder or file; did you mean {meant} Otherwise expected esc50"
    assert str(told.value).startswith(said)


def test_a_name_that_is_nowhere_is_told_with_the_folder_that_it_was_looked_for_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as told:
        load("my sounds", tmp_path / "data")
    assert str(told.value).startswith("unknown dataset 'my sounds'")
    assert str(told.value).endswith(f"a cache, looked for in {tmp_path}")


def test_a_file_that_is_no_table_is_reported(tmp_path):
    with pytest.raises(RequestError, match="is a file, but no CSV"):
        load(str(write(tmp_path / "a.wav")), tmp_path / "data")


def test_a_cache_is_used_as_it_is_without_audio(tmp_path):
    table = {"clip_id": ["a", "b"], "label": ["x", "y"], "fold": [1, 2], "group": ["g", "h"]}
    external.create_cache(tmp_path / "brought", table, sample_rate=8_000, duration=2.0)
    dataset = load(str(tmp_path / "brought"), tmp_path / "data")
    assert dataset.table["clip_id"].tolist() == ["a", "b"]
    assert (dataset.name, dataset.samples, dataset.source) == ("brought", 16_000, "brought")
    assert run(SourceOptions(dataset=str(tmp_path / "brought"), data=tmp_path / "data")) == 0


def test_options_without_use_are_named(tmp_path):
    folder = str(class_folders(tmp_path / "mine", each=1))
    notes = load(folder, tmp_path / "data", url="http://x", audio_dir=tmp_path).notes
    assert [note.split()[0] for note in notes[:2]] == ["URL", "AUDIO_DIR"]


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    folder = str(class_folders(tmp_path / "mine", each=1))
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(RequestError, match="cannot be written"):
        load(folder, tmp_path / "data")


def test_the_commonest_rate_and_the_longest_clip(tmp_path):
    for number, (seconds, rate) in enumerate([(0.2, 8_000), (0.75, 8_000), (0.5, 16_000)]):
        write(tmp_path / "mine" / "dog" / f"{number}.wav", seconds, rate)
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert (dataset.sample_rate, dataset.duration, dataset.samples) == (8_000, 0.75, 6_000)
    assert any("1 clip of 16000 Hz" in note for note in dataset.notes)


def test_a_minute_is_cut_to_thirty_seconds_unless_asked_for(tmp_path):
    write(tmp_path / "mine" / "dog" / "long.wav", 60, 8_000)
    assert load(str(tmp_path / "mine"), tmp_path / "data").duration == 30
    assert load(str(tmp_path / "mine"), tmp_path / "data", duration=60).samples == 480_000


def test_a_file_whose_header_lies_sets_no_duration_and_is_named(tmp_path):
    write(tmp_path / "mine" / "dog" / "a.wav", 0.75, 8_000)
    with_flac_length(write(tmp_path / "mine" / "dog" / "b.flac", 2, 8_000), 432 * 3600 * 8_000)
    lying = write(tmp_path / "mine" / "dog" / "c.mp3", 2, 44_100)
    content = bytearray(lying.read_bytes())
    frames = content.index(b"Xing") + 8
    content[frames : frames + 4] = (60_000_000).to_bytes(4, "big")
    lying.write_bytes(content)
    dataset = load(str(tmp_path / "mine"), tmp_path / "data", sample_rate=8_000)
    assert dataset.duration == 0.75
    assert any("c.mp3 does not count for the duration: truncated" in note for note in dataset.notes)


@pytest.mark.parametrize(
    "given", [{"sample_rate": 0}, {"sample_rate": -8}, {"duration": 0}, {"duration": -1.0}]
)
def test_a_rate_or_duration_that_cannot_be_is_reported(tmp_path, given):
    with pytest.raises(RequestError, match="expected"):
        load(str(class_folders(tmp_path / "mine", each=1)), tmp_path / "data", **given)


def test_nothing_readable_at_all_is_reported_with_a_reason(tmp_path):
    (tmp_path / "mine" / "dog").mkdir(parents=True)
    (tmp_path / "mine" / "dog" / "a.wav").write_bytes(b"")
    with pytest.raises(RequestError, match=r"none of 1 file can be read.*0 bytes$"):
        load(str(tmp_path / "mine"), tmp_path / "data")
    (tmp_path / "mine" / "dog" / "a.wav").rename(tmp_path / "mine" / "dog" / "a.m4a")
    with pytest.raises(
        RequestError, match=r"0 bytes; files of \.m4a are not read: convert them, as in ffmpeg"
    ):
        load(str(tmp_path / "mine"), tmp_path / "data")
    (tmp_path / "moved" / "dog").mkdir(parents=True)
    (tmp_path / "moved" / "dog" / "a.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(RequestError, match=r"missing: there is no such file$"):
        load(str(tmp_path / "moved"), tmp_path / "data")
    table = csv(tmp_path / "list.csv", "filename,label\nx.wav,dog\n")
    with pytest.raises(RequestError, match="missing: there is no such file; AUDIO_DIR= names the folder"):
        load(table, tmp_path / "data")


def test_copies_follow_the_originals_with_their_group_and_fold(tmp_path):
    dataset = load(str(class_folders(tmp_path / "mine", each=5)), tmp_path / "data", copies=3, seed=4)
    table = dataset.table
    originals, copies = table[:10], table[10:]
    assert (originals["copy_of"] == "").all()
    assert len(copies) == 30
    assert copies["clip_id"].tolist()[:2] == [f"{clip}~1" for clip in originals["clip_id"][:2]]
    of = originals.set_index("clip_id").loc[copies["copy_of"]]
    for column in ("path", "label", "category", "fold", "group"):
        assert copies[column].tolist() == of[column].tolist()
    assert copies.groupby("copy_of")["alteration"].nunique().min() == 3
    again = load(str(tmp_path / "mine"), tmp_path / "data", copies=3, seed=4).table
    assert again.equals(table)


def test_more_copies_or_clips_change_none_that_are_there(tmp_path):
    folder = class_folders(tmp_path / "mine", each=5)
    few = load(str(folder), tmp_path / "data", copies=1).table.set_index("clip_id")["alteration"]
    write(folder / "dog" / "a first one.wav")
    many = load(str(folder), tmp_path / "data", copies=2).table.set_index("clip_id")["alteration"]
    assert many[few.index].equals(few)


def test_a_caches_copies_are_kept_for_originals_that_are_still_there(tmp_path):
    folder = class_folders(tmp_path / "mine", each=3)
    cached = load(str(folder), tmp_path / "data", copies=2).table
    (folder / "dog" / "dog0-A.wav").unlink()
    now = load(str(folder), tmp_path / "data").table.assign(label="renamed")
    kept = kept_copies(now, cached)
    assert kept[:5].equals(now)
    assert "dog/dog0-A~1" not in set(kept["clip_id"])
    assert len(kept) == 5 + 10
    assert set(kept["label"]) == {"renamed"}
    assert kept["alteration"][5] == cached.set_index("clip_id").loc[kept["clip_id"][5], "alteration"]


def test_an_id_that_a_copy_would_have_is_reported(tmp_path):
    write(tmp_path / "mine" / "dog" / "a.wav")
    write(tmp_path / "mine" / "dog" / "a~1.wav")
    with pytest.raises(RequestError, match="dog/a~1"):
        load(str(tmp_path / "mine"), tmp_path / "data", copies=1)


def test_short_sounds_at_a_low_rate_get_the_words_to_type(tmp_path):
    for number in range(20):
        write(tmp_path / "mine" / "dog" / f"{number}.wav", 2.0 if number == 0 else 0.32, 8_000)
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert dataset.duration == 2.0
    _, padding, frames = dataset.notes[:3]  # the first: of one class alone
    assert padding.startswith("80% of 2 s is padding, half of the clips last 0.32 s or less: DURATION=")
    assert "DURATION=0.35 holds 19 of 20 clips whole" in padding
    assert padding.endswith("what training does with it is in docs/howto/short-clips.md")
    assert "lasts 256 ms at 8,000 Hz, so half of the clips have 5 frames or fewer" in frames
    proposed = frames.rpartition("FEATURES=")[2]
    assert proposed.startswith("mel@n_fft=512,hop_length=128+mfcc@")
    channels = [resolve_feature(channel) for channel in parse_set(proposed)]
    assert [channel.shape(8_000, 4_800)[1] for channel in channels] == [38, 38, 38]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ([0.3] * 97 + [4.0, 9.7, 20.0], "DURATION=4 holds 98 of 100 clips whole"),
        ([0.31] * 60 + [20.0] * 2, "half of the clips last 0.31 s or less; what"),  # the longest alone does
        ([0.31] * 60 + [20.0], "DURATION=0.35 holds 60 of 61 clips whole"),
    ],
)
def test_the_duration_that_is_proposed_holds_as_many_clips_as_it_says(seconds, said):
    assert said in describe_lengths(np.array(seconds), 44_100, 20.0)[0]


def test_a_few_clips_that_set_the_duration_of_all_are_told(tmp_path):
    seconds = np.array([*[4.98] * 90, *[5.101] * 6])
    said = "5.101 s, as long as the longest; 90 of 96 clips have 5 s or less: DURATION=5 cuts the others"
    assert describe_longest(seconds, 5.101) == [said]
    assert describe_longest(np.array([*[5.0] * 90, *[5.04] * 6]), 5.04) == []
    assert describe_longest(np.array([*[0.3] * 90, *[5.0] * 6]), 5.0) == []  # describe_lengths speaks of it
    assert describe_longest(np.array([20.0, 20.0, 60.0]), 30.0) == []  # cut, which is said
    for number in range(10):
        write(tmp_path / "mine" / "dog" / f"{number}.wav", 0.6 if number else 0.5)
    assert not any("as long as" in note for note in load(str(tmp_path / "mine"), tmp_path / "data").notes)
    write(tmp_path / "mine" / "dog" / "0.wav", 0.75)
    notes = load(str(tmp_path / "mine"), tmp_path / "data").notes
    assert any(note.startswith("0.75 s, as long as the longest; 9 of 10 clips") for note in notes)


def test_sounds_that_fill_their_clips_at_a_usual_rate_get_no_such_words():
    assert describe_lengths(np.array([4.0, 5.0]), 44_100, 5.0) == []
    assert describe_lengths(np.array([4.0, 5.0]), 16_000, 5.0) == []
    (frames,) = describe_lengths(np.array([4.0, 5.0]), 8_000, 5.0)
    assert frames.startswith("a frame of 2048 samples lasts 256 ms")
    assert describe_lengths(np.array([0.2, 0.3]), 48_000, 0.3) == []


def test_frames_of_46_ms_at_any_rate():
    rates = (8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)
    assert [frame_samples(rate) for rate in rates] == [512, 1024, 1024, 2048, 2048, 2048, 4096]
