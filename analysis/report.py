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

from analysis import error_browser, extras, first_screen, page
from analysis.clips import Audio, clip_audio, features_to_show, readable_cache, thumbnails
from analysis.data_section import data_facts, data_tables, failures
from analysis.figures import FigureWriter
from analysis.findings import Findings, Threat, findings
from analysis.importance import importance_tables, most_important
from analysis.jobs import Built, Manifest, ReportJob, data_hash, inputs_hash
from analysis.next_command import Situation, next_command, train_again, without
from analysis.options import AnalysisOptions
from analysis.run_section import curves_note, settings, submit_run
from analysis.runs import Problem, load_runs, outdated_runs
from analysis.tables import as_latex, as_markdown, confusion_counts
from commandline.errors import RequestError
from commandline.options import make_command
from commandline.terminal import as_csv, progress
from features_cache import Cache
from features_cache.index import WHOLE, read_check
from features_cache.location import NAMED
from features_cache.splits import untrainable
from features_cache.table import originals
from results.importance import ImportanceFolder
from storage.files import replace_file

SETS_SHOWN = 24  # rows of a figure; the table beside it has all runs


def build_report(job: ReportJob, options: AnalysisOptions) -> Built:
    """Make the report of one dataset."""
    hashes = {"inputs": inputs_hash(job, options), "data": data_hash(job, options)}  # before anything is read
    job.folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(job.folder)
    former = {} if options.overwrite else manifest.content
    writer = FigureWriter(job.folder, former.get("figures"), paper=options.paper)
    cache, features, damage = readable_cache(job.cache)
    results = load_runs(progress(job.runs, label="reading", unit="run"))
    outdated: list[Problem] = []
    checked = read_check(job.cache) if job.cache else None
    threats = []  # what the data says against the result
    for finding in checked or []:
        if finding["kind"] == "duplicates_across_folds":
            threats.append(Threat("duplicates", finding["count"]))
        elif finding["kind"] == "artefacts" and finding["severity"] == "warning":
            threats.append(Threat("artefacts", finding["accuracy"], finding["chance"]))
    if cache:
        outdated = outdated_runs(results.runs, cache.clips)
        failed = failures(cache).get(WHOLE)
        if failed:
            threats.append(Threat("failed", len(failed), len(originals(cache.clips))))
    if outdated:
        threats.append(Threat("changed", len(outdated)))
    old = {problem.run for problem in outdated}
    found = findings(results, named=bool(options.run), outdated=old, threats=threats)
    problems = [Problem("cache", text, "damaged") for text in damage]
    problems += [*found.problems, *outdated]

    kept = former and manifest.holds("data", hashes["data"])
    if cache and kept and writer.kept.keys() >= {*former["data_figures"]}:
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
    if found.runs:
        submit_comparison(writer, found)
    for place, run in enumerate(found.runs[: options.figures]):
        problems += submit_run(writer, run, best=place == 0, rates=options.confusion == "rates")
    of_runs = run_content(found, cache, features, job.folder, options)
    measured = {}
    folders = (options.runs / job.dataset).glob("importance-*/importance.json")
    latest = max(folders, key=lambda file: file.stat().st_mtime, default=None)
    if latest:
        folder = ImportanceFolder(latest.parent)
        try:
            measured = importance_tables(folder)
        except RequestError as error:
            problems.append(Problem("importance", str(error), "damaged"))
        else:
            tables |= {f"importance_{name}": table for name, table in measured.items()}
            shares = measured["features"].query("measure == 'shapley'")
            columns = {"feature": "name", "mean": "estimate", "significant": "filled"}
            writer.submit("importance", intervals=shares.rename(columns=columns))
            writer.submit("importance_by_class", classes=measured["classes"])
            writer.submit("importance_redundancy", pairs=measured["pairs"])
            curve = measured["recordings"]
            writer.submit("importance_accuracy", sets=measured["sets"], recordings=curve)
            found = replace(found, importance=most_important(measured["features"]))
            measured["config"] = folder.config

    writer.close()
    files = {f"figures/{file.name}" for figure in writer.saved.values() for file in figure.files}
    texts = {f"tables/{name}.csv": as_csv(table) for name, table in tables.items()}
    if "comparison" in tables:
        texts["tables/comparison.md"] = as_markdown(tables["comparison"])
        texts["tables/comparison.tex"] = as_latex(tables["comparison"])
    (job.folder / "tables").mkdir(exist_ok=True)
    for name, text in texts.items():
        replace_file(job.folder / name, text, durable=False)
    files |= texts.keys()
    files |= of_runs["audio"].files if of_runs else set()
    methods = ""
    if options.paper and found.runs:
        methods = extras.load("methods").methods_text(found)
        figures = list(writer.saved.values())
        files |= extras.load("latex").write_document(job.folder, found, figures, methods)

    words = without(job.given, "RUN")
    # Somebody's own audio files, which nobody else has looked at.
    unchecked = (
        cache is not None
        and checked is None
        and job.dataset not in NAMED
        and not cache.synthetic
        and any(Path(path).is_file() for path in cache.clips["path"].head(20))
    )
    situation = Situation(
        given=words,
        frames={name: cache[name].frames for name in features} if cache else {},
        trainable=cache is None or not untrainable(cache.clips),
        outdated=old,
        explained=set(tables["attribution"]["of"]) if "attribution" in tables else set(),
        unchecked=unchecked,
    )
    proposed, kind = next_command(found, situation)
    reason = page.say("next", kind)
    reasons: dict[str, list[str]] = {}  # each once, with the runs that it is of
    for problem in problems:
        reasons.setdefault(problem.text, []).append(problem.run)
    html = page.render(
        f=found,
        dataset=job.dataset,
        synthetic=any(run.synthetic for run in found.runs) or bool(cache and cache.synthetic),
        reasons=reasons,
        next=proposed,
        reason=reason,
        tables=tables,
        figures=writer.saved,
        drawn=options.figures,
        runs=found.runs,
        settings=settings,
        curves_note=curves_note,
        train_again=lambda run: train_again(run, words),
        data_facts=data_facts(cache) if cache else {},
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
    remarks = [page.say("threat", found, threat) for threat in found.threats]
    remarks += [f"{page.listed(names)}: {text}" for text, names in reasons.items()]
    printed: dict[str, Any] = {
        "headline": f"{page.say('headline', found)} {page.say('score', found)}".strip(),
        "remarks": remarks,
        "whole": not any(problem.kind == "damaged" for problem in problems),
        "next_command": f"{proposed}   ({reason})",
    }
    manifest.replace(
        {target.name, *files},
        **hashes,
        figures={stem: figure.digest for stem, figure in writer.saved.items()},
        data_figures=data_figures,
        data_tables=list(data),
        printed=printed,
    )
    return Built(target, **printed)


def run_content(
    found: Findings, cache: Cache | None, features: list[str], folder: Path, options: AnalysisOptions
) -> dict[str, Any]:
    """What the templates show of the runs besides findings, tables and figures; empty without a ranking."""
    runs = found.runs
    if not runs:
        return {}
    best = runs[0]
    # The forest plot's axis: whole tens of percent, from below the lowest to above the highest number.
    accuracy = pd.DataFrame(found.rows)[["accuracy", "accuracy_low", "accuracy_high"]]
    numbers = accuracy.assign(chance=found.chance).to_numpy(float)
    low = int(np.floor(10 * np.nanmin(numbers)))
    high = int(np.ceil(10 * np.nanmax(numbers)))
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
        audio = clip_audio(cache, clips, list(wanted), folder, options.audio_mb)
    return {
        "panels": first_screen.forest_panels(found),
        "ticks": range(10 * min(low, high - 1), 10 * high + 1, 10),
        "confusion": counts,
        "shown_classes": first_screen.classes_shown(counts),
        "mistake": mistake,
        "images": images,
        "audio": audio,
        "wrong": wrong,
        "browser": error_browser.browser_data(runs, difficulty, shown, audio.links),
    }


def submit_comparison(writer: FigureWriter, found: Findings) -> None:
    """Every figure of several runs that the page shows, and for papers those that it shows as HTML."""
    rows = pd.DataFrame(found.rows)
    shown = rows[:SETS_SHOWN]
    if writer.paper:
        columns = {"label": "name", "accuracy": "estimate", "accuracy_low": "low", "accuracy_high": "high"}
        intervals = shown.rename(columns=columns).assign(filled=shown["verdict"] != "tied")
        writer.submit("accuracy_by_set", intervals=intervals, line=found.chance)
        if rows["features"].nunique() > 1 and rows["model"].nunique() > 1:
            best = rows.drop_duplicates(["features", "model"]).set_index(["features", "model"])
            grid = best[["accuracy", "accuracy_sd"]].unstack(sort=False)
            writer.submit("accuracy_heat_map", accuracy=grid["accuracy"], deviation=grid["accuracy_sd"])
    if len(rows) > 1:
        best_run = found.runs[0]
        classes = [best_run.classes[place] for place in error_browser.by_category(best_run)]
        recall = found.tables["recall_by_class"].pivot_table("recall", "run", "class", sort=False)
        recall = recall.reindex(index=shown["run"], columns=classes).set_axis(shown["label"])
        writer.submit("recall_by_set", recall=recall)
    stems = {"features": "additions", "augmentation": "augmentation"}
    for kind, pairs in found.tables.get("ablations", pd.DataFrame({"kind": []})).groupby("kind", sort=False):
        gains = pairs[:SETS_SHOWN].rename(columns={"difference": "estimate"})
        gains["name"] += gains["control"].map({True: " (control)", False: ""})
        if gains["model"].nunique() == 1:
            gains["name"] = gains["name"].str.replace(f" ({gains['model'].iloc[0]})", "", regex=False)
        gains["filled"] = gains["verdict"].str.startswith("clear")
        writer.submit("intervals", stems[str(kind)], intervals=gains)
    for run, table in found.tables.get("attribution", pd.DataFrame({"of": []})).groupby("of", sort=False):
        loss = table.pivot_table(index="class", columns="channel", values="difference", sort=False)
        writer.submit("channel_importance", f"{run}.attribution", loss=loss)
