"""`python commandline/environment.py requirements.txt`: add what this environment lacks, keep what it has.

For `make setup PYTHON=python`: a GPU build of torch, a conda environment, Colab. A library that is there in
another version than the pinned one is kept and named. Only the standard library is used here.
"""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def pins(file: Path) -> dict[str, str]:
    """Library -> pinned version, of a requirements file and those that it includes with -r."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= pins(file.parent / line[3:].strip())
        elif pin := PIN.match(line):
            found[pin[1]] = pin[2]
    return found


def compared(wanted: dict[str, str]) -> tuple[list[str], list[str]]:
    """The pins that are missing here, and a line for each library that is here in another version."""
    missing, others = [], []
    for name, version in wanted.items():
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name}=={version}")
            continue
        if here.partition("+")[0] != version:  # 2.13.0+cu130 is a build of 2.13.0
            others.append(f"{name} {here} (the tests use {version})")
    return missing, others


def add_missing(files: list[str]) -> int:
    wanted: dict[str, str] = {}
    for file in files:
        wanted |= pins(Path(file))
    missing, others = compared(wanted)
    if others:
        print(f"kept as they are: {', '.join(others)}")
    if not missing:
        print(f"{sys.executable} has all {len(wanted)} libraries of {' and '.join(files)}")
        return 0
    print(f"adding {len(missing)} of {len(wanted)} libraries to {sys.executable}", flush=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *missing]
    return subprocess.run(install, check=False).returncode


if __name__ == "__main__":
    sys.exit(add_missing(sys.argv[1:]))
