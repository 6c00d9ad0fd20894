"""`predict TEST_CLIPS=1 HOP=…`: rules for a finer hop, from the tested recordings."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.results import run_folder
from featurestack.results.tested_windows import read_tested
from featurestack.train import choose_joining
from tests.analysis.test_detection_section import SILENCE, train
from tests.refusal import refused
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on four recordings with a hiss from 1 to 3 s and a tone from 4 to 5.5 s."""
    root = tmp_path_factory.mktemp("farm")
    (root / "audio").mkdir()
    (root / "tables").mkdir()
    for take in range(4):
        parts = [SILENCE, sound("hiss", take, 2), SILENCE, sound("tone", take, 1.5)]
        recording = np.concatenate([*parts, SILENCE])
        soundfile.write(root / "audio" / f"{take}.wav", recording, RATE)
        (root / "tables" / f"{take}.txt").write_text("1\t3\thiss\n4\t5.5\ttone\n")
    return train(root, root / "audio")


@pytest.fixture(scope="module")
def tested(trained, tmp_path_factory):
    """The folder of the tested recordings; run.json has the rules afterwards."""
    folder = tmp_path_factory.mktemp("tested")
    assert ask(trained, test_clips=True, hop=0.125, out=folder) == 0
    return folder


def test_the_rules_of_the_finer_hop_are_kept_with_the_run(trained, tested):
    joining = run_folder.RunFolder(trained.path).calibration().joining
    assert (joining.length, joining.hop) == (1, 0.125)
    assert {*joining.rules} == {"hiss", "tone"}


def test_the_scores_are_those_of_every_part_of_the_tested_recordings(tested):
    scores = pd.read_csv(tested / "scores.csv", index_col="label")
    assert scores.loc["all classes", "events"] == 8
    assert scores.loc["all classes", "f1_iou"] > 0.9


def test_predict_takes_the_finer_hop_from_then_on(trained, tested, tmp_path):
    audio = trained.path.parents[2] / "audio" / "0.wav"
    assert ask(trained, audio=audio, out=tmp_path) == 0
    rows = pd.read_csv(tmp_path / "timelines" / "0.csv")
    assert rows["start"][1] == 0.125


def test_a_second_call_reads_the_finished_recordings(trained, tested, monkeypatch):
    def none_left(*_):
        raise AssertionError("a finished recording is predicted again")

    monkeypatch.setattr(choose_joining, "predict_windows", none_left)
    assert ask(trained, test_clips=True, hop=0.125, out=tested) == 0


def test_rules_are_chosen_for_the_weights_that_count(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(
        run_folder.RunFolder,
        "selection",
        lambda _, wanted="auto": "best" if wanted == "auto" else wanted,
    )
    with refused("SELECTION=last: rules are chosen for the weights that count, best"):
        ask(trained, test_clips=True, hop=0.125, selection="last", out=tmp_path)


def test_a_missing_recording_is_named(trained, tmp_path):
    audio = trained.path.parents[2] / "audio" / "0.wav"
    audio.rename(tmp_path / "0.wav")
    with refused("0.wav: .*put it back"):
        ask(trained, test_clips=True, hop=0.25, out=tmp_path)
    (tmp_path / "0.wav").rename(audio)


def test_the_report_scores_what_was_predicted_last(trained, tested):
    table = read_tested(run_folder.RunFolder(trained.path))
    assert table["start"][:3].tolist() == [0, 0.125, 0.25]


def clips(groups, seconds=2.0):
    """Windows of recordings: fold of each group, one window a second."""
    rows = [
        {"group": name, "file": name, "path": f"{name}.wav", "fold": fold}
        for name, fold in groups.items()
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def ten_seconds(monkeypatch):
    """Each recording lasts ten seconds."""
    monkeypatch.setattr(
        choose_joining, "recording_durations", lambda files: dict.fromkeys(files, 10.0)
    )


def test_groups_are_drawn_from_the_folds_in_turn(monkeypatch, ten_seconds):
    table = clips({"a": 1, "b": 1, "c": 1, "d": 2})
    monkeypatch.setattr(choose_joining, "MOST_WINDOWS", 20)
    chosen = choose_joining.drawn(table, None, hop=1.0)
    assert sorted(chosen["fold"]) == [1, 2]
    monkeypatch.setattr(choose_joining, "MOST_WINDOWS", 40)
    assert len(choose_joining.drawn(table, None, hop=1.0)) == 4


def test_recordings_with_too_many_windows_are_not_drawn(monkeypatch, ten_seconds):
    monkeypatch.setattr(choose_joining, "MOST_WINDOWS", 9)
    table = clips({"a": 1, "b": 2})
    assert choose_joining.drawn(table, None, hop=1.0).empty
    assert len(choose_joining.drawn(table, 2.0, hop=1.0)) == 2  # blocks of 2 s


@pytest.mark.parametrize(
    ("starts", "expected"), [([0.0, 4.0], (0, 5)), ([5.0], (5, 10)), ([10.0], (10, 12))]
)
def test_a_block_ends_with_the_recording_at_the_latest(starts, expected):
    table = pd.DataFrame({"start": starts})
    assert choose_joining.block_span(table, 5.0, seconds=12.0) == expected


def test_windows_of_blocks_lie_in_their_blocks(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "tables").mkdir()
    parts, rows = [], []
    for take in range(4):
        name = ("hiss", "tone")[take % 2]
        parts += [SILENCE, sound(name, take, 2), SILENCE]
        rows.append(f"{4 * take + 1}\t{4 * take + 3}\t{name}\n")
    soundfile.write(tmp_path / "audio" / "long.wav", np.concatenate(parts), RATE)
    (tmp_path / "tables" / "long.txt").write_text("".join(rows))
    table = read_tested(train(tmp_path, tmp_path / "audio", block=8.0))
    starts = np.arange(0, 7.1, 0.25)
    assert table["start"].tolist() == [*starts, *(starts + 8)]
    assert table["fold"].nunique() == 2
