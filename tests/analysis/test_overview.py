"""The entry page to all reports: what it holds, and when it is made again."""

from dataclasses import replace

import pytest
from pandas.testing import assert_frame_equal

import featurestack as fs
from featurestack.analysis.overview import build_overview
from featurestack.commandline.spelling import CONSOLE, called_as
from tests.analysis.made_datasets import NAMES, made_options, overview, train


@pytest.fixture
def options(tmp_path, monkeypatch):
    return made_options(tmp_path, monkeypatch)


def test_two_datasets_have_an_entry_and_no_comparison(options):
    for name in NAMES[:2]:
        train(options, name)
    built = overview(options)
    assert built.gains.empty
    html = built.page.read_text(encoding="utf-8")
    assert 'href="birds/index.html"' in html and 'href="digits/index.html"' in html
    assert (
        built.headline == "2 reports. A comparison needs 3 datasets; 2 have runs here."
    )


def test_datasets_that_are_reported_one_by_one_are_compared(options):
    for name in NAMES:
        train(options, name)
        built = overview(replace(options, dataset=name))
    assert {*built.gains["dataset"]} == {*NAMES}


def test_nothing_is_done_twice(options):
    for name in NAMES:
        train(options, name)
    folders = {name: getattr(options, name) for name in ("data", "runs", "reports")}
    first, second = (
        fs.report([*NAMES], **folders, figures=0, quiet=True) for _ in range(2)
    )
    assert first.fresh and not second.fresh and second.headline == first.headline
    assert first.headline.startswith("mel+mfcc has the largest gain")
    assert_frame_equal(second.gains, first.gains)
    assert_frame_equal(second.pooled, first.pooled)
    called_as(CONSOLE)  # the page says what to type
    assert build_overview(options).fresh
    assert "<code>featurestack analysis" in second.page.read_text()
