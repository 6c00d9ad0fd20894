"""The list of all reports: what it holds, and what it does not replace."""

import featurestack as fs
from featurestack.analysis.figures import saving
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.overview import build_overview
from featurestack.commandline.spelling import CONSOLE, called_as
from tests.analysis.made_runs import SVG, made_clips, make_run, of_sets


def test_the_list_has_each_report_and_replaces_no_page_of_the_user(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(saving, "draw", lambda name, file, data: SVG)
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    for name in ("birds", "digits"):
        for made in of_sets(model="linear", mel=0.6):
            make_run(folders["runs"], made_clips(clips=80, classes=4), made, name)
    first = fs.report(["birds", "digits"], **folders, figures=0, quiet=True)
    assert first.headline == "2 reports"
    html = first.page.read_text(encoding="utf-8")
    assert 'href="birds/index.html"' in html and 'href="digits/index.html"' in html
    called_as(CONSOLE)  # the page says what to type
    build_overview(AnalysisOptions(**folders))
    assert "<code>featurestack analysis" in first.page.read_text(encoding="utf-8")
    first.page.write_text("my own")
    build_overview(AnalysisOptions(**folders))
    assert first.page.read_text() == "my own"
    assert "index.html: kept, it is not as analysis wrote it" in capsys.readouterr().err
