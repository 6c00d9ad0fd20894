"""PAPER=1 adds files to a report: the LaTeX document, which holds any class name, its
bibliography, and the methods paragraph. Figures are stubs.
"""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from featurestack import __version__
from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import findings
from featurestack.analysis.report_jobs import analysis
from featurestack.analysis.run_arrays import Problem
from featurestack.analysis.sentences import numbers
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.compare.significance import DIFFERENCE_INTERVAL
from featurestack.embeddings.networks import KNOWN
from featurestack.extras import latex
from featurestack.extras.latex import methods_text
from featurestack.pipeline.features import FEATURES
from featurestack.results.config import Machine
from featurestack.results.training_options import Training, words_of_training
from featurestack.train.models import MODELS, resolve
from tests.analysis.made_runs import MadeRun, of_sets
from tests.analysis.test_report import build, files_of, stubs, within  # noqa: F401
from tests.run_configs import answer_of, channel, computed, rewrite


def test_figures_document_references_and_methods_are_written(
    tones_project, tmp_path, capsys
):
    options = tones_project.options(reports=tmp_path, paper=True)
    built = build(options)
    assert files_of(built.page.parent) >= {
        "figures/accuracy_by_set.pdf",
        "figures/mel-resnet18.confusion-85mm.png",
        "latex/main.tex",
        "latex/references.bib",
        "tables/comparison.tex",
    }
    analysis(options)
    (told,) = re.findall(r"^paper:  (.*) and (.*)$", capsys.readouterr().out, re.M)
    assert all(Path(file).is_file() for file in told)
    page = built.page.read_text()
    main = (built.page.parent / "latex" / "main.tex").read_text()
    assert "it does not include the variation between trainings" in main
    assert page.count(DIFFERENCE_INTERVAL) > 1 and DIFFERENCE_INTERVAL in main.replace(
        "\\%", "%"
    )
    assert 'id="methods"' in page and "175MM PNG" in page.replace(" ", " ")


@pytest.mark.slow
def test_an_edited_document_stays_and_a_plain_report_keeps_all_that_it_needs(
    tones_project, tmp_path, capsys
):
    options = tones_project.options(reports=tmp_path, paper=True)
    folder = build(options).page.parent
    latex = {f"latex/{file.name}" for file in (folder / "latex").glob("*.*")}
    for_papers = {name for name in files_of(folder) if "latex/" in name} | latex
    main = folder / "latex" / "main.tex"
    main.write_text(main.read_text() + "% my own\n")
    build(tones_project.options(reports=tmp_path))
    assert for_papers <= files_of(folder) | latex
    assert "of an earlier report" not in capsys.readouterr().err  # of the same runs
    build(options)
    assert main.read_text().endswith("% my own\n")
    assert f"{main}: kept because you changed it" in capsys.readouterr().err


def document(found, folder, figures=(), methods=""):
    """The LaTeX document of these findings, and its bibliography."""
    latex.write_document(OwnFiles(folder, NO_DATA), found, figures, methods)
    files = folder / "latex" / "main.tex", folder / "latex" / "references.bib"
    return [file.read_text() for file in files]


ODD = ["<script>", "a&b", "50%", "$x_1$", "Straße", "{brace}", "hand\\saw", "~tilde^"]
ODD += ["#hash", "plain"]


def balanced(text):
    """Whether the environments end in the right order and the numbers of opening and
    closing braces agree.
    """
    open_ = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_.append(name)
        elif not open_ or open_.pop() != name:
            return False
    bare = re.sub(r"\\[{}]", "", text)
    return not open_ and bare.count("{") == bare.count("}")


def test_text_is_escaped():
    name = "a|b_c & 50 % #1 ~^\\{}$"
    escaped = r"a|b\_c \& 50 \% \#1 \textasciitilde{}\textasciicircum{}"
    assert latex.latex_text(name) == escaped + r"\textbackslash{}\{\}\$"


def test_the_document_is_whole(made_runs, tmp_path):
    runs = [MadeRun(skill=0.8), MadeRun(features="mel@n_mels=64", skill=0.78)]
    # not ranked
    runs += [MadeRun(augment="none", skill=0.6), MadeRun(features="zcr", folds=(1, 2))]
    results = made_runs(*runs, names=ODD, dataset="esc10")
    unfinished = Problem("rms-cnn4", "no fold is finished yet", "unfinished")
    found = replace(findings(results, [unfinished]), warnings={"W6": "1 run."})
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2])
    files = tuple(tmp_path / f"a+b@c=1.{kind}" for kind in ("svg", "pdf"))
    figure.savefig(files[1])
    saved = SavedFigure("accuracy_by_set", "Accuracy in %", "a+b@c=1", files, "")
    main, references = document(found, tmp_path, [saved], "100 % of it & more")
    (used,) = re.findall(r"\\includegraphics\{([^}]+)\}", main)
    assert (tmp_path / "latex" / used).exists() and balanced(main)
    assert "mel (resnet18, augment none) & resnet18" in main
    assert "mel & resnet18" not in main
    assert "had the highest accuracy of 3 configurations. Cross" in main
    assert "Use " not in main and r"100 \% of it \& more" in main
    for heading in ("Result", "Limitations", "Data and methods"):
        assert f"\\section*{{{heading}}}" in main
    assert "not compared" not in main and "no fold" not in main  # notes for the desk
    assert balanced(references)


def test_ablations_have_intervals_and_verdicts(made_runs, tmp_path):
    found = findings(made_runs(*of_sets(mel=0.8, mel_mfcc=0.81, mel_zcr=0.5)))
    main, _ = document(found, tmp_path)
    table = (tmp_path / "tables" / "ablations.tex").read_text()
    assert table.strip() in main and balanced(main)
    rows = [line.split(" & ") for line in table.splitlines() if " & " in line][1:]
    assert [row[:2] for row in rows] == [
        ["mfcc", "mel (resnet18)"],
        ["zcr", "mel (resnet18)"],
    ]
    assert rows[0][-1] == "no clear difference \\\\"
    assert rows[1][2] == "$-$30.0" and rows[1][-1] == "clear loss \\\\"
    assert all(" to " in row[3] for row in rows)


def test_the_highest_is_called_best_only_if_it_is_clearly_better(made_runs, tmp_path):
    for folder, skill in (("unclear", 0.79), ("clear", 0.3)):
        found = findings(made_runs(*of_sets(mel=0.8, zcr=skill)))
        document(found, tmp_path / folder)
        table = (tmp_path / folder / "tables" / "comparison.tex").read_text()
        best = next(line for line in table.splitlines() if line.startswith("mel "))
        word = {"unclear": "highest, not clearly better", "clear": "best"}[folder]
        assert best.endswith(f"& {word} \\\\")
        assert not (tmp_path / folder / "tables" / "ablations.tex").exists()


def test_a_table_says_only_what_its_rows_have(made_runs, tmp_path):
    exact = of_sets(model="linear", mel=0.8, rms=0.7)
    first, second = made_runs(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.7))
    other = replace(second, protocol="another")
    for number, (runs, verdict, shared) in enumerate(
        [
            (made_runs(*exact[:1]), False, True),
            (made_runs(*exact), True, True),
            ([first, second], True, True),
            ([first, other], True, False),
        ]
    ):
        found = findings(runs)
        main, _ = document(found, tmp_path / str(number))
        assert ("Verdict" in main) == verdict and "not compared" not in main
        assert (" & – & " in main) == found.main.best.exact
        (caption,) = re.findall(r"\\caption\{(.*?)\}\\label\{tab:", main)
        assert latex.latex_text(numbers(found)) in caption
        assert numbers(found) in methods_text(found)
        assert (found.main.best.protocol in caption) == shared


@pytest.mark.parametrize("dataset", ["esc10", "my_folder"])
def test_a_document_has_what_it_cites(made_runs, tmp_path, dataset):
    runs = [
        *of_sets(mel=0.8, mfcc=0.7, mel_mfcc=0.75, model="resnet18"),
        *of_sets(zcr=0.4, model="texturenet"),
        *of_sets(**{"embedding@model=speech": 0.5}, model="linear"),
    ]
    found = findings(made_runs(*runs, dataset=dataset))
    text, bib = document(found, tmp_path, methods=methods_text(found))
    assert __version__ in bib
    for entry in re.split(r"\n(?=@)", bib):
        names = re.findall(r"^  (\w+) = \{.*\},$", entry, re.MULTILINE)
        assert {*names} >= {"author", "title", "year"}, entry
        assert entry.count("{") == entry.count("}"), entry
    cited = {*re.findall(r"\\cite\{(\w+)\}", text)}
    keys = re.findall(r"^@\w+\{(\w+),", bib, re.MULTILINE)
    assert cited <= {*keys}
    assert {"featurestack", "librosa", "resnet", "speech", "texturenet"} <= cited
    assert {*latex.CITED.values()} <= cited
    assert ("piczak2015esc" in cited) == (dataset == "esc10")
    (title,) = re.findall(r"\\title\{(.*)\}", text)
    assert dataset not in title and ("ESC-10" in title) == (dataset == "esc10")


RECORDED = {
    "duration": 5.0,
    "sample_rate": 44100,
    "parameters": 85002,
    "computed": computed(),
    "machine": Machine(processor="x86_64", cores=2),
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "channels": (replace(channel("mel"), parameters={"n_mels": 128, "fmax": None}),),
    "input_grid": "64x216",
    "training": Training(
        padding="drop",
        grid="64x216",
        norm="row",
        epochs=40,
        augment="shift=1",
        lr=0.002,
    ),
}


def test_the_paragraph_says_what_is_recorded_and_nothing_else(made_runs):
    found = findings(made_runs(*of_sets(mel=0.9, rms=0.5)))
    bare = methods_text(found)
    assert "None" not in bare and "nan" not in bare
    shorter = replace(RECORDED["training"], epochs=20)
    for run, training in zip(found.trained, (RECORDED["training"], shorter)):
        words = {"words": words_of_training(training, ())}
        rewrite(run.folders[0], **RECORDED | {"training": training} | words)
        vars(run).pop("options")  # read from run.json once
    text = methods_text(found)
    for words in (
        "400 test clips, 5 s at 44,100 Hz each",
        "mel (n_mels 128), stored as float16",
        "85,002 parameters, input resized to 64 rows and 216 frames, batches of 32,",
        "without padding, input standardised row by row over the training clips,",
        (
            "AdamW, weight decay 0.05, label smoothing 0.1, learning rate 0.002,"
            " onecycle schedule"
        ),
        "; differing between rows: epochs 40 (mel)",
        "it does not include the variation between trainings",
        "compared with the best by a sign-flip test, paired by source recording. A",
        "python 3.11.7, torch 2.13.0, x86_64, fp32",
    ):
        assert words in text, words
    assert not re.search(r"[a-z0-9]\.[A-Z]", text)  # a blank after each sentence


def test_the_paragraph_counts_clips_that_are_only_trained_on(made_runs):
    found = findings(made_runs(MadeRun()))
    ids = [*found.main.best.clip_ids]
    sources = pd.DataFrame({"clip_id": [*ids, "copy"], "train_only": ""})
    cache = SimpleNamespace(sources=sources.assign(source_seconds=0.0))
    assert "only for training" not in methods_text(found, cache)
    cache.sources.loc[len(ids), "train_only"] = "1"
    assert "and 1 more clip used only for training. " in methods_text(found, cache)


def test_the_paragraph_of_an_answer_says_which_features_it_lists(made_runs):
    whole, own = made_runs(*of_sets(mel=0.8, mfcc=0.7))
    assert "Features, by" in methods_text(findings([whole]))
    rewrite(own.folders[0], **vars(answer_of(own.config, whole.name)))
    text = methods_text(findings([whole, own]))
    assert "Features of the trained sets, without candidates that no fold chose" in text


def test_the_paragraph_has_the_docstring_of_an_own_feature(made_runs, monkeypatch):
    def loudness(*, samples):
        """Sound pressure of a frame, in dB. Not weighted."""

    mine = replace(FEATURES["mel"], name="loudness", function=loudness, code="abc")
    monkeypatch.setitem(FEATURES, "loudness", mine)
    found = findings(made_runs(MadeRun(features="loudness")))
    (own,) = found.trained[0].config.channels
    assert "Sound pressure" not in methods_text(found)  # of another code
    same = replace(own, code_version=mine.code_version)
    rewrite(found.trained[0].folders[0], channels=(same,))
    text = methods_text(found)
    assert "loudness: Sound pressure of a frame, in dB, stored as" in text


def test_what_a_linear_model_does_not_use_is_not_told(made_runs):
    found = findings(made_runs(MadeRun(model="linear", val="group", folds=(1, 2))))
    linear = {"input_grid": "1x1", "training": Training(model="linear", val="group")}
    linear["words"] = words_of_training(linear["training"], resolve("linear").unused)
    rewrite(found.main.best.folders[0], **(RECORDED | linear))
    text = methods_text(found)
    assert "resized" not in text and "standardised" not in text and "AdamW" not in text
    assert "Seeds: 0" in text


def test_the_paragraph_has_the_settings_of_every_row_though_a_table_is_best(made_runs):
    exact = MadeRun(model="linear", features="chroma", skill=0.6)
    runs = made_runs(*of_sets(svc=0.9, rf=0.8, mel=0.7, mel_mfcc=0.72), exact)
    for run in runs:
        rewrite(run.folders[0], **RECORDED)
        if run.features in ("svc", "rf"):
            imported = {"made_by": "import", "source": "a.csv", "training": None}
            rewrite(run.folders[0], **imported, versions={}, machine=None)
        if run.features == "mel+mfcc":
            mfcc = replace(channel("mfcc"), parameters={"n_mfcc": 40})
            rewrite(run.folders[0], channels=(mfcc,))
        if run.features == "chroma":
            summary = "Logistic regression (C = 0.1)."
            words = {"padding": "without padding"}
            rewrite(run.folders[0], model_summary=summary, exact=True, words=words)
    found = findings(runs)
    assert found.main.best.imported
    text = methods_text(found)
    for words in (
        "400 test clips, 5 s at 44,100 Hz each",
        "mfcc (n_mfcc 40); mel (n_mels 128), stored as float16",
        "resnet18: 85,002 parameters, ",
        "linear: Logistic regression (C = 0.1); without padding.",
        "which recordings were used to train svc-resnet18 and rf-resnet18.",
        "corrected for all 4 comparisons and for the selection of the best (model",
        "python 3.11.7, torch 2.13.0, x86_64, fp32",
    ):
        assert words in text, words


def test_every_work_that_a_model_or_network_cites_is_in_the_bibliography():
    bib = (Path(latex.TEMPLATES) / "references.bib").read_text(encoding="utf-8")
    keys = {*re.findall(r"^@\w+\{(\w+),", bib, re.MULTILINE)}
    cited = [*MODELS.values(), *KNOWN.values()]
    assert {key for own in cited for key in own.cites.values()} <= keys
    assert {"texturenet", "yamnet"} <= {key for c in cited for key in c.cites.values()}
