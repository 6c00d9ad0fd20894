"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded
to Overleaf.

The folder holds main.tex (from the template document.tex), a report of about two pages
with one table and at most five figures, these figures and references.bib. Notes for
the desk (unfinished runs, files that cannot be read) are on the page alone. The
report's other figures and tables lie beside it. pdfLaTeX compiles it; class names in
other scripts than Latin need XeLaTeX.
"""

from collections.abc import Sequence
from pathlib import Path

from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Findings
from featurestack.analysis.page import render
from featurestack.storage.files import replace_file

# names of figures, one of each line, the first that is drawn; the best run's comes
# before other runs'
WANTED = (
    ("accuracy_by_set", "accuracy_heat_map"),
    ("confusion_matrix", "precision_recall"),
    ("importance", "additions"),
    ("learning_curves",),
    ("class_means", "separability"),
)


def shown_figures(figures: Sequence[SavedFigure]) -> list[SavedFigure]:
    """The figures of the document: the comparison, the best run by class, what features
    add, its learning curves, a feature.
    """
    first: dict[str, SavedFigure] = {}
    for figure in figures:
        first.setdefault(figure.name, figure)
    shown = []
    for names in WANTED:
        drawn = [first[name] for name in names if name in first]
        shown += drawn[:1]
    return shown


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
