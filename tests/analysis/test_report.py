"""The report as a whole: what is written where, bad input, nothing done twice, nothing heavy loaded."""

import dataclasses
import json
import os
import resource
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import inputs, report
from analysis.__main__ import COMMANDS
from analysis.inputs import jobs
from analysis.options import AnalysisOptions
from analysis.report import build_report
from analysis.run import augmentation_figure
from commandline.commands import main
from commandline.registry import RequestError
from tests.analysis.made_runs import MadeRun, made_clips, make_run


def test_a_report_is_one_page_with_tables_and_figures_in_files(reported: Path) -> None:
    folder = reported.parent
    comparison = pd.read_csv(folder / "tables" / "comparison.csv")
    assert list(comparison.columns[:4]) == ["run", "accuracy", "accuracy_sd", "n"]
    assert comparison["accuracy"].tolist() == [0.8, 0.6]
    for name in ("comparison.md", "comparison.tex", "pairs.csv", "separability.csv", "clips.csv"):
        assert (folder / "tables" / name).is_file()
    for stem in (
        "mel-resnet18.confusion",
        "learning_curves_compared",
        "gallery",
        "projections",
        "sample_predictions",
    ):
        for suffix in ("svg", "png", "pdf"):
            assert (folder / "figures" / f"{stem}.{suffix}").is_file()
    assert (folder / "latex" / "main.tex").is_file()


def test_the_page_begins_with_the_answer_and_calls_synthetic_what_is(reported: Path) -> None:
    text = unescape(reported.read_text(encoding="utf-8"))
    assert text.index("</h1>") < text.index("Comparison</h2>")
    assert "Best features so far: mel, 80.0 % accuracy" in text.replace("<wbr>", "").replace("\u00a0", " ")
    assert "80.0 % accuracy on 40 test clips" in text.partition("How was this computed?")[2]
    assert '<span class="tag">synthetic data</span>' in text


def test_the_page_asks_for_nothing_from_elsewhere(reported: Path) -> None:
    text = reported.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    for word in ('src="http', "src='http", "@import", "url(http", 'href="http'):
        assert word not in text


def test_a_class_called_script_is_text_everywhere(reported: Path) -> None:
    assert "<script>alert" not in reported.read_text(encoding="utf-8")


def test_an_unfinished_run_is_shown_as_such(reported: Path) -> None:
    text = reported.read_text(encoding="utf-8")
    assert "<code>rms-resnet18</code>" in text and '<span class="tag">unfinished</span>' in text
    assert "unfinished</span>: no fold is finished yet" in text


def test_audio_that_is_there_is_in_the_page_and_the_rest_is_linked(reported: Path) -> None:
    data = json.loads(
        reported.read_text(encoding="utf-8").split('id="browser-data">')[1].split("</script>")[0]
    )
    links = {clip["id"]: clip["link"] for clip in data["clips"]}
    embedded = list((reported.parent / "audio").glob("*.mp3"))
    assert embedded
    assert sum(map(bool, links.values())) == 39 - len(embedded)
    assert data["features"] == ["mel"]


def test_nothing_is_done_while_nothing_changes(workshop: SimpleNamespace, reported: Path) -> None:
    (job,) = jobs(workshop.options())
    kept = inputs.unchanged(job, workshop.options())
    assert kept is not None and kept.page == reported and not kept.fresh
    assert inputs.unchanged(job, workshop.options(figures=1)) is None
    assert inputs.unchanged(job, workshop.options(overwrite=True)) is None
    file = job.runs[0].path / "run.json"
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert inputs.unchanged(job, workshop.options()) is None
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    failures = workshop.root / "data" / "tones" / "features" / "failures.csv"
    failures.touch()
    assert inputs.unchanged(job, workshop.options()) is None
    failures.unlink()
    assert inputs.unchanged(job, workshop.options()) is not None


def test_whatever_the_code_of_a_report_lies_in_makes_it_anew() -> None:
    root = Path(inputs.__file__).parents[1]
    wanted = (
        "analysis/tables.py",
        "analysis/templates/page.html",
        "results/bootstrap.py",
        "results/scores.py",
    )
    wanted += ("commandline/terminal.py", "features_cache/cache.py")
    assert {root / name for name in wanted} <= set(inputs.files_of_code())


def report_files(folder: Path) -> set[str]:
    """Everything of a report but its page and audio, by its path."""
    found = [file for part in ("tables", "figures", "latex") for file in (folder / part).rglob("*")]
    return {file.relative_to(folder).as_posix() for file in found if file.is_file()}


def test_files_of_a_run_that_is_gone_go_and_those_of_ones_own_stay(
    workshop: SimpleNamespace, tmp_path: Path
) -> None:
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    for features in ("mel", "rms"):
        make_run(runs, workshop.table, MadeRun(features=features, model="linear"), "tones")
    options = workshop.options(runs=runs, reports=reports, figures=1)
    folder = build_report(jobs(options)[0], options).page.parent
    of_both = report_files(folder)
    own = {"tables/mine.csv", "latex/tables/mine.tex"}
    for file in own:
        (folder / file).write_text("my own\n")
    shutil.rmtree(runs / "tones" / "rms-linear")
    for _ in range(2):  # the second takes the half of the data as it is
        build_report(jobs(options)[0], options)
        there = report_files(folder)
        assert {f"tables/pairs.{kind}" for kind in ("csv", "md", "tex")} <= of_both - there
        assert {"tables/rms-linear.classes.csv", "latex/tables/against-the-best.tex"} <= of_both - there
        kept = {
            "tables/mine.csv",
            "tables/clips.csv",
            "figures/projections.svg",
            "tables/mel-linear.classes.csv",
        }
        assert kept <= there and there - of_both == own
        assert inputs.unchanged(jobs(options)[0], options) is not None
    shutil.rmtree(runs)
    build_report(jobs(options)[0], options)
    there = report_files(folder)
    assert own | {"tables/clips.csv"} <= there
    assert not [file for file in there - own if "mel-linear" in file or file.startswith("latex")]


def test_what_somebody_changed_or_latex_made_is_not_removed(
    workshop: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = workshop.options(runs=tmp_path / "runs", reports=tmp_path / "reports", figures=0)
    for features in ("mel", "rms"):
        make_run(options.runs, workshop.table, MadeRun(features=features, model="linear"), "tones")
    folder = options.reports / "tones"
    beside = {"latex/main.log", "latex/main.pdf", "latex/tables/own.aux", "figures/own.drawio"}
    write = report.replace_file

    def meanwhile(file: Path, content: bytes) -> None:  # the user's programs write while the report is made
        for name in beside:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("own\n")
        write(file, content)

    monkeypatch.setattr(report, "replace_file", meanwhile)
    build_report(jobs(options)[0], options)
    monkeypatch.undo()
    edited = {"tables/rms-linear.classes.csv", "tables/clips.csv"}
    for name in edited:
        with (folder / name).open("a") as file:
            file.write("a remark\n")
    shutil.rmtree(options.runs / "tones" / "rms-linear")
    build_report(jobs(options)[0], options)
    assert edited | beside <= report_files(folder)
    assert "tables/rms-linear.classes.md" not in report_files(folder)
    (job,) = jobs(options)
    build_report(dataclasses.replace(job, cache=None), options)  # nothing of the data is written any more
    assert edited | beside <= report_files(folder)
    assert "tables/clips.md" not in report_files(folder)


def test_a_damaged_stamp_or_a_missing_file_means_anew(tmp_path: Path) -> None:
    stamp = tmp_path / "stamp.json"
    (tmp_path / "page").touch()
    inputs.write_stamp(stamp, "abc", ["page"], printed=1)
    assert inputs.read_stamp(stamp, "abc") == {
        "inputs": "abc",
        "files": inputs.stamped_files(stamp),
        "printed": 1,
    }
    assert list(inputs.stamped_files(stamp)) == ["page"]
    assert inputs.read_stamp(stamp, "abd") is None
    (tmp_path / "page").unlink()
    assert inputs.read_stamp(stamp, "abc") is None
    stamp.write_text("{", encoding="utf-8")
    assert inputs.read_stamp(stamp, "abc") is None


def test_a_link_that_leads_nowhere_in_the_cache_stops_no_report(
    workshop: SimpleNamespace, tmp_path: Path
) -> None:
    link = workshop.root / "data" / "tones" / "features" / "zcr.h5"
    link.symlink_to("nowhere.h5")
    try:
        options = workshop.options(reports=tmp_path)
        (job,) = jobs(options)
        assert inputs.unchanged(job, options) is None
        assert build_report(job, options).page.is_file()
    finally:
        link.unlink()


@pytest.mark.slow
def test_audio_that_came_later_is_in_the_gallery(workshop: SimpleNamespace, tmp_path: Path) -> None:
    options = workshop.options(runs=tmp_path / "none", reports=tmp_path)
    (job,) = jobs(options)
    audio = workshop.root / "audio"
    elsewhere = audio.rename(workshop.root / "elsewhere")
    try:
        without = build_report(job, options).page.read_text(encoding="utf-8")
        assert "data:audio/mpeg" not in without and inputs.unchanged(job, options) is not None
    finally:
        elsewhere.rename(audio)
    assert inputs.unchanged(job, options) is None
    assert "data:audio/mpeg" in build_report(job, options).page.read_text(encoding="utf-8")
    assert inputs.unchanged(job, options) is not None


def test_the_data_half_alone_where_there_is_no_run(workshop: SimpleNamespace, tmp_path: Path) -> None:
    options = workshop.options(runs=tmp_path / "none", reports=tmp_path)
    (job,) = jobs(options)
    built = build_report(job, options)
    text = built.page.read_text(encoding="utf-8")
    assert built.headline.startswith("No run has been trained yet")
    assert built.next_command.startswith("make train DATASET=tones")
    assert 'id="data"' in text and 'id="figure-gallery"' in text
    assert 'id="comparison"' not in text and "browser-data" not in text


def test_damage_is_named_and_everything_else_is_still_there(
    workshop: SimpleNamespace, tmp_path: Path
) -> None:
    shutil.copytree(workshop.root / "runs", tmp_path / "runs")
    shutil.copytree(workshop.root / "data", tmp_path / "data")
    (tmp_path / "runs" / "tones" / "mel+rms-resnet18" / "run.json").write_text("{", encoding="utf-8")
    (tmp_path / "data" / "tones" / "features" / "rms.h5").write_bytes(b"no")
    (fold,) = (tmp_path / "runs" / "tones" / "mel-resnet18").glob("fold1")
    (fold / "augmented.npz").write_bytes(b"no")
    folders = {name: tmp_path / name for name in ("runs", "data", "reports")}
    options = workshop.options(**folders, figures=1)
    (job,) = jobs(options)
    built = build_report(job, options)
    remarks = "\n".join(built.remarks)
    assert "run.json" in remarks and "rms" in remarks and "augmented.npz" in remarks
    assert built.headline.startswith("One run so far: mel with resnet18, 80.0 % accuracy")


@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_a_file_of_augmented_clips_that_is_cut_is_named(
    workshop: SimpleNamespace, tmp_path: Path, part: float
):
    file = tmp_path / "fold1" / "augmented.npz"
    file.parent.mkdir()
    np.savez(file, augment=np.array(["shift"]), before=np.zeros((1, 1, 4, 4)), after_0=np.ones((1, 1, 4, 4)))
    file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
    run = SimpleNamespace(name="cut", folders=[SimpleNamespace(path=tmp_path)])
    figures, (problem,) = augmentation_figure(run, tmp_path)
    assert not figures and problem.damaged and "augmented.npz is left out, it cannot be read" in problem.text


def test_a_partial_run_neither_leads_nor_shapes_the_next_command(
    workshop: SimpleNamespace, tmp_path: Path
) -> None:
    clips = workshop.table
    make_run(tmp_path / "runs", clips, MadeRun(features="mel+rms", skill=0.5, model="linear"), "tones")
    make_run(tmp_path / "runs", clips, MadeRun(features="rms", skill=0.4, model="linear"), "tones")
    make_run(tmp_path / "runs", clips, MadeRun(features="mel", skill=0.9, folds=(1,)), "tones")
    options = workshop.options(runs=tmp_path / "runs", reports=tmp_path / "reports", figures=0)
    (job,) = jobs(options)
    built = build_report(job, options)
    assert built.headline.startswith("Best features so far: mel+rms, ")
    assert "FEATURES=mel+rms" in built.next_command and "(a network" in built.next_command
    page = built.page.read_text(encoding="utf-8")
    assert "1 of 3 runs is not compared, because it lacks folds." in page
    assert page.count(">not compared<small") == 1


def test_runs_on_former_folds_do_not_lead_and_what_is_proposed_can_be_trained(
    workshop: SimpleNamespace, tmp_path: Path
) -> None:
    former = workshop.table.assign(fold=workshop.table["fold"] % 3 + 1)
    for features in ("mel", "rms"):
        make_run(tmp_path / "runs", former, MadeRun(features=features, model="linear"), "tones")
    make_run(tmp_path / "runs", workshop.table, MadeRun(features="mel+rms", model="linear"), "tones")
    options = workshop.options(runs=tmp_path / "runs", reports=tmp_path / "reports", figures=0)
    (job,) = jobs(options)
    built = build_report(job, options)
    assert built.headline.startswith("One run so far: mel+rms with linear")
    assert "TAG=new 'FEATURES=mel rms' MODEL=linear" in built.next_command
    page = built.page.read_text(encoding="utf-8")
    assert "have another class or fold now; train it again, with a TAG of its own, to compare it" in page
    assert "it tested the same clips in other folds" in page


def test_run_limits_the_report(workshop: SimpleNamespace) -> None:
    (job,) = jobs(workshop.options(run=("mel+r",)))
    assert [run.name for run in job.runs] == ["mel+rms-resnet18"]
    assert job.given[0] == "DATASET=tones" and job.given[-1] == "RUN=mel+r"
    with pytest.raises(RequestError, match="mel-resnet18"):
        jobs(workshop.options(run=("mell-resnet18",)))


def test_without_a_dataset_every_one_that_has_runs_or_a_cache(
    workshop: SimpleNamespace, tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", workshop.table, MadeRun(), "other")
    found = jobs(workshop.options(dataset="", runs=tmp_path / "runs"))
    assert [(job.dataset, len(job.runs), job.cache is not None) for job in found] == [
        ("other", 1, False),
        ("tones", 0, True),
    ]


def test_nothing_to_report_on_says_what_to_type(tmp_path: Path) -> None:
    nowhere = {"data": tmp_path, "runs": tmp_path, "reports": tmp_path}
    with pytest.raises(RequestError, match="make features DATASET=esc10"):
        jobs(AnalysisOptions(dataset="esc10", **nowhere))
    with pytest.raises(RequestError, match="holds no run"):
        jobs(AnalysisOptions(**nowhere))


def test_a_mistyped_dataset_gets_the_nearest_that_has_runs(tmp_path: Path) -> None:
    make_run(tmp_path, made_clips(10, 2), MadeRun(), "small")
    nowhere = {"data": tmp_path, "runs": tmp_path, "reports": tmp_path}
    with pytest.raises(RequestError, match="did you mean DATASET=small"):
        jobs(AnalysisOptions(dataset="smal", **nowhere))
    with pytest.raises(RequestError, match=f"no run folder in {tmp_path / 'other'}"):
        jobs(AnalysisOptions(dataset="other", run=("last",), **nowhere))


def test_the_command_says_what_was_found_and_where(workshop: SimpleNamespace, reported: Path) -> None:
    words = [sys.executable, "-m", "analysis", "DATASET=tones", "AUDIO_MB=0.1", *workshop.words]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-3].startswith("tones: ") and lines[-1].startswith("next:   python -m train explain")
    assert lines[-2] == f"report: {reported.resolve()} (nothing has changed)"


def test_the_whole_analysis_loads_neither_torch_nor_librosa() -> None:
    modules = "analysis.report, analysis.ensemble, analysis.extras.latex"
    code = f"import sys, {modules}; print({{'torch', 'librosa'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("most", [2_000, 40_000])
def test_a_full_disk_is_told_and_keeps_the_old_report(
    workshop: SimpleNamespace, reported: Path, tmp_path: Path, most: int
) -> None:
    folder = Path(shutil.copytree(reported.parent, tmp_path / "tones"))
    files = {file.relative_to(folder) for file in folder.rglob("*")}
    page = (folder / "index.html").read_bytes()
    (job,) = jobs(workshop.options(reports=tmp_path, overwrite=True))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limit[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*tones/"):
            build_report(job, workshop.options(reports=tmp_path, overwrite=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert {file.relative_to(folder) for file in folder.rglob("*")} == files
    assert (folder / "index.html").read_bytes() == page


def test_reports_that_name_a_fifo_are_refused(workshop: SimpleNamespace, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (job,) = jobs(workshop.options(reports=tmp_path / "fifo"))
    with pytest.raises(NotADirectoryError):
        build_report(job, workshop.options(reports=tmp_path / "fifo"))
    assert (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize("damaged", ["run.json", "fold*/predictions.csv"])
def test_a_run_that_is_left_out_as_damaged_is_exit_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damaged: str
) -> None:
    folder = make_run(tmp_path / "runs", made_clips(40, 4), MadeRun())
    for file in folder.glob(damaged):
        file.write_text("x")
    words = [f"{name.upper()}={tmp_path / name}" for name in ("data", "runs", "reports")]
    for _ in range(2):  # the second time nothing has changed
        with pytest.raises(SystemExit) as stop:
            main(COMMANDS, words)
        told = capsys.readouterr().out
        assert stop.value.code == 1
        assert "No run can be read: 1 left out as damaged" in told and "been trained" not in told
