"""The windows to listen to, and the statements on all detections."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import expit

from featurestack.pipeline.datasets.layouts import find_recordings
from featurestack.rooms.events.check import (
    candidates,
    check_folder,
    draw,
    fit_precision,
    precision_above,
    tell_checked,
    write_check,
)
from featurestack.rooms.events.frames import Rule
from featurestack.rooms.events.tests import field
from tests.refusal import refused

RATE = 8000


@pytest.fixture
def found():
    """Three runs of frames, of scores 0.9, 0.55 and 0.2, in one recording of 10 s."""
    frames = field.frames(10, classes=("</script>", "dog"))
    probabilities = np.zeros((100, 2))
    probabilities[10:15, 0], probabilities[40:45, 1] = 0.9, 0.55
    probabilities[70:75, 1] = 0.2
    return candidates(frames, probabilities, dict.fromkeys(frames.classes, Rule()))


@pytest.fixture
def folder(tmp_path):
    y = np.random.default_rng(0).normal(0, 0.1, 10 * RATE)
    soundfile.write(tmp_path / "a.wav", y, RATE)
    return tmp_path


def write(found, folder, count=100):
    model = SimpleNamespace(sample_rate=RATE, audio_channel=0)
    write_check(found, count, {"r0": folder / "a.wav"}, model, folder)
    return folder / "check"


def test_detections_below_the_threshold_are_checked_too(found):
    assert found["score"].tolist() == pytest.approx([0.9, 0.55, 0.2])


def test_the_page_holds_every_detection_and_plays_those_that_are_drawn(found, folder):
    check = write(found, folder, count=2)
    page = (check / "index.html").read_text()
    assert page.count("</script>") == 1  # no label ends the script
    data = json.loads(page.partition("const data = ")[2].partition(";\n")[0])
    assert len(data["rows"]) == 3 and len(data["shown"]) == 2
    for item in data["shown"]:
        score = data["rows"][item["row"]][data["columns"].index("score")]
        assert item["sound"].startswith(f"{score:.2f} ")
        assert soundfile.info(check / item["sound"]).duration == pytest.approx(2.5)
    assert [*find_recordings(folder)] == ["a.wav"]


def test_answers_and_sounds_of_the_user_are_kept(found, folder):
    check = write(found, folder)
    (check / "mine.wav").write_text("mine")
    (check / "checked.csv").write_text("answers")
    write(found[:1], folder)
    assert (check / "mine.wav").read_text() == "mine"
    assert (check / "checked.csv").read_text() == "answers"
    assert len(pd.read_csv(check / "checked-2.csv")) == 1
    assert len([*check.glob("0.*.wav")]) == 1


def study(rng, recordings=40, each=25, ease=0.7):
    """Scores, right and recordings of detections that are right together."""
    recording = np.repeat(np.arange(recordings), each)
    odds = rng.normal(-0.3, 1.6, len(recording))
    site = rng.normal(0, ease, recordings)[recording]
    right = rng.random(len(odds)) < expit(0.5 + 1.3 * odds + site)
    return expit(odds), right, recording


def test_intervals_hold_the_precision_of_these_detections():
    rng = np.random.default_rng(7)
    held = []
    for _ in range(200):
        scores, right, recording = study(rng)
        at = draw(scores, 100, rng)
        fit = fit_precision(scores[at], right[at], recording[at])
        (row,) = precision_above(fit, scores, np.array([0.5])).itertuples()
        held.append(row.low <= right[scores > 0.5].mean() <= row.high)
    assert 0.92 <= np.mean(held) <= 0.98


def table(path, answered, seed=0):
    scores, right, recording = study(np.random.default_rng(seed))
    answers = np.where(right, "yes", "no")
    drawn = draw(scores, answered, np.random.default_rng(1))
    heard = np.isin(np.arange(len(scores)), drawn)
    pd.DataFrame(
        {
            "file": [f"{number}.wav" for number in recording],
            "label": "dog",
            "score": scores,
            "correct": np.where(heard, answers, ""),
        }
    ).to_csv(path, index=False)
    return scores, right


def test_a_threshold_keeps_the_promise_or_the_checks_are_too_few(tmp_path, capsys):
    scores, right = table(tmp_path / "t.csv", 200)
    tell_checked(tmp_path / "t.csv", 0.75)
    printed = capsys.readouterr().out
    threshold = float(printed.partition("THRESHOLD=")[2].partition(" ")[0])
    assert right[scores > threshold].mean() >= 0.75
    assert f"of {len(scores):,} detections are right" in printed
    table(tmp_path / "t.csv", 30)
    tell_checked(tmp_path / "t.csv", 0.95)
    printed = capsys.readouterr().out
    assert "30 checks are too few to promise 95%" in printed and "would do" in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label,score\na,b,0.5\n", "it has no column correct"),
        ("file,label,score,correct\na,b,0.5,maybe\n", "expected yes, no or nothing"),
        ("file,label,score,correct\na,b,2,yes\n", "a score is no number from 0 to 1"),
        ("file,label,score,correct\na,b,0.5,yes\n", "1 right, 0 wrong; at least 5"),
    ],
)
def test_a_table_without_answers_is_refused(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with refused(words):
        tell_checked(tmp_path / "t.csv", 0.9)


def test_a_folder_of_the_user_is_left_alone(tmp_path):
    (tmp_path / "check").mkdir()
    assert check_folder(tmp_path).name == "check2"
