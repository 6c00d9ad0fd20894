"""Writing a measurement to docs/tables, with the commit and machine that made it."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "docs" / "tables"


def record(name: str, rows: pd.DataFrame, command: str, seconds: float) -> None:
    """Write docs/tables/NAME.csv; its first column names the row.

    command  as a reader types it
    seconds  processor seconds of the command
    """
    words = ["git", "-C", str(ROOT), "rev-parse", "--short=8", "HEAD"]
    commit = subprocess.check_output(words, text=True).strip()
    origin = {"command": command, "commit": commit, "processor": processor()}
    made = rows.assign(**origin, seconds=f"{seconds:.0f}")
    made.to_csv(FILES / f"{name}.csv", index=False, float_format="%.6g")


def processor() -> str:
    """The processor's model and the number of its cores."""
    model = sys.platform
    if Path("/proc/cpuinfo").exists():
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model, *_ = re.findall(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{model}, {os.cpu_count()} cores"


def spent() -> float:
    """Processor seconds of this process and of the commands that have ended."""
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(sum(resource.getrusage(who)[:2]) for who in both)
