"""The report as a whole: its files, its remarks, bad input, and nothing done twice.

Figures are stubs here, except in the session's report.
"""

import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis import figures
from featurestack.analysis.figures import FIGURES
from featurestack.analysis.findings import findings
from featurestack.analysis.page import CELLS, environment, slug
from featurestack.analysis.report.build import (
    OF_PRINT,
    build_report,
)
from featurestack.analysis.report.jobs import AnalysisOptions, jobs
from featurestack.analysis.report.tables import TABLES
from featurestack.analysis.report.warnings import WARNINGS
from featurestack.analysis.sections import SECTIONS
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.comparison.average_precision import MEAN_AVERAGE_PRECISION
from featurestack.comparison.metrics import Score
from featurestack.comparison.ranking import AgainstChance
from featurestack.comparison.scores import ACCURACY, Estimate
from featurestack.features_cache.clip_table import complete
from featurestack.features_cache.identity import Identity
from featurestack.features_cache.index_file import write_check
from featurestack.results.run_folder import RunFolder, write_config, write_foreign
from tests.analysis.made_runs import (
    MadeRun,
    draw_nothing,
    made_clips,
    make_run,
    make_runs,
    of_sets,
)
from tests.golden.commands import done
from tests.processes import files_end_at
from tests.refusal import refused
from tests.test_structure import MODULES

ARTEFACTS = {"kind": "artefacts", "severity": "warning", "names": ["level 60.0 %"]}
ARTEFACTS |= {"accuracy": 0.62, "chance": 0.25}
COPIES = {"kind": "duplicates_across_folds", "severity": "leak", "names": []}


@pytest.fixture(autouse=True)
def stubs(request, monkeypatch):
    if "report_page" in request.fixturenames:
        request.getfixturevalue("report_page")
    monkeypatch.setattr(figures, "figure_content", draw_nothing)


def within(folder, spelled=str):
    """The folders data, runs and reports inside this one."""
    return {spelled(name): folder / name for name in ("data", "runs", "reports")}


def build(options):
    (job,) = jobs(options)
    return build_report(job)


def files_of(folder):
    found = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    parts = ("tables", "figures")
    return {file.as_posix() for file in found if file.parts[0] in parts}


def test_a_report_is_one_short_page_that_begins_with_the_answer(report_page):
    files = files_of(report_page.parent)
    assert files >= {"tables/comparison.csv", "tables/clips.csv"}
    assert files >= {"figures/additions.svg", "figures/mel-resnet18.curves.svg"}
    assert not [name for name in files if name.endswith(OF_PRINT)]
    file = report_page.parent / "tables/mel-resnet18.confusion.csv"
    matrix = pd.read_csv(file, index_col="true / predicted")
    assert [*matrix.index] == [*matrix.columns]
    html = report_page.read_text()
    # recall by class of the compared configurations
    assert "mel+rms %" in html and "First minus second, points" in html
    hidden = r"<(script|style|svg)\b.*?</\1>|<[^>]+>"
    text = unescape(re.sub(hidden, " ", html, flags=re.DOTALL))
    assert len(text.split()) < 1800  # with every part opened
    assert html.count("<figure") <= 12
    assert html.index("</h1>") < html.index("Comparison</h2>")
    assert '<span class="tag">synthetic data</span>' in html
    # class names are text, and the page asks for nothing
    assert "<script>alert" not in html and "default-src 'none'" in html


def test_a_new_score_has_a_column_that_sorts_by_its_value(
    tones_project, tmp_path, monkeypatch
):
    monkeypatch.setitem(ACCURACY.scores, "kappa", Score(lambda _: -0.25, "Kappa"))
    page = build(tones_project.options(reports=tmp_path)).page
    html = page.read_text()
    assert "<button>Kappa</button>" in html
    assert re.search(r'<td class="extra" data-value="-0.25">−0.250?</td>', html)
    table = pd.read_csv(page.parent / "tables" / "comparison.csv")
    assert {*table["kappa"]} == {-0.25}


def test_figures_for_papers_are_written_and_a_plain_report_keeps_them(
    tones_project, tmp_path
):
    folder = build(tones_project.options(reports=tmp_path, paper=True)).page.parent
    for_papers = {name for name in files_of(folder) if name.endswith(OF_PRINT)}
    assert "figures/accuracy_by_set.pdf" in for_papers
    assert "figures/mel-resnet18.confusion-175mm.png" in for_papers
    build(tones_project.options(reports=tmp_path))
    assert for_papers <= files_of(folder)


def test_a_column_that_is_not_declared_is_named(tones_project, tmp_path, monkeypatch):
    declared = TABLES["<run>.confused"]
    fewer = declared._replace(columns=declared.columns[:-1])
    monkeypatch.setattr(
        "featurestack.analysis.report.tables.TABLES",
        {**TABLES, "<run>.confused": fewer},
    )
    told = "mel.*confused.csv: no declared column is share"
    with pytest.raises(ValueError, match=told):
        build(tones_project.options(reports=tmp_path))


def test_every_figure_and_table_that_a_report_writes_is_on_its_page_and_documented(
    report_page,
):
    html = report_page.read_text()
    runs = {*re.findall(r'<details class="run" id="run-([^"]+)"', html)}
    drawn = [file.stem for file in report_page.parent.glob("figures/*.svg")]
    assert drawn
    for stem in {name.removesuffix("-phone") for name in drawn}:
        assert f'<figure id="figure-{slug(stem)}"' in html, stem
    for file in report_page.parent.glob("tables/*.csv"):
        assert f'href="tables/{quote(file.name)}"' in html, file.name
    assert runs


def test_every_cell_of_a_table_has_a_kind_that_a_page_or_only_the_file_shows():
    kinds = {name: score.kind for name, score in ACCURACY.scores.items()}
    kinds |= {n: score.kind for n, score in MEAN_AVERAGE_PRECISION.scores.items()}
    for name, table in TABLES.complete().items():
        every = [*table.columns, *filter(None, [table.each])]
        kinds |= {f"{name}.csv: {column.name}": column.kind for column in every}
    unknown = {name: kind for name, kind in kinds.items() if kind not in CELLS}
    assert {name: kind for name, kind in unknown.items() if kind != "file"} == {}


def test_every_section_has_its_template_and_its_place_on_the_page(report_page):
    folders = map(Path, environment().loader.searchpath)
    templates = {file.stem for folder in folders for file in folder.glob("*.html")}
    assert templates - {"page", "blocks", "check"} == {*SECTIONS}
    names = [name for name in SECTIONS if name != "first_screen"]
    shown = re.findall(r'<section id="([^"]+)"', report_page.read_text())
    assert shown[:2] == ["first-screen", "foot"]
    assert shown[2:] == [name for name in names if name in shown]
    assert {"comparison", "ablations", "errors", "files"} <= {*shown}


def test_every_figure_of_a_section_is_placed_by_its_template():
    for name, entry in FIGURES.complete().items():
        placed = entry.section or entry.data(None) == {}
        assert placed, f"data= of {name}"
        if entry.section and not entry.print_only:
            template = environment().get_template(f"{entry.section}.html")
            text = Path(template.filename).read_text("utf-8")
            assert f'figures("{entry.section}"' in text, name


def test_every_declared_table_is_made_and_if_it_has_columns_for_the_page_is_shown():
    folders = map(Path, environment().loader.searchpath)
    text = "".join(file.read_text("utf-8") for own in folders for file in own.glob("*"))
    code = "".join(path.read_text("utf-8") for path in MODULES.values())
    for name, declared in TABLES.complete().items():
        name = name.removeprefix("<run>")
        word = re.escape(name)
        last = re.escape(name.split("_")[-1])  # what comes before may be computed
        assert len(re.findall(f'{last}"', code)) > 1, f"no section has tables={name}"
        shown = {column.kind for column in declared.columns} - {"file"}
        placed = re.search(rf'\("{word}"|~ "{word}"|tables\.{word}\b', text)
        assert not shown or placed, f"no template has table {name}"


def test_links_of_a_page_have_targets_and_ids_are_unique(tmp_path):
    clips = made_clips(40, 4)
    for features in ("mel", "rms", "zcr", "mfcc", "mel+mfcc"):
        make_run(tmp_path / "runs", clips, MadeRun(features=features))
    make_run(tmp_path / "runs", clips, MadeRun(features="chroma", folds=(1,)))
    built = build(AnalysisOptions(**within(tmp_path)))
    page = built.page.read_text()
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len({*ids})
    assert {*re.findall(r' href="#([^"]+)"', page)} <= {*ids}
    assert page.count('class="forest-row ') == 5
    assert "This command trains it" not in page  # no run.json here has a command
    assert 'class="wide not-compared"' in page


def test_what_all_features_share_is_said_once_above_the_first_chart(tmp_path):
    sets = of_sets(**{"mel@frame=64": 0.9, "mel@frame=64_mfcc@frame=64": 0.5})
    make_runs(tmp_path / "runs", made_clips(40, 4), sets)
    page = build(AnalysisOptions(**within(tmp_path))).page.read_text()
    assert "<h2>Accuracy by feature set, %. All features have @frame=64</h2>" in page
    chart = page.split('class="forest-panel"')[1].split('class="forest-axis"')[0]
    names = re.findall(r"(?<=\>)mel[^<]*(?=<)", chart.replace("<wbr>", ""))
    assert names == ["mel", "mel+mfcc"]


def test_a_run_that_left_classes_out_has_their_table(tmp_path):
    runs = make_runs(tmp_path / "runs", made_clips(40, 4), of_sets(mel=0.9, rms=0.5))
    ((rms,),) = (run.folders for run in runs if run.features == "rms")
    counts = np.array([[4, 6, 0, 0], [1, 8, 1, 0], [0, 0, 10, 0], [0, 0, 0, 0]])
    for fold in (1, 2):
        write_foreign(rms.fold(fold), counts, rms.classes)
    built = build(AnalysisOptions(**within(tmp_path)))
    tables = built.page.parent / "tables"
    table = pd.read_csv(tables / f"{rms.name}.foreign.csv", keep_default_na=False)
    first, second, third, _ = rms.classes
    assert table.to_dict("records") == [
        {"class": first, "sure": 0.6, "answered": second, "share": 0.6},
        {"class": second, "sure": 0.2, "answered": first, "share": 0.1},
        {"class": third, "sure": 0, "answered": "", "share": 0},
    ]
    page = built.page.read_text()
    assert re.search(r"left out that get 90\s% or more</dt><dd>26.7\s%", page)
    (rms.fold(1) / "foreign.csv").write_text("class,a\na,x\n")
    damaged = build(AnalysisOptions(**within(tmp_path)))
    assert not damaged.whole and "foreign.csv cannot be read" in repr(damaged)


@pytest.mark.parametrize(("lower", "seen"), [(0.9, True), (1.0, False)])
def test_the_legend_names_a_band_that_is_seen(tmp_path, lower, seen):
    make_runs(tmp_path / "runs", made_clips(40, 4), of_sets(mel=1.0, rms=lower))
    page = build(AnalysisOptions(**within(tmp_path))).page.read_text()
    assert "no clear difference from the best" in page
    assert ('class="forest-band"' in page) == ("band spans" in page) == seen


def test_a_table_says_where_there_are_too_few_groups_for_verdicts(tmp_path):
    make_runs(tmp_path / "runs", made_clips(8, 2, 2), of_sets(mel=0.9, rms=0.5))
    page = build(AnalysisOptions(**within(tmp_path))).page.read_text()
    table = page[page.index('id="comparison-table"') :].partition("</table>")[0]
    assert "too few recordings" in table and "<button>p</button>" not in table


def test_no_report_is_written_among_the_sounds_or_over_the_users_page(
    tones_project, tmp_path
):
    sounds = tmp_path / "tones"
    (sounds / "class").mkdir(parents=True)
    with refused("tones holds files of yours, so .* give another REPORTS"):
        jobs(tones_project.options(reports=tmp_path))
    (job,) = jobs(tones_project.options(reports=sounds))
    assert job.folder == sounds / "tones"
    (sounds / "class").rename(sounds / "only-mel")
    (sounds / "only-mel" / NO_DATA).touch()
    for folder, record in (("songs", ".predict.json"), ("field", ".next.json")):
        (sounds / folder).mkdir()
        (sounds / folder / record).touch()
    jobs(tones_project.options(reports=tmp_path))
    (sounds / "index.html").write_text("mine")
    OwnFiles(sounds, NO_DATA).write({"only.csv": "a,b"})
    with refused("index.html was not written by this command"):
        build(tones_project.options(reports=tmp_path))


def test_files_of_a_run_that_is_gone_go_and_those_of_ones_own_stay(
    tones_project, tmp_path
):
    folders = {name: tmp_path / name for name in ("runs", "reports")}
    options = tones_project.options(**folders)
    for features in ("mel", "rms"):
        run = MadeRun(features=features, model="linear")
        make_run(options.runs, tones_project.table, run, "tones")
    folder = build(options).page.parent
    own = {"tables/mine.csv", "figures/own.drawio"}
    for name in own:
        (folder / name).write_text("my own\n")
    edited = folder / "tables" / "rms-linear.classes.csv"
    edited.write_text("a remark\n")
    shutil.rmtree(options.runs / "tones" / "rms-linear")
    build(options)
    there = files_of(folder)
    kept = {"tables/rms-linear.classes.csv", "tables/clips.csv"}
    assert own | kept <= there
    assert "tables/rms-linear.confused.csv" not in there
    assert "figures/recall_by_set.svg" not in there
    shutil.rmtree(options.runs)
    built = build(options)
    text = built.page.read_text()
    assert built.headline.startswith("No run has been trained yet")
    assert 'id="data"' in text and 'id="comparison"' not in text
    assert "browser-data" not in text
    there = files_of(folder)
    assert own | {"tables/clips.csv"} <= there
    assert not [name for name in there if "mel-linear" in name]


def test_a_wrong_folder_of_runs_does_not_empty_a_report(tones_project, tmp_path):
    build(tones_project.options(reports=tmp_path))
    with refused(
        "RUNS=.*nowhere has no run of tones, .* report on those in .*runs: give"
    ):
        build(tones_project.options(reports=tmp_path, runs=tmp_path / "nowhere"))


def test_a_report_shows_itself(tones_project, tmp_path):
    built = build(tones_project.options(reports=tmp_path))
    assert re.search(r"^Use mel(.|\n)*report: .*index.html", repr(built))
    assert not (tmp_path / "index.html").exists()


def test_a_leak_among_the_reports_own_clips_is_told(tones_project, tmp_path):
    shutil.copytree(tones_project.root / "data", tmp_path / "data")
    make_run(tmp_path / "runs", tones_project.table.iloc[1:], MadeRun(), "tones")
    options = tones_project.options(**within(tmp_path))
    found = [COPIES | {"names": [f"{n} = {n}b" for n in range(58)]}, ARTEFACTS]
    cache = tmp_path / "data" / "tones" / "features"
    # not the cache's clips
    write_check(cache, complete(tones_project.table.iloc[1:]), found)
    assert "58 pairs" not in build(options).page.read_text().split("</header>")[0]
    write_check(cache, complete(tones_project.table), found)
    built = build(options)
    assert built.remarks[1].startswith("Level, padding, bandwidth and other")
    told = "(62.0 %, chance is 25.0 %; by themselves: level 60.0 %)"
    assert told in built.remarks[1]
    assert "58 pairs" in built.page.read_text().split("</header>")[0]


def test_damage_is_named_and_everything_else_is_still_there(tones_project, tmp_path):
    for name in ("runs", "data"):
        shutil.copytree(tones_project.root / name, tmp_path / name)
    runs = tmp_path / "runs" / "tones"
    cache = tmp_path / "data" / "tones" / "features"
    (runs / "mel+rms-resnet18" / "run.json").write_text("{")
    (cache / "mel.h5").write_bytes(b"no")
    (cache / "zcr.h5").symlink_to("nowhere.h5")
    built = build(tones_project.options(**within(tmp_path)))
    remarks = "\n".join(built.remarks)
    assert "run.json" in remarks and "mel.h5" in remarks
    assert not built.whole
    headline = "One configuration so far: mel with resnet18. Cross-validation"
    assert built.headline.startswith(f"{headline} classified 80")


def test_every_dataset_that_has_runs_or_a_cache_has_a_report_and_others_are_refused(
    tones_project, tmp_path
):
    make_run(tmp_path, tones_project.table, MadeRun(), "other")
    found = jobs(tones_project.options(dataset="", runs=tmp_path))
    known = [(job.dataset, len(job.runs), job.cache is not None) for job in found]
    assert known == [("other", 1, False), ("tones", 0, True)]
    places = dict.fromkeys(("data", "runs", "reports"), tmp_path)
    for given, told in (
        ({"dataset": "esc10"}, "make features DATASET=esc10"),
        ({"dataset": "", "runs": tmp_path / "none"}, "holds no run"),
        ({"dataset": "othr"}, "did you mean 'other'"),
    ):
        with refused(told):
            jobs(AnalysisOptions(**places | given))


def test_reports_on_two_datasets_of_one_name_lie_beside_each_other(
    tones_project, tmp_path
):
    runs, clips = tmp_path / "runs", tones_project.table
    for seed in (0, 1):
        folder = make_run(runs, clips, MadeRun(seed=seed), "other")
        of_site = str(Identity(f"/sites/{seed}/other"))
        write_config(folder, replace(RunFolder(folder).config, identity=of_site))
    for _ in range(2):  # also over the first reports
        found = jobs(AnalysisOptions(data=tmp_path, runs=runs, reports=tmp_path))
        places = {job.folder.name: build_report(job).whole for job in found}
        assert re.fullmatch(r"other other-[0-9a-f]{4}", " ".join(sorted(places)))
        assert [len(job.runs) for job in found] == [1, 1] and all(places.values())


def test_a_full_disk_is_told_and_keeps_the_old_page(
    tones_project, report_page, tmp_path
):
    folder = Path(shutil.copytree(report_page.parent, tmp_path / "tones"))
    page = (folder / "index.html").read_bytes()
    too_large = pytest.raises(OSError, match=r"too large: .*tones/")
    with files_end_at(40_000), too_large:
        build(tones_project.options(reports=tmp_path))
    assert (folder / "index.html").read_bytes() == page


def test_the_command_says_what_was_found_and_a_damaged_run_is_exit_status_1(
    tmp_path, monkeypatch
):
    folder = make_run(tmp_path / "runs", made_clips(40, 4), MadeRun())
    (folder / "run.json").write_text("x")
    monkeypatch.chdir(tmp_path)
    answer = done("analysis", 1, **within(tmp_path, str.upper))
    *_, found, page = answer.out.splitlines()
    assert found.startswith("made: No run can be read: 1 run is damaged")
    assert page == "report: reports/made/index.html"
    monkeypatch.chdir("runs")
    built = build(AnalysisOptions(**within(tmp_path)))
    assert built.lines[0] == f"report: {tmp_path}/reports/made/index.html"


def test_what_check_measured_is_a_warning(made_runs):
    price = {"kind": "price", "severity": "warning", "what": "by clip 83 %"}
    checked = [ARTEFACTS, price | {"names": ["field 2", "GROUP=_(.*)_"]}]
    found = findings(made_runs(MadeRun()), checked=checked)
    assert found.warnings.keys() == {"W2", "W3"}
    first, second = found.warnings.values()
    assert "class (62.0 %" in first and "by themselves: level" in first
    assert "measured: by clip 83 %. GROUP=" in second
    assert WARNINGS["W3"].page.startswith("A field of the file names")


@pytest.mark.parametrize(
    ("p", "low", "clear"), [(0.01, 0.12, True), (0.01, 0.08, False), (0.2, 0.12, False)]
)
def test_better_than_chance_is_never_clearer_than_the_interval(p, low, clear):
    score = Estimate(0.5, low, 0.9)
    assert AgainstChance(score, chance=0.1, p=p).clear == clear


@pytest.mark.parametrize("sample_rate", [16000, 0])
def test_prediction_is_proposed_if_the_features_are_of_audio(tmp_path, sample_rate):
    made = make_run(tmp_path / "runs", made_clips(60, 3), MadeRun(model="linear"))
    folder = RunFolder(made)
    write_config(folder.path, replace(folder.config, sample_rate=sample_rate))
    proposed = build(AnalysisOptions(**within(tmp_path))).next_command
    assert ("predict AUDIO=FILE" in proposed) == bool(sample_rate)
