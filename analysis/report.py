"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained and nothing is written outside the report's folder. If nothing changed since the last time
nothing is done; figures whose data did not change are kept, and so is the half about the data.
"""

import platform
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import comparison, error_browser, extras, first_screen, page
from analysis.clips import Audio, clip_audio, features_to_show, readable_cache, thumbnails
from analysis.data import data_facts, data_tables, failures
from analysis.figures import FigureWriter
from analysis.findings import Findings, Threat, findings
from analysis.importance import find_importance, importance_tables, most_important, submit_importance
from analysis.inputs import Built, Manifest, ReportJob, data_hash, inputs_hash
from analysis.next_command import Situation, next_command, train_again, without
from analysis.options import AnalysisOptions
from analysis.results import Problem, load_runs, outdated_runs
from analysis.run_section import curves_note, settings, submit_run
from analysis.tables import as_latex, as_markdown, confusion_counts
from commandline.files import replace_file
from commandline.options import make_command
from commandline.registry import RequestError
from commandline.terminal import as_csv, percent, progress
from features_cache import Cache
from features_cache.index import WHOLE, read_check
from features_cache.location import NAMED
from features_cache.splits import untrainable
from features_cache.table import originals


def build_report(job: ReportJob, options: AnalysisOptions) -> Built:
    """Make the report of one dataset."""
    hashes = {"inputs": inputs_hash(job, options), "data": data_hash(job, options)}  # before anything is read
    job.folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(job.folder)
    former = {} if options.overwrite else manifest.content
    writer = FigureWriter(job.folder, former.get("figures"), paper=options.paper)
    cache, features, damage = readable_cache(job.cache)
    results = load_runs(progress(job.runs, label="reading", unit="run"))
    outdated = outdated_runs(results.runs, cache.clips) if cache else []
    old = {problem.run for problem in outdated}
    checked = read_check(job.cache) if job.cache else None
    threats = data_threats(cache, checked or [], outdated)
    found = findings(results, named=bool(options.run), outdated=old, threats=threats)
    problems = [Problem("cache", text, "damaged") for text in damage]
    problems += [*found.problems, *outdated]

    if cache and former and manifest.holds("data", hashes["data"]):
        # A class may be called NA or null.
        data = {
            name: pd.read_csv(job.folder / f"tables/{name}.csv", keep_default_na=False)
            for name in former["data_tables"]
        }
        for name in former["data_figures"]:
            writer.keep(name)
    else:
        data = data_tables(cache, features, writer, options.seed) if cache else {}
    data_figures = list(writer.saved)
    tables = found.tables | data
    gallery = None
    if cache and options.gallery:
        make_gallery = extras.load("gallery").make_gallery
        gallery = make_gallery(cache, features, writer, options.seed, options.audio_mb / 2)
    if found.main:
        comparison.submit_comparison(writer, found, found.main)
    for place, run in enumerate(found.runs[: options.figures]):
        problems += submit_run(writer, run, best=place == 0, rates=options.confusion == "rates")
    of_runs = run_content(found, cache, features, job.folder, options)
    measured = {}
    if folder := find_importance(options.runs, job.dataset):
        try:
            measured = importance_tables(folder)
        except RequestError as error:
            problems.append(Problem("importance", str(error), "damaged"))
        else:
            tables |= {f"importance_{name}": table for name, table in measured.items()}
            submit_importance(writer, measured)
            found = replace(found, importance=most_important(measured["features"]))
            measured["config"] = folder.config

    writer.close()
    files = {f"figures/{file.name}" for figure in writer.saved.values() for file in figure.files}
    files |= write_tables(job.folder, tables)
    files |= of_runs["audio"].files if of_runs else set()
    files |= gallery.audio.files if gallery else set()
    methods = ""
    if options.paper and found.main:
        methods = extras.load("methods").methods_text(found)
        write_document = extras.load("latex").write_document
        files |= write_document(job.folder, found, list(writer.saved.values()), methods)

    words = without(job.given, "RUN")
    situation = Situation(
        given=words,
        frames={name: cache[name].frames for name in features} if cache else {},
        trainable=cache is None or not untrainable(cache.clips),
        outdated=old,
        explained=set(tables["attribution"]["of"]) if "attribution" in tables else set(),
        unchecked=cache is not None and checked is None and is_own(job.dataset, cache),
    )
    proposed = next_command(found, situation)
    reason = page.say("next", proposed.kind)
    reasons: dict[str, list[str]] = {}  # each once, with the runs that it is of
    for problem in problems:
        reasons.setdefault(problem.text, []).append(problem.run)
    html = page.render(
        f=found,
        dataset=job.dataset,
        synthetic=any(run.synthetic for run in found.runs) or bool(cache and cache.synthetic),
        reasons=reasons,
        next=proposed.command,
        reason=reason,
        tables=tables,
        figures=writer.saved,
        drawn=options.figures,
        runs=found.runs,
        settings=settings,
        curves_note=curves_note,
        train_again=lambda run: train_again(run, words),
        data_facts=data_facts(cache) if cache else [],
        gallery=gallery,
        measured=measured,
        methods=methods,
        paper=options.paper,
        command=make_command("analysis", *job.given),
        made=f"{datetime.now():%-d %B %Y, %H:%M}",
        versions=f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        **of_runs,
    )
    target = job.folder / "index.html"
    replace_file(target, html)
    threatened = [page.say("threat", found, threat) for threat in found.threats]
    remarks = [f"{page.listed(names)}: {text}" for text, names in reasons.items()]
    printed: dict[str, Any] = {
        "headline": f"{page.say('headline', found)} {page.say('score', found)}".strip(),
        "remarks": [*threatened, *remarks],
        "whole": not any(problem.kind == "damaged" for problem in problems),
        "next_command": f"{proposed.command}   ({reason})",
    }
    digests = {stem: figure.digest for stem, figure in writer.saved.items()}
    kept = {"figures": digests, "data_figures": data_figures, "data_tables": list(data)}
    manifest.replace({target.name, *files}, **hashes, **kept, printed=printed)
    return Built(target, **printed)


def run_content(
    found: Findings, cache: Cache | None, features: list[str], folder: Path, options: AnalysisOptions
) -> dict[str, Any]:
    """What the templates show of the runs besides findings, tables and figures; empty without a ranking."""
    if found.main is None:
        return {}
    best = found.main.best
    runs = found.runs
    order = error_browser.by_category(best)
    counts = confusion_counts(best)[np.ix_(order, order)]
    mistake = first_screen.common_mistake(best)
    difficulty = error_browser.clip_difficulty(runs)
    clips = list(difficulty.index)
    wrong = list(difficulty.index[difficulty["wrong"] > 0])
    images = {}
    shown = []
    audio = Audio({}, {}, set())
    if cache:
        shown = features_to_show(cache, features, [run.features for run in runs])
        images = thumbnails(cache, shown, clips)
        wanted = dict.fromkeys([*([mistake["wrong"], mistake["right"]] if mistake else []), *wrong])
        most_mb = options.audio_mb / 2 if options.gallery else options.audio_mb
        audio = clip_audio(cache, clips, list(wanted), folder, most_mb)
    return {
        "panels": first_screen.forest_panels(found, found.main),
        "ticks": first_screen.forest_ticks(found),
        "confusion": counts,
        "shown_classes": first_screen.classes_shown(counts),
        "mistake": mistake,
        "images": images,
        "audio": audio,
        "wrong": wrong,
        "browser": error_browser.browser_data(runs, difficulty, shown, audio.links),
    }


def write_tables(folder: Path, tables: dict[str, pd.DataFrame]) -> set[str]:
    """Every table as CSV, the comparison also for papers; returns the files by their paths in `folder`."""
    texts = {f"tables/{name}.csv": as_csv(table) for name, table in tables.items()}
    if "comparison" in tables:
        texts["tables/comparison.md"] = as_markdown(tables["comparison"])
        texts["tables/comparison.tex"] = as_latex(tables["comparison"])
    (folder / "tables").mkdir(exist_ok=True)
    for name, text in texts.items():
        replace_file(folder / name, text, durable=False)
    return set(texts)


def is_own(dataset: str, cache: Cache) -> bool:
    """Whether the clips are somebody's own audio files, which nobody else has looked at."""
    there = any(path and Path(path).is_file() for path in cache.clips["path"].head(20))
    return dataset not in NAMED and not cache.synthetic and there


def data_threats(cache: Cache | None, checked: list[dict[str, Any]], outdated: list[Problem]) -> list[Threat]:
    """What the data says against the result: what `check` found, failed clips, clips that changed."""
    threats = []
    for finding in checked:
        if finding["kind"] == "duplicates_across_folds":
            threats.append(Threat("duplicates", finding["count"]))
        elif finding["kind"] == "artefacts" and finding["severity"] == "warning":
            scored = f"{percent(finding['accuracy'])} %, chance is {percent(finding['chance'])} %"
            threats.append(Threat("artefacts", finding["count"], detail=scored))
    if cache and (failed := failures(cache).get(WHOLE)):
        threats.append(Threat("failed", len(failed), len(originals(cache.clips))))
    if outdated:
        threats.append(Threat("changed", len(outdated)))
    return threats
