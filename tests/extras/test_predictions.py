"""Tables and arrays of predictions: the report's own numbers, and bad input."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.analysis.findings import findings
from featurestack.analysis.report_jobs import AnalysisOptions
from featurestack.analysis.run_arrays import load_runs
from featurestack.cli.parser import parse
from featurestack.extras.predictions import numbered_rows, predictions_in
from featurestack.features_cache.clip_table import complete
from featurestack.results import imported
from featurestack.results.imported import write_imported
from featurestack.results.run_folder import RunFolder, find
from tests.analysis.made_runs import MadeRun, made_clips, make_run
from tests.refusal import refused
from tests.test_two_at_once import ROUNDS, answers_of

CLIPS = {"clip_id": ["a", "b", "c"], "label": ["owl", "owl", "jay"], "fold": [1, 2, 1]}
TRUTH = complete(CLIPS | {"path": [f"/data/{name}.wav" for name in "abc"]})
GOOD = "clip,label,fold,cat,dog\na,cat,1,0.9,0.1\nb,dog,2,0.2,0.8\nc,dog,1,0.4,0.6\n"


def read(tmp_path, text, truth=None):
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    return predictions_in(numbered_rows(file), truth)


def run_of(tmp_path, text, truth=None):
    """The run folder of a table with this text."""
    predictions = read(tmp_path, text, truth)
    return write_imported(predictions, tmp_path / "runs" / "d" / "mine", source="mine")


SPELLINGS = [GOOD, "sep=;\n" + GOOD.replace(",", ";"), "\ufeff" + GOOD]


@pytest.mark.parametrize("text", [*SPELLINGS, GOOD.replace("\n", "\r\n") + "\r\n"])
def test_separators_are_read(tmp_path, text):
    predictions = read(tmp_path, text)
    assert predictions.scores.to_numpy()[:2].tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert predictions.clips["fold"].tolist() == ["1", "2", "1"]


def test_a_table_of_predicted_classes_and_another_name_for_the_clip_are_read(tmp_path):
    text = "clip_id,label,predicted\na,cat,cat\nb,dog,dog\nc,dog,cat\n"
    predictions = read(tmp_path, text)
    assert predictions.clips["clip_id"].tolist() == ["a", "b", "c"]
    assert predictions.scores["cat"].tolist() == [1, 0, 1]
    assert read(tmp_path, text.replace("clip_id", "File Name")).clips.shape[0] == 3
    for predicted in ("owl", ""):
        message = (
            f"mine.csv, line 4, column predicted: '{predicted}' is no clip's label"
        )
        with refused(message):
            read(tmp_path, text.replace("dog,cat", f"dog,{predicted}"))


def test_labels_of_the_dataset_are_found_by_file_names(tmp_path):
    text = "clip,owl,jay\nC:\\rec\\b.wav,0.9,0.1\n./a.flac,0.2,0.8\n"
    clips = read(tmp_path, text, TRUTH).clips
    assert clips["clip_id"].tolist() == ["b", "a"]
    assert clips["target"].tolist() == ["owl", "owl"]
    with refused("x.wav is not among the 3 clips"):
        read(tmp_path, text.replace("a.flac", "x.wav"), TRUTH)


def test_other_labels_than_those_of_the_dataset_are_said(tmp_path):
    text = "clip,label,owl,jay\na,owl,0.9,0.1\nb,jay,0.2,0.8\nc,jay,0.2,0.8\n"
    first, *_ = read(tmp_path, text, TRUTH).remarks
    assert "1 of 3 clips had another label in the table, the first jay" in first


def test_groups_in_several_folds_are_said(tmp_path):
    header, *rows = GOOD.splitlines()
    for groups, remarks in (
        ("xxy", ["1 of 2 groups is in several folds"]),
        ("xyx", []),
    ):
        lines = [f"{row},{group}" for row, group in zip(rows, groups)]
        found = read(tmp_path, "\n".join([f"{header},group", *lines])).remarks
        assert [text.partition(":")[0] for text in found] == remarks


@pytest.mark.parametrize("folds", [("", "", ""), (",fold", ",", ",")])
def test_folds_that_are_the_datasets_are_said(tmp_path, folds):
    first, *rows = (
        text + fold for text, fold in zip(["clip,owl,jay", "a,1,0", "b,0,1"], folds)
    )
    *_, remark = read(tmp_path, "\n".join([first, *rows]), TRUTH).remarks
    assert remark.endswith("judged as cross-validated in the dataset's folds")
    given = read(tmp_path, "clip,owl,jay,fold\na,1,0,1\nb,0,1,2\n", TRUTH)
    assert not any("judged" in text for text in given.remarks)


def test_the_same_labels_in_another_order_are_no_other_labels(tmp_path):
    truth = TRUTH.assign(label=["owl;jay", "jay", "owl"])
    text = "clip,label,owl,jay\na,jay; owl,0.9,0.9\nb,jay,0.2,0.8\nc,owl,0.8,0.2\n"
    assert not any("label" in remark for remark in read(tmp_path, text, truth).remarks)


def test_several_labels_of_a_clip_are_tags(tmp_path):
    run = run_of(tmp_path, "clip,label,a,b\n1,a;b,0.9,0.8\n2,b,0.1,0.7\n3,,0.2,0.9\n")
    assert run.config.task == "tags"
    assert run.predictions()["a"].tolist() == pytest.approx([0.9, 0.1, 0.2])


def test_a_tie_with_the_true_class_is_wrong_whatever_the_names(tmp_path):
    tied = "clip,label,a,b\n1,a,0.5,0.5\n2,b,0.5,0.5\n3,b,0.2,0.8\n"
    for names in ("ab", "ba"):
        text = tied.translate(str.maketrans("ab", names))
        text = text.replace(f"clip,l{names[0]}{names[1]}el", "clip,label")
        run = run_of(tmp_path, text)
        table = run.predictions()
        right = table[run.classes].idxmax(axis=1) == table["target"]
        assert right.tolist() == [False, False, True]
        values = table[run.classes].to_numpy(np.float32)
        assert values[2].max() == np.float32(0.8)  # as it was
        (remark,) = [text for text in run.config.remarks if "count as wrong" in text]
        assert remark.startswith("2 clips share their highest probability")
    assert not any("highest" in text for text in run_of(tmp_path, GOOD).config.remarks)


def test_another_source_of_the_same_name_is_another_run(tmp_path):
    place = tmp_path / "runs" / "d" / "mine"
    predictions = read(tmp_path, GOOD)
    first = write_imported(predictions, place, source="one/mine.csv")
    other = write_imported(predictions, place, source="two/mine.csv")
    again = write_imported(predictions, place, source="one/mine.csv")
    assert first.path == again.path == place and other.path != place


@pytest.mark.parametrize("begun", [False, True])
def test_a_kill_before_the_run_is_whole_blocks_nothing(tmp_path, monkeypatch, begun):
    if begun:
        run_of(tmp_path, GOOD)

    def killed(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def import_and_die():
        monkeypatch.setattr(imported, "write_config", killed)
        run_of(tmp_path, GOOD)

    process = multiprocessing.get_context("fork").Process(target=import_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    place = tmp_path / "runs" / "d" / "mine"
    assert (place / "fold1" / "predictions.csv").is_file()
    assert not (place / "run.json").exists()
    assert run_of(tmp_path, GOOD).path == place
    assert len(RunFolder(place).predictions()) == 3


def with_column(name, *values):
    """GOOD with one more column."""
    header, *rows = GOOD.splitlines()
    lines = [f"{row},{value}" for row, value in zip(rows, values)]
    return "\n".join([f"{header},{name}", *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("label", "x"), "no column label; its first line should be clip,"),
        (GOOD.replace("b,dog", "b,"), "mine.csv, line 3: the clip has no label"),
        (GOOD.replace("c,dog,1", "a,dog,1"), "line 4: clip a has two rows"),
        (
            GOOD.replace("0.2", "-3.1"),
            "column cat: '-3.1' is not a probability from 0 to 1$",
        ),
        (GOOD.replace("0.2", "0,2"), "line 3: the row has 6 cells, the header 5"),
        (GOOD.replace("b,dog", "b,cow"), "the class 'cow' has no column"),
        (with_column("entropy", 0.9, 0.2, 0.3), "no clip has the class 'entropy'"),
        (with_column("correct", 1, 1, 1), "no clip has the class 'correct'"),
        (with_column("duration", 5, 5, 5), "'5' is not a probability .*; remove it if"),
        (with_column("none", 0, 0, 0), "no clip has the class 'none'"),
    ],
)
def test_a_broken_table_gets_one_sentence(tmp_path, text, message):
    with refused(message):
        read(tmp_path, text)


def test_a_class_without_clips_counts_where_all_columns_sum_to_one(tmp_path):
    text = with_column("bee", 0.0, 0.1, 0.0).replace("0.2,0.8", "0.2,0.7")
    assert [*read(tmp_path, text).scores] == ["cat", "dog", "bee"]


def test_one_label_is_no_question(tmp_path):
    with refused("all clips have one label, 'cat'"):
        text = with_column("none", 0, 0.1, 0).replace("0.2,0.8", "0.2,0.7")
        run_of(tmp_path, text.replace("dog,1", "cat,1").replace("dog,2", "cat,2"))


def test_a_table_never_joins_the_runs_of_another_source(tmp_path):
    """The headline is of the table that was given, though another has its name."""
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    headlines = []
    for place, wrong in (("one", 0), ("two", 3)):
        file = tmp_path / place / "mine.csv"
        file.parent.mkdir()
        rows = []
        for clip in range(40):
            right = clip >= wrong
            of_a = float(right == (clip % 2 == 0))
            rows.append(f"c{clip},{'ab'[clip % 2]},{of_a:g},{1 - of_a:g}")
        file.write_text("\n".join(["clip,label,a,b", *rows]) + "\n")
        headlines.append(fs.report(predictions=(file,), **folders, quiet=True).headline)
    assert "100.0 % of 40 clips" in headlines[0] and "92.5 %" in headlines[1]


# ---- runs


@pytest.mark.usefixtures("without_figures")
def test_a_table_has_the_numbers_of_the_run_it_was_made_of(tmp_path):
    clips = made_clips(clips=120, classes=4)
    run = RunFolder(make_run(tmp_path / "runs", clips, MadeRun()))
    file = tmp_path / "mine.csv"
    table = run.scored().rename(columns={"clip_id": "clip", "target": "label"})
    table[["clip", "label", "fold", "group", *run.classes]].to_csv(file, index=False)
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    report = fs.report(predictions=(file,), **folders, quiet=True)
    assert report.page.parent == tmp_path / "reports" / "mine"
    (imported,) = find(tmp_path / "runs", "mine")
    own, other = (load_runs([each])[0][0] for each in (run, imported))
    assert other.imported
    predicted = [run.probabilities.argmax(axis=2).tolist() for run in (other, own)]
    assert predicted[0] == predicted[1]
    metrics = []
    for built in (report, fs.report("made", **folders, quiet=True)):
        table = pd.read_csv(built.page.parent / "tables" / "comparison.csv")
        metrics.append(table.filter(regex="accuracy|f1|loss"))
    pd.testing.assert_frame_equal(*metrics)


def test_other_folds_than_the_datasets_are_not_compared(tmp_path):
    clips = made_clips(clips=120, classes=4)
    runs, folds = tmp_path / "runs", clips["fold"]
    make_run(runs, clips, MadeRun())
    truth = complete(clips.assign(path=clips["clip_id"] + ".wav").to_dict("list"))
    imports = {"same": folds + 6, "other": folds.sample(frac=1, random_state=0)}
    for name, own in imports.items():
        table = pd.get_dummies(clips["label"], dtype=float).astype(str)
        table = table.assign(clip=clips["clip_id"], fold=[*own.astype(str)])
        predictions = predictions_in(table, truth)
        write_imported(predictions, runs / "made" / name, source=name)
    found = findings(*load_runs(find(runs, "made")))
    assert [own.name for own in found.others] == ["other"]
    remarks = [problem.text for problem in found.problems if problem.run == "other"]
    assert "of 120 clips were tested in another fold than the dataset's" in remarks[0]
    assert "groups are in several folds: source" in remarks[1]
    assert remarks[2].endswith(" %, not compared: different folds from same")


@pytest.mark.usefixtures("without_figures")
def test_a_table_is_compared_with_the_runs_of_its_dataset(tmp_path):
    clips = made_clips(clips=120, classes=4)
    made = MadeRun(skill=0.8, features="rms")
    for run in (MadeRun(), made):
        make_run(tmp_path / "runs", clips, run)
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    listing = tmp_path / "made.csv"
    clips.rename(columns={"clip_id": "filename"}).to_csv(listing, index=False)
    file = tmp_path / "other.csv"
    rows = pd.get_dummies(clips["label"], dtype=float)
    rows.assign(clip=clips["clip_id"]).to_csv(file, index=False)
    report = fs.report(str(listing), predictions=(file,), **folders, quiet=True)
    table = pd.read_csv(report.page.parent / "tables" / "comparison.csv")
    assert table["run"].tolist()[0] == "other" and len(table) == 3
    assert table["accuracy"][0] == 1 and table["verdict"][0] == "best"
    assert "No table of predictions says which" in report.page.read_text()


def test_the_path_of_a_table_may_hold_blanks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my model.csv").touch()
    two = [Path("my model.csv"), Path("other.csv")]
    for text, paths in (("my model.csv", two[:1]), ("'my model.csv' other.csv", two)):
        assert [*parse(AnalysisOptions, [f"PREDICTIONS={text}"]).predictions] == paths


@pytest.mark.parametrize("numbers", ["1.9,1.1", "0.45,0.05"])
def test_rows_that_are_no_probabilities_are_refused_or_said(tmp_path, numbers):
    text = GOOD.replace("0.9,0.1", numbers)
    if max(map(float, numbers.split(","))) > 1:
        with refused("is not a probability from 0 to 1"):
            read(tmp_path, text)
    else:
        assert any("sum to 0.5 to 1" in own for own in read(tmp_path, text).remarks)
    assert not any("sum to" in remark for remark in read(tmp_path, GOOD).remarks)


def test_a_clip_without_a_group_is_its_own_and_said(tmp_path):
    text = with_column("group", "NA", " ", "x").replace("c,dog", "c,dog", 1)
    text += "d,cat,2,0.8,0.2,x\ne,cat,2,0.8,0.2,nan\n"
    predictions = read(tmp_path, text)
    groups = predictions.clips.set_index("clip_id")["group"]
    assert groups["c"] == groups["d"] and groups.nunique() == 4
    assert any("3 clips without a group" in own for own in predictions.remarks)


@pytest.mark.slow
def test_two_tables_of_one_stem_have_a_run_each(tmp_path):
    for site, right in (("a", "0.9,0.1"), ("b", "0.1,0.9")):
        (tmp_path / site).mkdir()
        rows = [f"{n},ant,{right}\n{n}b,bee,0.2,0.8\n" for n in range(9)]
        text = "clip,label,ant,bee\n" + "".join(rows)
        (tmp_path / site / "t.csv").write_text(text)
    for number in range(ROUNDS):
        places = [f"RUNS={number}/runs", f"REPORTS={number}/reports", "NAME=both"]
        both = [
            (tmp_path, ("analysis", f"PREDICTIONS={site}/t.csv", *places))
            for site in "ab"
        ]
        answers = answers_of(*both)
        assert [status for status, _ in answers] == [0, 0], answers
        kept = (tmp_path / f"{number}/runs").glob("*/*/run.json")
        sources = {json.loads(file.read_text())["source"] for file in kept}
        assert sources == {str(tmp_path / site / "t.csv") for site in "ab"}
        shutil.rmtree(tmp_path / str(number))
