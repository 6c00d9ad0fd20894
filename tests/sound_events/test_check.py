"""The detections to listen to, and the statements on all detections."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import expit

from featurestack.pipeline.datasets.readers import find_recordings
from featurestack.sound_events.check import (
    TABLE,
    draw,
    precision_above,
    read_checked,
    tell_checked,
    write_check,
)
from featurestack.sound_events.frames import Rule, candidates
from featurestack.sound_events.options import DetectionOptions
from tests.refusal import refused
from tests.sound_events import field

RATE = 8000
NAMES = ("north/r.wav", "south/r.wav")


@pytest.fixture
def found():
    """Detections of scores 0.9, 0.55 and 0.2 in a recording of 10 s, the last one in
    its last second.
    """
    frames = field.frames(10, classes=("cat", "dog"))
    probabilities = np.zeros((100, 2))
    probabilities[10:15, 0], probabilities[40:45, 1] = 0.9, 0.55
    probabilities[95:, 1] = 0.2
    rules = dict.fromkeys(frames.classes, Rule())
    return frames.table(candidates(frames, probabilities, rules, {}))


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        file = tmp_path / name
        file.parent.mkdir()
        y = np.random.default_rng(number).normal(0, 0.1, 10 * RATE)
        soundfile.write(file, y, RATE)
    return tmp_path


def write(found, folder, count=100):
    """The folder of a check of these detections in both recordings."""
    model = SimpleNamespace(sample_rate=RATE, audio_channel=0)
    files = {name: folder / name for name in NAMES}
    both = pd.concat([found.assign(file=name) for name in NAMES])
    seconds = dict.fromkeys(NAMES, 10.0)
    write_check(both, count, files, seconds, model, folder)
    return folder / "check"


def test_each_row_has_the_sound_of_its_own_recording(found, folder):
    check = write(found, folder)
    table = pd.read_csv(check / TABLE)
    assert len(table) == 6 and table["correct"].isna().all()
    assert sorted(table["sound"]) == sorted(file.name for file in check.glob("*.wav"))
    assert sorted(table["label"]) == [*2 * ["cat"], *4 * ["dog"]]
    for row in table.to_dict("records"):  # though both recordings have one name
        y, _ = soundfile.read(folder / row["recording"])
        sound, _ = soundfile.read(check / row["sound"])
        begin = round(max(0, row["start"] - 1) * RATE)
        assert np.allclose(y[begin : begin + len(sound)], sound, atol=1e-3)
    page = (check / "index.html").read_text()
    assert all(name in page for name in table["recording"])
    assert [*find_recordings(folder)] == [*NAMES]  # sounds to check are no recordings


def test_answers_and_files_of_the_user_are_kept(found, folder):
    check = write(found, folder)
    (check / TABLE).write_text("answers")
    before = {file: file.read_bytes() for file in check.iterdir()}
    write(found[:1], folder)
    assert {file: file.read_bytes() for file in check.iterdir()} == before
    second = folder / "check-2"
    assert len(pd.read_csv(second / TABLE)) == len([*second.glob("*.wav")]) == 2
    (second / "index.html").write_text("mine")
    write(found[:1], folder)
    assert (second / "index.html").read_text() == "mine"
    assert (folder / "check-3" / "index.html").is_file()


def test_what_checked_announces_is_what_predict_finds():
    rng = np.random.default_rng(0)
    frames = field.frames(200, classes=("cat", "dog"))
    smooth = np.cumsum(rng.normal(0, 0.3, (2000, 2)), axis=0)
    probabilities = expit(smooth - smooth.mean(axis=0)).astype(np.float32)
    rules = {"cat": Rule(0.5, 0.5, 0.15), "dog": Rule(0.6, 1.0, 0.2)}
    every = frames.table(candidates(frames, probabilities, rules, {}))
    checks = checked(every["score"].to_numpy(), np.ones(len(every)), every.index, 100)
    above = precision_above(checks)
    assert len(above) == 10
    for row in above.itertuples():
        thresholds = dict.fromkeys(rules, row.above)
        found = candidates(frames, probabilities, rules, thresholds).values()
        assert sum((own.score > row.above).sum() for own in found) == row.detections


def test_ranges_of_the_score_are_drawn_evenly_from_the_first_row_on():
    scores = np.random.default_rng(0).beta(5, 1, 3000)
    drawn, above, numbers = draw(scores, 100, np.random.default_rng(1))
    assert (scores[drawn] > above).all() and len({*drawn}) == 100
    for first in (20, 50, 100):
        assert {*np.unique(above[:first], return_counts=True)[1]} == {first // 10}
    sizes = pd.Series(numbers).groupby(above).first()
    assert sizes.sum() == 3000 and sizes.between(280, 320).all()


def checked(scores, right, recording, count, seed=0):
    """The table of a drawn check with all answers."""
    drawn, above, numbers = draw(scores, count, np.random.default_rng(seed))
    return pd.DataFrame(
        {
            "recording": recording[drawn].astype(str),
            "above": above,
            "detections": numbers,
            "right": right[drawn].astype(float),
        }
    )


@pytest.mark.parametrize("most", [1.0, 0.85])
def test_intervals_hold_the_precision_whether_or_not_it_levels_off(most):
    rng = np.random.default_rng(7)
    held = []
    for _ in range(60):
        recording = np.repeat(np.arange(30), 30)
        odds = rng.normal(1, 1.6, len(recording))
        right = rng.random(len(odds)) < most * expit(0.5 + 1.3 * odds)
        scores = expit(odds)
        for row in precision_above(checked(scores, right, recording, 100)).itertuples():
            held.append(row.low <= right[scores > row.above].mean() <= row.high)
    assert np.mean(held) >= 0.94


def test_a_range_counts_by_its_number_of_detections():
    table = pd.DataFrame(
        [("a", 0.2, 300, 0.0), ("b", 0.2, 300, 1.0), ("a", 0.8, 100, 1.0)],
        columns=["recording", "above", "detections", "right"],
    )
    above = precision_above(table)
    assert above["precision"].tolist() == pytest.approx([0.625, 1.0])
    assert above["detections"].tolist() == [400, 100]
    table.loc[2, "right"] = np.nan  # nothing is known of the highest scores
    assert precision_above(table).empty


def write_answers(file, right, recordings=6):
    """A table in which these answers were given for 319 detections."""
    scores = np.random.default_rng(0).uniform(0.6, 1, 319)
    table = checked(scores, np.ones(319), np.arange(319) % recordings, len(right))
    text = np.where(right, "yes", "No")
    table.drop(columns="right").assign(correct=text).to_csv(file, index=False)


@pytest.mark.parametrize(
    ("right", "promise", "words"),
    [
        (
            np.arange(100) % 50 != 7,
            0.9,
            "precision of at least 90 %: 319 detections, 98",
        ),
        (np.arange(100) % 50 != 7, 0.97, "are too few to promise 97 %: "),
        (np.arange(100) % 4 == 0, 0.9, "no threshold reaches 90 %: above"),
        # nine of ten are wanted, and the interval of fewer does not exclude them
        (np.arange(100) % 8 != 7, 0.9, "are too few to promise 90 %: "),
        (np.ones(100, bool), 0.9, "about 319 of 319 detections are right"),
    ],
)
def test_what_the_answers_say_is_printed(tmp_path, capsys, right, promise, words):
    write_answers(tmp_path / "t.txt", right)
    assert tell_checked(tmp_path / "t.txt", promise) == 0
    printed = capsys.readouterr().out
    assert words in printed
    assert f"100 checks in 6 recordings: {right.sum()} right" in printed


def test_one_recording_speaks_for_itself_alone(tmp_path, capsys):
    write_answers(tmp_path / "t.txt", np.ones(50, bool), recordings=1)
    tell_checked(tmp_path / "t.txt", 0.9)
    assert "one recording: the intervals are only for its" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recording,above,detections\na,0.5,3\n", "has no column correct"),
        (
            "recording,above,detections,correct\na,0.5,3,maybe\n",
            "2: .*yes, no or",
        ),
        (
            "recording,above,detections,correct\na,0.5,3,\n",
            "write yes or no into correct",
        ),
        ("recording,above,detections,correct\na,0.5,0,yes\n", "2: .*a number from 1"),
    ],
)
def test_a_table_without_answers_is_refused(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with refused(words):
        tell_checked(tmp_path / "t.csv", 0.9)


def test_a_spreadsheet_may_save_the_answers(tmp_path):
    text = "recording;above;detections;correct\na;0,5;3;1\nb;0,5;3;N\nc;0,5;3;\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-16")
    table = read_checked(tmp_path / "t.csv")
    assert table["above"].tolist() == [0.5] * 3
    assert table["right"].tolist()[:2] == [1, 0] and np.isnan(table["right"][4])


def test_a_model_of_clips_finds_no_detections():
    with refused("which a run of events finds"):
        DetectionOptions(check=3).refuse_detections()
