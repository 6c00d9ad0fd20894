"""The LaTeX document is complete and holds any class name."""

import re
from dataclasses import replace

from matplotlib.figure import Figure

from featurestack import paper as latex
from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Said, findings
from featurestack.analysis.report import files_of_report
from featurestack.analysis.runs import Problem, Results
from tests.analysis.made_runs import MadeRun

ODD = [
    "<script>",
    "a&b",
    "50%",
    "$x_1$",
    "Straße",
    "{brace}",
    "hand\\saw",
    "~tilde^",
    "#hash",
    "plain",
]


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
    assert (
        latex.latex_text(name) == r"a|b\_c \& 50 \% \#1"
        r" \textasciitilde{}\textasciicircum{}\textbackslash{}\{\}\$"
    )


def test_the_document_is_whole(made, tmp_path):
    runs = [MadeRun(skill=0.8), MadeRun(features="mel@n_mels=64", skill=0.78)]
    # not ranked
    runs += [MadeRun(augment="none", skill=0.6), MadeRun(features="zcr", folds=(1, 2))]
    results = made(*runs, names=ODD, dataset="esc10")
    unfinished = Problem("rms-cnn4", "no fold is finished yet", "unfinished")
    results = Results(results.runs, [*results.problems, unfinished])
    found = replace(findings(results), warnings=[Said("W6", "Old", "1 run.", "")])
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2])
    files = tuple(tmp_path / f"a+b@c=1.{kind}" for kind in ("svg", "pdf"))
    figure.savefig(files[1])
    saved = SavedFigure("accuracy_by_set", "Accuracy in %", "a+b@c=1", "", files, {})
    latex.write_document(
        files_of_report(tmp_path), found, [saved], "100 % of it & more"
    )
    main = (tmp_path / "latex" / "main.tex").read_text()
    (used,) = re.findall(r"\\includegraphics\{([^}]+)\}", main)
    assert (tmp_path / "latex" / used).exists() and balanced(main)
    assert (
        "mel (resnet18, augment none) & resnet18" in main
        and "mel & resnet18" not in main
    )
    assert "Use mel with resnet18" in main and r"100 \% of it \& more" in main
    for heading in ("Result", "Limitations", "Data and methods"):
        assert f"\\section*{{{heading}}}" in main
    assert "not compared" not in main and "no fold" not in main  # notes for the desk
    references = (tmp_path / "latex" / "references.bib").read_text()
    assert balanced(references)


def test_the_caption_has_the_protocol_only_if_all_rows_share_it(made, tmp_path):
    results = made(MadeRun(skill=0.8), MadeRun(features="rms", skill=0.7))
    first, second = results.runs
    for other, shared in ((second, True), (replace(second, protocol="another"), False)):
        found = findings(Results([first, other], []))
        latex.write_document(files_of_report(tmp_path / str(shared)), found, [], "")
        main = (tmp_path / str(shared) / "latex" / "main.tex").read_text()
        (caption,) = re.findall(r"\\caption\{(.*?)\}\\label\{tab:", main)
        assert (first.protocol in caption) == shared
