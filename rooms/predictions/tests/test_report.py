"""Reports on tables: the numbers of a run, players, findings, the next command."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import jobs, unchanged
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import with_rooms
from tests.analysis.made_runs import MadeRun, made_clips, make_run

SCORES = ["accuracy", "accuracy_sd", "n", "accuracy_low", "accuracy_high"]
SCORES += ["balanced_accuracy", "macro_f1", "log_loss", "difference", "error", "p"]


def options(tmp_path, **given):
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    given = {"dataset": ""} | folders | given
    return with_rooms(AnalysisOptions)(**given)


def built(tmp_path, **given):
    chosen = options(tmp_path, **given)
    (job,) = jobs(chosen)
    return build_report(job, chosen)


def table_of(report, name):
    return pd.read_csv(report.page.parent / "tables" / f"{name}.csv")


def test_a_runs_own_predictions_have_the_runs_numbers(tmp_path):
    clips = made_clips(clips=120, classes=4)
    for features, skill in (("mel", 0.7), ("rms", 0.5)):
        made = MadeRun(features=features, skill=skill, val="next")
        make_run(tmp_path / "runs", clips, made)
    own = built(tmp_path, dataset="made")
    given = built(
        tmp_path, predictions=(tmp_path / "runs" / "made",), name="table", figures=0
    )
    for name in ("metrics", *(f"{run}-resnet18-val.next.classes" for run in ("mel",))):
        pd.testing.assert_frame_equal(
            table_of(own, name), table_of(given, name), check_exact=True
        )
    numbers = table_of(own, "comparison")[SCORES]
    pd.testing.assert_frame_equal(
        numbers, table_of(given, "comparison")[SCORES], check_exact=True
    )
    text = given.page.read_text()
    assert "as its author trained" not in text and "never both trained" not in text


def test_a_report_says_what_the_table_lacks_and_what_to_add(tmp_path):
    clips = made_clips(clips=60, classes=3)
    rows = clips[["clip_id", "label"]].assign(predicted=clips["label"], score=0.9)
    rows.loc[:9, "predicted"] = "class01"
    file = tmp_path / "mine.csv"
    rows.to_csv(file, index=False)
    report = built(tmp_path, predictions=(file,))
    assert report.page.parent == tmp_path / "reports" / "mine"
    (lack,) = [line for line in report.remarks if "GROUP=" in line]
    assert lack == (
        "mine: no group column: clips count as independent; name it with GROUP="
    )
    assert "GROUP=COLUMN" in report.next_command
    chosen = options(tmp_path, predictions=(file,))
    assert unchanged(jobs(chosen)[0], chosen)
    rows.assign(group="g").to_csv(file, index=False)
    assert not unchanged(jobs(chosen)[0], chosen)
    named = options(tmp_path, predictions=(file,), columns="model=my nett")
    with pytest.raises(RequestError, match="unknown column 'my nett'"):
        jobs(named)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    with pytest.raises(RequestError, match="NAME=second-opinion"):
        jobs(chosen)


def test_audio_gives_players_and_the_findings_of_check(tmp_path):
    rng = np.random.default_rng(0)
    clips = made_clips(clips=24, classes=2, folds=2)
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for clip in clips["clip_id"]:
        soundfile.write(sounds / f"{clip}.wav", 0.1 * rng.normal(size=4000), 8000)
    first, *_, last = clips["clip_id"]
    shutil.copy(sounds / f"{first}.wav", sounds / f"{last}.wav")
    rows = clips.assign(file=clips["clip_id"] + ".wav", predicted=clips["label"][0])
    file = tmp_path / "mine.csv"
    rows[["file", "label", "predicted", "fold", "group"]].to_csv(file, index=False)
    report = built(tmp_path, predictions=(file,), audio=sounds)
    assert "data:audio/mpeg" in report.page.read_text()
    assert any("hold the same audio" in remark for remark in report.remarks)
    assert "PAPER=1" in report.next_command
    labels = clips.assign(filename=rows["file"])[["filename", "label", "fold"]]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    rows[["file", "predicted"]].to_csv(file, index=False)
    chosen = options(tmp_path, predictions=(file,), truth=tmp_path / "labels.csv")
    assert jobs(chosen)[0].runs[0].predictions()["fold"].nunique() == 2


def test_frames_are_analysed_as_files_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips = made_clips(clips=60, classes=3)
    rows = clips[["clip_id", "label", "group"]].assign(dog=0.1)
    rows = rows.assign(**dict.fromkeys(("class00", "class01", "class02"), 0.3))
    other = rows.assign(class00=0.9, class01=0, class02=0)
    report = fs.analyse({"a": rows, "b": other}, quiet=True)
    assert [line for line in report.remarks if "GROUP=" in line] == []
    assert sorted(table_of(report, "comparison")["run"]) == ["a", "b"]
    indexed = rows.set_index("clip_id")
    assert fs.analyse(indexed, name="mine", quiet=True).page.parent.name == "mine"
    with pytest.raises(RequestError, match="row 0: the clip has no label"):
        fs.analyse(rows.assign(label=["", *rows["label"][1:]]))
