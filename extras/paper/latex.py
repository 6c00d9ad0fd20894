"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded
to Overleaf.

The folder holds main.tex (from the template document.tex) with one table and at most
three figures, these figures and references.bib. The report's other figures and tables
lie beside it. pdfLaTeX compiles it; class names in other scripts than Latin need
XeLaTeX.
"""

from collections.abc import Sequence
from pathlib import Path

from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Findings
from featurestack.analysis.page import render
from featurestack.storage.files import replace_file

MOST_FIGURES = 3
# names of figures, the most wanted first; the best run's comes before other runs'
WANTED = (
    "accuracy_by_set",
    "accuracy_heat_map",
    "confusion_matrix",
    "precision_recall",
    "importance",
    "additions",
)


def shown_figures(figures: Sequence[SavedFigure]) -> list[SavedFigure]:
    """The figures of the document: the comparison, the best run by class, what features
    add; others if one of these was not drawn.
    """
    first: dict[str, SavedFigure] = {}
    for figure in figures:
        first.setdefault(figure.name, figure)
    return [first[name] for name in WANTED if name in first][:MOST_FIGURES]


def write_document(
    folder: Path,
    found: Findings,
    figures: Sequence[SavedFigure],
    methods: str,
) -> set[str]:
    """Write `folder/latex` and return its files' paths in `folder`; the figures' PDFs
    must exist.
    """
    shown = shown_figures(figures)
    # Numbers, because a run's name may hold letters that TeX cannot read in a file's
    # name.
    files = {
        f"figures/figure{number}.pdf": figure.files[1].read_bytes()
        for number, figure in enumerate(shown)
    }
    document = render("document.tex", f=found, methods=methods, figures=shown)
    files["main.tex"] = document.encode()
    files["references.bib"] = render("references.bib", f=found).encode()
    for name, text in files.items():
        file = folder / "latex" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text, durable=False)
    return {f"latex/{name}" for name in files}
