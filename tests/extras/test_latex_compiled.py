"""pdfLaTeX and BibTeX make a document of what PAPER=1 writes, without a fault."""

import re
import shutil
import subprocess

import pytest

from featurestack.analysis.report_jobs import AnalysisOptions
from tests.analysis.made_runs import MadeRun, made_clips, make_run, of_sets
from tests.analysis.test_report import build, within
from tests.extras.test_latex import ODD

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("pdflatex") and shutil.which("bibtex")),
        reason="no LaTeX: install texlive-latex-recommended and lmodern (Debian)",
    ),
]


def compiled(folder):
    """The log of the last of the runs that a document with references takes."""
    tex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    commands = [tex, tex, tex]
    if "\\cite{" in (folder / "main.tex").read_text():
        commands.insert(1, ["bibtex", "main"])
    for command in commands:
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout[-3000:]
    return (folder / "main.log").read_text(errors="replace").replace("\n", " ")


def faults(log):
    """Faults that a reader of the document would see: unknown references, text beyond
    the margin, figures beyond the page.
    """
    wide = re.findall(r"Overfull \\hbox \((\d+\.\d+)pt", log)
    found = [f"{points} pt too wide" for points in wide if float(points) > 5]
    for words in ("undefined", "Float too large", "Missing character"):
        found += re.findall(rf".{{60}}{words}.{{80}}", log)
    return found


def report(folder, clips, runs, dataset):
    """The folder of the LaTeX document of these runs."""
    for run in runs:
        make_run(folder / "runs", clips, run, dataset)
    options = AnalysisOptions(dataset=dataset, paper=True, **within(folder))
    return build(options).page.parent / "latex"


def test_odd_class_names_and_published_scores(tmp_path):
    clips = made_clips(clips=400, names=ODD)
    runs = [*of_sets(mel=0.8, mel_chroma=0.83, seeds=2), MadeRun(augment="none")]
    folder = report(tmp_path, clips, runs, "esc10")
    assert "\\cite{" in (folder / "main.tex").read_text()
    assert faults(compiled(folder)) == []


def test_fifty_classes_and_many_configurations_of_long_names(tmp_path):
    sets = [
        f"mel@hop_length=441,n_mels={64 + number},win_length=1102:0-31+mfcc+chroma"
        for number in range(12)
    ]
    runs = [
        MadeRun(features=features, skill=0.5 + number / 100, model="resnet18")
        for number, features in enumerate(sets)
    ]
    folder = report(tmp_path, made_clips(clips=400), runs, "a_b 100%")
    assert faults(compiled(folder)) == []
