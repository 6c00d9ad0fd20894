"""What a report was made from, as one hash: equal inputs, equal report, nothing to do.

This module loads nothing heavy: a report that is up to date is found so in a second. Files count by path,
size and time, not by content: hashing thirty runs takes longer than may pass. The project's own code and
templates count too, so that a new version makes its report anew.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.jobs import Job
from analysis.options import AnalysisOptions
from train.runs import replace_file

STAMP = ".report.json"
SETTINGS = ("run", "confusion", "figures", "audio_mb", "seed")  # options that change what the page shows
OWN_CODE = Path(__file__).parent
READ_OF_A_RUN = ("run.json", "fold*/*.csv", "fold*/*.npz")


@dataclass(frozen=True)
class Built:
    """Where a report lies and what the terminal says of it; `fresh` is False where nothing had changed."""

    page: Path
    found: str
    remarks: list[str]
    next_command: str
    fresh: bool = True


def unchanged(job: Job, options: AnalysisOptions) -> Built | None:
    """The report that is there, where it was made from just what is there now."""
    kept = None if options.again else recall(job.folder / STAMP, of_report(job, options))
    return Built(job.folder / "index.html", **kept["said"], fresh=False) if kept else None


def of_report(job: Job, options: AnalysisOptions) -> str:
    """The hash of everything that a report is made from."""
    files = [*files_of_runs(run.path for run in job.runs), *files_of_code()]
    files += files_of_cache(job.cache) if job.cache else []
    return digest(files, [str(getattr(options, name)) for name in SETTINGS])


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


def recall(stamp: Path, hash_: str) -> dict[str, Any] | None:
    """What `remember` kept with the same hash, where all of its files are still there; else None."""
    try:
        kept = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.get("inputs") != hash_:
        return None
    return kept if all((stamp.parent / file).is_file() for file in kept["files"]) else None


def remember(stamp: Path, hash_: str, files: Iterable[str], **kept: Any) -> None:
    """Keep the hash, the files (relative to the stamp's folder) and further values for the next time."""
    content = {"inputs": hash_, "files": sorted(files), **kept}
    replace_file(stamp, json.dumps(content).encode("utf-8"))
