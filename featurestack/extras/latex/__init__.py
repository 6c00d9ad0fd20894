"""A LaTeX document of a report's tables and figures, in one folder that can be uploaded
to Overleaf, its tables for another document, and a paragraph of methods.

The folder holds main.tex (from the template document.tex), a report with the ablations,
the comparison and at most four figures, these figures and references.bib. pdfLaTeX
compiles it; class names in other scripts than Latin need XeLaTeX.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Findings
from featurestack.analysis.page import Report, render
from featurestack.analysis.run_arrays import Run, differing_options
from featurestack.base import VERSION
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import enumerated, listed
from featurestack.base.registry import first_sentence
from featurestack.embeddings.networks import cited_works as cited_works_of
from featurestack.features_cache.cache import Cache
from featurestack.pipeline.features import FEATURES

TEMPLATES = Path(__file__).parent / "templates" / "paper"
DOCUMENTS = "latex/main.tex", "tables/comparison.tex"  # what an author opens first
# datasets with a paper of their own -> their name there
PUBLISHED = {"esc50": "ESC-50", "esc10": "ESC-10"}
# figures of the document; the best run's come before other runs'
WANTED = "accuracy_by_set", "confusion_matrix", "importance", "learning_curves"
# words that cite a work -> its key
CITED = {
    "Hansen, Lunde and Nason 2011": "hansen2011",
    "Westfall and Young 1993": "westfall1993",
    "Bonett and Price 2012": "bonett2012",
}

LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{special: "\\" + special for special in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "→": r"$\rightarrow$",
        "−": "$-$",
        "±": r"$\pm$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        # At the beginning of a row, TeX would read these as options of the line break
        # before it.
        **{special: f"{{{special}}}" for special in "[*"},
        "\n": " ",
    }
)
LONG_WORD = 20  # letters; TeX hyphenates no word with an underscore


def cited_works(found: Findings, published: str) -> dict[str, str]:
    """The works that the runs use -> the key of the paper."""
    works = {"the dataset ESC-50": "piczak2015esc"} if published else {}
    if found.trained:
        works["librosa"] = "librosa"
    for run in found.trained:
        works |= run.config.cites
        for channel in run.config.channels:
            works |= cited_works_of(channel)
    return works


def latex_text(text: str) -> str:
    """The text escaped for LaTeX, with citations; long feature sets may break."""
    words = []
    for word in text.split(" "):
        escaped = word.translate(LATEX_ESCAPES)
        if len(word) > LONG_WORD:
            escaped = re.sub(r"([+,])(?=\w)", r"\1\\allowbreak{}", escaped)
        words.append(escaped)
    text = " ".join(words)
    for cited, key in CITED.items():
        text = text.replace(cited, rf"{cited}~\cite{{{key}}}")
    return text


def described_features(runs: Sequence[Run]) -> dict[str, str]:
    """A user's own feature, as stored -> the first sentence of its docstring; without
    features whose file is not loaded, or has changed since.
    """
    described = {}
    for channel in (channel for run in runs for channel in run.config.channels):
        feature = FEATURES.get(channel.name)
        if feature and feature.code and feature.code_version == channel.code_version:
            sentence = first_sentence(feature.function).partition(". ")[0]
            described[channel.stored] = sentence.rstrip(".")
    return {stored: text for stored, text in described.items() if text}


def models(found: Findings) -> dict[str, str]:
    """Model -> what it is and how its runs were trained."""
    by_model: dict[str, list[Run]] = {}
    for run in found.trained:
        by_model.setdefault(run.model, []).append(run)
    texts = {model: trained_model(runs) for model, runs in by_model.items()}
    return {model: text for model, text in texts.items() if text}


def trained_model(runs: Sequence[Run]) -> str:
    """A model, what its runs share, and the options in which they differ."""
    config = runs[0].config
    differing = set().union(*(differing_options(runs[0], run) for run in runs))
    shared = []
    if not config.exact:
        sizes = sorted({run.config.parameters for run in runs if run.config.parameters})
        ends = dict.fromkeys(f"{size:,}" for size in sizes[:1] + sizes[-1:])
        shared.append(f"{' to '.join(ends)} parameters" if sizes else "")
        shared.append(" or ".join(filter(None, dict.fromkeys(map(grid_of, runs)))))
    same = [run.config.words.items() for run in runs]
    shared += [
        text for key, text in same[0] if all((key, text) in own for own in same[1:])
    ]
    unlike = []
    for key in sorted(differing - {"features"}):
        sets: dict[str, list[str]] = {}
        for run in runs:
            sets.setdefault(run.option_text(key), []).append(run.features)
        each = [f"{value} ({listed(names)})" for value, names in sets.items()]
        unlike.append(f"{key} {' or '.join(each)}")
    texts = [config.model_summary.rstrip("."), ", ".join(filter(None, shared))]
    if unlike:
        texts.append(f"differing between rows: {', '.join(unlike)}")
    return "; ".join(filter(None, texts))


def grid_of(run: Run) -> str:
    """The size of a network's input, in words."""
    rows = sorted({channel.rows for channel in run.config.channels})
    height, _, width = run.config.input_grid.partition("x")
    if height != "1":
        return f"input resized to {height} rows and {width} frames"
    if width != "1" and rows[-1:] > [1]:
        return f"input of all rows ({enumerated([*map(str, rows)])}) and {width} frames"
    return ""


def software(found: Findings) -> str:
    """The versions of the software behind the report and the runs, and processors."""
    configs = [run.config for run in found.trained]
    versions = [own.versions.items() for own in configs]
    texts = [f"{name} {number}" for own in versions for name, number in own]
    machines = [own.machine for own in configs if own.machine]
    texts += [machine.gpu or machine.processor for machine in machines]
    texts += [own.computed.precision for own in configs if own.computed]
    return ", ".join(dict.fromkeys([f"featurestack {VERSION}", *filter(None, texts)]))


def methods_text(found: Findings, cache: Cache | None = None) -> str:
    """A paragraph on how the runs of the main table were trained and tested."""
    seconds: list[float] = []
    only_trained = 0
    if cache and found.trained:
        only_trained = int((cache.sources["train_only"] != "").sum())
    if cache and found.main:
        tested = cache.sources.set_index("clip_id").loc[found.main.best.clip_ids]
        seconds = [known for known in tested["source_seconds"] if known > 0]
    described = described_features(found.trained)
    text = render(
        "paper/methods.txt",
        f=found,
        seconds=seconds,
        only_trained=only_trained,
        described=described,
        models=models(found),
        software=software(found),
    )
    return " ".join(text.split())


def write_paper(report: Report) -> Sequence[str]:
    """Write the files for papers, and give the page its paragraph of methods; what an
    author opens first.
    """
    report.methods = methods_text(report.found, report.cache)
    figures = [*report.drawn.values()]
    write_document(report.own, report.found, figures, report.methods)
    return DOCUMENTS


def write_document(
    own: OwnFiles, found: Findings, figures: Sequence[SavedFigure], methods: str
) -> None:
    """Write the folder `latex` of a report, and its tables for another document."""
    first = {figure.name: figure for figure in reversed(figures)}
    shown = [first[name] for name in WANTED if name in first]
    # Numbers, because a run's name may hold letters that TeX cannot read in a file's
    # name.
    files = {}
    for number, figure in enumerate(shown):
        pdf = next(file for file in figure.files if file.suffix == ".pdf")
        files[f"figures/figure{number}.pdf"] = pdf.read_bytes()
    assert found.main, "a document is of a ranking"
    published = PUBLISHED.get(found.main.best.dataset, "")
    works = cited_works(found, published)
    document = render(
        "paper/document.tex",
        f=found,
        methods=methods,
        figures=shown,
        published=published,
        works=works,
        tex=latex_text,
    )
    files["main.tex"] = document.encode()
    bibliography = (TEMPLATES / "references.bib").read_text(encoding="utf-8")
    files["references.bib"] = bibliography.replace("VERSION", VERSION).encode()
    written = {f"latex/{name}": content for name, content in files.items()}
    for name in ("comparison", "ablations") if found.gains else ("comparison",):
        table = render(f"paper/{name}.tex", f=found, tex=latex_text)
        written[f"tables/{name}.tex"] = table.encode()
    own.write(written, durable=False)
