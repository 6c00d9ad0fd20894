"""Several datasets with runs, for the page that compares them."""

from dataclasses import replace

from featurestack.analysis.figures import saving
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.overview import build_overview
from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import Manifest, jobs
from featurestack.commandline.options import with_rooms
from featurestack.rooms.across import page
from featurestack.rooms.across.comparison import compare_datasets
from tests.analysis.made_runs import SVG, made_clips, make_run, of_sets

NAMES = ("birds", "digits", "rooms")
SETS = {"mel": 0.6, "mel_mfcc": 0.75, "mel_cqt": 0.6}


def made_options(folder, monkeypatch):
    """Options with data, runs and reports in `folder`; figures are drawn as one small
    file, so that a page takes no time.
    """
    monkeypatch.setattr(saving, "draw", lambda name, file, data: SVG)
    folders = {name: folder / name for name in ("data", "runs", "reports")}
    return with_rooms(AnalysisOptions)(**folders, figures=0)


def train(options, dataset, sets=SETS, model="linear", clips=80, **changes):
    table = made_clips(clips=clips, classes=4)
    for made in of_sets(model=model, **sets):
        make_run(options.runs, table, replace(made, **changes), dataset)


def overview(options):
    for job in jobs(options):
        build_report(job, options)
    return build_overview(options)


def comparison_of(options):
    """The comparison of the datasets, without a page."""
    chosen = page.choices(options)
    return compare_datasets(jobs(options), chosen["model"], chosen["base"])[0]


def comparison_alone(options):
    """The overview over empty reports: the comparison reads the runs."""
    for job in jobs(options):
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / "index.html").touch()
        printed = {"facts": {"headline": "an empty report"}}
        Manifest(job.folder).replace(["index.html"], inputs="", printed=printed)
    return build_overview(options)
