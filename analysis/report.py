"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained and nothing is written outside the report's folder. Where nothing changed since the
last time nothing is done, and the half about the data is kept for as long as the cache does not change.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import (
    augmented,
    browser,
    cached,
    comparison_section,
    data_section,
    formats,
    inputs,
    latex,
    media,
    page,
    statistics_section,
)
from analysis.blocks import Block, from_json, to_json
from analysis.figures import save
from analysis.figures.fonts import uncovered
from analysis.findings import Findings, findings
from analysis.fuse import FUSION
from analysis.jobs import Job
from analysis.options import AnalysisOptions
from analysis.pictures import features_to_show
from analysis.results import Problem, Run, load
from analysis.runs_section import RunSection, section
from analysis.samples import samples
from commandline import make_command
from features_cache import Cache
from train.runs import replace_file

DATA_STAMP = ".data.json"

Content = dict[str, Any]


@dataclass(frozen=True)
class Workplace:
    """What every part of a report is made from."""

    job: Job
    options: AnalysisOptions
    cache: Cache | None
    features: list[str]  # the cached ones that can be read

    @property
    def folder(self) -> Path:
        return self.job.folder

    def rng(self) -> np.random.Generator:
        """The same draws in every part, whatever the others drew."""
        return np.random.default_rng(self.options.seed)


def build(job: Job, options: AnalysisOptions) -> inputs.Built:
    """Make the report of one dataset."""
    hash_ = inputs.of_report(job, options)  # of what is there now: what changes meanwhile is seen next time
    job.folder.mkdir(parents=True, exist_ok=True)
    cache, features, damage = cached.opened(job.cache)
    place = Workplace(job, options, cache, features)
    content = _content(place, [Problem("cache", text) for text in damage])
    target = job.folder / "index.html"
    replace_file(target, page.render(**content).encode("utf-8"))
    said = {
        "found": content["answer"].sentences[0],
        "remarks": content["remarks"],
        "next_command": next_command(job, content["runs"], content["answer"].kind),
    }
    inputs.remember(job.folder / inputs.STAMP, hash_, [target.name], said=said)
    return inputs.Built(target, **said)


def next_command(job: Job, runs: Sequence[RunSection], kind: str) -> str:
    """What a user would do now: train, compare, measure training noise."""
    where = [word for word in job.given if not word.startswith("RUN=")]
    trained = [run for run in runs if run.model != FUSION]
    if not trained:
        return make_command("train", *where, "FEATURES=mel+mfcc+chroma")
    if kind == "one run":
        return make_command("sweep", *where, "FEATURES=mel mel+mfcc")
    first = next((run for run in trained if not run.exact), trained[0])
    return f"{make_command('train', *where, *first.again)}   ({first.why})"


def _content(place: Workplace, damage: list[Problem]) -> Content:
    """Everything that the page's templates name."""
    found = findings(load(place.job.runs), place.rng())
    for name, table in found.tables.items():
        formats.write(table, place.folder / "tables", name)
    data_facts, data_blocks = _data(place)
    of_runs = _runs(place, found) if found.runs else {"runs": []}
    problems = [*damage, *found.problems, *of_runs.pop("problems", [])]
    return {
        "dataset": place.job.dataset,
        "made": f"{datetime.now().astimezone():%d %B %Y, %H:%M}".removeprefix("0"),
        "synthetic": _synthetic(found.runs, place.cache),
        "answer": found.answer,
        "glance": found.glance,
        "problems": problems,
        "remarks": _remarks(found.runs, problems),
        "key_figures": _key_figures(found.runs, problems, data_facts),
        "data_facts": data_facts,
        "data": data_blocks,
        "command": make_command("analysis", *place.job.given),
        "versions": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        **of_runs,
    }


def _synthetic(runs: Sequence[Run], cache: Cache | None) -> bool:
    return any(run.synthetic for run in runs) or bool(cache and cache.synthetic)


def _remarks(runs: Sequence[Run], problems: Sequence[Problem]) -> list[str]:
    """What the terminal says besides the answer."""
    remarks = [f"{problem.run}: {problem.text}" for problem in problems]
    missing = uncovered(name for run in runs for name in run.classes)
    if missing:
        remarks.append(
            f"no installed font has {len(missing)} characters of the class names: PNG and PDF show boxes, "
            "the page does not (Debian: apt install fonts-noto-core fonts-noto-cjk)"
        )
    return remarks


def _key_figures(
    runs: Sequence[Run], problems: Sequence[Problem], data_facts: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The few numbers below the answer."""
    if not runs:
        return [(name.lower(), value) for name, value in data_facts[:4]]
    first = runs[0]
    unfinished = sum(problem.unfinished for problem in problems)
    trained = str(sum(len(run.folders) for run in runs))
    return [
        ("runs", f"{trained} + {unfinished} unfinished" if unfinished else trained),
        ("test clips", f"{len(first.clip_ids):,}"),
        ("classes", str(len(first.classes))),
        ("test folds", str(len(set(first.folds.tolist())))),
    ]


def _runs(place: Workplace, found: Findings) -> Content:
    """What the page shows where there are runs, and `problems` that were found on the way."""
    comparison = found.tables["comparison"]
    features = _shown_features(place, found.runs)
    clips = browser.gather(found.runs)
    heard = media.gather(place.cache, features, clips, place.folder, place.options.audio_mb)
    compared = comparison_section.blocks(found, place.folder)
    sections, problems = _sections(place, found, features)
    latex.write(place.folder / "latex", place.job.dataset, found, _for_paper(place, compared, sections))
    return {
        "comparison": _comparison_rows(comparison),
        "scale": _scale(comparison),
        "comparison_blocks": compared,
        "browser": browser.payload(found.runs, clips, features=features, links=heard.links),
        "browser_runs": [folder.name for run in found.runs for folder in run.folders],
        "media": heard,
        "runs": sections,
        "drawn": place.options.figures,
        "tests": statistics_section.blocks(found, place.folder),
        "problems": problems,
    }


def _for_paper(
    place: Workplace, compared: Sequence[Block], sections: Sequence[RunSection]
) -> list[tuple[str, Path]]:
    """Captions and files of the figures that go into the LaTeX document: the comparison's, the best run's."""
    best = [*sections[0].figures, *(saved for block in sections[0].blocks for saved in block.figures)]
    drawn = [*(saved for block in compared for saved in block.figures), *best, *sections[0].beside]
    return [(saved.caption, place.folder / saved.files["pdf"]) for saved in drawn]


def _shown_features(place: Workplace, runs: Sequence[Run]) -> list[str]:
    if place.cache is None or not place.features:
        return []
    return features_to_show(place.cache, place.features, [run.features for run in runs])


def _sections(
    place: Workplace, found: Findings, features: Sequence[str]
) -> tuple[list[RunSection], list[Problem]]:
    """A section a run, with pictures for the best of them, and what could not be read for those."""
    rates = place.options.confusion == "rates"
    made, problems = [], []
    rows = found.tables["comparison"].to_dict("records")
    for number, (run, row) in enumerate(zip(found.runs, rows, strict=True)):
        drawn = number < place.options.figures
        one = section(run, row, place.folder, drawn=drawn, rates=rates)
        one.blocks[:0] = comparison_section.attribution(run.name, found, place.folder)
        if drawn:
            figures, damage = augmented.drawn(run, place.folder)
            problems += damage
            shown = Block("Before and after augmentation", figures=figures, folded=True)
            one.blocks.extend(_sampled(place, run, features) if number == 0 else [])
            one.blocks.extend([shown] if figures else [])
        made.append(one)
    return made, problems


def _sampled(place: Workplace, run: Run, features: Sequence[str]) -> list[Block]:
    """Some clips that the run got right, wrong, and was unsure of."""
    if place.cache is None or not features:
        return []
    shown = samples(run, place.cache, features[0], place.rng())
    about = f"Drawn at random with a fixed seed, the unsure by their lead; pictures of {features[0]}."
    figures = [save("sample_predictions", place.folder, samples=shown)] if shown else []
    return [Block("Sample predictions", about, figures)] if figures else []


VERDICTS = {"best": "best", "tied": "tied", "worse": "worse", "alone": "nothing to compare with"}


def _comparison_rows(comparison: pd.DataFrame) -> list[dict[str, Any]]:
    """The table's rows with the verdict in words; the first of the tied is the highest."""
    rows = comparison.to_dict("records")
    for row in rows:
        leads = row["verdict"] == "tied" and row["rank"] == 1
        row["words"] = "best, but tied" if leads else VERDICTS[row["verdict"]]
        if row["kept_out"]:
            row["words"] = "not ranked" if row["verdict"] == "alone" else f"{row['words']} of its kind"
    return rows


def _scale(comparison: pd.DataFrame) -> tuple[float, float]:
    """From where to where the whiskers are drawn: round tenths around all intervals."""
    low, high = comparison["accuracy_low"].min(), comparison["accuracy_high"].max()
    return float(np.floor(low * 10) / 10), float(np.ceil(high * 10 + 1e-9) / 10)


def _data(place: Workplace) -> tuple[list[tuple[str, str]], list[Block]]:
    """Facts and blocks of the data half, kept from the last time where the cache is the same."""
    if place.cache is None or place.job.cache is None:
        return [], []
    facts, stamp = data_section.facts(place.cache), place.folder / DATA_STAMP
    files = [*inputs.files_of_cache(place.job.cache), *inputs.files_of_code()]
    hash_ = inputs.digest(files, place.options.seed)
    kept = None if place.options.again else inputs.recall(stamp, hash_)
    if kept:
        return facts, from_json(kept["blocks"])
    blocks = data_section.blocks(place.cache, place.features, place.folder, place.options.seed)
    written = [path for block in blocks for figure in block.figures for path in figure.files.values()]
    inputs.remember(stamp, hash_, written, blocks=to_json(blocks))
    return facts, blocks
