"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded to Overleaf.

main.tex, figures/*.pdf and references.bib, from the template document.tex; compiled by pdflatex, or by
XeLaTeX if a class name is written in another script than Latin (a latexmkrc then says so to latexmk and
to Overleaf).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import tables
from analysis.figures import SavedFigure
from analysis.findings import Findings
from analysis.page import render
from commandline.files import replace_file

LAST_LATIN = "\u024f"  # letters up to here are in pdfTeX's fonts
XELATEX = "$pdf_mode = 5;  # a name is written in another script than Latin\n"


def write_document(folder: Path, found: Findings, figures: Sequence[SavedFigure], methods: str) -> set[str]:
    """Write `folder/latex`; returns the files by their paths in `folder`. The figures' PDFs are there."""
    # Numbered: a run's name may hold letters that TeX cannot read in a file's name.
    files = {
        f"figures/figure{number}.pdf": figure.files[1].read_bytes() for number, figure in enumerate(figures)
    }
    names = [name for run in found.runs for name in (run.name, *run.classes, *run.categories)]
    beyond = any(
        letter > LAST_LATIN and letter not in tables.LATEX_ESCAPES for name in names for letter in name
    )
    files["latexmkrc"] = (XELATEX if beyond else "$pdf_mode = 1;\n").encode()
    content = {
        "f": found,
        "classes": found.tables[f"{found.runs[0].name}.classes"],
        "published": found.tables.get("literature", pd.DataFrame()).to_dict("records"),
        "problems": found.problems,
        "methods": methods,
        "figures": [figure.titled for figure in figures],
    }
    for name, template in {"main.tex": "document.tex", "references.bib": "references.bib"}.items():
        files[name] = render(template, **content).encode()
    for name, text in files.items():
        file = folder / "latex" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text, durable=False)
    return {f"latex/{name}" for name in files}
