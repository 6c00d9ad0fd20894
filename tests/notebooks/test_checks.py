"""The checks of the course: plausible wrong answers are refused, and no message holds the right one."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.fft import dct

import lab
from notebooks.checks import CHECKS, NotYet, check, reveal
from notebooks.store import load, names, solutions


def answers(notebook: str) -> dict[str, object]:
    """What the solutions define that need no notebook."""
    found: dict[str, object] = {"np": np, "pd": pd, "lab": lab}
    for cell, source in solutions(notebook).items():
        if cell.startswith("question"):
            exec(source, found)
    return found


LISTEN, DESCRIBE, TRAIN, STACKS, COMPARE, OWN = (answers(name) for name in names() if name != "play")
RIGHT = {
    "tone": LISTEN["peak_hertz"],
    "frames": LISTEN["frames"],
    "harmonic share": LISTEN["harmonic_share"],
    "loudness": DESCRIBE["unchanged"],
    "centroid": DESCRIBE["centroid"],
    "mfcc": DESCRIBE["mfcc"],
    "fisher": DESCRIBE["fisher"],
    "variant": TRAIN["name"],
    "bytes": TRAIN["size"],
    "leaked": TRAIN["leaked"],
    "input shape": STACKS["shape"],
    "optimism": STACKS["optimism"],
    "difference": COMPARE["difference"],
    "discordant": COMPARE["only"],
    "mcnemar": COMPARE["p_value"],
    "groups": OWN["GROUP"],
    "half width": OWN["half_width"],
}
WITH_A_RUN_OR_A_CACHE = {"accuracy", "row means"}  # in test_notebooks.py


def only_by_place(one, other):
    one, other = one.to_numpy(), other.to_numpy()
    return int((one & ~other).sum()), int((other & ~one).sum())


def harmonic_amplitude(a, b):
    return np.abs(a).sum() / (np.abs(a).sum() + np.abs(b).sum())


def within_divided_by_n_minus_1(x, labels):
    classes = [x[labels == label] for label in np.unique(labels)]
    between = np.var([values.mean(axis=0) for values in classes], axis=0)
    return between / np.mean([values.var(axis=0, ddof=1) for values in classes], axis=0)


WRONG = [
    ("tone", lambda spectrum, hertz: hertz[0]),
    ("tone", lambda spectrum, hertz: hertz[spectrum.argmax(axis=0)]),
    ("frames", lambda samples, hop: samples // hop),
    ("frames", lambda samples, hop: -(-samples // hop)),
    ("harmonic share", harmonic_amplitude),
    ("harmonic share", lambda a, b: np.sum(a**2) / np.sum((a + b) ** 2)),
    ("loudness", {"zcr", "centroid"}),
    ("loudness", {"zcr", "centroid", "chroma", "mel"}),
    ("centroid", lambda magnitude, hertz: hertz[magnitude.argmax(axis=0)]),
    ("centroid", lambda magnitude, hertz: (hertz[:, None] * magnitude**2).sum(0) / (magnitude**2).sum(0)),
    ("mfcc", lambda mel: dct(mel, type=2, axis=0)[:40]),
    ("mfcc", lambda mel: dct(mel, type=2, norm="ortho", axis=1)[:40]),
    ("fisher", within_divided_by_n_minus_1),
    ("fisher", lambda x, labels: x.var(axis=0)),
    ("variant", "mel@n_mels=64,hop_length=441"),
    ("variant", "mel@n_mels=64,hop_length=441:0-32"),
    ("variant", "mel@n_mels=64,hop_length=441:1-32"),
    ("bytes", lambda clips, rows, frames: 4 * clips * rows * frames),
    ("bytes", lambda clips, rows, frames: 220_672_000),
    ("leaked", lambda training, testing: set()),
    ("leaked", lambda training, testing: set(training.group) | set(testing.group)),
    ("leaked", lambda training, testing: set(training.index) & set(testing.index)),
    ("input shape", (32, 64, 108, 3)),
    ("input shape", (3, 64, 108)),
    ("input shape", (32, 3, 128, 431)),
    ("optimism", lambda history: history.test_accuracy.max() - history.test_accuracy.min()),
    ("optimism", lambda history: history.test_accuracy.iloc[-1] - history.test_accuracy.max()),
    ("difference", lambda one, other: (np.mean(other - one), np.std(other - one))),
    ("difference", lambda one, other: (np.mean(one - other), np.std(one - other, ddof=1))),
    ("discordant", only_by_place),
    ("discordant", lambda one, other: (int(one.sum()), int(other.sum()))),
    ("mcnemar", lambda b, c: 0.5 ** (b + c)),
    ("mcnemar", lambda b, c: COMPARE["p_value"](b, c) / 2),
    ("groups", r"[a-z]+-\d+-\d+-\d+"),
    ("groups", r"([a-z]+)"),
    ("groups", r"(\d+-\d+-\d+)"),
    ("groups", r"(.*)"),
    ("half width", lambda a, n: (a * (1 - a) / n) ** 0.5),
    ("half width", lambda a, n: 1.96 * (a * (1 - a)) ** 0.5 / n),
]


def test_every_check_is_tested_with_a_right_and_a_wrong_answer():
    assert set(RIGHT) | WITH_A_RUN_OR_A_CACHE == set(CHECKS)
    assert {name for name, _ in WRONG} == set(RIGHT)


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_passes_and_a_missing_one_does_not(name, capsys):
    check(name, RIGHT[name])
    assert capsys.readouterr().out.startswith("Right. ")
    for missing in (..., lambda *given: ...) if callable(RIGHT[name]) else (..., {...}, (..., 3)):
        with pytest.raises(NotYet, match=r"\.\.\."):
            check(name, missing)


@pytest.mark.parametrize(("name", "answer"), WRONG)
def test_a_wrong_answer_is_refused(name, answer):
    with pytest.raises(NotYet):
        check(name, answer)


def test_accuracy_is_checked_on_a_run_of_any_classes():
    classes = ["a", "b", "c"]
    rows = pd.DataFrame({"target": ["a", "b", "c", "a"], "a": 0.4, "b": 0.3, "c": 0.3})
    run = SimpleNamespace(classes=classes, finished=[2], predictions=lambda fold: rows)
    check("accuracy", TRAIN["accuracy"], run)
    for wrong in (lambda rows, classes: 1.0, lambda rows, classes: rows[classes].max(axis=1).mean()):
        with pytest.raises(NotYet):
            check("accuracy", wrong, run)


def test_a_prediction_is_asked_for_and_a_wrong_one_is_no_error(capsys):
    for missing in (..., [..., "a"], {"x": ...}, {..., "b"}):
        with pytest.raises(NotYet, match="prediction"):
            reveal(missing, "a")
    reveal(0.5, 0.8234)
    reveal(["a", "b"], ["a", "c"])
    reveal({"x": "a"}, {"x": "a", "y": "b"})
    reveal({"x": "a", "y": "b"}, {"x": ["b", "a"], "y": ["c"]})
    shown = capsys.readouterr().out
    assert "x: you predicted a, found: b or a" in shown
    assert "you predicted 0.5, found: 0.823" in shown
    assert "2: you predicted b, found: c" in shown
    assert shown.count("1 of 2 as predicted") == 3


def test_every_question_has_its_check_and_its_answer():
    for name in names():
        cells = [cell.id for cell in load(name).cells]
        asked = [cell for cell in cells if cell.startswith(("question-", "predict-"))]
        assert asked == list(solutions(name))
        assert [f"check-{cell[9:]}" for cell in asked if cell.startswith("question-")] == [
            cell for cell in cells if cell.startswith("check-")
        ]
