"""`make data ALTER=`: audio files and a table, whose copies are only trained on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.features_cache.splits import fold_split
from featurestack.pipeline.alterations import apply_alteration
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.datasets.summary import make_dataset
from featurestack.pipeline.options import DataOptions
from tests.pipeline.datasets.folders import write
from tests.refusal import refused


@pytest.fixture
def asked(tmp_path):
    """Options that alter six clips of three recordings."""
    names = "a1", "b1", "a2", "b2", "a3", "b3"  # class and recording
    for name in names:
        write(tmp_path / f"{name}.wav", 0.3, 8_000)
    rows = [f"{name}.wav,{name[0]},{name[1]}" for name in names]
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(["filename,label,group", *rows]))
    given = {"alter": "gain,noise", "copies": 2, "name": "altered"}
    return DataOptions(dataset=str(table), data=tmp_path / "data", **given)


def test_copies_are_files_in_their_originals_group_and_fold(asked, capsys):
    assert make_dataset(asked) == 0
    printed = capsys.readouterr().out
    assert "altered: 6 clips" in printed and "12 more clips, only trained on" in printed
    file = asked.data / "altered" / "altered.csv"
    listed = pd.read_csv(file, keep_default_na=False, dtype=str)
    assert listed["train_only"].tolist() == [""] * 6 + ["1"] * 12
    dataset = load(DataOptions(dataset=str(file), data=asked.data))
    clips = dataset.table.set_index("clip_id")
    for name, copy in zip(listed["alteration"][6:], clips.index[6:]):
        original = clips.loc[copy.partition("~")[0]]
        same = ["label", "fold", "group"]
        assert (clips.loc[copy, same] == original[same]).all()
        y, rate = soundfile.read(original["path"], dtype="float32")
        altered, _ = soundfile.read(clips.loc[copy, "path"], dtype="float32")
        assert np.array_equal(altered, apply_alteration(y, rate, name))
    for fold in (1, 2, 3):
        split = fold_split(dataset.table, fold)
        assert len(split.test) == 2 and len(split.train) == 12
        assert not {*clips.loc[split.test, "group"]} & {
            *clips.loc[split.train, "group"]
        }


def test_the_same_command_writes_the_same_bytes_and_replaces_no_file(asked):
    folder = asked.data / "altered"
    make_dataset(asked)
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    make_dataset(asked)
    assert before == {path: path.read_bytes() for path in before}
    (folder / "audio" / "a1~1.wav").write_bytes(b"mine")
    with refused(r"a1~1.wav is there with other content"):
        make_dataset(asked)
    assert (folder / "audio" / "a1~1.wav").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"alter": "gian"}, "did you mean 'gain'"),
        ({"alter": ""}, "COPIES=2 counts the copies that ALTER= makes"),
        ({"alter": ","}, "ALTER=, names no alteration"),
        ({"name": "mine"}, "NAME=mine is the name of the dataset itself"),
    ],
)
def test_what_cannot_be_altered_is_refused(asked, change, told):
    with refused(told):
        make_dataset(replace(asked, **change))
    assert not (asked.data / "altered").exists()
