"""Published datasets are recognised by their own files; their folds, labels and groups are as published."""

import json
from pathlib import Path

import pandas as pd
import pytest

from commandline.registry import RequestError
from features_cache.table import fold_split
from pipeline.datasets import load
from pipeline.datasets.layouts import SIDES, find_layout, single_labels
from tests.pipeline.datasets.folders import class_folders, csv, esc_layout, write


def table_of(folder: Path, tmp_path: Path) -> pd.DataFrame:
    return load(str(folder), tmp_path / "data").table.set_index("clip_id")


@pytest.fixture
def urbansound8k(tmp_path) -> Path:
    folder = tmp_path / "UrbanSound8K"
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in range(1, 11):
        name = f"{1000 + fold}-3-0-0.wav"
        write(folder / "audio" / f"fold{fold}" / name)
        label = "dog_bark" if fold % 2 else "air_conditioner"
        rows.append(f"{name},{1000 + fold},0.0,0.1,1,{fold},{fold % 2},{label}")
    (folder / "metadata").mkdir()
    csv(folder / "metadata" / "UrbanSound8K.csv", "\n".join(rows))
    return folder


def test_urbansound8k(urbansound8k, tmp_path):
    table = table_of(urbansound8k, tmp_path)
    assert table["fold"].tolist() == list(range(1, 11))
    assert table["label"].tolist() == ["dog_bark", "air_conditioner"] * 5
    assert table.loc["1003-3-0-0", "group"] == "1003"
    assert all(Path(path).is_file() for path in table["path"])


def test_urbansound8k_as_kaggle_has_it_is_read_alike(urbansound8k, tmp_path):
    published = table_of(urbansound8k, tmp_path / "published")
    for path in [*(urbansound8k / "audio").iterdir(), urbansound8k / "metadata" / "UrbanSound8K.csv"]:
        path.rename(urbansound8k / path.name)
    for emptied in ("audio", "metadata"):
        (urbansound8k / emptied).rmdir()
    table = table_of(urbansound8k, tmp_path)
    assert table.drop(columns="path").equals(published.drop(columns="path"))
    assert all(Path(path).is_file() for path in table["path"])


def test_folders_that_are_folds_are_refused_as_classes(urbansound8k, tmp_path):
    audio = urbansound8k / "audio"
    refused = (
        r"audio holds fold1, fold10, fold2 …: these are folds, not classes; give {}a CSV with the columns"
    )
    with pytest.raises(RequestError, match=refused.format(f"DATASET={urbansound8k}, or ")):
        load(str(audio), tmp_path / "data")
    alone = audio.rename(tmp_path / "audio")
    with pytest.raises(RequestError, match=refused.format("")):
        load(str(alone), tmp_path / "data")


@pytest.fixture
def fsd50k(tmp_path) -> Path:
    folder = tmp_path / "FSD50K"
    dev = {
        "10": ("Electric_guitar,Guitar,Music", "train"),
        "11": ("Guitar,Music", "train"),
        "12": ("Bark,Dog,Animal", "val"),
        "13": ("Bark,Dog,Animal,Guitar,Music", "train"),
        "14": ("Animal", "val"),
        "15": ("Dog,Animal", "train"),
    }
    evaluation = {"20": "Bark,Dog,Animal", "21": "Music"}
    for name in dev:
        write(folder / "FSD50K.dev_audio" / f"{name}.wav")
    for name in evaluation:
        write(folder / "FSD50K.eval_audio" / f"{name}.wav")
    truth = folder / "FSD50K.ground_truth"
    truth.mkdir()
    lines = [f'{name},"{labels}","/m/0,/m/1",{split}' for name, (labels, split) in dev.items()]
    csv(truth / "dev.csv", "\n".join(["fname,labels,mids,split", *lines]))
    lines = [f'{name},"{labels}","/m/0"' for name, labels in evaluation.items()]
    csv(truth / "eval.csv", "\n".join(["fname,labels,mids", *lines]))
    return folder


def test_fsd50k_without_clips_of_several_labels(fsd50k, tmp_path):
    table = table_of(fsd50k, tmp_path)
    assert table["label"].to_dict() == {
        "10": "Electric_guitar",
        "11": "Guitar",
        "12": "Bark",
        "14": "Animal",
        "15": "Dog",
        "20": "Bark",
        "21": "Music",
    }
    assert table["fold"].to_dict() == {"10": 2, "11": 2, "12": 1, "14": 1, "15": 2, "20": 3, "21": 3}
    assert table["group"].tolist() == table.index.tolist()
    notes = load(str(fsd50k), tmp_path / "data").notes
    assert any("1 clip with several labels left out" in note for note in notes)


def test_fsd50ks_groups_are_its_uploaders_where_they_are_known(fsd50k, tmp_path):
    described = {"10": {"uploader": "ann"}, "11": {"uploader": "ann"}}
    (fsd50k / "FSD50K.metadata").mkdir()
    file = fsd50k / "FSD50K.metadata" / "dev_clips_info_FSD50K.json"
    file.write_text(json.dumps(described))
    assert table_of(fsd50k, tmp_path)["group"].tolist()[:3] == ["ann", "ann", "12"]
    file.write_text("[1]")
    with pytest.raises(RequestError, match="cannot be read"):
        table_of(fsd50k, tmp_path)


def test_labels_that_always_come_together_are_one():
    assert single_labels(pd.Series(["Chirp,Bird", "Chirp,Bird"])) == ["Chirp", "Chirp"]
    assert single_labels(pd.Series(["A,B", "A", "B"])) == ["", "A", "B"]


@pytest.fixture
def speech_commands(tmp_path) -> Path:
    folder = tmp_path / "speech_commands"
    for word in ("yes", "no"):
        for speaker in ("0a7c2a8d", "1b4c9b89", "ffd2ba2f"):
            for take in range(2):
                write(folder / word / f"{speaker}_nohash_{take}.wav")
    write(folder / "_background_noise_" / "pink_noise.wav", 3.0)
    (folder / "validation_list.txt").write_text("yes/1b4c9b89_nohash_0.wav\nno/1b4c9b89_nohash_1.wav\n")
    (folder / "testing_list.txt").write_text("yes/ffd2ba2f_nohash_1.wav\n")
    return folder


def test_speech_commands(speech_commands, tmp_path):
    table = table_of(speech_commands, tmp_path)
    assert set(table["label"]) == {"yes", "no"}
    assert len(table) == 12
    assert table["fold"].value_counts().to_dict() == {1: 2, 2: 9, 3: 1}
    assert table.loc["yes/ffd2ba2f_nohash_1", ["fold", "group"]].tolist() == [3, "ffd2ba2f"]
    assert table.loc["no/1b4c9b89_nohash_1", "fold"] == 1


def test_val_next_of_a_published_test_list_is_the_published_validation_list(speech_commands, tmp_path):
    split = fold_split(load(str(speech_commands), tmp_path / "data").table, 3, val="next")
    assert list(split.test) == ["yes/ffd2ba2f_nohash_1"]
    assert sorted(split.val) == ["no/1b4c9b89_nohash_1", "yes/1b4c9b89_nohash_0"]
    speakers = {clip.split("/")[1][:8] for clip in split.train}
    assert speakers == {"0a7c2a8d"}  # those of the lists are heard nowhere else


def test_speech_commands_with_its_words_in_audio_as_in_tensorflows_challenge(speech_commands, tmp_path):
    published = table_of(speech_commands, tmp_path / "published")
    (speech_commands / "audio").mkdir()
    for word in ("yes", "no", "_background_noise_"):
        (speech_commands / word).rename(speech_commands / "audio" / word)
    table = table_of(speech_commands, tmp_path)
    assert table.drop(columns="path").equals(published.drop(columns="path"))
    assert all(Path(path).is_file() for path in table["path"])


@pytest.mark.parametrize(
    ("folders", "sides"),
    [
        ("train test", ["train", "eval"]),
        ("Training dev EVALUATION", ["train", "val", "eval"]),
        ("train valid", ["train", "val"]),
    ],
)
def test_class_folders_within_train_and_test_are_a_split(tmp_path, folders, sides):
    for side in folders.split():
        class_folders(tmp_path / "mine" / side, each=2)
    write(tmp_path / "mine" / folders.split()[0] / "loose.wav")
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert set(dataset.table["label"]) == {"dog", "cat"}
    side_of = dataset.table["clip_id"].str.split("/").str[0]
    for folder, side in zip(folders.split(), sides):
        assert set(dataset.table["fold"][side_of == folder]) == {SIDES[side]}
        assert any(f"{folder} is fold {SIDES[side]}" in note for note in dataset.notes)
    assert dataset.published_test == (SIDES["eval"] if "eval" in sides else None)
    assert sum("read as a split" in note for note in dataset.notes) == 1
    assert "left out, in no class folder: 1 audio file" in dataset.notes


def test_folders_called_so_that_hold_no_common_classes_are_classes_and_that_is_said(tmp_path):
    meant = class_folders(tmp_path / "mine" / "train", each=2)
    write(tmp_path / "mine" / "test" / "1.wav")
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert set(dataset.table["label"]) == {"train", "test"}
    said = "the classes are called test, train, as the sides of a split; "
    assert f"{said}{meant} holds 2 folders of sounds: DATASET={meant}" in dataset.notes
    class_folders(tmp_path / "two" / "train", each=2)
    class_folders(tmp_path / "two" / "whistle", each=2)
    assert set(load(str(tmp_path / "two"), tmp_path / "data").table["label"]) == {"train", "whistle"}


def test_one_class_alone_is_said_with_the_folder_that_may_be_meant(tmp_path):
    meant = class_folders(tmp_path / "home" / "my sounds", each=2)
    said = f"one class alone leaves nothing to classify; {meant} holds 2 folders of sounds: DATASET='{meant}'"
    assert said in load(str(tmp_path / "home"), tmp_path / "data").notes
    assert not any("one class" in note for note in load(str(meant), tmp_path / "data").notes)
    one = class_folders(tmp_path / "one", "dog", each=2)
    assert "one class alone leaves nothing to classify" in load(str(one), tmp_path / "data").notes


def test_a_folder_around_a_published_dataset_names_that(urbansound8k, tmp_path):
    around = tmp_path / "download" / "deeper"
    around.mkdir(parents=True)
    meant = urbansound8k.rename(around / "UrbanSound8K")
    said = f"one class alone leaves nothing to classify; {meant} is a dataset of its own: DATASET={meant}"
    for folder in (around, around.parent):
        assert said in load(str(folder), tmp_path / "data").notes
    esc = esc_layout(around / "ESC-50-master", ["a.wav,1,0,dog,1,A", "b.wav,2,1,cat,2,A"])
    notes = load(str(around), tmp_path / "other data").notes
    for one in (meant, esc):
        assert f"{one.name} is read as one class but is a dataset of its own: DATASET={one}" in notes


def test_other_folders_are_read_as_before(tmp_path):
    assert find_layout(class_folders(tmp_path / "mine", each=1)) is None
    esc = esc_layout(tmp_path / "esc", ["a.wav,1,0,dog,1,A", "b.wav,2,1,cat,2,A"])
    assert find_layout(esc) is None
    assert table_of(esc, tmp_path)["fold"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metadata/UrbanSound8K.csv", "name,fold\na.wav,1", "expected slice_file_name, fsID, fold, class"),
        ("FSD50K.ground_truth/dev.csv", "fname,labels,mids,split\n1,Dog,x,test", "split 'test'"),
        ("testing_list.txt", "yes/a.wav", "no class folder"),
    ],
)
def test_a_layout_that_is_incomplete_is_refused(tmp_path, file, text, message):
    path = tmp_path / "mine" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(RequestError, match=message):
        load(str(tmp_path / "mine"), tmp_path / "data")
