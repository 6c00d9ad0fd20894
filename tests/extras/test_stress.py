"""What breaks a run: its own clips, changed, by its own models."""

import os
import re
import shutil
import time
from unittest.mock import Mock

import numpy as np
import pytest

import featurestack as fs
from featurestack.analysis.report.jobs import AnalysisOptions, analysis
from featurestack.extras.stress import StressOptions
from featurestack.extras.stress.stress import (
    CHANGES,
    HALF,
    STRESS_FILE,
    UNCHANGED,
    AlteredPredictions,
    make_stress,
    measure_stress,
    read_stress,
    stress_table,
)
from featurestack.results.run_folder import RunFolder
from featurestack.results.tasks import TASKS
from tests.analysis.made_runs import MadeRun, made_clips, make_run, no_figures
from tests.damage import HOW, report_over_damage
from tests.golden.commands import command, done, inside
from tests.noise import write_clips
from tests.processes import Fork
from tests.refusal import refused
from tests.train import sounds


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on clips of different lengths without padding, beside their audio."""
    folder = tmp_path_factory.mktemp("stress")
    return sounds.train_run(folder, short=True, model="linear", padding="drop")


def data_of(run):
    return run.path.parents[2] / "data"


def options_of(run, **given):
    return StressOptions(run=str(run.path), data=data_of(run), threads=1, **given)


@pytest.fixture(scope="module")
def stress_answers(run):
    return measure_stress(options_of(run))[1]


@pytest.fixture
def unanswered_run(run):
    """The run without answers, beside the same data; tests may change it."""
    path = run.path.with_name("copied")
    shutil.copytree(run.path, path)
    (path / STRESS_FILE).unlink(missing_ok=True)
    yield RunFolder(path)
    shutil.rmtree(path)


def test_unchanged_clips_are_answered_as_when_the_run_was_trained(run, stress_answers):
    table = fs.stress(str(run.path), data=data_of(run)).set_index("change")
    answers, targets = run.probabilities()
    assert table["score"][UNCHANGED] == (answers.argmax(axis=1) == targets).mean()
    assert [*table.index] == [*CHANGES] and not table["clear"][UNCHANGED]
    low, high = table["low"], table["high"]
    assert ((low <= table["score"]) & (table["score"] <= high)).all()


def test_noise_hurts_and_costs_half_of_the_lead_over_chance(run, stress_answers):
    table = stress_table(run, stress_answers)
    row = table.set_index("change").loc["noise at 10 dB"]
    assert row["clear"] and row["score"] < table["score"][0] - 0.2
    assert row["loss"] == HALF


def test_uneven_classes_are_judged_by_balanced_accuracy(tmp_path):
    """If all predictions after a change are the commonest class, the whole lead over
    chance is lost, although the accuracy is still high.
    """
    clips = made_clips(200, 5)
    classes = clips["label"].unique()
    rows = np.flatnonzero((clips["label"] == classes[0]) | (np.arange(200) % 8 == 0))
    run = RunFolder(make_run(tmp_path, clips.iloc[rows], MadeRun(skill=1.0)))
    target = run.scored()["target"]
    common = target == target.mode()[0]
    claimed = (0.9,) * len(target)
    right = {UNCHANGED: np.ones(len(target), bool), "12 dB over full scale": common}
    changes = {
        name: AlteredPredictions((*of.tolist(),), claimed) for name, of in right.items()
    }
    table = stress_table(run, changes)
    number = target.nunique()
    assert common.mean() > 1.5 / number
    assert table["score"].tolist() == pytest.approx([1, 1 / number])
    assert table["clear"][1] and table["loss"][1] == HALF


def test_a_killed_stress_goes_on_where_it_was(unanswered_run, stress_answers, capsys):
    words = f"RUN={unanswered_run.path}", f"DATA={data_of(unanswered_run)}", "THREADS=1"
    command = Fork("-m", "featurestack", "stress", *words)
    deadline = time.monotonic() + 600
    while not (unanswered_run.path / STRESS_FILE).is_file():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert "24 clips, each in 11 versions" in command.kill().stderr
    kept = len(read_stress(unanswered_run))
    assert 1 <= kept < len(CHANGES)
    make_stress(options_of(unanswered_run))
    out, err = capsys.readouterr()
    left = len(CHANGES) - kept
    assert f"each in {left} versions" in err and f", {kept} are kept" in err
    assert "noise at 10 dB" in out and "next: " in out
    assert read_stress(unanswered_run) == stress_answers
    make_stress(options_of(unanswered_run))
    assert capsys.readouterr() == (out, "")


def test_missing_audio_and_answers_of_other_weights_are_said(unanswered_run):
    folder = data_of(unanswered_run).parent / "sounds"
    away = folder.rename(folder.with_name("away"))
    with refused("stress changes the audio of the test clips: .*missing"):
        measure_stress(options_of(unanswered_run))
    away.rename(folder)
    stale = unanswered_run.path / STRESS_FILE
    answers = '{"right": [true], "claimed": [0.5]}'
    stale.write_text(f'{{"hash": "of others", "changes": {{"a": {answers}}}}}')
    assert read_stress(unanswered_run) == {}
    with refused("was not written by this command"):
        measure_stress(options_of(unanswered_run))


def test_a_clip_without_one_right_answer_and_a_file_are_refused(
    run, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched, refused("several labels per clip"):
        patched.setattr(RunFolder, "task", TASKS["tags"])
        measure_stress(options_of(run))
    bundle = tmp_path / "model.pt"
    bundle.touch()
    with refused("this command is for a run, and not for a file made of one"):
        measure_stress(StressOptions(run=str(bundle), data=data_of(run)))


def test_the_report_has_one_table_of_all_runs(run, stress_answers, tmp_path):
    table = str(data_of(run) / "little" / "features")
    places = {"data": data_of(run), "runs": run.path.parents[1], "reports": tmp_path}
    options = AnalysisOptions(dataset=table, **places)
    with no_figures():
        assert not analysis(options)
    page = (tmp_path / "little" / "index.html").read_text("utf-8")
    assert "What breaks it</h2>" in page and HALF in page
    text = " ".join(re.sub("<wbr>", "", page).split())
    assert f"test clips of {run.name} after a change" in text
    assert "any other may be chance" in text
    table = (tmp_path / "little" / "tables" / "stress.csv").read_text("utf-8")
    assert len(table.splitlines()) == 1 + len(CHANGES)


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    """A dataset that NAME= names, a run, and the results of stress for this run."""
    folder = tmp_path_factory.mktemp("birds")
    write_clips(folder / "sounds", "ant", "bee", tone=0.3)
    with inside(folder):
        done("features DATASET=sounds NAME=birds FEATURES=rms JOBS=1")
        done("train DATASET=sounds NAME=birds FEATURES=rms MODEL=linear")
        done("stress DATASET=sounds NAME=birds RUN=rms-linear")
    return folder


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("how", HOW)
def test_a_damaged_file_is_named_and_the_report_is_made(birds, how):
    remedy = "changes.unchanged.claimed", "stress makes it again"
    report_over_damage(birds, {f"runs/birds/rms-linear/{STRESS_FILE}": remedy}, how)


@pytest.fixture
def noisy_site(tmp_path, monkeypatch):
    """A run of tones, in the present folder."""
    write_clips(tmp_path / "birds", "ant", "bee", tone=0.3)
    write_clips(tmp_path / "other/birds", "ant", "bee")
    monkeypatch.chdir(tmp_path)
    done("features DATASET=birds FEATURES=mel JOBS=1")
    done("train DATASET=birds FEATURES=mel MODEL=linear")
    return tmp_path


@pytest.mark.parametrize("changed", ["all", "one", "one, at the old time"])
def test_sounds_that_changed_after_training_are_refused(noisy_site, changed):
    for file in sorted((noisy_site / "birds").rglob("*.wav")):
        status = file.stat()
        shutil.copy(noisy_site / "other" / file.relative_to(noisy_site), file)
        if changed == "one, at the old time":
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        if changed != "all":
            break
    for words in ("", "DATASET=birds"):
        answer = command(f"stress RUN=mel-linear {words}")
        assert answer.status == 2 and "other sounds than birds has now" in answer.err
    assert not (noisy_site / "runs/birds/mel-linear/stress.json").exists()


def test_other_answers_than_those_of_the_training_are_refused(noisy_site, monkeypatch):
    y = np.zeros(8000, np.float32)
    monkeypatch.setattr("featurestack.pipeline.audio.load_clip", lambda *args: y)
    answer = command("stress RUN=last")
    assert answer.status == 2 and "answers " in answer.err and "otherwise" in answer.err
    assert not (noisy_site / "runs/birds/mel-linear/stress.json").exists()


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        ("stress RUN=last", "runs/birds/mel-linear"),
        ("predict RUN=last AUDIO=birds HOP=0.5 THRESHOLD=0.1", "reports"),
        ("predict RUN=last AUDIO=birds NEXT=2 OUT=out", "out"),
        ("predict RUN=last AUDIO=birds OUT=out/all.csv", "out"),
    ],
)
def test_a_folder_that_may_not_be_written_is_named_first(
    noisy_site, monkeypatch, words, folder
):
    (noisy_site / folder).mkdir(parents=True, exist_ok=True)
    may = os.access
    closed = str(noisy_site / folder)
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(path) != closed and may(path, mode)
    )
    computed = Mock(side_effect=AssertionError("computed first"))
    monkeypatch.setattr("featurestack.predict.model.Model.batch", computed)
    answer = command(words)
    assert answer.status == 2 and folder in answer.err, answer
    assert "Permission denied" in answer.err
