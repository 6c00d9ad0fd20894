"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded
to Overleaf, and a paragraph of methods.

The folder holds main.tex (from the template document.tex), a report of about two pages
with one table and at most four figures, these figures and references.bib. Notes for
the desk (unfinished runs, files that cannot be read) are on the page alone. The
report's other figures and tables lie beside it. pdfLaTeX compiles it; class names in
other scripts than Latin need XeLaTeX.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from featurestack import __version__
from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Findings
from featurestack.analysis.page import render
from featurestack.commandline.quantities import counted
from featurestack.features_cache import Cache
from featurestack.scores.bootstrap import REPLICATES
from featurestack.storage.own_files import OwnFiles

# datasets with a paper of their own -> their name there
PUBLISHED = {"esc50": "ESC-50", "esc10": "ESC-10"}
# figures of the document; the best run's come before other runs'
WANTED = "accuracy_by_set", "confusion_matrix", "importance", "learning_curves"


def shown_figures(figures: Sequence[SavedFigure]) -> list[SavedFigure]:
    """The first figure of each name in WANTED."""
    first = {figure.name: figure for figure in reversed(figures)}
    return [first[name] for name in WANTED if name in first]


def bibliography() -> dict[str, str]:
    """Key -> entry of references.bib, with the version of this project."""
    file = Path(__file__).parent / "templates" / "references.bib"
    text = file.read_text(encoding="utf-8").replace("VERSION", __version__)
    entries = {}
    for entry in re.split(r"\n(?=@)", text):
        entries[entry.partition("{")[2].partition(",")[0]] = entry
    return entries


def cited_works(found: Findings) -> dict[str, str]:
    """The works that the runs use -> the key of the paper."""
    assert found.main, "a document is of a ranking"
    runs = found.runs
    trained = [run for run in runs if run.trained]
    used = " ".join(f"{run.features} {run.model}" for run in runs)
    weights = " ".join(run.option_text("weights") for run in trained)
    tests = {
        "the dataset ESC-50": (found.main.best.dataset in PUBLISHED, "piczak2015esc"),
        "librosa": (bool(trained), "librosa"),
        "ResNet-18": ("resnet" in used or "imagenet" in used, "resnet"),
        "DenseNet": ("densenet" in used, "densenet"),
        "ImageNet": ("imagenet" in f"{used} {weights}".lower(), "imagenet"),
        "texture statistics": ("texturenet" in used, "texturenet"),
        "AudioSet": ("yamnet" in used, "audioset"),
        "YAMNet": ("yamnet" in used, "yamnet"),
        "a network of spoken keywords": ("model=speech" in used, "speech"),
    }
    return {what: key for what, (is_used, key) in tests.items() if is_used}


def title(found: Findings) -> str:
    """A title that says the question and the data."""
    assert found.main, "a document is of a ranking"
    best = found.main.best
    data = PUBLISHED.get(best.dataset)
    if not data:
        number = counted(len(best.clip_ids), "clip")
        data = f"{number} of {len(best.classes)} {best.task.name}"
        if best.config.synthetic:
            data = f"{number} of synthetic sounds"
    subject = "Audio features" if found.main.of_features else "Models"
    return f"{subject} for sound classification: {len(found.rows)} on {data}"


def methods_text(found: Findings, cache: Cache | None = None) -> str:
    """A paragraph about the best run and how it was trained and tested."""
    seconds: list[float] = []
    if cache and found.main:
        tested = cache.sources.set_index("clip_id").loc[found.main.best.clip_ids]
        seconds = [known for known in tested["source_seconds"] if known > 0]
    text = render(
        "methods.txt",
        f=found,
        replicates=REPLICATES,
        seconds=seconds,
        version=__version__,
    )
    return " ".join(text.split())


def write_document(
    own: OwnFiles, found: Findings, figures: Sequence[SavedFigure], methods: str
) -> None:
    """Write the folder `latex` of a report."""
    shown = shown_figures(figures)
    # Numbers, because a run's name may hold letters that TeX cannot read in a file's
    # name.
    files = {
        f"figures/figure{number}.pdf": figure.files[1].read_bytes()
        for number, figure in enumerate(shown)
    }
    entries = bibliography()
    works = cited_works(found)
    document = render(
        "document.tex",
        f=found,
        methods=methods,
        figures=shown,
        title=title(found),
        works=works,
    )
    files["main.tex"] = document.encode()
    keys = {"featurestack", *works.values()}
    cited = [text for key, text in entries.items() if key in keys]
    files["references.bib"] = "\n".join(cited).encode()
    own.write({f"latex/{name}": text for name, text in files.items()}, durable=False)
