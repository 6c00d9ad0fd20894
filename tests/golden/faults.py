"""Planted faults that the tests must notice: `python -m tests.golden.faults [NAME …]`.

A fault replaces one text of the product in a copy of the tree. Then its tests run, and
after them its golden runs. The text is searched for in all modules, so moved code needs
no change here. A fault whose text no longer occurs exactly once needs another text with
the same meaning.
"""

import functools
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.cases import data
from tests.golden.commands import ROOT
from tests.processes import python
from tests.test_structure import TOP

# the slow tests too
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "")


class Fault(NamedTuple):
    """`old` becomes `new`; then `tests` should fail: paths, and golden runs as
    `golden:NAME`.
    """

    old: str
    new: str
    tests: str


FAULTS = {name: Fault(**fault) for name, fault in data(__file__).items()}


def copied(folder):
    """The tree without what the commands leave in it."""
    left_out = (".*", "__pycache__", "data", "runs", "reports", "wandb", "out")
    ignore = shutil.ignore_patterns(*left_out)
    return shutil.copytree(
        ROOT, folder, symlinks=True, ignore=ignore, dirs_exist_ok=True
    )


@functools.cache
def modules(tree):
    """{file: text} of the product in this tree."""
    texts = {}
    for package in ("featurestack", *TOP):
        for file in (tree / package).rglob("*.py"):
            texts[file] = file.read_text(encoding="utf-8")
    return texts


def place_of(tree, old):
    """The one module that has this text once; None where there is none, or several."""
    counts = {file: text.count(old) for file, text in modules(tree).items()}
    found = [file for file, count in counts.items() if count]
    return found[0] if sum(counts.values()) == 1 else None


def verdict(tree, fault):
    """`killed by <test>`, `survived`, or why it was not planted."""
    file = place_of(tree, fault.old)
    if file is None:
        return "not planted: its text is not there once"
    text = modules(tree)[file]
    words = fault.tests.split()
    golden = [word[len("golden:") :] for word in words if word.startswith("golden:")]
    paths = [word for word in words if (tree / word).exists()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    how = {"check": False, "cwd": tree, "environment": environment}
    try:
        file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        done = python(*PYTEST, *paths, **how) if paths else None
        if done and done.returncode == 1:
            failed = re.search("^(FAILED|ERROR) (\\S+)", done.stdout, re.MULTILINE)
            return f"killed by {failed[2]}"
        if done and done.returncode:
            return f"not tested: pytest ended with {done.returncode}"
        if golden:
            done = python("-m", "tests.golden.make", "--runs", *golden, **how)
            if done.returncode:
                return f"killed by golden {' '.join(golden)}"
    finally:
        file.write_text(text, encoding="utf-8")
    return "survived"


def main():
    names = sys.argv[1:] or list(FAULTS)
    killed = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        tree = copied(Path(folder))
        for name in names:
            found = verdict(tree, FAULTS[name])
            killed += found.startswith("killed")
            print(f"{name}: {found}", flush=True)
    print(f"{killed} of {len(names)} killed")
    return 0 if killed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
