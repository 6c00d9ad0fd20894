"""Which reports are asked for, of which runs and cache, and whether one has to be made anew.

What a report is made from is one hash: equal inputs, equal report, nothing to do. This module loads nothing
heavy: a report that is up to date is found so in a second. Files count by path, size and time, not by
content: hashing thirty runs takes longer than may pass. The project's own code and templates count too, so
that a new version makes its report anew. The files that a report wrote are kept beside its hash: the next one
removes those that it does not write, unless they were changed since.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.options import AnalysisOptions
from commandline.files import replace_file
from commandline.options import make_command, words
from commandline.registry import RequestError, closest
from features_cache.index import FAILURES
from features_cache.location import NAMED, cache_folder, dataset_name, is_cache
from results.config import digest
from results.run_folder import RunFolder, find, select


@dataclass(frozen=True)
class ReportJob:
    """One report: a dataset's name, its run folders, its cache if there is one, and where the report goes."""

    dataset: str
    runs: tuple[RunFolder, ...]
    cache: Path | None
    folder: Path
    given: tuple[str, ...]  # the variables that ask for this dataset, its folders, and just these runs


def jobs(options: AnalysisOptions) -> list[ReportJob]:
    """A job for the dataset that is asked for, else for every dataset that has runs or a cache."""
    if options.dataset or options.name:
        asked = options.dataset or str(options.name)
        name = dataset_name(asked, options.name)
        cache = cache_folder(asked, options.data, options.name)
        runs = _run_folders(options, name)
        if not runs and not is_cache(cache):
            there = {path.parent.name for path in options.data.glob("*/features") if is_cache(path)}
            there |= {run.path.parent.name for run in find(options.runs)}
            found = f"{options.runs / name} holds no run and {cache} no features"
            listed = f"; known: {', '.join(sorted(there))}" if there else ""
            if meant := closest(name, there):
                raise RequestError(f"did you mean DATASET={meant}? {found}{listed}")
            raise RequestError(_nothing_found(options, f"{found}{listed}"))
        return [_job(options, name, runs, cache, asked)]
    by_dataset: dict[str, list[RunFolder]] = {}
    for run in _run_folders(options, None):
        by_dataset.setdefault(run.path.parent.name, []).append(run)
    if not options.run:
        for cache in sorted(options.data.glob("*/features")):
            if is_cache(cache):
                by_dataset.setdefault(cache.parent.name, [])
    if not by_dataset:
        raise RequestError(
            _nothing_found(options, f"{options.runs} holds no run and {options.data} no features")
        )
    return [
        _job(options, name, runs, options.data / name / "features", name)
        for name, runs in sorted(by_dataset.items())
    ]


def _run_folders(options: AnalysisOptions, dataset: str | None) -> list[RunFolder]:
    if options.run:
        return select(options.runs, " ".join(options.run), dataset)
    return find(options.runs, dataset)


def _job(
    options: AnalysisOptions, name: str, runs: Sequence[RunFolder], cache: Path, asked: str
) -> ReportJob:
    given = (f"DATASET={asked}", *words(options, ("name", "data", "runs", "run")))
    return ReportJob(name, tuple(runs), cache if is_cache(cache) else None, options.reports / name, given)


def _nothing_found(options: AnalysisOptions, found: str) -> str:
    return (
        f"nothing to report on: {found}. Extract features first "
        f"({make_command('features', f'DATASET={options.dataset or NAMED[0]}')}), then train (make train)"
    )


STAMP = ".report.json"
PAGE_OPTIONS = ("run", "confusion", "figures", "audio_mb", "seed")  # options that change what the page shows
OWN_CODE = (
    "analysis",
    "train",
    "commandline",
    "features_cache",
)  # intervals, metrics and words lie in all of them
REPORT_FILES = (  # that a report may write; what LaTeX makes beside them is the user's
    *(f"tables/*.{kind}" for kind in ("csv", "md", "tex")),
    *(f"figures/*.{kind}" for kind in ("svg", "png", "pdf")),
    *("latex/main.tex", "latex/latexmkrc", "latex/tables/*.tex", "latex/figures/figure*.pdf"),
)
RUN_FILES = ("run.json", "fold*/*.csv", "fold*/*.npz")


@dataclass(frozen=True)
class Built:
    """Where a report lies and what the terminal prints of it; `fresh` is False where nothing had changed."""

    page: Path
    headline: str
    remarks: list[str]
    next_command: str
    whole: bool = True  # False where a damaged run, fold or cache file was left out
    fresh: bool = True


def unchanged(job: ReportJob, options: AnalysisOptions) -> Built | None:
    """The report that is there, where it was made from just what is there now."""
    kept = None if options.overwrite else read_stamp(job.folder / STAMP, inputs_hash(job, options))
    return Built(job.folder / "index.html", **kept["printed"], fresh=False) if kept else None


def inputs_hash(job: ReportJob, options: AnalysisOptions) -> str:
    """The hash of everything that a report is made from."""
    files = [*files_of_runs(run.path for run in job.runs), *files_of_code()]
    files += files_of_cache(job.cache) if job.cache else []
    return hash_of_files(files, [str(getattr(options, name)) for name in PAGE_OPTIONS])


def files_of_runs(folders: Iterable[Path]) -> list[Path]:
    """Everything of the run folders that a report shows; a link that leads nowhere is nothing."""
    found = (file for folder in folders for pattern in RUN_FILES for file in sorted(folder.glob(pattern)))
    return [file for file in found if file.is_file()]


def files_of_cache(folder: Path) -> list[Path]:
    """Everything of a cache that a report shows; a link that leads nowhere is nothing."""
    return sorted(file for file in [*folder.glob("*.h5"), folder / FAILURES] if file.is_file())


def files_of_code() -> list[Path]:
    """Everything of the project that decides what a report says."""
    folders = (Path(__file__).parents[1] / name for name in OWN_CODE)
    found = (path for folder in folders for path in folder.rglob("*.*"))
    return sorted(path for path in found if path.suffix in (".py", ".html", ".css", ".js", ".csv"))


def hash_of_files(files: Iterable[Path], settings: object) -> str:
    """A hash over the files' paths, sizes and times, and whatever else decides the result."""
    seen = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for file in files:
        status = file.stat()
        seen.update(f"{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def read_stamp(stamp: Path, hash_: str) -> dict[str, Any] | None:
    """What `write_stamp` kept with the same hash, where all of its files are still there; else None.

    None also where files whose states were kept as `audio` came, went or changed.
    """
    kept = _stamped(stamp)
    if kept.get("inputs") != hash_:
        return None
    if kept.get("audio", {}) != file_states(kept.get("audio", {})):
        return None
    return kept if all((stamp.parent / file).is_file() for file in kept["files"]) else None


def _stamped(stamp: Path) -> dict[str, Any]:
    """All that `write_stamp` kept; empty where there is none or it is damaged."""
    try:
        kept = json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and kept.pop("digest", "") == digest(kept) else {}


def file_states(paths: Iterable[str]) -> dict[str, str]:
    """Size and time of each file, empty where there is none."""
    return {path: _state(Path(path)) for path in paths}


def _state(file: Path) -> str:
    at = file.stat() if file.is_file() else None
    return f"{at.st_size} {at.st_mtime_ns}" if at else ""


def report_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in the folders that a report writes into, by its path in `folder`: inode and time."""
    files = [file for pattern in REPORT_FILES for file in folder.glob(pattern) if file.is_file()]
    states = {file.relative_to(folder).as_posix(): file.stat() for file in files}
    return {file: (state.st_ino, state.st_mtime_ns) for file, state in states.items()}


def written_since(folder: Path, before: dict[str, tuple[int, int]]) -> set[str]:
    """What was written after `report_files` gave `before`."""
    return {file for file, state in report_files(folder).items() if state != before.get(file)}


def stamped_files(stamp: Path) -> dict[str, str]:
    """The files that `write_stamp` kept and their states then; none where it is damaged or has no states."""
    files = _stamped(stamp).get("files")
    return files if isinstance(files, dict) else {}


def remove_left_over(folder: Path, written: set[str]) -> None:
    """Remove what the report before wrote and this one did not, unless somebody has changed it since."""
    stamped = stamped_files(folder / STAMP)
    for file in (stamped.keys() & report_files(folder).keys()) - written:
        if _state(folder / file) == stamped[file]:
            (folder / file).unlink(missing_ok=True)


def write_stamp(
    stamp: Path, hash_: str, files: Iterable[str], states: Mapping[str, str] | None = None, **kept: Any
) -> None:
    """Keep the hash, the files (relative to the stamp's folder) and further values for the next time.

    states  of files that were written earlier, as they were then
    """
    now = {file: _state(stamp.parent / file) for file in sorted(files)}
    content = {"inputs": hash_, "files": now | dict(states or {}), **kept}
    content |= {"digest": digest(content)}  # an edited stamp counts as none
    replace_file(stamp, json.dumps(content).encode("utf-8"))
