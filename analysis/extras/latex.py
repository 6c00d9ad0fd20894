"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded
to Overleaf.

The folder holds main.tex (from the template document.tex), figures/*.pdf and
references.bib. pdfLaTeX compiles it; class names in other scripts than Latin need
XeLaTeX.
"""

from collections.abc import Sequence
from pathlib import Path

from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Findings
from featurestack.analysis.page import render
from featurestack.storage.files import replace_file


def write_document(
    folder: Path,
    found: Findings,
    figures: Sequence[SavedFigure],
    methods: str,
) -> set[str]:
    """Write `folder/latex` and return its files' paths in `folder`; the figures' PDFs
    must exist.
    """
    # Numbers, because a run's name may hold letters that TeX cannot read in a file's
    # name.
    files = {
        f"figures/figure{number}.pdf": figure.files[1].read_bytes()
        for number, figure in enumerate(figures)
    }
    files["main.tex"] = render(
        "document.tex", f=found, methods=methods, figures=figures
    ).encode()
    files["references.bib"] = render("references.bib", f=found).encode()
    for name, text in files.items():
        file = folder / "latex" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text, durable=False)
    return {f"latex/{name}" for name in files}
