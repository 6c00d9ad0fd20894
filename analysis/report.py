"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained and nothing is written outside the report's folder. If nothing changed since the last time
nothing is done; figures whose data did not change are kept, and so is the half about the data.
"""

import platform
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import comparison, error_browser, first_screen, page
from analysis import extras as capabilities
from analysis.clips import features_to_show, media_of, original_clips, readable_cache
from analysis.data import data_facts, data_tables, failures
from analysis.facts import Threat
from analysis.figures import FigureWriter
from analysis.findings import findings
from analysis.importance import find_importance, importance_tables, most_important, submit_importance
from analysis.inputs import Built, Manifest, ReportJob, data_hash, inputs_hash
from analysis.next_command import Situation, next_command, train_again
from analysis.options import AnalysisOptions
from analysis.results import Problem, load_runs, outdated_runs
from analysis.run import curves_note, machine_words, run_tables, settings, submit_run
from analysis.tables import as_latex, as_markdown
from commandline.files import replace_file
from commandline.options import make_command
from commandline.registry import RequestError
from commandline.terminal import as_csv, percent, progress
from features_cache import Cache
from features_cache.index import WHOLE, read_check
from features_cache.location import NAMED
from features_cache.splits import untrainable

REMARKED = 5  # runs named in the terminal for one reason
SENTENCES = {  # the lines below the headline: heading -> macro of words.txt
    "How sure?": "sure",
    "Why combine?": "combine",
    "Which classes fail?": "classes",
    "What matters?": "important",
    "Enough data?": "enough",
}


def build_report(job: ReportJob, options: AnalysisOptions) -> Built:
    """Make the report of one dataset."""
    parts = progress(total=6, label="report", unit="parts")
    hashes = {
        "inputs": inputs_hash(job, options),
        "data": data_hash(job, options),
    }  # what changes later is seen next time
    job.folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(job.folder)
    content: dict[str, Any] = {} if options.overwrite else manifest.content
    writer = FigureWriter(job.folder, content.get("figures"), paper=options.paper)
    cache, features, damage = readable_cache(job.cache)
    results = load_runs(job.runs)

    parts.update()
    outdated = outdated_runs(results.runs, cache.clips) if cache else []
    former = {problem.run for problem in outdated}
    checked = read_check(job.cache) if job.cache else None
    threats = data_threats(cache, checked or [], outdated)
    found = findings(results, named=bool(options.run), outdated=former, threats=threats)
    facts, ranking = found.facts, found.main

    parts.update()
    tables = dict(found.tables)
    if cache and content and manifest.holds("data", hashes["data"]):
        data = {name: pd.read_csv(job.folder / f"tables/{name}.csv") for name in content["data_tables"]}
        for stem, name in content["data_figures"].items():
            writer.keep(name, stem)
    else:
        data = data_tables(cache, features, writer, options.seed) if cache else {}
    data_figures = {stem: figure.name for stem, figure in writer.saved.items()}
    tables |= data
    gallery = None
    if cache and options.gallery and (extra := capabilities.load("gallery")):
        gallery = extra.make_gallery(cache, features, writer, options.seed, options.audio_mb / 2)

    parts.update()
    problems = [Problem("cache", text, damaged=True) for text in damage]
    problems += [*found.problems, *outdated]
    given = [word for word in job.given if not word.startswith("RUN=")]
    of_runs: dict[str, Any] = {"runs": []}
    if ranking:
        comparison.submit_comparison(writer, found, ranking)
        rows = {
            row["run"]: row for row in tables["comparison"].merge(tables["runs"], on="run").to_dict("records")
        }
        for place, run in enumerate(found.runs):
            tables |= run_tables(run)
            drawn = place < options.figures
            if drawn:
                problems += submit_run(writer, run, best=place == 0, rates=options.confusion == "rates")
            section = {
                "run": run,
                "row": rows[run.name],
                "settings": settings(run),
                "machine": machine_words(run),
            }
            section |= {"drawn": drawn, "again": train_again(run, given), "curves_note": curves_note(run)}
            of_runs["runs"].append(section)
        best = ranking.best
        mistake = first_screen.common_mistake(best)
        difficulty = error_browser.clip_difficulty(found.runs)
        shown = (
            features_to_show(cache, features, [run.features for run in found.runs])
            if cache and features
            else []
        )
        first = [mistake.wrong, mistake.right] if mistake else []
        half_mb = options.audio_mb / 2 if options.gallery else options.audio_mb
        media = media_of(cache, shown, difficulty, first, job.folder, half_mb)
        browser = error_browser.browser_data(found.runs, difficulty, features=shown, links=media.links)
        of_runs |= {
            "forest": first_screen.forest(facts, ranking),
            "small_matrix": first_screen.small_matrix(best),
            "mistake": mistake,
            "models": first_screen.model_notes(ranking.runs),
            "pivot": comparison.accuracy_grid(facts),
            "best": best,
            "media": media,
            "wrong": int((difficulty["wrong"] > 0).sum()),
            "browser": browser,
            "matrix": error_browser.static_matrix(best),
        }

    measured: dict[str, Any] = {}
    if folder := find_importance(options.runs, job.dataset):
        try:
            measured = importance_tables(folder)
        except RequestError as error:
            problems.append(Problem("importance", str(error), damaged=True))
        else:
            tables |= {f"importance_{name}": table for name, table in measured.items()}
            submit_importance(writer, measured)
            facts = replace(facts, importance=most_important(measured["features"]) or None)
            measured["config"] = folder.config

    parts.update()
    writer.close()
    written = {f"figures/{file.name}" for figure in writer.saved.values() for file in figure.files}
    for name, table in tables.items():
        files = {"csv": as_csv(table)}
        if name == "comparison":
            shown = table.rename(columns={"p": f"p, clear below {facts.level}"})
            files |= {"md": as_markdown(shown), "tex": as_latex(shown)}
        for kind, text in files.items():
            file = f"tables/{name}.{kind}"
            (job.folder / "tables").mkdir(exist_ok=True)
            replace_file(job.folder / file, text.encode("utf-8"), durable=False)
            written.add(file)
    methods = ""
    if options.paper and ranking:
        if extra := capabilities.load("methods"):
            methods = extra.methods_text(facts, ranking.best)
        if extra := capabilities.load("latex"):
            written |= extra.write_document(job.folder, found, list(writer.saved.values()), methods)

    parts.update()
    situation = Situation(
        given=job.given,
        stored={name: cache[name].frames for name in features} if cache else {},
        untrainable=untrainable(cache.clips) if cache else "",
        outdated=[run for run in results.runs if run.name in former],
        explained=set(tables["attribution"]["of"]) if "attribution" in tables else set(),
        unchecked=cache is not None and checked is None and is_own(job.dataset, cache),
    )
    proposed = next_command(facts, ranking, situation)
    reason = page.say("next", proposed.kind, proposed.about)
    excluded = page.say("excluded", facts)
    about_data = data_facts(cache) if cache else []
    html = page.render(
        f=facts,
        dataset=job.dataset,
        dataset_line=first_screen.dataset_line(facts, job.dataset, ranking, about_data),
        synthetic=facts.synthetic or bool(cache and cache.synthetic),
        lines=[(heading, text) for heading, macro in SENTENCES.items() if (text := page.say(macro, facts))],
        reasons=by_reason(problems),
        excluded=excluded,
        next=proposed.command,
        reason=reason,
        tables=tables,
        figures=writer.saved,
        data_facts=about_data,
        data_tables=data,
        gallery=gallery,
        measured=measured,
        methods=methods,
        paper=options.paper,
        attributions=[stem for stem in writer.saved if stem.endswith(".attribution")],
        command=make_command("analysis", *job.given),
        made=f"{datetime.now().astimezone():%d %B %Y, %H:%M}".removeprefix("0"),
        versions=f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        **of_runs,
    )
    target = job.folder / "index.html"
    replace_file(target, html.encode("utf-8"))
    printed: dict[str, Any] = {
        "headline": f"{page.say('headline', facts)} {page.say('score', facts)}".strip(),
        "remarks": [
            *(page.say("threat", facts, threat) for threat in facts.threats),
            *(f"{page.listed(names, REMARKED)}: {text}" for names, text, _ in by_reason(problems)),
        ],
        "whole": not any(problem.damaged for problem in problems),
        "next_command": f"{proposed.command}   ({reason})",
    }
    manifest.replace(
        {target.name, *written},
        **hashes,
        figures={stem: figure.digest for stem, figure in writer.saved.items()},
        data_figures=data_figures,
        data_tables=list(data),
        printed=printed,
    )
    parts.close()
    return Built(target, **printed)


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
        threats.append(Threat("failed", len(failed), len(original_clips(cache))))
    if outdated:
        threats.append(Threat("changed", len(outdated)))
    return threats


def by_reason(problems: list[Problem]) -> list[tuple[list[str], str, bool]]:
    """Every reason once, with the runs that it is of: (names, reason, unfinished)."""
    reasons: dict[tuple[str, bool], list[str]] = {}
    for problem in problems:
        reasons.setdefault((problem.text, problem.unfinished), []).append(problem.run)
    return [(names, text, unfinished) for (text, unfinished), names in reasons.items()]
