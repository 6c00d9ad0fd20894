"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained and nothing is written outside the report's folder. Equal inputs give an equal
report: where nothing changed since the last time, nothing is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import browser, formats, inputs, page, tables
from analysis.answer import Answer, answer
from analysis.figures import Saved, save
from analysis.jobs import Job
from analysis.options import AnalysisOptions
from analysis.ranking import Ranking, kept_out, rankings
from analysis.results import Results, Run, load
from analysis.runs_section import RunSection, histories, section
from train.runs import replace_file

OVERLAID = 6  # more curves in one panel cannot be told apart


@dataclass(frozen=True)
class Built:
    """Where a report lies and what it found; `fresh` is False where nothing had changed."""

    page: Path
    found: str
    fresh: bool


def build(job: Job, options: AnalysisOptions) -> Built:
    """Make the report of one dataset, or find it unchanged."""
    target = job.folder / "index.html"
    hash_ = _digest(job, options)
    kept = None if options.again else inputs.recall(job.folder, hash_)
    if kept:
        return Built(target, kept["found"], fresh=False)
    results = load(job.runs)
    ranked = rankings(results.runs, np.random.default_rng(options.seed))
    said = answer(ranked[0] if ranked else None)
    content = _content(job, options, results, ranked, said)
    job.folder.mkdir(parents=True, exist_ok=True)
    replace_file(target, page.render(**content).encode("utf-8"))
    inputs.remember(job.folder, hash_, ["index.html"], found=said.sentences[0])
    return Built(target, said.sentences[0], fresh=True)


def _digest(job: Job, options: AnalysisOptions) -> str:
    files = [
        *inputs.files_of_runs(run.path for run in job.runs),
        *(inputs.files_of_cache(job.cache) if job.cache else []),
        *inputs.files_of_code(),
    ]
    settings = {name: getattr(options, name) for name in ("confusion", "figures", "audio_mb", "seed")}
    return inputs.digest(files, [settings, job.given])


def _content(
    job: Job, options: AnalysisOptions, results: Results, ranked: Sequence[Ranking], said: Answer
) -> dict[str, Any]:
    """Everything that the page's templates name."""
    runs = [run for ranking in ranked for run in ranking.runs]
    comparison = tables.comparison(ranked)
    sections = _sections(runs, comparison, job.folder, options)
    _write_tables(job.folder, ranked, comparison)
    clips = browser.gather(runs) if runs else None
    return {
        "dataset": job.dataset,
        "made": f"{datetime.now().astimezone():%-d %B %Y, %H:%M}",
        "synthetic": any(run.synthetic for run in runs),
        "answer": said,
        "key_figures": _key_figures(runs, results),
        "problems": results.problems,
        "kept_out": kept_out(ranked),
        "comparison": _comparison_rows(comparison),
        "scale": _scale(comparison),
        "comparison_figures": _comparison_figures(ranked, job.folder),
        "browser": browser.payload(runs, clips) if clips else "{}",
        "browser_runs": [folder.name for run in runs for folder in run.folders],
        "media": {"pictures": [], "sounds": [], "said": ""},
        "runs": sections,
        "undrawn": max(0, len(sections) - options.figures),
        "pairs": tables.pairs(ranked[0]).to_dict("records") if ranked else [],
        "appendix_html": "",
        "data": None,
        "files": [],
        "command": f"make analysis {job.given}",
        "colophon": "",
    }


def _sections(
    runs: Sequence[Run], comparison: pd.DataFrame, folder: Path, options: AnalysisOptions
) -> list[RunSection]:
    rates = options.confusion == "rates"
    rows = comparison.to_dict("records")
    return [
        section(run, row, folder, drawn=place < options.figures, rates=rates)
        for place, (run, row) in enumerate(zip(runs, rows, strict=True))
    ]


def _write_tables(folder: Path, ranked: Sequence[Ranking], comparison: pd.DataFrame) -> None:
    formats.write(comparison, folder / "tables", "comparison")
    if ranked:
        formats.write(tables.pairs(ranked[0]), folder / "tables", "pairs")
        formats.write(tables.appendix(ranked[0]), folder / "tables", "other_tests")


def _key_figures(runs: Sequence[Run], results: Results) -> list[tuple[str, str]]:
    if not runs:
        return []
    first = runs[0]
    unfinished = sum(problem.unfinished for problem in results.problems)
    return [
        (
            "runs",
            f"{sum(len(run.folders) for run in runs)}"
            + (f" + {unfinished} unfinished" if unfinished else ""),
        ),
        ("test clips", f"{len(first.clip_ids):,}"),
        ("classes", str(len(first.classes))),
        ("folds", str(len(set(first.folds.tolist())))),
    ]


VERDICTS = {"best": "best", "tied": "tied with the best", "worse": "worse", "alone": "alone in its kind"}


def _comparison_rows(comparison: pd.DataFrame) -> list[dict[str, Any]]:
    rows = comparison.to_dict("records")
    for row in rows:
        kind = [row["model"], row["task"] if row["task"] != "classes" else "", row["protocol"]]
        row["setting"] = " · ".join(word for word in kind if word)
        row["words"] = VERDICTS[row["verdict"]]
    return rows


def _scale(comparison: pd.DataFrame) -> tuple[float, float]:
    """From where to where the whiskers are drawn: round tenths around all intervals."""
    if comparison.empty:
        return 0.0, 1.0
    low, high = comparison["accuracy_low"].min(), comparison["accuracy_high"].max()
    return float(np.floor(low * 10) / 10), float(np.ceil(high * 10) / 10)


def _comparison_figures(ranked: Sequence[Ranking], folder: Path) -> list[Saved]:
    if not ranked:
        return []
    runs = ranked[0].runs[:OVERLAID]
    curves = {run.name: history for run in runs if (history := histories(run))}
    return [save("learning_curves_overlaid", folder, histories=curves)] if curves else []
