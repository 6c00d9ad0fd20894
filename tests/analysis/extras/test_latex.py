"""The LaTeX document: whole in its folder, any name in it, and compiled where LaTeX is."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.extras import latex
from analysis.findings import Findings, findings
from analysis.results import Results, load_runs
from results.run_folder import RunFolder
from tests.analysis.made_runs import MadeRun

ODD = ["<script>", "a&b", "50%", "$x_1$", "Straße", "{brace}", "hand\\saw", "~tilde^", "#hash", "plain"]


@pytest.fixture
def found(made: Callable[..., Results]) -> Callable[..., Findings]:
    """Findings about a few made-up runs, an unranked one among them."""

    def find(names: list[str] | None = None) -> Findings:
        runs = [
            MadeRun(skill=0.8),
            MadeRun(features="mel@n_mels=64", skill=0.78),
            MadeRun(augment="none", skill=0.6),
        ]
        results = made(*runs, MadeRun(features="zcr", folds=(1, 2)), names=names, dataset="esc10")
        return findings(results, np.random.default_rng(0))

    return find


def a_figure(folder: Path) -> Path:
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2])
    figure.savefig(folder / "a+b@c=1.confusion.pdf")
    return folder / "a+b@c=1.confusion.pdf"


def balanced(text: str) -> bool:
    """Every brace closed and every environment ended, in order."""
    open_ = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_.append(name)
        elif not open_ or open_.pop() != name:
            return False
    bare = re.sub(r"\\[{}]", "", text)
    return not open_ and bare.count("{") == bare.count("}")


def test_document_is_whole(found: Callable[..., Findings], tmp_path: Path) -> None:
    main = latex.write_document(
        tmp_path / "latex", "Made & up", found(ODD), [("A 100 % figure", a_figure(tmp_path))]
    )
    text = main.read_text(encoding="utf-8")
    assert balanced(text)
    assert r"\title{Made \& up (synthetic data)}" in text
    assert r"\item zcr-resnet18: not compared: " in text
    assert r"\caption{A 100 \% figure}" in text
    for name in re.findall(r"\\input\{(.*?)\}", text):
        assert balanced((main.parent / f"{name}.tex").read_text(encoding="utf-8"))
    for name in re.findall(r"\\includegraphics\{(.*?)\}", text):
        assert (main.parent / name).is_file()
    written = sorted(file.stem for file in (main.parent / "tables").iterdir())
    shown = ["checkpoints", "classes", "comparison", "complementarity", "confused", "literature"]
    assert written == ["against-the-best", "augmentation", *shown]


def test_every_figure_stands_unscaled_above_its_caption(
    found: Callable[..., Findings], tmp_path: Path
) -> None:
    main = latex.write_document(tmp_path / "latex", "t", found(), [("A figure", a_figure(tmp_path))])
    (drawn,) = re.findall(r"\\begin\{figure\}.*?\\end\{figure\}", main.read_text(), re.DOTALL)
    assert r"\fit" not in drawn and drawn.index("includegraphics") < drawn.index("A figure")


def test_no_table_has_more_columns_than_fit_a_page(found: Callable[..., Findings], tmp_path: Path) -> None:
    main = latex.write_document(tmp_path / "latex", "t", found(), [])
    for file in (main.parent / "tables").iterdir():
        header = file.read_text(encoding="utf-8").splitlines()[2]
        assert header.count("&") < 9, header


def test_the_comparison_says_accuracy_in_percent_with_sd_and_ci() -> None:
    row = {"features": "mel", "model": "texture", "task": "classes", "run": "mel-texture", "n": 5, "seeds": 2}
    numbers = {"accuracy": 0.9325, "accuracy_sd": 0.031, "accuracy_low": 0.897, "accuracy_high": 0.962}
    other = {**row, "task": "categories", "accuracy_sd": np.nan, "accuracy_low": np.nan}
    table = pd.DataFrame([{**row, **numbers}, {**numbers, **other}])
    shown = latex.paper_comparison(table.assign(verdict="best", not_compared=["", "its task"]))
    assert list(shown.columns) == ["Features", "Model", "Accuracy, %", "95 % CI", "Folds", "Seeds", "Verdict"]
    assert shown.iloc[0].tolist() == ["mel", "texture", "93.3 ± 3.1", "89.7 to 96.2", 5, 2, "best"]
    assert shown.iloc[1].tolist()[1:4] == ["texture, categories", "93.3", ""]
    assert shown.iloc[1]["Verdict"] == "not compared"


@pytest.mark.parametrize(("name", "mode"), [("dog", 1), ("Straße", 1), ("犬", 5), ("собака", 5)])
def test_other_scripts_ask_for_xelatex(
    by_hand: Callable[..., RunFolder], tmp_path: Path, name: str, mode: int
) -> None:
    rows = [("a", "g", 1, name, [0.9, 0.1]), ("b", "h", 1, "x", [0.9, 0.1])]
    results = load_runs([by_hand("mel", [name, "x"], rows)])
    latex.write_document(tmp_path / "latex", "t", findings(results, np.random.default_rng(0)), [])
    assert f"$pdf_mode = {mode};" in (tmp_path / "latex" / "latexmkrc").read_text()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_document_compiles(found: Callable[..., Findings], tmp_path: Path) -> None:
    main = latex.write_document(tmp_path / "latex", "t", found(ODD), [("a figure", a_figure(tmp_path))])
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", main.name]
    ended = subprocess.run(command, cwd=main.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert (main.parent / "main.pdf").stat().st_size > 10_000
