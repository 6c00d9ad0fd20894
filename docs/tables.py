"""The CSV files behind the tables and figures of README.md and docs/.

    python -m docs.tables OUT NAME …   run the commands of these files, one of MADE, and
                                       write them; OUT takes caches, runs and reports,
                                       and a repeated command goes on
    python -m docs.tables pages        write the files' figures into the pages

docs/tables/README.md says what a file holds and how a page includes it. A file that is
not in MADE stays as its commit made it.
"""

import csv
import itertools
import os
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pandas as pd

from featurestack.commandline.errors import RequestError, nearest

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "docs" / "tables"
SOURCE = ["command", "commit", "processor", "seconds"]  # the last columns of a file
TEXTS = "texts.txt"  # sentences of pages on the files
FIELD = re.compile(r"\{(\w+)\[([^\]]+)\] (\w+)(:[^}]*)?\}")  # in a sentence
COLUMN = re.compile(r"\{\w+(?::[^}]*)?\}")  # in a table
NUMBER = re.compile(r"[-−+]?\d[\d.,]*")
# number in a file
PLAIN = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")

Row = dict[str, str | float]


class Made(NamedTuple):
    """A file whose rows are the feature sets of a report."""

    dataset: str  # its name in REPORTS
    commands: tuple[str, ...]  # words after `make`; the last makes the report


NETWORK = "MODEL=texturenet THREADS=1 PRECISION=fp32 CURVE=0"
STACKS = (
    "mel mfcc chroma cqt mel+mfcc mel+mfcc+chroma mel+mel+mel mel+mel_delta"
    " mel+harmonic+percussive"
)
SETS = (
    "mel mel+mfcc mel+mfcc+modulation mel+mfcc+chroma+contrast+modulation"
    " mel+mfcc+contrast+modulation+pcen+gammatone"
)
MADE = {
    "esc10": Made(
        "esc10",
        (
            "features DATASET=esc10 FEATURES=small",
            f'train DATASET=esc10 {NETWORK} SEED="0 1 2" FEATURES="{STACKS}"',
            f'train DATASET=esc10 MODEL=linear FEATURES="{STACKS}"',
            "analysis DATASET=esc10",
        ),
    ),
    "esc50": Made(
        "esc50_16k",
        (
            "features DATASET=../esc50_16k FEATURES=small",
            f'train DATASET=../esc50_16k {NETWORK} FEATURES="{SETS}"',
            f'train DATASET=../esc50_16k MODEL=linear FEATURES="{SETS}"',
            "analysis DATASET=../esc50_16k",
        ),
    ),
}
# column of comparison.csv, in parts of 1 -> what stands behind the model's name
KEPT = {
    "accuracy": "",
    "accuracy_sd": "_sd",
    "accuracy_low": "_low",
    "accuracy_high": "_high",
}


def pages() -> list[Path]:
    """README.md and the hand-written pages of docs/."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    made = {"out", "generated", "tables"}
    return [
        ROOT / "README.md",
        *(page for page in found if not made & set(page.relative_to(ROOT).parts)),
    ]


def write(name: str, rows: pd.DataFrame, command: str, seconds: float) -> None:
    """Write docs/tables/NAME.csv: `rows`, and where they come from.

    rows     its first column names the row; a row may have an origin of its own, in
             columns of SOURCE
    command  as a reader types it
    seconds  processor seconds of the command
    """
    origin = {"command": command, "commit": commit(), "processor": processor()}
    origin["seconds"] = f"{seconds:.0f}"
    made = rows.copy()
    for column, value in origin.items():
        made[column] = rows[column].fillna(value) if column in rows else value
    made = made[[*(column for column in made if column not in SOURCE), *SOURCE]]
    made.to_csv(FILES / f"{name}.csv", index=False, float_format="%.6g")


def commit() -> str:
    """The commit of this tree, in eight digits."""
    told = subprocess.run(
        ["git", "rev-parse", "--short=8", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


def processor() -> str:
    """The processor's model and the number of its cores."""
    model = sys.platform
    if Path("/proc/cpuinfo").exists():
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model, *_ = re.findall(r"^model name\s*: (.*)$", told, re.MULTILINE)
    return f"{model}, {os.cpu_count()} cores"


def read(name: str) -> dict[str, Row]:
    """The rows of docs/tables/NAME.csv by their first column; RequestError if there is
    no such file.
    """
    path = FILES / f"{name}.csv"
    if not path.exists():
        known = [file.stem for file in FILES.glob("*.csv")]
        raise RequestError(nearest("table", name, known))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = next(iter(rows[0]))
    return {
        str(row[first]): {
            # a commit may consist of digits alone
            column: float(value)
            if column != "commit" and PLAIN.fullmatch(value)
            else value
            for column, value in row.items()
        }
        for row in rows
    }


class _Figures(Formatter):
    """`str.format` with a minus sign for negative numbers."""

    def format_field(self, value: object, spec: str) -> str:
        text = super().format_field(value, spec)
        return text.replace("-", "−") if isinstance(value, float) else text


def filled(template: str, row: Row) -> str:
    """The template with the row's values; '' if one of them is empty."""
    names = [name for _, name, *_ in Formatter().parse(template) if name]
    for name in names:
        if name not in row:
            raise RequestError(nearest("column", name, list(row)))
    if any(row[name] == "" for name in names):
        return ""
    return _Figures().vformat(template, (), row)


def blocks(page: str) -> list[str]:
    """The tables and sentences of texts.txt for a page."""
    text = (FILES / TEXTS).read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    by_page = dict(zip(parts[::2], parts[1::2]))
    return [block for block in by_page.get(page, "").split("\n\n") if block.strip()]


def included(text: str, page: str) -> str:
    """The text of a page with the figures of the files; RequestError if a file, row or
    column is unknown, or a table or sentence of texts.txt is not there once.
    """
    for block in blocks(page):
        fill = _table if block.lstrip().startswith("table ") else _sentence
        pattern, replacement = fill(block.strip("\n"))
        found = list(re.finditer(pattern, text, re.MULTILINE))
        if len(found) != 1:
            shown = " ".join(block.split())
            raise RequestError(f"{page} has {len(found)} texts like this: {shown}")
        text = text[: found[0].start()] + replacement(found[0]) + text[found[0].end() :]
    return text


Fill = tuple[str, Callable[[re.Match[str]], str]]


def _sentence(block: str) -> Fill:
    """A sentence: its figures change, its words and line breaks stay."""
    words = " ".join(block.split())
    figures = [
        filled(f"{{{column}{form or ''}}}", _row(name, key))
        for name, key, column, form in FIELD.findall(words)
    ]
    fixed = [
        r"\s+".join(map(re.escape, part.split(" ")))
        for part in FIELD.sub("\0", words).split("\0")
    ]
    pattern = (
        "".join(f"({part}){NUMBER.pattern}" for part in fixed[:-1]) + f"({fixed[-1]})"
    )

    def replacement(found: re.Match[str]) -> str:
        pairs = zip(found.groups(), [*figures, ""], strict=True)
        return "".join(part + figure for part, figure in pairs)

    return pattern, replacement


def _table(block: str) -> Fill:
    """A table or a block of code: its lines with fields stand once for each row of the
    file, or of those that the block names.
    """
    head, *template = block.splitlines()
    ((name, keys),) = re.findall(r"^table (\w+)(?:\[(.+)\])?$", head)
    shown = keys.split("; ") if keys else list(read(name))
    rows = [_row(name, key) for key in shown]
    pattern, lines = [], []
    for line in template:
        if not COLUMN.search(line):
            pattern.append(f"^{re.escape(line)}\n")
            lines.append(line)
            continue
        form = "[^\n]*".join(map(re.escape, COLUMN.split(line)))
        pattern.append(f"(?:^(?!```){form}\n)*?")
        for row in rows:
            if line.startswith("|"):
                cells = [filled(cell.strip(), row) for cell in line[1:-1].split("|")]
                lines.append(f"| {' | '.join(cells)} |")
            else:
                lines.append(filled(line, row))
    made = "\n".join(lines) + "\n"
    if template[0].startswith("|"):
        fixed = itertools.takewhile(lambda line: not COLUMN.search(line), template)
        pattern = [*(f"^{re.escape(line)}\n" for line in fixed), r"(?:^\|[^\n]*\n)*"]
    return "".join(pattern), lambda _: made


def _row(name: str, key: str) -> Row:
    rows = read(name)
    if key not in rows:
        raise RequestError(nearest("row", key, list(rows)))
    return rows[key]


def make(made: Made, out: Path) -> pd.DataFrame:
    """Run the commands; a row for each feature set, with the accuracies of each model
    in percent.
    """
    folders = [f"{name.upper()}={out / name}" for name in ("data", "runs", "reports")]
    for command in made.commands:
        words = [*shlex.split(command), *folders]
        subprocess.run([sys.executable, "-m", "featurestack", *words], check=True)
    report = out / "reports" / made.dataset / "tables" / "comparison.csv"
    compared = pd.read_csv(report)
    rows = []
    for features, runs in compared.groupby("features", sort=False):
        row: Row = {"features": str(features)}
        for run in runs.to_dict("records"):
            for column, behind in KEPT.items():
                row[f"{run['model']}{behind}"] = 100 * run[column]
            row[f"{run['model']}_seeds"] = run["seeds"]
        rows.append(row)
    return pd.DataFrame(rows)


def main(*words: str) -> None:
    """Write pages, or make files."""
    if words in ((), ("--help",)):
        print(__doc__)
    elif words == ("pages",):
        for page in pages():
            text = page.read_text(encoding="utf-8")
            name = page.relative_to(ROOT).as_posix()
            page.write_text(included(text, name), encoding="utf-8")
    else:
        out, *names = words
        for name in names:
            if name not in MADE:
                raise RequestError(nearest("table", name, list(MADE)))
            begun = spent()
            rows = make(MADE[name], Path(out).resolve())
            command = "; ".join(f"make {words}" for words in MADE[name].commands)
            write(name, rows, command, spent() - begun)


def spent() -> float:
    """Processor seconds of this process and of the commands that have ended."""
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(sum(resource.getrusage(who)[:2]) for who in both)


if __name__ == "__main__":
    main(*sys.argv[1:])
