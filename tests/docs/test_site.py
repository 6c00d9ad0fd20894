"""The documentation site: its generated pages say what the code says, and it builds
without a warning.
"""

import dataclasses
import inspect
import re

import pandas as pd
import pytest

import featurestack as fs
from docs import generate
from featurestack.analysis.report.tables import TABLES
from featurestack.analysis.report.warnings import WARNINGS
from featurestack.base import NAMED
from featurestack.base.registry import first_sentence
from featurestack.cli.words import every_options
from featurestack.comparison.average_precision import MEAN_AVERAGE_PRECISION
from featurestack.comparison.scores import ACCURACY
from featurestack.embeddings.networks import KNOWN
from featurestack.pipeline.features import FEATURES
from featurestack.results.config import Calibration, RunConfig
from featurestack.train.augment import AUGMENTS
from featurestack.train.models import MODELS
from tests.docs.test_commands import DOCS, PAGES, ROOT, every_page
from tests.processes import python


def test_every_option_stands_on_its_page_with_its_meaning_and_its_commands():
    page = generate.options_page()
    _, *parts = re.split(r"^## (\w+)$", page, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    for words, options in every_options().items():
        for name, field in options.items():
            section = sections[name.upper()]
            meaning = generate.sentence(field.metadata["meaning"])
            assert meaning in section, f"{words}: {name}"
            assert f"`{words}`" in section
    assert "Default: `32`; values: integer, at least 2." in sections["BATCH"]
    assert "`none`, `next`, `group`" in sections["VAL"]


def test_every_registered_thing_has_its_entry():
    for place, names in {
        "reference/models.md": [*MODELS.complete(), *AUGMENTS],
        "howto/datasets.md": NAMED,
        "howto/bring-features.md": KNOWN,
    }.items():
        page = (DOCS / place).read_text(encoding="utf-8")
        assert [name for name in names if f"`{name}`" not in page] == [], place


def test_the_table_of_models_has_no_other():
    page = (DOCS / "reference" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert {*rows} == {*MODELS.complete()}


def test_every_registered_thing_says_what_it_is_in_its_docstring():
    described = {name: entry.builder for name, entry in MODELS.complete().items()}
    described |= {name: entry.transform for name, entry in AUGMENTS.items()}
    described |= {code: kind.find for code, kind in WARNINGS.items()}
    for metric in (ACCURACY, MEAN_AVERAGE_PRECISION):
        described |= {name: own.function for name, own in metric.scores.items()}
    texts = {name: first_sentence(function) for name, function in described.items()}
    assert [name for name, text in texts.items() if not text.endswith(".")] == []


def test_every_key_of_run_json_and_every_column_has_its_meaning():
    page = generate.files_page()
    rows = re.findall(r"^\| `([\w.]+)` \|(?:.*\|)? ([^|]*) \|$", page, re.MULTILINE)
    assert {name for name, meaning in rows if not meaning} == set()
    named = {name for name, _ in rows}
    for owner in (RunConfig, Calibration):
        assert {field.name for field in dataclasses.fields(owner)} <= named
    for name, table in TABLES.complete().items():
        part = page.partition(f"### `{name}.csv`")[2].partition("###")[0]
        told = [column for column in table.columns if f"| `{column.name}` |" in part]
        assert told == [*table.columns], name
    meanings = dict(rows)
    assert meanings["log_loss"].startswith("Mean negative natural logarithm")


def test_the_page_of_functions_has_every_function():
    page = generate.functions_page()
    functions = [name for name in fs.__all__ if inspect.isfunction(getattr(fs, name))]
    assert {*re.findall(r"autofunction:: (\w+)", page)} == {*functions}


def test_every_card_gets_its_figure():
    page = (DOCS / "reference" / "features.md").read_text(encoding="utf-8")
    text = generate.with_figures(page)
    names = FEATURES.complete()
    assert [name for name in names if f"](generated/{name}.png)" not in text] == []


@every_page
def test_links_inside_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        inside = not target.startswith("http") and "generated/" not in target
        assert not inside or (page.parent / target).exists(), target


def test_tests_that_a_table_or_a_comment_names_are_there():
    texts = [
        (ROOT / name).read_text("utf-8")
        for name in ("CONTRIBUTING.md", "pyproject.toml")
    ]
    named = re.findall(r"(?<![\w/])tests/[\w/.]+[\w/]", "\n".join(texts))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    places = str(DOCS), str(tmp_path / "site")
    done = python("-m", "sphinx", "-W", "--keep-going", "-q", *places, check=False)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "site" / "reference" / "features.html"
    assert "mel" in page.read_text(encoding="utf-8")


def test_package_citation_and_list_of_changes_have_the_same_version():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)", cited, re.MULTILINE)[1] == fs.__version__
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == fs.__version__


@pytest.mark.parametrize(
    "file", sorted((DOCS / "tables").glob("*.csv")), ids=lambda file: file.stem
)
def test_a_page_names_each_measured_table_and_each_row_its_command(file):
    pages = [page.read_text("utf-8") for page in [*PAGES, *DOCS.glob("*.py")]]
    assert any(file.name in text for text in pages), "no page names this table"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    assert (table["command"] != "").all() and table.iloc[:, 0].is_unique
