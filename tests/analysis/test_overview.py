"""The list of all reports: what it holds, and when it is made again."""

import featurestack as fs
from featurestack.analysis.figures import saving
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.overview import build_overview
from featurestack.commandline.spelling import CONSOLE, called_as
from tests.analysis.made_runs import SVG, made_clips, make_run, of_sets


def test_the_list_has_each_report_and_is_made_when_one_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "draw", lambda name, file, data: SVG)
    folders = {name: tmp_path / name for name in ("data", "runs", "reports")}
    for name in ("birds", "digits"):
        for made in of_sets(model="linear", mel=0.6):
            make_run(folders["runs"], made_clips(clips=80, classes=4), made, name)
    first, second = (
        fs.report(["birds", "digits"], **folders, figures=0, quiet=True)
        for _ in range(2)
    )
    assert first.fresh and not second.fresh
    assert first.headline == second.headline == "2 reports"
    html = first.page.read_text(encoding="utf-8")
    assert 'href="birds/index.html"' in html and 'href="digits/index.html"' in html
    called_as(CONSOLE)  # the page says what to type
    assert build_overview(AnalysisOptions(**folders)).fresh
    assert "<code>featurestack analysis" in first.page.read_text(encoding="utf-8")
