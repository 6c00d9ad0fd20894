"""The checks of the course: the right answer passes, plausible wrong ones are
refused.
"""

import numpy as np
import pytest
from scipy.fft import dct
from torch import nn

from notebooks.answers import ANSWERS
from notebooks.course import QUESTIONS, NotYet, check, reveal
from notebooks.store import PREDICTIONS, answers, load, names


def harmonic_amplitude(a, b):
    return np.abs(a).sum() / (np.abs(a).sum() + np.abs(b).sum())


WRONG = [
    ("tone", lambda spectrum, hertz: hertz[0]),
    ("frames", lambda samples, hop: samples // hop),
    ("harmonic share", harmonic_amplitude),
    ("loudness", {"zcr", "centroid"}),
    ("mfcc", lambda mel: dct(mel, type=2, axis=0)[:40]),
    ("fisher", lambda x, labels: x.var(axis=0)),
    ("megabytes", lambda clips, rows, frames: 4 * clips * rows * frames / 1e6),
    ("leaked", lambda training, testing: set()),
    ("standardised", lambda training, tested: (tested - tested.mean()) / tested.std()),
    ("optimism", lambda history: np.ptp(history.test_accuracy)),
    ("accuracy", lambda rows, classes: rows[classes].max(axis=1).mean()),
    ("block", lambda channels: nn.Conv2d(channels, channels, 3, padding=1)),
    ("stopping", lambda losses, patience: (len(losses), int(np.argmin(losses)) + 1)),
    ("block parameters", lambda inputs, width: 9 * width * (inputs + width)),
    (
        "categories",
        lambda rows, category: (rows[[*category]].idxmax(axis=1) == rows.target).mean(),
    ),
    ("difference", lambda one, other: (np.mean(other - one), np.std(other - one))),
    ("mcnemar", lambda b, c: 0.5 ** (b + c)),
    ("groups", r"[a-z]+-\d+-\d+-\d+"),
    ("half width", lambda a, n: (a * (1 - a) / n) ** 0.5),
    ("average precision", lambda scores, here: here[np.argsort(-scores)][:2].mean()),
    ("threshold", lambda scores, present: 0.5),
]


def test_every_question_is_asked_once_and_has_a_wrong_answer_here():
    cells = [cell for name in names() for cell in load(name).cells]
    sources = [cell.source for cell in cells if cell.id.startswith("check-")]
    asked = [source.split('"')[1] for source in sources]
    assert sorted(asked) == sorted(QUESTIONS) == sorted(ANSWERS)
    assert {name for name, _ in WRONG} == {*QUESTIONS}


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_right_answer_passes_and_a_missing_one_does_not(name, capsys):
    check(name, ANSWERS[name])
    assert capsys.readouterr().out.startswith("Right.")
    absent = (lambda *given: ...,) if callable(ANSWERS[name]) else ({...}, (..., 3))
    for missing in (..., *absent):
        with pytest.raises(NotYet, match=r"\.\.\."):
            check(name, missing)


@pytest.mark.parametrize(("name", "answer"), WRONG)
def test_a_wrong_answer_is_refused(name, answer):
    with pytest.raises(NotYet):
        check(name, answer)


def test_an_answer_that_fails_is_told_with_its_own_line():
    def forward(x):
        return x[:, 9:].sum(axis=7)

    class Block(nn.Module):
        def forward(self, x):
            return forward(x)

    blamed = r"answer failed: AxisError: .* in `return x\[:, 9:\]\.sum\(axis=7\)`"
    for name, answer, said in (
        ("accuracy", lambda rows, classes: forward(rows.to_numpy()), blamed),
        ("block", lambda channels: Block(), r"in `return x\[:, 9:\]"),
        ("frames", lambda samples: 0, "failed: TypeError: .* takes 1 positional"),
        ("groups", "[a-z", "failed: .*unterminated character set"),
    ):
        with pytest.raises(NotYet, match=said):
            check(name, answer)


def test_a_set_that_lacks_a_name_is_told_from_what_is_no_set():
    for answer, said in (
        ({"zcr"}, "a name is missing or wrong"),
        ("zcr", "give a set"),
    ):
        with pytest.raises(NotYet, match=said):
            check("loudness", answer)


def test_a_prediction_is_asked_for_and_a_wrong_one_is_no_error(capsys):
    for missing in (..., [..., "a"], {"x": ...}, {..., "b"}):
        with pytest.raises(NotYet, match="prediction"):
            reveal(missing, "a")
    reveal(0.5, 0.8234)
    reveal(["a", "b"], ["a", "c"])
    reveal({"x": "a", "y": "b"}, {"x": ["b", "a"], "y": ["c"]})
    shown = capsys.readouterr().out
    assert "x: you predicted a, found: b or a" in shown
    assert "you predicted 0.5, found: 0.823" in shown
    assert "2: you predicted b, found: c" in shown


def test_every_cell_that_asks_has_its_answer():
    predicted = []
    for name in names():
        notebook = load(name)
        cells = [cell.id for cell in notebook.cells]
        asking = {cell for cell in cells if cell.startswith(("question-", "predict-"))}
        assert asking == answers(notebook).keys()
        predicted += [cell for cell in asking if cell.startswith("predict-")]
    assert len(predicted) == len(PREDICTIONS)
