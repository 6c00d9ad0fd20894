"""The bibliography: one entry per paper, each with its facts, and CITATION.cff."""

import re

import pytest

from featurestack import __version__
from featurestack import paper as latex
from featurestack.analysis.findings import findings
from featurestack.analysis.report import files_of_report
from tests.analysis.made_runs import of_sets

NEEDED = {"author", "title", "year"}


def fields(entry):
    """The fields of an entry of a .bib file, its braces balanced."""
    assert entry.count("{") == entry.count("}"), entry
    pairs = re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE)
    kind, key = re.match(r"@(\w+)\{(\w+),\n", entry).groups()
    assert entry.strip().endswith("}") and len(pairs) == entry.count("\n  ")
    return kind, key, dict(pairs)


def test_every_entry_has_authors_title_year_and_venue():
    entries = re.split(r"\n(?=@)", (latex.TEMPLATES / "references.bib").read_text())
    dois = []
    for text in entries:
        kind, key, known = fields(text)
        assert known.keys() >= NEEDED, key
        venue = {"inproceedings": "booktitle", "article": "journal"}.get(kind)
        assert not venue or known[venue]
        assert re.fullmatch(r"\d{4}", known["year"])
        dois.append(known.get("doi", key))
    assert len(set(dois)) == len(entries)


@pytest.mark.parametrize("dataset", ["esc10", "my_folder"])
def test_a_document_has_what_it_cites(made, tmp_path, dataset):
    runs = [
        *of_sets(mel=0.8, mfcc=0.7, model="resnet18"),
        *of_sets(zcr=0.4, model="texturenet"),
        *of_sets(**{"embedding@model=speech": 0.5}, model="linear"),
    ]
    found = findings(made(*runs, dataset=dataset))
    latex.write_document(files_of_report(tmp_path), found, [], "")
    text = (tmp_path / "latex" / "main.tex").read_text()
    bib = (tmp_path / "latex" / "references.bib").read_text()
    assert __version__ in bib
    cited = {*re.findall(r"\\cite\{(\w+)\}", text)}
    keys = re.findall(r"^@\w+\{(\w+),", bib, re.MULTILINE)
    assert cited <= {*keys}
    assert {"featurestack", "librosa", "resnet", "speech", "texturenet"} <= cited
    assert ("piczak2015esc" in cited) == (dataset == "esc10")
    (title,) = re.findall(r"\\title\{(.*)\}", text)
    assert dataset not in title and ("ESC-10" in title) == (dataset == "esc10")
