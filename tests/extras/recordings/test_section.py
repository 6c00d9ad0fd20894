"""The report on runs of events."""

import re

import pandas as pd
import pytest

from featurestack.analysis.command import jobs
from featurestack.analysis.findings import findings
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import build_report
from featurestack.analysis.runs import load_runs
from featurestack.extras.latex import methods_text
from featurestack.features_cache.cache import cache_of
from featurestack.results.run_folder import RunFolder, configuration_score
from featurestack.results.selection import of_today
from tests.analysis.made_runs import no_figures


@pytest.fixture(scope="module")
def report(runs, folder):
    places = {name: folder / name for name in ("data", "runs", "reports")}
    options = AnalysisOptions(dataset="field", **places)
    with no_figures():
        (job,) = jobs(options)
        return build_report(job), folder / "reports" / "field"


def test_the_report_ranks_runs_by_the_f1_of_events(report):
    built, folder = report
    comparison = pd.read_csv(folder / "tables" / "comparison.csv")
    assert comparison["model"].tolist() == ["frames@width=32", "frames"]
    assert comparison["event_f1"].is_monotonic_decreasing
    assert comparison["verdict"].iloc[0] == "best"
    assert comparison["p"].iloc[1] < 1
    assert {"found", "false_alarms", "onset_ms"} <= {*comparison}
    assert re.search(
        r" finds [\d.]+ % of \d+ events in 8 recordings, with \d+ false alarms? and \d+"
        r" detections? under another name in 56 s; event F1 [\d.]+ % \(95 % interval ",
        built.headline,
    )
    assert "overlap for at least half" in built.leads["What is event F1?"]
    assert built.whole


def test_the_section_has_the_scores_of_each_class_and_the_errors(report, runs):
    _, folder = report
    events = pd.read_csv(folder / "tables" / "events.csv", index_col="label")
    assert [*events.index] == ["high", "low", "all classes"]
    best = configuration_score(runs[:1])
    assert events.loc["all classes", "f1"] == pytest.approx(best.value)
    assert events.loc["all classes", "low"] == pytest.approx(best.low)
    comparison = pd.read_csv(folder / "tables" / "comparison.csv")
    for name in ("onset_ms", "found", "false_alarms"):
        assert comparison[name][0] == pytest.approx(events.loc["all classes", name])
    assert (events["false_alarms"] % 1 == 0).all()
    assert events.loc["high", "recordings"] == 8
    errors = pd.read_csv(folder / "tables" / "errors.csv")
    assert errors["recording"].isin([f"r{number}.wav" for number in range(8)]).all()
    kinds = errors["kind"].value_counts()
    assert kinds.get("false alarm", 0) == events.loc["all classes", "false_alarms"]
    page = " ".join((folder / "index.html").read_text(encoding="utf-8").split())
    assert 'id="events"' in page and "detections under another name in 56 s" in page
    assert "False alarms</button>" in page and "an hour</button>" not in page
    assert 'id="classes"' not in page and 'id="tag_errors"' not in page


def test_methods_are_those_of_events(runs):
    text = methods_text(findings(load_runs(runs[:1])[0]))
    assert re.search(r"\d+ events of 2 classes in 8 recordings .* overlapping p", text)
    assert "input of all rows (32)" in text and "threshold 0.5" in text
    assert "resized" not in text and "bootstrap over 8 recordings" in text


def test_a_run_on_other_events_than_those_of_today_is_of_other_data(runs, folder):
    data = folder / "data"
    table = str(data / "field" / "field.csv")
    cache = cache_of(str(table), data)
    assert len(of_today(runs, cache)) == len(runs)
    file = folder / "data" / "field" / "events.csv"
    text = file.read_text()
    try:
        first, _, rest = text.split("\n", 2)
        file.write_text(f"{first}\n{rest}")
        assert of_today(runs, cache) == []
    finally:
        file.write_text(text)


def test_a_damaged_file_of_frames_costs_one_fold(report, runs):
    run = runs[0]
    file = run.fold(2) / "frames.npz"
    content = file.read_bytes()
    try:
        file.write_bytes(content[: len(content) // 2])
        (damaged,), (problem,) = load_runs([RunFolder(run.path)])
    finally:
        file.write_bytes(content)
    assert damaged.missing_folds == (2,) and "frames.npz" in problem.text


def test_history_has_the_scores_of_what_is_stored(runs):
    run = runs[1]
    for fold in run.finished:
        last = run.history(fold)[["test_event_f1", "test_loss"]].iloc[-1]
        scores = run.scores().loc[fold, ["event_f1", "loss"]]
        assert last.tolist() == pytest.approx(scores.tolist(), rel=1e-12)
