"""A damaged file of ours is named with what makes it again, and ends nothing else."""

import json

import pytest

from tests.golden.commands import command, done, inside
from tests.noise import write_clips

RUNS = "runs/birds/"
# file -> a key in it, and what makes it again
FILES = {
    RUNS + "rms-linear/stress.json": ("changes.unchanged.claimed", "stress makes it"),
    RUNS + "importance/importance.json": ("rows", "measure importance again"),
    RUNS + "answer/choice.json": ("recommended", "repeat the answer"),
    "data/birds/features/check.json": ("audio", "check the dataset again"),
}


@pytest.fixture(scope="module")
def finished_dataset(tmp_path_factory):
    """A dataset with a check, runs, an answer, importance and stress."""
    folder = tmp_path_factory.mktemp("whole")
    write_clips(folder / "birds", "ant", "bee", tone=0.1)
    with inside(folder):
        command("check DATASET=birds")  # exit status 1 for a leak
        done("answer DATASET=birds FEATURES='rms zcr'")
        done("train DATASET=birds FEATURES=rms MODEL=linear")
        done("importance DATASET=birds FEATURES='rms zcr'")
        done("stress DATASET=birds RUN=rms-linear")
    return folder


def without_key(text, place):
    """The JSON without the value at this place, `a.b`."""
    content = part = json.loads(text)
    *outer, last = [int(key) if key.isdecimal() else key for key in place.split(".")]
    for key in outer:
        part = part[key]
    del part[last]
    return json.dumps(content)


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("how", ["a key is gone", "the end is cut"])
def test_each_damaged_file_is_named_and_the_report_is_made(finished_dataset, how):
    texts = {name: (finished_dataset / name).read_text() for name in FILES}
    page = finished_dataset / "reports/birds/index.html"
    page.unlink(missing_ok=True)
    for name, (key, _) in FILES.items():
        text = texts[name]
        spoilt = without_key(text, key) if how == "a key is gone" else text[:-9]
        (finished_dataset / name).write_text(spoilt)
    with inside(finished_dataset):
        answer = command("analysis DATASET=birds")
    for name, text in texts.items():
        (finished_dataset / name).write_text(text)
    said = answer.out + answer.err
    for name, (_, remedy) in FILES.items():
        assert f"{name} cannot be read (" in said and remedy in said, answer
    assert "failed:" not in said and page.is_file(), answer
