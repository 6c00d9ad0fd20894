"""PAPER=1 adds files to a report; figures are stubs."""

import shutil

import pytest

from featurestack import paper as latex
from featurestack.analysis.findings import findings
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import files_of_report
from tests.analysis.made_runs import MadeRun, make_run, of_sets
from tests.analysis.test_report import build, files_of, stubs, within  # noqa: F401
from tests.analysis.test_tags import clips, loaded  # noqa: F401  # fixtures


def test_figures_document_references_and_methods_are_written(workshop, tmp_path):
    built = build(workshop.options(reports=tmp_path, paper=True))
    assert files_of(built.page.parent) >= {
        "figures/accuracy_by_set.pdf",
        "figures/mel-resnet18.confusion-85mm.png",
        "latex/main.tex",
        "latex/references.bib",
        "tables/comparison.tex",
    }
    page = built.page.read_text()
    main = (built.page.parent / "latex" / "main.tex").read_text()
    assert "it does not include the variation between trainings" in main
    assert 'id="methods"' in page and "175MM PNG" in page.replace(" ", " ")


@pytest.mark.slow
def test_an_edited_document_stays_and_a_plain_report_keeps_all_that_it_needs(
    workshop, tmp_path, capsys
):
    options = workshop.options(reports=tmp_path, paper=True)
    folder = build(options).page.parent
    latex = {f"latex/{file.name}" for file in (folder / "latex").glob("*.*")}
    for_papers = {name for name in files_of(folder) if "latex/" in name} | latex
    main = folder / "latex" / "main.tex"
    main.write_text(main.read_text() + "% my own\n")
    build(workshop.options(reports=tmp_path))
    assert for_papers <= files_of(folder) | latex
    build(options)
    assert main.read_text().endswith("% my own\n")
    assert f"{main}: kept, it is not as analysis wrote it" in capsys.readouterr().err


def test_the_document_of_a_run_that_is_gone_goes_and_ones_own_files_stay(
    workshop, tmp_path
):
    folders = {name: tmp_path / name for name in ("runs", "reports")}
    options = workshop.options(**folders, paper=True)
    make_run(options.runs, workshop.table, MadeRun(), "tones")
    folder = build(options).page.parent
    (folder / "latex" / "main.pdf").write_text("my own\n")
    shutil.rmtree(options.runs)
    assert "latex/" not in build(options).page.read_text()
    left = {name for name in files_of(folder) if name.startswith("latex")}
    assert left == {"latex/main.pdf"}


def test_the_headline_stands_before_the_comparison_of_features(made, tmp_path):
    sets = of_sets(model="linear", mel=0.44, mfcc=0.40, mel_mfcc=0.54, chroma=0.2)
    found = findings(made(*sets, *of_sets(model="texturenet", mel=0.75)))
    latex.write_document(files_of_report(tmp_path), found, [], "")
    text = (tmp_path / "latex" / "main.tex").read_text()
    assert text.index("Use mel with texturenet") < text.index("Of the 4 feature")


def test_a_document_of_tags_speaks_of_map(loaded, tmp_path):  # noqa: F811
    folders = within(tmp_path) | {"runs": tmp_path}
    built = build(AnalysisOptions(**folders, paper=True))
    assert "mAP" in (built.page.parent / "latex" / "main.tex").read_text()
