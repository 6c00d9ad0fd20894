"""Tables of measurements in docs/tables/: each row has the commit and the command that
made it.
"""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from featurestack.storage.files import replace_file

DOCS = Path(__file__).parent
TABLES = DOCS / "tables"


class Table:
    """Rows of text by their first two columns; a change is written at once."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self.file = file
        self.columns = columns
        self.rows: dict[tuple[str, str], dict[str, str]] = {}
        if file.is_file():
            with file.open(encoding="utf-8", newline="") as lines:
                for row in csv.DictReader(lines):
                    self.rows[row[columns[0]], row[columns[1]]] = row

    def get(self, key: tuple[str, str], column: str) -> str:
        """The text of a cell; empty if there is no such row."""
        return self.rows[key][column] if key in self.rows else ""

    def seconds(self, key: tuple[str, str]) -> float:
        """Processor seconds of a row so far."""
        return float(self.get(key, "processor_seconds") or 0)

    def update(self, key: tuple[str, str], values: Mapping[str, str]) -> None:
        """Change cells of a row, or add it."""
        row = self.rows.setdefault(key, dict.fromkeys(self.columns, ""))
        row.update(zip(self.columns, key))
        row.update(values)
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows.values())
        self.file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.file, text.getvalue())


def joined(options: Mapping[str, str]) -> list[str]:
    """Options as NAME=value words."""
    return [f"{name}={value}" for name, value in options.items()]


def run_command(module: str, words: Sequence[str]) -> float:
    """Run a command of the project; returns its processor seconds."""
    before = os.times()
    command = [sys.executable, "-m", f"featurestack.{module}", *words]
    subprocess.run(command, check=True)
    after = os.times()
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    return user + system


def commit() -> str:
    """The commit of the code; a + after it means changed files."""
    git = ["git", "-C", str(DOCS.parent), "describe", "--always", "--dirty=+"]
    told = subprocess.run(git, check=True, capture_output=True, text=True)
    return told.stdout.strip()
