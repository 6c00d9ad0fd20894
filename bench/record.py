"""What every bench shares: its help, its process, and docs/tables, where a measurement
has the commit and machine that made it.
"""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from featurestack.base.options import fields, own_options
from featurestack.cli.commands import HELP, main
from featurestack.cli.parser import meaning
from featurestack.comparison.scores import Estimate

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "docs" / "tables"


def bench(function: Callable[[Any], "int | None"]) -> NoReturn:
    """Run a bench, or print what its file and its options say."""
    if not {*HELP} & {*sys.argv[1:]}:
        main(function)
    print((sys.modules["__main__"].__doc__ or "").strip(), "\n")
    for name, field in fields(own_options(function)).items():
        print(f"  {name.upper()}=\n      {meaning(field)}")
    sys.exit(0)


def record(name: str, rows: pd.DataFrame, command: str, seconds: float) -> None:
    """Write rows to docs/tables/NAME.csv with the `command` that made them and its
    processor seconds; other rows of the file stay.
    """
    words = ["git", "-C", str(ROOT), "rev-parse", "--short=8", "HEAD"]
    commit = subprocess.check_output(words, text=True).strip()
    origin = {"command": command, "commit": commit, "processor": processor()}
    made = rows.assign(**origin, seconds=f"{seconds:.0f}")
    numbers = made.select_dtypes("float").columns
    # older rows are read as text, so the new numbers are formatted first
    made[numbers] = made[numbers].map("{:.6g}".format, na_action="ignore")
    file = FILES / f"{name}.csv"
    if file.exists():
        kept = pd.read_csv(file, dtype=str)
        first = made.columns[0]
        made = pd.concat([kept[~kept[first].isin(made[first].astype(str))], made])
    made.to_csv(file, index=False)


def percentages(score: Estimate) -> dict[str, float]:
    """The columns of an accuracy and its interval."""
    shares = {"accuracy": score.value, "low": score.low, "high": score.high}
    return {name: 100 * share for name, share in shares.items()}


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
