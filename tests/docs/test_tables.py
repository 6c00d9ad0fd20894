"""Figures of the pages are those of docs/tables/."""

import re
import subprocess

import pytest

from docs import tables
from tests.golden.sounds import easy_clips
from tests.refusal import refused

FILE = """features,texturenet,gain,low,command,commit,processor,seconds
mel,90.66,,,make train,0123abcd,a processor,61
mel+mfcc,93.72,-1.26,0.5,make train,0123abcd,a processor,61
"""
TEXTS = """Text before the first page.

## page.md

table sets
| features | accuracy | gain |
|---|---|---|
| {features} | {texturenet:.1f} | {gain:.1f} ({low:.1f}) |
| listeners | 95.7 | |

mel+mfcc reaches {sets[mel+mfcc] texturenet:.1f} %, mel {sets[mel] texturenet:.1f}.

table sets[mel+mfcc; mel]
```
{features}: {texturenet:.0f} %
```

## another.md

none of {sets[mel] texturenet:.1f}
"""
PAGE = """A page.

| features | accuracy | gain |
|---|---|---|
| mel | 90.7 |  |
| mel+mfcc | 93.7 | −1.3 (0.5) |
| listeners | 95.7 | |

Here mel+mfcc reaches
93.7 %, mel 90.7.

```
mel+mfcc: 94 %
mel: 91 %
```
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "sets.csv").write_text(FILE)
    (tmp_path / "texts.txt").write_text(TEXTS)
    monkeypatch.setattr(tables, "FILES", tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.stem)
def test_a_page_has_the_figures_of_its_files(page):
    """After a change of a file: `python -m docs.tables pages`."""
    text = page.read_text(encoding="utf-8")
    assert tables.included(text, page.relative_to(tables.ROOT).as_posix()) == text
    assert "<!--" not in text


@pytest.mark.parametrize("name", [path.stem for path in tables.FILES.glob("*.csv")])
def test_a_file_is_included_and_says_where_each_row_comes_from(name):
    texts = (tables.FILES / tables.TEXTS).read_text(encoding="utf-8")
    included = re.search(rf"^table {name}\b|\{{{name}\[", texts, re.MULTILINE)
    pages = "".join(page.read_text(encoding="utf-8") for page in tables.pages())
    assert included or f"tables/{name}.csv" in pages
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


def test_a_page_with_its_figures_stays_as_it_is(files):
    assert tables.included(PAGE, "page.md") == PAGE


@pytest.mark.parametrize(
    "wrong",
    [
        ("| mel+mfcc | 93.7 |", "| mel+mfcc | 93.8 |"),
        ("reaches\n93.7 %", "reaches\n91 %"),
        ("| mel | 90.7 |  |\n", ""),
        ("mel: 91 %\n", "mel: 88 %\nmfcc: 90 %\n"),
    ],
)
def test_a_figure_that_is_not_its_files_is_replaced(files, wrong):
    changed = PAGE.replace(*wrong)
    assert changed != PAGE
    assert tables.included(changed, "page.md") == PAGE


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (("{sets[mel] ", "{sets[mfcc] "), "row.*mfcc.*mel"),
        (("{texturenet:.0f}", "{textur:.0f}"), "column.*texturenet"),
        (("| features |", "| sets |"), "page.md has 0 texts like this"),
    ],
)
def test_a_text_that_a_page_or_a_file_lacks_is_refused(files, wrong, reason):
    (files / "texts.txt").write_text(TEXTS.replace(*wrong))
    with refused(reason):
        tables.included(PAGE, "page.md")


def test_a_written_file_is_read_again(files):
    import pandas as pd

    rows = pd.DataFrame({"features": ["mel"], "ms": [1 / 3]})
    tables.write("speed", rows, "python -m bench.features", 61.2)
    row = tables.read("speed")["mel"]
    assert row["ms"] == pytest.approx(1 / 3, rel=1e-5)
    assert row["seconds"] == 61 and len(row["commit"]) == 8


@pytest.mark.slow
def test_a_file_is_made_by_its_commands(files, tmp_path):
    easy_clips(tmp_path / "easy")
    of = f"DATASET={tmp_path / 'easy'}"
    commands = (
        f"features {of} FEATURES='rms zcr' JOBS=1",
        f"train {of} MODEL=linear FEATURES='rms rms+zcr'",
        f"analysis {of}",
    )
    rows = tables.make(tables.Made("easy", commands), tmp_path / "out")
    assert {*rows["features"]} == {"rms", "rms+zcr"}
    assert {"linear", "linear_sd", "linear_low", "linear_seeds"} < {*rows}
    assert rows["linear"].between(1, 100).all()
