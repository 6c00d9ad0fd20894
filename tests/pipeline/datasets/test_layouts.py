"""Folders: one sub-folder per class, splits, published datasets; a folder that is no
dataset is refused.
"""

from pathlib import Path

import pytest

from tests.pipeline.datasets.folders import class_folders, csv, dataset, write
from tests.refusal import refused


def test_class_folders_of_any_script_sorted_by_path(tmp_path):
    mine = tmp_path / "my sounds"
    for name in ("собака/гав 1.wav", "猫/ニャー.flac", "loose.wav"):
        write(mine / name)
    for name in ("a b.WAV", "old/a.ogg"):
        write(mine / "dog barks" / name)
    (mine / "owl" / "deeper").mkdir(parents=True)
    for name in ("notes.txt", ".hidden.wav", "broken.wav", "../owl/deeper/.keep"):
        (mine / "dog barks" / name).touch()
    clips = dataset(mine, tmp_path)
    ids = [f"dog barks/{name}" for name in ("a b", "broken", "old/a")]
    ids += ["собака/гав 1", "猫/ニャー"]
    assert clips.table["clip_id"].tolist() == ids  # broken.wav stays in the table
    assert clips.table["label"].tolist() == ["dog barks"] * 3 + ["собака", "猫"]
    assert clips.name == "my sounds"
    notes = "\n".join(clips.notes)
    for said in (
        "not audio by name: 1 f",
        "in no class folder: 1 f",
        "class folder owl",
    ):
        assert said in notes


def test_links_are_followed_once(tmp_path):
    class_folders(tmp_path / "elsewhere", each=2)
    (tmp_path / "mine").mkdir()
    for name in ("dog", "cat"):
        (tmp_path / "mine" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "dog" / "around").symlink_to(tmp_path / "mine")
    ids = dataset(tmp_path / "mine", tmp_path).table["clip_id"].tolist()
    assert sorted(ids) == ["cat/cat0-A", "cat/cat1-A", "dog/dog0-A", "dog/dog1-A"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("a.wav dog/readme.txt", "expected one sub-folder per class"),
        ("a.wav b.wav labels.csv", "a class for each file: DATASET=.*/labels.csv$"),
        ("dog/1.wav dog/2.wav", r"one class only \(dog\), and training needs two"),
        ("c;d/1.wav e/2.wav", "the class folder c;d: ; separates .* rename the f"),
        ("FSD50K.ground_truth/dev.csv", "expected fname, labels, split"),
    ],
)
def test_a_folder_that_is_no_dataset_is_refused_before_anything_is_written(
    tmp_path, names, reason
):
    for name in names.split():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    with refused(reason):
        dataset(tmp_path / "mine", tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "folds", [{"Training": 2, "dev": 1, "EVALUATION": 3}, {"train": 2, "valid": 1}]
)
def test_class_folders_within_train_and_test_are_a_split(tmp_path, folds):
    for folder in folds:
        class_folders(tmp_path / "mine" / folder, each=2)
    write(tmp_path / "mine" / folder / "loose.wav")
    clips = dataset(tmp_path / "mine", tmp_path)
    assert set(clips.table["label"]) == {"dog", "cat"}
    folders = clips.table["clip_id"].str.partition("/")[0]
    assert clips.table["fold"].tolist() == folders.map(folds).tolist()
    assert clips.published_test == (3 if 3 in folds.values() else None)
    assert "left out, in no class folder: 1 file" in clips.notes


def test_urbansound8k_as_published_and_as_kaggle_has_it(tmp_path):
    folder = tmp_path / "UrbanSound8K"
    kaggle = tmp_path / "kaggle"
    for fold in (1, 10):
        write(folder / "audio" / f"fold{fold}" / f"{fold}-3-0-0.wav")
    (folder / "metadata").mkdir()
    csv(
        folder / "metadata" / "UrbanSound8K.csv",
        """slice_file_name,fsID,start,end,salience,fold,classID,class
1-3-0-0.wav,1001,0.0,0.1,1,1,3,dog_bark
10-3-0-0.wav,1010,0.0,0.1,1,10,3,air_conditioner
""",
    )
    published = dataset(folder, tmp_path).table
    columns = published[["clip_id", "label", "fold", "group"]].to_numpy().tolist()
    assert columns == [
        ["1-3-0-0", "dog_bark", 1, "1001"],
        ["10-3-0-0", "air_conditioner", 10, "1010"],
    ]
    (folder / "audio").rename(kaggle)
    (folder / "metadata" / "UrbanSound8K.csv").rename(kaggle / "UrbanSound8K.csv")
    table = dataset(kaggle, tmp_path).table
    assert table.drop(columns="path").equals(published.drop(columns="path"))
    assert all(Path(path).is_file() for path in table["path"])


FSD50K = {
    "dev": (
        """fname,labels,mids,split
10,"Electric_guitar,Guitar,Music","/m/0,/m/1",train
11,"Guitar,Music","/m/0,/m/1",train
12,"Bark,Dog,Animal","/m/0,/m/1",val
"""
    ),
    "eval": (
        """fname,labels,mids
20,"Bark,Dog,Animal",/m/0
21,Music,/m/0
"""
    ),
}


def test_fsd50k_with_all_its_labels(tmp_path):
    fsd50k = tmp_path / "FSD50K"
    audio = write(fsd50k / "FSD50K.eval_audio" / "21.wav")
    (fsd50k / "FSD50K.ground_truth").mkdir()
    for side, text in FSD50K.items():
        csv(fsd50k / "FSD50K.ground_truth" / f"{side}.csv", text)
    table = dataset(fsd50k, tmp_path).table
    labels = ["Electric_guitar;Guitar;Music", "Guitar;Music"]
    assert table["label"].tolist() == [*labels, *["Animal;Bark;Dog"] * 2, "Music"]
    assert table["fold"].tolist() == [2, 2, 1, 3, 3]
    assert table["group"].equals(table["clip_id"])
    assert table["path"][4] == str(audio)
