"""One term for one thing: words that a term replaces occur in no message, label,
docstring or page.
"""

import functools
import json
import re

import pytest

from tests.golden.commands import ROOT
from tests.test_structure import PACKAGES

FOLDERS = (*PACKAGES, "bench", "docs", "notebooks")
ENDINGS = {".css", ".html", ".ipynb", ".js", ".md", ".py", ".svg", ".txt"}

# A pattern, without regard to case -> what to say.
REPLACED = {
    r"pictures?\b": "figure, or feature map",
    r"\bsound files?": "audio file",
    r"\b(hears?|heard|hearing|unheard)\b": "read, predicted, in the texture statistics",
    r"\b(fuses?|fusing|fusion)\b": "ensemble",
    r"\b(tell|tells|told|telling)( \w+)? apart\b": "distinguish, classify",
    r"\bno choice (has|had) seen\b": "held out from model selection",
    r"\btaken for\b": "confused with, predicted as",
    r"\b(was said|said and done|it said)\b": "predicted",
    r"\bpassed over\b": "skipped",
    r"\b(with|gives) other bits\b": "different values",
    r"\bdamaged maps?\b": "damaged feature map",
    r"\bof straight\b": "parallel efficiency",
    r"\b(share|half|quarters) of the answer\b": "ensemble weight",
    r"\bkinds? of features?\b|\bfeature kinds?\b": "feature",
    r"\b(has|have) no use\b": "ignores, does not apply",
    r"\bsplic(e|ed|ing)\b": "CutMix along time",
    r"\b(exhausted|soundness|likeness|glance)\b": "the standard term",
    r"\b(receipts?|workplace|keepers?|lessons?)\b": "the standard term",
    r"\bsurvey(s|ed)?\b": "summary, cost, statistics",
    r"\brhythm and spread\b": "texture statistics",
    r"\bspread\.over\b": "a plain loop over devices",
}


@functools.cache
def texts():
    found = [
        path
        for name in FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.suffix in ENDINGS
    ]
    return [
        *found,
        ROOT / "README.md",
        ROOT / "Makefile",
        ROOT / "featurestack" / "__init__.py",
    ]


@functools.cache  # every pattern reads all
def prose(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


@pytest.mark.parametrize("pattern", REPLACED)
def test_a_replaced_word_occurs_nowhere(pattern):
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts()
        if not {"out", "generated", "tests"} & set(path.relative_to(ROOT).parts)
        for match in re.finditer(pattern, prose(path), re.IGNORECASE)
    ]
    assert not found, f"say: {REPLACED[pattern]}"
