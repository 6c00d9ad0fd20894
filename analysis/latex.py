"""A small LaTeX document of a report's tables and figures, in one folder that can be uploaded to Overleaf.

main.tex, tables/*.tex and figures/*.pdf; compiled by pdflatex, or by XeLaTeX where a class name is written
in another script than Latin (a latexmkrc then says so to latexmk and to Overleaf).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import tables
from analysis.findings import Findings
from analysis.ranking import Ranking
from analysis.tables import latex_text
from train.runs import replace_file

LAST_LATIN = "\u024f"  # letters up to here are in pdfTeX's fonts
MOST_ROWS = 50  # what a page holds in small type
COMPARED = ("run", "accuracy", "accuracy_sd", "n", "accuracy_low", "accuracy_high", "macro_f1", "parameters",
            "fold_seconds", "verdict")  # fmt: skip
LEFT_OUT = ("source", "doi")  # they would make the table too wide to read; its CSV has them
XELATEX = "$pdf_mode = 5;  # a name is written in another script than Latin\n"

PARTS = ("tables", "figures")  # folders beside main.tex

PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
  \usepackage{lmodern}
\else
  \usepackage{fontspec}
  % Chinese, Japanese and Korean names, where the fonts for them are (Overleaf has them).
  \IfFileExists{xeCJK.sty}{\IfFontExistsTF{Noto Sans CJK SC}%
    {\usepackage{xeCJK}\setCJKmainfont{Noto Sans CJK SC}}{}}{}
\fi
\usepackage[margin=25mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\setlength{\belowcaptionskip}{4pt}
% A table or figure at its own width, or at the line's where it would be wider.
\newcommand{\fit}[1]{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}}
"""


def write_document(folder: Path, title: str, found: Findings, figures: Sequence[tuple[str, Path]]) -> Path:
    """Write the document into an empty or an older such folder; `figures` are (caption, PDF file) each.

    Returns main.tex.
    """
    before, written = {file for part in PARTS for file in (folder / part).glob("*")}, set()
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    body = [_answer(title, found)]
    for number, (name, caption, table) in enumerate(_tables(found)):
        written.add(folder / "tables" / f"{name}.tex")
        _text(folder / "tables" / f"{name}.tex", tables.as_latex(table.head(MOST_ROWS)))
        cut = f" The first {MOST_ROWS} of {len(table)} rows." if len(table) > MOST_ROWS else ""
        body.append(_float("table", f"{caption}{cut}", rf"\fit{{\input{{tables/{name}}}}}", f"tab{number}"))
    for number, (caption, file) in enumerate(figures):
        # Numbered: a run's name may hold letters that TeX cannot read in a file's name.
        written.add(folder / "figures" / f"figure{number}.pdf")
        replace_file(folder / "figures" / f"figure{number}.pdf", file.read_bytes(), durable=False)
        content = rf"\fit{{\includegraphics{{figures/figure{number}.pdf}}}}"
        body.append(_float("figure", caption, content, f"fig{number}"))
    text = "\n".join([PREAMBLE, r"\begin{document}", *body, r"\end{document}", ""])
    _text(folder / "main.tex", text)
    _text(folder / "latexmkrc", XELATEX if _is_beyond_latin(found) else "$pdf_mode = 1;\n")
    for file in before - written:
        file.unlink()
    return folder / "main.tex"


def _text(file: Path, text: str) -> None:
    replace_file(file, text.encode("utf-8"), durable=False)


def _answer(title: str, found: Findings) -> str:
    """Title, the three sentences, and what a reader must know beside them."""
    synthetic = any(run.synthetic for run in found.runs)
    lines = [
        rf"\title{{{latex_text(title)}{' (synthetic data)' if synthetic else ''}}}",
        r"\author{}",
        r"\date{}",
        r"\maketitle",
        latex_text(found.answer.text),
    ]
    if found.sentences:
        lines += ["", *(latex_text(sentence) for sentence in found.sentences)]
    if found.problems:
        noted = [rf"\item {latex_text(f'{problem.run}: {problem.text}')}" for problem in found.problems]
        lines += ["", r"\begin{itemize}", *noted, r"\end{itemize}"]
    return "\n".join(lines)


def _tables(found: Findings) -> list[tuple[str, str, pd.DataFrame]]:
    """(file name, caption, table) of everything the document shows, in its order."""
    shown = []
    if found.main:
        shown += _main_tables(found.main, found.tables["comparison"])
    captions = {
        "complementarity": "Pairs of runs: agreement, both wrong, either correct, and the accuracy of their "
        "ensemble. The order is selected on the test folds.",
        "checkpoints": "The last epoch, the best on validation, and the peeked best on the test fold itself.",
        "augmentation": "Augmentation ablations, with 95 % intervals over source recordings.",
        "literature": "Published results with their protocols, and this project's runs.",
    }
    return shown + [
        (name, caption, found.tables[name].drop(columns=list(LEFT_OUT), errors="ignore"))
        for name, caption in captions.items()
        if name in found.tables
    ]


def _main_tables(main: Ranking, comparison: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    best = main.best
    scored = (
        "Accuracy: mean and standard deviation over n folds, 95 % interval by bootstrap over recordings; "
        f"{best.protocol}."
    )
    pairs = tables.pairs(main)
    against = pairs[pairs["a"] == best.name].drop(columns="a").rename(columns={"b": "run"})
    shown = [("comparison", scored, comparison[list(COMPARED)])]
    if len(against):
        less = f"{best.name} less each other run; the verdict is by p best, corrected for all of them."
        shown.append(("against-the-best", less, against))
    shown.append(("classes", f"{best.name} by class, all folds.", tables.per_class(best)))
    confused = tables.confused_pairs(best)
    if len(confused):
        shown.append(("confused", f"The most frequent confusions of {best.name}.", confused))
    return shown


def _float(kind: str, caption: str, content: str, label: str) -> str:
    return "\n".join(
        [
            rf"\begin{{{kind}}}[htbp]",
            r"\centering\footnotesize",
            rf"\caption{{{latex_text(caption)}}}\label{{{label}}}",
            content,
            rf"\end{{{kind}}}",
        ]
    )


def _is_beyond_latin(found: Findings) -> bool:
    names = [name for run in found.runs for name in (run.name, *run.classes, *run.categories)]
    return any(
        letter > LAST_LATIN and letter not in tables.LATEX_ESCAPES for name in names for letter in name
    )
