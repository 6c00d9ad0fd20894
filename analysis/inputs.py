"""What a report was made from, as one hash: equal inputs, equal report, nothing to do.

Files count by path, size and time, not by content: hashing thirty runs takes longer than may pass. The
project's own code and templates count too, so that a new version makes its report anew.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

STAMP = ".inputs.json"
OWN_CODE = Path(__file__).parent
READ_OF_A_RUN = ("run.json", "fold*/*.csv", "fold*/*.npz")


def files_of_runs(folders: Iterable[Path]) -> list[Path]:
    """Everything of the run folders that a report shows."""
    return [file for folder in folders for pattern in READ_OF_A_RUN for file in sorted(folder.glob(pattern))]


def files_of_cache(folder: Path) -> list[Path]:
    """Everything of a cache that a report shows."""
    return sorted(folder.glob("*.h5"))


def files_of_code() -> list[Path]:
    return sorted(
        path for path in OWN_CODE.rglob("*.*") if path.suffix in (".py", ".html", ".css", ".js", ".csv")
    )


def digest(files: Iterable[Path], settings: object) -> str:
    """A hash over the files' paths, sizes and times, and whatever else decides the result."""
    seen = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for file in files:
        status = file.stat()
        seen.update(f"{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def recall(folder: Path, hash_: str) -> dict[str, Any] | None:
    """What `remember` kept beside a report that is whole and was made from the same inputs; else None."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = all((folder / name).is_file() for name in stamp.get("files", [""]))
    return stamp if stamp.get("inputs") == hash_ and whole else None


def remember(folder: Path, hash_: str, files: Iterable[str], **kept: Any) -> None:
    """Keep the hash, the report's files and further values for the next time."""
    stamp = {"inputs": hash_, "files": sorted(files), **kept}
    (folder / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")
