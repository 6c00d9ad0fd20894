"""What processes leave in shared memory."""

import re
from collections.abc import Iterable
from pathlib import Path


def called_after(processes: Iterable[int]) -> set[Path]:
    """What lies there under the number of one of these processes, as joblib, torch and loky name it."""
    numbers = {str(process) for process in processes}
    return {path for path in Path("/dev/shm").iterdir() if numbers & set(re.findall(r"\d+", path.name))}


def left_behind(before: set[Path]) -> set[Path]:
    """What is new in shared memory and in nobody's use: not mapped, nor called after a living process.

    Other programs of this machine count too: for a bench that has the machine to itself.
    """
    new = set(Path("/dev/shm").iterdir()) - before
    owners = {path: re.search(r"[-_](\d+)[-_]", path.name) for path in new}
    unowned = {path for path, owner in owners.items() if not (owner and Path("/proc", owner[1]).exists())}
    mapped = "".join(map(_maps, Path("/proc").iterdir())) if unowned else ""
    return {path for path in unowned if str(path) not in mapped and path.exists()}


def _maps(process: Path) -> str:
    try:
        return (process / "maps").read_text() if process.name.isdecimal() else ""
    except OSError:
        return ""
