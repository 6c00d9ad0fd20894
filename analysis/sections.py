"""The sections of a report's page, in its order.

Each function makes one section, with its tables and the values of its template, or None
if the page has no such section. `@section` enters it in SECTIONS; its name is that of
the template and the section's id. `add_sections` then draws the sections' figures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featurestack.analysis.clips import (
    browser_data,
    clip_audio,
    clip_difficulty,
    clips_by_fold,
    data_facts,
    features_to_show,
    thumbnails,
)
from featurestack.analysis.figures import (
    FIGURES,
    drawn,  # noqa: F401  enters the figures
    is_far,
    write_figure,
)
from featurestack.analysis.figures.drawn import without_shared
from featurestack.analysis.findings import Ranked
from featurestack.analysis.page import SHOWN_RUNS, Report, Section
from featurestack.analysis.report import tables
from featurestack.analysis.report.runs import Problem
from featurestack.base import extras
from featurestack.base.errors import RequestError
from featurestack.base.quantities import count, counted, duration, percent
from featurestack.base.registry import Registry, object_at
from featurestack.base.shell import make_command, without
from featurestack.base.terminal import progress
from featurestack.comparison.scores import Estimate
from featurestack.results.run_folder import FOREIGN_FILE, RunFolder
from featurestack.ridge import SURE, share_of_sure

# columns of the comparison: name of the cost, heading, kind of cell
COSTS = (
    ("parameters", "Parameters", "count"),
    ("fold_seconds", "Training, per fold", "seconds"),
    ("trained_on", "On", "text"),
    ("cache_megabytes", "Cache MB", "count"),
)
MOST_ERRORS = 10  # shown of each class and kind, of several labels
SETS_IN_CLASSES = 6  # columns of the table of classes


class Place(NamedTuple):
    """Where the function of a section is, and for which reports it is called."""

    function: str  # module:name
    files: str = ""  # a pattern of files among the dataset's runs
    ranked: bool = False  # only for reports that rank runs


SECTIONS: Registry[Place] = Registry("section of the report")


def section(
    *, files: str = "", ranked: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function that makes a section, whose place on the page is the next."""
    return SECTIONS.register(
        entry=lambda make: Place(f"{make.__module__}:{make.__name__}", files, ranked)
    )


@section()
def first_screen(report: Report) -> Section:
    """The headline, its chart, and the errors of the best run."""
    found, cache = report.found, report.cache
    synthetic = any(run.config.synthetic for run in found.runs)
    values: dict[str, object] = {
        "facts": data_facts(cache) if cache else {},
        "synthetic": synthetic or (cache and cache.synthetic),
    }
    if not found.main:
        return Section(values=values)
    best = found.best.run
    names, note = without_shared(
        [entry.label for entry in found.ranked],
        [entry.run.features for entry in found.ranked if entry.run.trained],
    )
    chart: Sequence[tuple[str, Estimate, str, str]] = [
        (name, entry.score, entry.verdict, entry.name)
        for name, entry in zip(names, found.ranked, strict=True)
    ]
    title = f"{found.main.metric.heading} by feature set, %{note}"
    for section in report.sections:
        if section.chart:
            chart, title = section.chart, section.chart_title
    chart = sorted(chart, key=lambda bar: -bar[1].value)
    ends = [(score.value, score.low, score.high) for _, score, *_ in chart]
    if not is_far(found.main.chance, np.nanmin(ends), np.nanmax(ends)):
        ends.append((found.main.chance, np.nan, np.nan))
    tens = 10 * np.array(ends)
    low, high = int(np.floor(np.nanmin(tens))), int(np.ceil(np.nanmax(tens)))
    ticks = range(10 * min(low, high - 1), 10 * high + 1, 10)  # tens of percent
    values |= {"chart": chart, "chart_title": title, "ticks": ticks}
    if not best.metric.multilabel:
        matrix = tables.confusion_by_category(best)
        browser = next(
            each.values for each in report.sections if each.template == "errors"
        )
        values |= {
            "confusion": matrix["counts"],
            "classes": matrix["classes"],
            "shown_classes": tables.classes_shown(matrix["counts"]),
            "mistake": tables.common_mistake(best),
            "audio": browser["audio"],
        }
    return Section(values=values)


SECTIONS["answer"] = Place("featurestack.answers.section:answer", "answer/*.json")


@section(ranked=True)
def comparison(report: Report) -> Section:
    """The runs next to each other."""
    found = report.found
    assert found.main, "runs that are compared have a ranking"
    costs = [entry.cost for entry in found.every]
    scores = [entry.scores for entry in found.ranked]
    values = {
        "no_intervals": not any(entry.difference.bounded for entry in found.ranked),
        "scores": {
            name: score
            for name, score in found.main.metric.scores.items()
            if name != found.main.metric.name
            and any(known(row.get(name)) for row in scores)
        },
        "cost_columns": [
            column
            for column in COSTS
            if any(known(entry[column[0]]) for entry in costs)
        ],
    }
    return Section("Comparison", values=values)


@section(ranked=True)
def classes(report: Report) -> Section:
    """Each class by the best run, and by the feature sets of one model."""
    found = report.found
    assert found.main, "classes are those of a ranking"
    metric = found.main.metric
    others = [entry for entry in found.alike or found.ranked if entry is not found.best]
    compared = [found.best, *others][:SETS_IN_CLASSES]
    # columns are numbered, because a run may have the name of another column
    scores = {}
    columns: list[tuple[int | str, str, str]] = [("class", "Class", "text")]
    for place, entry in enumerate(compared):
        table = found.tables[f"{entry.name}.classes"].set_index("class")
        scores[place] = table[metric.class_score]
        columns.append((place, f"{entry.label} %", "percent"))
    by_class = pd.DataFrame(scores)
    if len(compared) > 1:
        by_class["lead"] = by_class[0] - by_class[1]
        columns.append(("lead", "First minus second, points", "points"))
    by_class = by_class.reset_index()
    values = {"by_class": by_class, "by_class_columns": columns}
    return Section("Classes", values=values)


def known(value: object) -> bool:
    return value != "" and bool(pd.notna(value))


@section(ranked=True)
def ablations(report: Report) -> Section | None:
    """What more features gain."""
    return Section("Ablations") if report.found.gains else None


@section(ranked=True)
def errors(report: Report) -> Section | None:
    """The error browser: clips, their images and audio."""
    runs, cache = report.found.runs, report.cache
    if runs[0].metric.multilabel:
        return None
    difficulty = clip_difficulty(runs)
    clips = [*difficulty.index]
    wrong = [*difficulty.index[difficulty["wrong"] > 0]]
    mistake = tables.common_mistake(runs[0])
    examples = [mistake["wrong"], mistake["right"]] if mistake else []
    shown: list[str] = []
    images: Mapping[str, object] = {}
    audio: dict[str, str] = {}
    if cache:
        wanted = [*dict.fromkeys([*examples, *wrong])]
        audio = clip_audio(cache, clips, wanted, report.job.folder)
        sets = [run.features for run in runs if run.trained]
        shown = features_to_show(cache, report.features, sets)
        images = thumbnails(cache, shown, clips)
    data = browser_data(runs, difficulty, shown, audio)
    values: dict[str, object] = {
        "audio": audio,
        "wrong": wrong,
        "images": images,
        "browser": {"group": report.found.group, **data},
        "confusion": tables.confusion_by_category(runs[0])["counts"],
    }
    return Section("Errors", "Error browser", values=values)


@section(ranked=True)
def tag_errors(report: Report) -> Section | None:
    """The clips with several labels on which the best run errs most, with audio."""
    best = report.found.runs[0]
    if not best.metric.multilabel:
        return None
    table = tables.error_table(best)
    by_kind = table.groupby(["class", "kind"], sort=False)
    shown = by_kind.head(MOST_ERRORS)
    clips = [*dict.fromkeys(shown["clip_id"])]
    audio = {}
    if report.cache:
        audio = clip_audio(report.cache, clips, clips, report.job.folder)
    return Section(
        "Errors",
        "Errors by class",
        tables={f"{best.name}.errors": table},
        values={"audio": audio, "errors": table, "most": MOST_ERRORS},
    )


@section(ranked=True)
def runs(report: Report) -> Section:
    """The facts and settings of the best runs."""
    found = report.found
    matrices = {}
    for run in found.runs:
        if not run.metric.multilabel:
            true = pd.Index(run.classes, name="true / predicted")
            matrix = pd.DataFrame(tables.confusion_counts(run), true, [*run.classes])
            matrices[f"{run.name}.confusion"] = matrix.reset_index()
    given = report.job.given
    shown = []
    for entry in found.every[:SHOWN_RUNS]:
        again, seeds = "", " ".join(map(str, entry.run.seeds))
        if entry.run.config.command:  # an answer has none
            words = [f"FEATURES={entry.run.features}"]
            words += without(entry.run.config.command, "FEATURES")
            words += [f"SEED={seeds}"] if seeds != "0" else []
            again = make_command("train", *given, *words)
        shown.append((entry, run_facts(entry), tables.settings(entry.run), again))
    values = {"shown": shown, "more": len(found.every[SHOWN_RUNS:])}
    return Section("Runs", tables=matrices, values=values)


def run_facts(entry: Ranked) -> dict[str, str]:
    """Facts of one run that are known: heading -> text."""
    run, model = entry.run, entry.run.model
    if parameters := entry.cost["parameters"]:
        model += f", {count(parameters)} parameters"
    machine: list[str | None] = []
    if at := run.config.machine:
        machine = [at.processor, counted(at.cores, "core") if at.cores else "", at.gpu]
    if run.config.computed:
        machine.append(run.config.computed.precision)
    seconds = entry.cost["fold_seconds"]
    seeds = ", ".join(map(str, run.seeds))
    if run.folders[0].seedless:
        seeds = "none: an exact solution"
    facts = {
        "Folds": f"{entry.n} of {len(run.config.folds)}",
        "Seeds" if len(run.seeds) > 1 else "Seed": seeds,
        "Protocol": run.protocol,
        "Model": model,
        "Training, per fold": duration(seconds) if known(seconds) else "",
        "Machine": ", ".join(filter(None, machine)),
    }
    return {heading: text for heading, text in facts.items() if text}


@section(files=f"*/fold*/{FOREIGN_FILE}")
def foreign(report: Report) -> Section | None:
    """What the best model that can leave classes out, of an answer the recommended one,
    makes of clips of none of its classes.
    """
    for run in report.found.runs:
        folder = run.folders[0]
        if run.members:
            folder = RunFolder(folder.path.with_name(run.members[0]))
        counts = folder.foreign() if folder.path.is_dir() else None
        if counts is not None:
            label = f"Clips of a class left out that get {100 * SURE:.0f} % or more"
            share = share_of_sure(counts.to_numpy())
            return Section(
                "None of the classes",
                "Sounds of none of the classes",
                tables={f"{folder.name}.foreign": tables.foreign_table(counts)},
                values={"run": folder.name},
                leads={label: f"{percent(share)} %"},
            )
    return None


for name, (function, files_of_extra) in extras.SECTION_PLACES.items():
    SECTIONS[name] = Place(function, files_of_extra)


@section()
def data(report: Report) -> Section | None:
    """The dataset: facts, and the clips of each class and fold."""
    if report.cache is None:
        return None
    return Section(
        "Data",
        tables={"clips": clips_by_fold(report.cache)},
        values={"data_facts": data_facts(report.cache)},
    )


@section(ranked=True)
def method(report: Report) -> Section:
    """How everything was computed."""
    return Section("Method", "How it was computed")


@section()
def files(report: Report) -> Section:
    """The files of the report, and the command that makes it again."""
    again = make_command("analysis", *report.job.given)
    return Section("Files", values={"again": again})


def add_sections(report: Report) -> None:
    """Make the sections of the page, the first one last: it shows what the others
    found. Draw their figures.
    """
    found = report.found
    folders = {report.job.runs_folder / report.job.dataset}
    folders |= {folder.path.parent for run in found.runs for folder in run.folders}
    first, *others = SECTIONS
    for name in (*others, first):
        function, files, ranked = SECTIONS[name]
        there = not files or any(any(folder.glob(files)) for folder in folders)
        if not there or (ranked and not found.main):
            continue
        try:
            made = object_at(function)(report)
        except RequestError as error:
            if not files:
                raise
            # a file of the section is damaged
            problem = Problem(name, str(error), damaged=True)
            report.sections.append(Section(problems=[problem]))
            continue
        if made:
            place = 0 if name == first else len(report.sections)
            report.sections.insert(place, replace(made, template=name))
    figures = []
    for made in report.sections:
        for name, figure in FIGURES.items():  # an extra's is entered with its section
            wanted = report.job.for_print or not figure.print_only
            if wanted and made.template and figure.section == made.template:
                figures += [(name, *each) for each in figure.data(report).items()]
    words = {"unit": found.unit, "score": report.score}
    for name, stem, arrays in progress(figures, label="drawing", unit="figures"):
        report.drawn[stem] = write_figure(
            report.own_files,
            name,
            stem,
            arrays,
            for_print=report.job.for_print,
            **words,
        )
