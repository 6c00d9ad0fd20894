"""A small LaTeX document of a report's tables and figures, in one folder that can be uploaded to Overleaf.

main.tex, tables/*.tex and figures/*.pdf; compiled by pdflatex, or by XeLaTeX where a class name is written
in another script than Latin (a latexmkrc then says so to latexmk and to Overleaf).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import tables
from analysis.extras.methods import methods_text
from analysis.findings import Findings
from analysis.ranking import Ranking
from analysis.tables import latex_text
from commandline.files import replace_file
from commandline.terminal import percent, points

LAST_LATIN = "\u024f"  # letters up to here are in pdfTeX's fonts
MOST_ROWS = 50  # what a page holds in small type
LONG = ("Protocol", "Ablation")  # columns whose text is broken into lines
PAIRS = 15  # rows of a table of pairs: its CSV has all
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
\usepackage[font=small]{caption}
\captionsetup[table]{skip=4pt}
% A table at its own width, or at the line's where it would be wider.
\newcommand{\fit}[1]{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}}
"""


def write_document(folder: Path, title: str, found: Findings, figures: Sequence[tuple[str, Path]]) -> Path:
    """Write the document; `figures` are (caption, PDF file) each. A report removes what an older one left.

    Returns main.tex.
    """
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    body = [_answer(title, found)]
    for number, (name, caption, table) in enumerate(_tables(found)):
        _text(folder / "tables" / f"{name}.tex", tables.as_latex(table.head(MOST_ROWS), paragraphs=LONG))
        cut = f" The first {MOST_ROWS} of {len(table)} rows." if len(table) > MOST_ROWS else ""
        content = rf"\fit{{\input{{tables/{name}}}}}"
        body.append(
            "\n".join(
                [
                    r"\begin{table}[htbp]",
                    r"\centering\footnotesize",
                    _caption(f"{caption}{cut}", f"tab{number}"),
                    content,
                    r"\end{table}",
                ]
            )
        )
    for number, (caption, file) in enumerate(figures):
        # Numbered: a run's name may hold letters that TeX cannot read in a file's name.
        replace_file(folder / "figures" / f"figure{number}.pdf", file.read_bytes(), durable=False)
        content = (
            rf"\includegraphics{{figures/figure{number}.pdf}}"  # drawn at the width of a column or the text
        )
        body.append(
            "\n".join(
                [
                    r"\begin{figure}[htbp]",
                    r"\centering",
                    content,
                    _caption(caption, f"fig{number}"),
                    r"\end{figure}",
                ]
            )
        )
    text = "\n".join([PREAMBLE, r"\begin{document}", *body, r"\end{document}", ""])
    _text(folder / "main.tex", text)
    _text(folder / "latexmkrc", XELATEX if _is_beyond_latin(found) else "$pdf_mode = 1;\n")
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
    if found.main:
        lines += [r"\section*{Methods}", latex_text(methods_text(found.main))]
    if found.problems:
        noted = [rf"\item {latex_text(f'{problem.run}: {problem.text}')}" for problem in found.problems]
        lines += ["", r"\begin{itemize}", *noted, r"\end{itemize}"]
    return "\n".join(lines)


def _tables(found: Findings) -> list[tuple[str, str, pd.DataFrame]]:
    """(file name, caption, table) of everything the document shows, in its order."""
    shown = []
    if found.main:
        shown += _main_tables(found, found.main)
    called = _names(found)
    return shown + [
        (name, caption, of_paper(found.tables[name].head(PAIRS), called))
        for name, (of_paper, caption) in PAPER_TABLES.items()
        if name in found.tables
    ]


def _names(found: Findings) -> dict[str, str]:
    """Run -> its features and model, which fit a table; where several share those, the run's name."""
    called = {run.name: f"{run.features} ({_model(run.model, run.task)})" for run in found.runs}
    return {run: name if list(called.values()).count(name) == 1 else run for run, name in called.items()}


def _model(model: str, task: str) -> str:
    return model if task == "classes" else f"{model}, {task}"


def paper_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """The comparison in columns that fit a page: features, model, accuracy with its SD and CI, what of."""
    models = [_model(*row) for row in comparison[["model", "task"]].itertuples(index=False)]
    of = pd.DataFrame({"Features": comparison["features"], "Model": models})
    if of.duplicated().any():
        of["Run"] = comparison["run"]
    return of.assign(
        **{
            "Accuracy, %": _of_percents("{} ± {}", comparison["accuracy"], comparison["accuracy_sd"]),
            "95 % CI": _of_percents("{} to {}", comparison["accuracy_low"], comparison["accuracy_high"]),
            "Folds": comparison["n"],
            "Seeds": comparison["seeds"],
            "Verdict": comparison["verdict"].where(comparison["not_compared"] == "", "not compared"),
        }
    )


def _of_percents(words: str, *shares: pd.Series) -> list[str]:
    """`93.3 ± 3.1`; as much of the words as there are numbers for."""
    rows = zip(*shares, strict=True)
    cut = words.index("}") + 1
    return [
        ""
        if pd.isna(row[0])
        else (words if not any(map(pd.isna, row)) else words[:cut]).format(*map(percent, row))
        for row in rows
    ]


def _difference(table: pd.DataFrame) -> dict[str, Any]:
    """The columns of a difference in points with its interval."""
    return {
        "Points": [points(value) for value in table["difference"]],
        "95 % CI": [
            "" if pd.isna(low) else f"{points(low)} to {points(high)}"
            for low, high in zip(table["low"], table["high"], strict=True)
        ],
    }


def _paper_pairs(table: pd.DataFrame, called: Mapping[str, str]) -> pd.DataFrame:
    numbers = {
        "agreement": "Agree",
        "double_fault": "Both wrong",
        "oracle": "Either correct",
        "ensemble": "Ensemble",
    }
    columns: dict[str, Any] = {"Run": table["a"].map(called), "With": table["b"].map(called)}
    columns |= {words: [percent(value) for value in table[name]] for name, words in numbers.items()}
    return pd.DataFrame(columns | {"Gain": [points(value) for value in table["gain"]]})


def _paper_checkpoints(table: pd.DataFrame, called: Mapping[str, str]) -> pd.DataFrame:
    columns = {"Run": table["run"].map(called)}
    for name in ("last", "best", "peeked"):
        columns[name.capitalize()] = ["" if pd.isna(value) else percent(value) for value in table[name]]
    return pd.DataFrame(columns)


def _paper_ablations(table: pd.DataFrame, called: Mapping[str, str]) -> pd.DataFrame:
    words = {"p": table["p_adjusted"], "Significant": table["differs"]}
    return pd.DataFrame({"Ablation": table["name"], **_difference(table), **words})


def _paper_literature(table: pd.DataFrame, called: Mapping[str, str]) -> pd.DataFrame:
    method = table["method"].map(lambda name: called.get(name, name))
    shown = {
        "Method": method,
        "Weights": table["weights"],
        "Accuracy, %": [percent(one) for one in table["accuracy"]],
    }
    return pd.DataFrame({**shown, "Protocol": table["protocol"]})


PaperTable = Callable[[pd.DataFrame, Mapping[str, str]], pd.DataFrame]
PAPER_TABLES: dict[str, tuple[PaperTable, str]] = {  # and its caption; in the document's order
    "complementarity": (
        _paper_pairs,
        (
            "Pairs of runs: how often they predict the same class, both are wrong, at least one is correct, "
            "and the accuracy of their ensemble, all in %. The order is selected on the test folds."
        ),
    ),
    "checkpoints": (
        _paper_checkpoints,
        (
            "Accuracy in % of the last epoch, of the best on validation, and of the peeked best on the test "
            "fold itself."
        ),
    ),
    "augmentation": (_paper_ablations, "Augmentation ablations, in points of accuracy."),
    "literature": (
        _paper_literature,
        "Published results with their protocols, and this project's runs.",
    ),
}


def _main_tables(found: Findings, main: Ranking) -> list[tuple[str, str, pd.DataFrame]]:
    best, called = main.best, _names(found)
    scored = (
        "Accuracy: mean and standard deviation over folds, 95 % CI by bootstrap over source recordings, "
        f"which does not hold the variation of training again; {best.protocol}."
    )
    pairs = tables.pairs(main)
    against = pairs[pairs["a"] == best.name]
    shown = [("comparison", scored, paper_comparison(found.tables["comparison"]))]
    if len(against):
        less = f"{called[best.name]} less each other run, in points; p is corrected for all of them."
        columns = {"Run": against["b"].map(called), **_difference(against)}
        shown.append(("against-the-best", less, pd.DataFrame(columns | {"p": against["p_best"]})))
    by_class = tables.per_class(best).rename(columns=str.capitalize)
    shown.append(("classes", f"{called[best.name]} by class, all folds.", by_class))
    confused = tables.confused_pairs(best)
    if len(confused):
        percents = [percent(value) for value in confused["share"]]
        confused = (
            confused.assign(share=percents).rename(columns=str.capitalize).rename(columns={"Share": "%"})
        )
        shown.append(("confused", f"The most frequent confusions of {called[best.name]}.", confused))
    return shown


def _caption(text: str, label: str) -> str:
    return rf"\caption{{{latex_text(text)}}}\label{{{label}}}"


def _is_beyond_latin(found: Findings) -> bool:
    names = [name for run in found.runs for name in (run.name, *run.classes, *run.categories)]
    return any(
        letter > LAST_LATIN and letter not in tables.LATEX_ESCAPES for name in names for letter in name
    )
