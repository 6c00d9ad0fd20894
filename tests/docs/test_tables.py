"""Figures of the pages are those of docs/tables/."""

import re
import subprocess

import pytest

from docs import tables
from tests.refusal import refused

FILE = """features,texture,gain,low,command,commit,processor,seconds
mel,90.66,,,make sweep,0123abcd,a processor,61
mel+mfcc,93.72,-1.26,0.5,make sweep,0123abcd,a processor,61
"""
PAGE = """A page.

<!-- table sets
| features | accuracy | gain |
|---|---|---|
| {features} | {texture:.1f} | {gain:.1f} ({low:.1f}) |
| listeners | 95.7 | |
-->
| features | accuracy | gain |
|---|---|---|
| mel | 90.7 |  |
| mel+mfcc | 93.7 | −1.3 (0.5) |
| listeners | 95.7 | |

mel+mfcc reaches 93.7 %<!-- sets[mel+mfcc] {texture:.1f} % -->, mel 90.7<!-- sets[mel]
{texture:.1f} -->.
""".replace("[mel]\n", "[mel] ")


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "sets.csv").write_text(FILE)
    monkeypatch.setattr(tables, "FILES", tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.stem)
def test_a_page_has_the_figures_of_its_files(page):
    """After a change of a file: `python -m docs.tables pages`."""
    text = page.read_text(encoding="utf-8")
    assert tables.included(text) == text


@pytest.mark.parametrize("name", [path.stem for path in tables.FILES.glob("*.csv")])
def test_a_file_is_included_and_says_where_each_row_comes_from(name):
    texts = "".join(page.read_text(encoding="utf-8") for page in tables.pages())
    included = re.search(rf"<!-- (table )?{name}[\n\[]", texts)
    assert included or f"tables/{name}.csv" in texts
    assert (tables.FILES / f"{name}.csv").stat().st_size < 20_000
    for row in tables.read(name).values():
        needed = tables.SOURCE if included else ("command", "commit")
        assert all(row[column] != "" for column in needed)


def git(*words):
    done = subprocess.run(
        ["git", *words], cwd=tables.ROOT, capture_output=True, text=True
    )
    return done.stdout.split()


def test_every_row_was_made_at_a_commit_of_the_history():
    """Rebasing gives a commit another name: make the row again, or name the new one."""
    if git("rev-parse", "--is-shallow-repository") != ["false"]:
        pytest.skip("the whole history is not here")
    history = {commit[:8] for commit in git("rev-list", "HEAD")}
    named = {
        (path.name, row["commit"])
        for path in tables.FILES.glob("*.csv")
        for row in tables.read(path.stem).values()
    }
    assert [(file, commit) for file, commit in named if commit not in history] == []


def test_a_page_that_includes_its_file_stays_as_it_is(files):
    assert tables.included(PAGE) == PAGE


@pytest.mark.parametrize(
    "wrong",
    [
        ("| mel+mfcc | 93.7 |", "| mel+mfcc | 93.8 |"),
        ("reaches 93.7 %<", "reaches 91 %<"),
        ("| mel | 90.7 |  |\n", ""),
        ("mel 90.7<", "mel 90.6<"),
        ("−1.3", "1.3"),
    ],
)
def test_a_figure_that_is_not_its_files_is_replaced(files, wrong):
    changed = PAGE.replace(*wrong)
    assert changed != PAGE
    assert tables.included(changed) == PAGE


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (("<!-- sets[mel] ", "<!-- sets[mfcc] "), "row.*mfcc.*mel"),
        (("<!-- sets[mel] ", "<!-- set[mel] "), "table.*set.*sets"),
        (("{texture:.1f} -->", "{textur:.1f} -->"), "column.*texture"),
        (("mel 90.7<", "mel gains<"), "gives '90.7'; expected such a figure"),
    ],
)
def test_a_comment_without_its_figure_is_refused(files, wrong, reason):
    with refused(reason):
        tables.included(PAGE.replace(*wrong))


def test_a_block_of_code_is_filled_too(files):
    template = "```\nmel: {texture:.0f} %\n```"
    page = f"<!-- table one\n{template}\n-->\n"
    (files / "one.csv").write_text("\n".join(FILE.splitlines()[:2]) + "\n")
    filled = page + "```\nmel: 91 %\n```\nNext.\n"
    assert (
        tables.included(page + template.replace("{texture:.0f}", "88") + "\nNext.\n")
        == filled
    )


def test_a_table_of_named_rows_has_these_alone(files):
    page = "<!-- table sets[mel+mfcc]\n| {features} | {texture:.0f} |\n-->\n"
    assert tables.included(page) == page + "| mel+mfcc | 94 |\n"
    both = page.replace("[mel+mfcc]", "[mel+mfcc; mel]")
    assert tables.included(both) == both + "| mel+mfcc | 94 |\n| mel | 91 |\n"
    with refused("row.*mfcc.*mel"):
        tables.included(page.replace("[mel+mfcc]", "[mfcc]"))


def test_a_written_file_is_read_again(files):
    import pandas as pd

    rows = pd.DataFrame({"features": ["mel"], "ms": [1 / 3]})
    tables.write("speed", rows, "python -m bench.features", 61.2)
    row = tables.read("speed")["mel"]
    assert row["ms"] == pytest.approx(1 / 3, rel=1e-5)
    assert row["seconds"] == 61 and len(row["commit"]) == 8


def test_a_row_with_an_origin_of_its_own_keeps_it(files):
    import pandas as pd

    rows = pd.DataFrame({"features": ["mel", "mfcc"], "commit": ["0123abcd", None]})
    tables.write("speed", rows, "python -m bench.features", 61.2)
    assert tables.read("speed")["mel"]["commit"] == "0123abcd"
    assert tables.read("speed")["mfcc"]["commit"] == tables.commit()
