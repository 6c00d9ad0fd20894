"""Numbers and words as the page shows them, its tables and blocks."""

import math

import pandas as pd
import pytest

from analysis import page
from analysis.figures import SavedFigure
from analysis.page import Block, blocks_from_json, blocks_to_json, html_table


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (page.format_percent(0.87654), "87.7"),
        (page.format_percent(math.nan), "–"),
        (page.format_decimals(0.12345), "0.123"),
        (page.format_count(11_175_370), "11.2 M"),
        (page.format_count(math.nan), "–"),
        (page.format_seconds(75), "1 min 15 s"),
        (page.format_seconds(math.nan), "–"),
        (str(page.breakable("mel+b<b>")), "mel+<wbr>b&lt;b&gt;"),
        (str(page.breakable("mel by +2.3")), "mel by +2.3"),
        (str(page.breakable("93 % accuracy")), "93\u00a0% accuracy"),
        (str(page.muted_parentheses("a <b> (n = 5) c")), 'a &lt;b&gt; <span class="aside">(n = 5)</span> c'),
    ],
)
def test_values_are_shown_as_readers_expect(shown: str, expected: str) -> None:
    assert shown == expected


def test_different_names_have_different_ids() -> None:
    names = ["mel+mfcc", "mel.mfcc", "mel-mfcc", "mel mfcc", "犬", "猫"]
    ids = {page.slug(name) for name in names}
    assert len(ids) == len(names) and all(one.isascii() and " " not in one for one in ids)


def test_a_table_shows_rounded_numbers_and_sorts_by_unrounded_values() -> None:
    table = pd.DataFrame(
        {"run": ["mel"], "accuracy": [1 / 3], "gain": [-0.021], "sd": [math.nan], "left_out": [1]}
    )
    shown = html_table(
        "t",
        table,
        {
            "run": ("Run", "text"),
            "accuracy": ("%", "percent"),
            "gain": ("Gain", "points"),
            "sd": ("sd", "decimals"),
        },
    )
    assert shown.columns == [("Run", True), ("%", False), ("Gain", False), ("sd", False)]
    assert [cell.text for cell in shown.rows[0]] == ["mel", "33.3", "−2.1", "–"]
    assert [cell.value for cell in shown.rows[0]] == ["mel", repr(1 / 3), "-0.021", ""]


def test_blocks_survive_being_kept_in_a_file() -> None:
    table = html_table("t", pd.DataFrame({"n": [1.0]}), {"n": ("N", "number")})
    blocks = [
        Block(
            "One",
            "about",
            [SavedFigure("a", "b", lambda: "<svg>", {"svg": "figures/a.svg"})],
            [table],
            folded=True,
        )
    ]
    assert blocks_from_json(blocks_to_json(blocks)) == blocks
