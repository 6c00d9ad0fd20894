"""`make analysis PREDICTIONS=`: a run folder, and the report on its dataset."""

import pandas as pd
import pytest

import featurestack as fs
from featurestack.analysis.runs import load_runs
from featurestack.results.folders import find
from featurestack.results.run_folder import RunFolder
from tests.analysis.made_runs import MadeRun, made_clips, make_run

pytestmark = pytest.mark.usefixtures("without_figures")


def test_a_table_has_the_numbers_of_the_run_it_was_made_of(tmp_path):
    clips = made_clips(clips=120, classes=4)
    run = RunFolder(make_run(tmp_path / "runs", clips, MadeRun()))
    file = tmp_path / "mine.csv"
    run.scored().to_csv(file, index=False)
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    report = fs.report(predictions=(file,), **folders, quiet=True)
    assert report.page.parent == tmp_path / "reports" / "mine"
    (imported,) = find(tmp_path / "runs", "mine")
    own, other = (load_runs([each]).runs[0] for each in (run, imported))
    assert other.foreign and other.predicted.tolist() == own.predicted.tolist()
    metrics = [
        pd.read_csv(built.page.parent / "tables" / "metrics.csv").drop(columns="run")
        for built in (report, fs.report("made", **folders, quiet=True))
    ]
    pd.testing.assert_frame_equal(*metrics)


def test_a_table_is_compared_with_the_runs_of_its_dataset(tmp_path):
    clips = made_clips(clips=120, classes=4)
    made = MadeRun(skill=0.8, features="rms")
    for run in (MadeRun(), made):
        make_run(tmp_path / "runs", clips, run)
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    listing = tmp_path / "made.csv"
    clips.rename(columns={"clip_id": "filename"}).to_csv(listing, index=False)
    file = tmp_path / "other.csv"
    rows = clips[["clip_id"]].assign(predicted=clips["label"])
    rows.to_csv(file, index=False)
    report = fs.report(str(listing), predictions=(file,), **folders, quiet=True)
    table = pd.read_csv(report.page.parent / "tables" / "comparison.csv")
    assert table["run"].tolist()[0] == "other" and len(table) == 3
    assert "tables of predictions do not say which" in report.page.read_text()
