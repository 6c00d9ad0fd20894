"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded to Overleaf.

main.tex, tables/*.tex, figures/*.pdf and references.bib; compiled by pdflatex, or by XeLaTeX if a class name
is written in another script than Latin (a latexmkrc then says so to latexmk and to Overleaf).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import tables
from analysis.figures import SavedFigure
from analysis.findings import Findings
from analysis.page import render
from commandline.files import replace_file
from commandline.terminal import percent, points

LAST_LATIN = "\u024f"  # letters up to here are in pdfTeX's fonts
MOST_ROWS = 50  # what a page holds in small type
LONG = ("Protocol", "Ablation")  # columns whose text is broken into lines
XELATEX = "$pdf_mode = 5;  # a name is written in another script than Latin\n"


def write_document(folder: Path, found: Findings, figures: Sequence[SavedFigure], methods: str) -> set[str]:
    """Write `folder/latex`; returns the files by their paths in `folder`. The figures' PDFs are there."""
    shown, files = paper_tables(found), {}
    for name, _, table in shown:
        files[f"tables/{name}.tex"] = tables.as_latex(table.head(MOST_ROWS), paragraphs=LONG).encode()
    # Numbered: a run's name may hold letters that TeX cannot read in a file's name.
    for number, figure in enumerate(figures):
        files[f"figures/figure{number}.pdf"] = figure.file.with_suffix(".pdf").read_bytes()
    names = [name for run in found.runs for name in (run.name, *run.classes, *run.categories)]
    beyond = any(
        letter > LAST_LATIN and letter not in tables.LATEX_ESCAPES for name in names for letter in name
    )
    files["latexmkrc"] = (XELATEX if beyond else "$pdf_mode = 1;\n").encode()
    published = found.tables.get("literature", pd.DataFrame({"doi": [], "source": [], "method": []}))
    entries = [row for row in published.to_dict("records") if row["doi"]]
    references = [(f"{bib_key(row['method'])}", row) for row in entries]
    files["references.bib"] = render("references.bib", references=references).encode()
    captions = [(name, caption, len(table)) for name, caption, table in shown]
    files["main.tex"] = render(
        "document.tex",
        f=found.facts,
        methods=methods,
        problems=found.problems,
        tables=captions,
        figures=[figure.caption for figure in figures],
        most=MOST_ROWS,
        keys=[key for key, _ in references],
    ).encode()
    for name, content in files.items():
        (folder / "latex" / name).parent.mkdir(parents=True, exist_ok=True)
        replace_file(folder / "latex" / name, content, durable=False)
    return {f"latex/{name}" for name in files}


def bib_key(method: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", method)


def paper_tables(found: Findings) -> list[tuple[str, str, pd.DataFrame]]:
    """(file name, caption, table) of everything the document shows, in its order."""
    facts = found.facts
    if not facts.best:
        return []
    scores = pd.DataFrame(
        {
            "Features": [row.features for row in facts.rows],
            "Model": [row.model for row in facts.rows],
            "Accuracy, %": [
                percent(row.accuracy) + (f" ± {percent(row.sd)}" if row.n > 1 else "") for row in facts.rows
            ],
            "95 % CI": [
                "" if pd.isna(row.low) else f"{percent(row.low)} to {percent(row.high)}" for row in facts.rows
            ],
            "Folds": [row.n for row in facts.rows],
            "Seeds": [len(row.seeds) for row in facts.rows],
            "To the best, points": [
                ""
                if pd.isna(row.difference_low)
                else "{} ({} to {})".format(
                    *map(points, (row.difference, row.difference_low, row.difference_high))
                )
                for row in facts.rows
            ],
            "Verdict": [row.verdict for row in facts.rows],
        }
    )
    about = (
        "Accuracy: mean and standard deviation over folds, 95 % CI by bootstrap over source recordings, "
        f"which does not hold the variation of training again; {facts.protocol}."
    )
    shown = [("comparison", about, scores)]
    gains = pd.DataFrame(
        {
            "Ablation": [gain.name + (" (control)" if gain.control else "") for gain in facts.gains],
            "Points": [points(gain.difference) for gain in facts.gains],
            "Interval": [
                "" if pd.isna(gain.low) else f"{points(gain.low)} to {points(gain.high)}"
                for gain in facts.gains
            ],
            "p": [gain.p for gain in facts.gains],
            "Verdict": [gain.verdict for gain in facts.gains],
        }
    )
    if len(gains):
        shown.append(("ablations", "Added features and augmentation, in points of accuracy.", gains))
    best = next(run for run in found.runs if run.name == facts.best.run)
    by_class = tables.class_report(best).rename(columns=lambda name: name.capitalize().replace("_", " "))
    shown.append(("classes", f"{facts.best.label} by class, all folds.", by_class))
    if "literature" in found.tables:
        columns = {"method": "Method", "weights": "Weights", "protocol": "Protocol"}
        published = found.tables["literature"].rename(columns=columns)
        published.insert(2, "Accuracy, %", [percent(value) for value in published["accuracy"]])
        chosen = published[["Method", "Weights", "Accuracy, %", "Protocol"]]
        shown.append(
            ("literature", "Published results with their protocols, and this project's runs.", chosen)
        )
    return shown
