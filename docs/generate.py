"""Pages of the reference that are made from the code when the site is built.

    write_all(folder)      options.md, warnings.md, files.md, functions.md, and the
                           figures of the features
    with_figures(text)     reference/features.md with a figure and players for each card

Each page is a function that returns Markdown, entered in PAGES by its file's name. The
pages are not in git.
"""

import dataclasses
import inspect
import re
import shutil
import typing
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile

import featurestack as fs
from featurestack.analysis.report.tables import TABLES as REPORT_TABLES
from featurestack.analysis.report.tables import Table as ReportTable
from featurestack.analysis.report.warnings import WARNINGS
from featurestack.base import extras
from featurestack.base.options import LARGEST, choices_of, kind_of
from featurestack.base.registry import Registry, first_sentence
from featurestack.cli.words import every_options
from featurestack.comparison.average_precision import MEAN_AVERAGE_PRECISION
from featurestack.comparison.scores import ACCURACY
from featurestack.features_cache.clip_table import INDEX_COLUMNS
from featurestack.pipeline import synth
from featurestack.pipeline.clip_spectra import FeatureMap
from featurestack.pipeline.features import FEATURES
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import PREDICTION_COLUMNS

ROOT = Path(__file__).resolve().parent.parent
# a clip with pitch, with rhythm, of noise
SHOWN_CLASSES = ("chimes_in_c", "galloping_beat", "hiss")
PAGES: Registry[Callable[[], str]] = Registry("generated page")


def write_all(folder: Path) -> None:
    """Write every page of PAGES, and the figures and players of features.md, into
    `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text(page(), encoding="utf-8")
    draw_features(folder)


def copy_notebooks(folder: Path) -> None:
    """Put the notebooks, which are pages of the course, next to its first page."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder / notebook.name)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars inside a cell are escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


# Options and commands


def default_of(field: "dataclasses.Field[typing.Any]") -> str:
    """A field's default as it would be typed."""
    value = field.default
    if value is dataclasses.MISSING:
        return "must be given"
    if isinstance(value, tuple):
        value = " ".join(str(one) for one in value if one is not None)
    if value in (None, "", ()):
        return ""
    return f"`{int(value) if isinstance(value, bool) else value}`"


def values_of(field: "dataclasses.Field[typing.Any]") -> str:
    """The values that may be given: the words, or the kind of number and its bounds."""
    kind, several, _ = kind_of(field)
    many = "several " if several else ""
    if choices := choices_of(field):
        return many + ", ".join(f"`{word}`" if word else "nothing" for word in choices)
    least, most = field.metadata["bounds"]
    bounds = (
        f"at least {least:.12g}" if most == LARGEST else f"{least:.12g} to {most:.12g}"
    )
    shown = {bool: "1 or 0", int: "integer", float: "number", Path: "path"}.get(
        kind, "text"
    )
    return (
        f"{many}{shown}{f', {bounds}' if (least, most) != (-LARGEST, LARGEST) else ''}"
    )


def all_options() -> dict[str, dict[tuple[str, str, str], list[str]]]:
    """Variable -> (default, values, meaning) -> the commands whose option has all
    three.
    """
    found: dict[str, dict[tuple[str, str, str], list[str]]] = {}
    for words, options in every_options().items():
        for name, field in options.items():
            said = (default_of(field), values_of(field), field.metadata["meaning"])
            found.setdefault(name.upper(), {}).setdefault(said, []).append(words)
    return found


@PAGES.register("options")
def options_page() -> str:
    """Every option, in alphabetical order."""
    parts = []
    for variable, meanings in sorted(all_options().items()):
        parts.append(f"## {variable}\n")
        for (default, values, meaning), users in meanings.items():
            parts.append(sentence(meaning) + "\n")
            facts = [f"Default: {default or 'not set'}", f"values: {values}"]
            parts.append(
                f"{'; '.join(facts)}. Commands:"
                f" {', '.join(f'`{words}`' for words in users)}.\n"
            )
    return "# Options\n\n" + OPTIONS_INTRODUCTION + "\n" + "\n".join(parts)


OPTIONS_INTRODUCTION = """Every option of every command, made from the code. An option
is a word NAME=value (`make train EPOCHS=10`), or a flag where it is installed
(`featurestack train --epochs 10`). In `train` nearly every option of a run takes a list
(`LR="0.001 0.002"`), and every combination is trained.
"""


def sentence(text: str) -> str:
    """A meaning from the code, begun with a capital and ended with a full
    stop.
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


@PAGES.register("warnings")
def warnings_page() -> str:
    """The warnings of a report, each by its code."""
    return WARNINGS_HEAD + "\n\n".join(
        f"## {code}: {kind.title}\n\n{kind.page}" for code, kind in WARNINGS.items()
    )


WARNINGS_HEAD = """# Warnings of a report

A warning says what may make a score wrong. The report shows this text below it.

"""


# Files


@PAGES.register("files")
def files_page() -> str:
    """The keys of run.json and the columns of tables."""
    classes: list[type] = [RunConfig]
    for owner in classes:  # it grows by the classes of the fields
        for hint in typing.get_type_hints(owner).values():
            classes += [part for part in records_of(hint) if part not in classes]
    keys = "\n\n".join(
        f"### {owner.__name__}\n\n{documentation(owner)}\n\n{keys_table(owner)}"
        for owner in classes
    )
    tables = "\n\n".join(
        f"### {name}\n\n{columns_table(columns, meanings)}"
        for name, (columns, meanings) in TABLES.items()
    )
    reports = "\n\n".join(
        f"### `{name}.csv`\n\nOne row for {own.row}.\n\n{report_columns(own)}"
        for name, own in REPORT_TABLES.complete().items()
    )
    return FILES.format(keys=keys, tables=tables, reports=reports)


FILES = """# Keys and columns of the files

Made from the code; [formats](../formats.md) says what the files are for.

## run.json

A key with a default may be absent. A file with another key, type or value is refused.

{keys}

## Tables

{tables}

## Tables of reports

A column that the page shows has its heading there. In the file scores and shares range
from 0 to 1, differences from -1 to 1.

{reports}
"""


def records_of(hint: typing.Any) -> list[type]:
    """The classes of run.json in a type: Mapping[str, Machine] has Machine."""
    parts = [part for inner in typing.get_args(hint) for part in records_of(inner)]
    home = getattr(hint, "__module__", "")
    return [hint, *parts] if home == RunConfig.__module__ else parts


def keys_table(owner: type) -> str:
    """The fields of a dataclass with types and comments."""
    comments = comments_of_fields(owner)
    rows = []
    for field in dataclasses.fields(owner):
        shown = inspect.formatannotation(field.type)
        shown = re.sub(r"\b(?:[^\W\d]\w*\.)+(\w+)", r"\1", shown)
        default = ""
        if field.default is not dataclasses.MISSING:
            default = f"`{field.default}`"
        rows.append((f"`{field.name}`", f"`{shown}`", default, comments[field.name]))
    return table(("key", "type", "default", "meaning"), rows)


def comments_of_fields(owner: type) -> dict[str, str]:
    """Field -> the comment next to it or above it."""
    comments = {}
    above: list[str] = []
    field = re.compile(r"    (\w+): .*?(?:  # (.*))?$")
    for line in inspect.getsource(owner).splitlines():
        text = line.strip()
        if text.startswith("# "):
            above.append(text[2:])
        elif found := field.match(line):
            comments[found[1]] = found[2] or " ".join(above)
            above = []
        elif not text:
            above = []
    return comments


def report_columns(own: ReportTable) -> str:
    """The columns of a table of reports, each with its heading."""
    words = {"score": "Score", "column": own.each.name if own.each else ""}
    rows = [(f"`{one.name}`", one.heading.format(**words)) for one in own.columns]
    if own.each:
        rows.append((f"one for each {own.each.name}", own.each.heading.format(**words)))
    return table(("column", "heading or meaning"), rows)


def columns_table(columns: Iterable[str], meanings: dict[str, str]) -> str:
    """Each column of a file, or of `meanings`, with its meaning."""
    rows = [(f"`{each}`", meanings[each]) for each in columns or meanings]
    return table(("column", "meaning"), rows)


# file -> its columns in the code, and what each means
TABLES: dict[str, tuple[Iterable[str], dict[str, str]]] = {
    "index.h5, /clips": (
        INDEX_COLUMNS,
        {
            "clip_id": "file name without its extension; with class folders the path",
            "path": "audio file",
            "label": "class",
            "category": "coarser class",
            "fold": "1, 2, …",
            "group": "source recording; all clips of one are in the same fold",
            "train_only": "1 for a clip that is only ever trained on, else empty",
            "source_size": "bytes of the audio file when it was last hashed",
            "source_time_ns": "modification time of the audio file, then",
            "source_inode": "its number in the file system",
            "source_change_ns": "time when its content, name or rights last changed",
            "source_hash": "hash of the audio file",
            "source_seconds": "seconds of audio before padding and cutting; 0: unknown",
            "start": "second in the file at which the clip begins",
            "end": "second at which it ends; 0 to 0 is the whole file",
        },
    ),
    "predictions.csv": (
        PREDICTION_COLUMNS,
        {
            "clip_id": "the clip",
            "group": "its source recording",
            "split": "`test` or `val`",
            "selection": "`last` or `best` epoch",
            "target": "true class; with several labels `dog;rain`, empty for none",
        },
    ),
    "scores": (
        (),
        {
            name: first_sentence(score.function)
            for metric in (MEAN_AVERAGE_PRECISION, ACCURACY)
            for name, score in metric.scores.items()
        },
    ),
}


@PAGES.register("functions")
def functions_page() -> str:
    """Every function of featurestack, and the classes of extras."""
    lines = [".. currentmodule:: featurestack", ""]
    for name in fs.PLACES:
        entry = getattr(fs, name)
        if inspect.isfunction(entry):
            lines.append(f".. autofunction:: {name}")
        elif name in extras.FUNCTIONS:
            own = [n for n, f in vars(entry).items() if inspect.isfunction(f)]
            members = ", ".join(n for n in own if not n.startswith("_"))
            lines += [f".. autoclass:: {name}", f"   :members: {members}"]
    text = "\n".join(lines)
    return f"# Functions\n\n```{{eval-rst}}\n{text}\n```\n"


def documentation(thing: typing.Any) -> str:
    """A docstring as Markdown; its indented lines become code."""
    lines, code, shown = ((inspect.getdoc(thing) or "").splitlines(), False, [])
    for line in lines:
        indented = line.startswith("    ") or (code and not line)
        if indented != code:
            shown.append("```python" if indented else "```\n")
            code = indented
        shown.append(line[4:] if code else line)
    return "\n".join([*shown, "```"] if code else shown)


# Figures of the features


def example_clips(folder: Path) -> dict[str, fs.Clip]:
    """The first synthetic clip of each of SHOWN_CLASSES; its audio goes into `folder`
    for the players.
    """
    rows, clips = synth.clip_rows(), {}
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHOWN_CLASSES:
        row = next(row for row in rows.itertuples() if row.category == name)
        path = folder / f"{name}.flac"
        soundfile.write(path, synth.clip(row), synth.SAMPLE_RATE)
        clips[name] = fs.read(path)
    return clips


def draw_features(folder: Path) -> None:
    """One PNG a feature: its feature map of each example clip."""
    clips = example_clips(folder / "players" / "clips")
    for name in FEATURES.complete():
        maps = [
            dataclasses.replace(fs.compute(clip, name), name=shown)
            for shown, clip in clips.items()
        ]
        title = name
        # one of several rows may have nearly the whole range of values
        indexed = maps[0].row_unit == "index" or name == "fourier_tempogram"
        if indexed and len(maps[0].values) > 1:
            maps, title = standardised(maps), f"{name}, each row standardised"
        fs.draw("gallery", features=maps, title=title).savefig(folder / f"{name}.png")


def standardised(maps: list[FeatureMap]) -> list[FeatureMap]:
    """Feature maps whose rows have mean 0 and deviation 1 over all of them."""
    values = np.concatenate([feature.values for feature in maps], axis=1)
    mean, deviation = values.mean(1)[:, None], values.std(1)[:, None] + 1e-9
    return [
        dataclasses.replace(feature, values=(feature.values - mean) / deviation)
        for feature in maps
    ]


def with_figures(text: str) -> str:
    """reference/features.md with figure and players below the heading of each card."""
    for name in FEATURES.complete():
        text = text.replace(
            f"\n## {name}\n", f"\n## {name}\n\n{figure_and_players(name)}", 1
        )
    return text


def figure_and_players(name: str) -> str:
    players = " ".join(
        f'<span>{shown} <audio controls preload="none"'
        f' src="../_static/clips/{shown}.flac"></audio></span>'
        for shown in SHOWN_CLASSES
    )
    return (
        f"![Feature maps of {name} for three synthetic clips](generated/{name}.png)\n\n"
        f'```{{raw}} html\n<p class="players">{players}</p>\n```\n'
    )
