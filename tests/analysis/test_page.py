"""The page of a report: texts that must not become markup, and its size."""

import re
from html import unescape

import pytest

from featurestack.analysis.findings import findings
from featurestack.analysis.ranking import AgainstChance
from featurestack.analysis.report_warnings import Evidence, warned
from tests.analysis.made_runs import MadeRun


def test_what_check_measured_on_classes_is_not_taken_for_the_categories(made):
    checked = [
        {
            "kind": "artefacts",
            "accuracy": 0.6,
            "chance": 0.1,
            "names": ["level 60.0 %"],
        },
        {"kind": "price", "what": "by clip 83 %", "names": ["field 2", "GROUP=_(.*)_"]},
    ]
    checked = [finding | {"severity": "warning"} for finding in checked]
    for task, within, on in (
        ("categories", "class within the categories (60.0 %", "on the classes, not"),
        ("classes", "class (60.0 %", "measured: by clip 83 %. GROUP="),
    ):
        found = warned(Evidence(findings(made(MadeRun(task=task))), checked=checked))
        first, second = found.warnings
        assert within in first.text and "level (60.0 % by itself)" in first.text
        assert on in second.text and second.page.startswith("A field of the file names")


@pytest.mark.parametrize(
    ("p", "low", "clear"), [(0.01, 0.12, True), (0.01, 0.08, False), (0.2, 0.12, False)]
)
def test_better_than_chance_is_never_clearer_than_the_interval(p, low, clear):
    assert AgainstChance("accuracy", 0.5, low, chance=0.1, p=p).clear == clear


def test_the_page_is_short_and_begins_with_the_answer(reported):
    html = reported.read_text()
    text = unescape(
        re.sub(r"<(script|style|svg)\b.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    )
    assert len(text.split()) < 1800  # with every part opened
    assert html.count("<figure") <= 12
    assert html.index("</h1>") < html.index("Comparison</h2>")
    assert '<span class="tag">synthetic data</span>' in html


def test_class_names_are_text_and_the_page_asks_for_nothing(reported):
    html = reported.read_text()
    assert "<script>alert" not in html and "default-src 'none'" in html
