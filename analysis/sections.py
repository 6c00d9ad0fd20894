"""The sections of a report's page.

Each function makes one section, with its tables and the values of its template, or None
if the page has no such section. `add_sections` then draws the sections' figures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

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
)
from featurestack.analysis.findings import Ranked
from featurestack.analysis.page import SHOWN_RUNS, Report, Section
from featurestack.analysis.report_tables import (
    classes_shown,
    common_mistake,
    confusion_by_category,
    confusion_table,
    error_table,
    foreign_table,
    settings,
)
from featurestack.analysis.run_arrays import Problem
from featurestack.base import extras
from featurestack.base.errors import RequestError
from featurestack.base.quantities import count, counted, duration, percent
from featurestack.base.registry import object_at
from featurestack.base.shell import make_command, without
from featurestack.base.terminal import progress
from featurestack.compare.scores import Estimate
from featurestack.linear.ridge import SURE, share_of_sure
from featurestack.results.run_folder import FOREIGN_FILE, RunFolder

# columns of the comparison: name of the cost, heading, kind of cell
COSTS = (
    ("parameters", "Parameters", "count"),
    ("fold_seconds", "Training, per fold", "seconds"),
    ("trained_on", "On", "text"),
    ("cache_megabytes", "Cache MB", "count"),
)
MOST_ERRORS = 10  # shown of each class and kind, of several labels
SETS_IN_CLASSES = 6  # columns of the table of classes


def first_screen(report: Report) -> Section:
    """The headline, its chart, and the errors of the best run."""
    found, cache = report.found, report.cache
    synthetic = any(run.config.synthetic for run in found.runs)
    values: dict[str, object] = {
        "facts": data_facts(cache) if cache else {},
        "synthetic": synthetic or (cache and cache.synthetic),
    }
    if not found.main:
        return Section("first_screen", "", values=values)
    best = found.best.run
    chart: Sequence[tuple[str, Estimate, str, str]] = [
        (own.label, own.score, own.verdict, own.name) for own in found.ranked
    ]
    title = f"{found.main.metric.heading} by feature set, %"
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
        matrix = confusion_by_category(best)
        browser = next(
            own.values for own in report.sections if own.template == "errors"
        )
        values |= {
            "confusion": matrix["counts"],
            "classes": matrix["classes"],
            "shown_classes": classes_shown(matrix["counts"]),
            "mistake": common_mistake(best),
            "audio": browser["audio"],
        }
    return Section("first_screen", "", values=values)


def comparison(report: Report) -> Section:
    """The runs next to each other."""
    found = report.found
    assert found.main, "runs that are compared have a ranking"
    costs = [own.cost for own in found.every]
    scores = [own.scores for own in found.ranked]
    values = {
        "no_intervals": not any(own.difference.bounded for own in found.ranked),
        "scores": {
            name: score
            for name, score in found.main.metric.scores.items()
            if name != found.main.metric.name
            and any(known(row.get(name)) for row in scores)
        },
        "cost_columns": [
            column for column in COSTS if any(known(own[column[0]]) for own in costs)
        ],
    }
    return Section("comparison", "Comparison", values=values)


def classes(report: Report) -> Section | None:
    """The classes of the best run, and each class's score by the best run and the
    feature sets of one model.
    """
    found = report.found
    assert found.main, "classes are those of a ranking"
    metric = found.main.metric
    others = [own for own in found.alike or found.ranked if own is not found.best]
    compared = [found.best, *others][:SETS_IN_CLASSES]
    # columns are numbered, because a run may have the name of another column
    scores = {}
    columns: list[tuple[int | str, str, str]] = [("class", "Class", "text")]
    for place, own in enumerate(compared):
        table = found.tables[f"{own.name}.classes"].set_index("class")
        scores[place] = table[metric.class_score]
        columns.append((place, f"{own.label} %", "percent"))
    by_class = pd.DataFrame(scores)
    if len(compared) > 1:
        by_class["lead"] = by_class[0] - by_class[1]
        columns.append(("lead", "First minus second, points", "points"))
    by_class = by_class.reset_index()
    values = {"by_class": by_class, "by_class_columns": columns}
    return Section("classes", "Classes", values=values)


def known(value: object) -> bool:
    return value != "" and bool(pd.notna(value))


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
                "foreign",
                "None of the classes",
                tables={f"{folder.name}.foreign": foreign_table(counts)},
                values={"run": folder.name},
                leads={label: f"{percent(share)} %"},
            )
    return None


def error_browser(report: Report) -> Section:
    """The error browser: clips, their images and audio."""
    runs, cache = report.found.runs, report.cache
    difficulty = clip_difficulty(runs)
    clips = [*difficulty.index]
    wrong = [*difficulty.index[difficulty["wrong"] > 0]]
    mistake = common_mistake(runs[0])
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
        "confusion": confusion_by_category(runs[0])["counts"],
    }
    return Section("errors", "Errors", values=values)


def errors_of_tags(report: Report) -> Section:
    """The clips on which the best run errs most, with their audio."""
    best = report.found.runs[0]
    table = error_table(best)
    by_kind = table.groupby(["class", "kind"], sort=False)
    shown = by_kind.head(MOST_ERRORS)
    clips = [*dict.fromkeys(shown["clip_id"])]
    audio = {}
    if report.cache:
        audio = clip_audio(report.cache, clips, clips, report.job.folder)
    return Section(
        "tag_errors",
        "Errors",
        tables={f"{best.name}.errors": table},
        values={"audio": audio, "errors": table, "most": MOST_ERRORS},
    )


def runs(report: Report) -> Section:
    """The facts and settings of the best runs."""
    found = report.found
    matrices = {
        f"{run.name}.confusion": confusion_table(run)
        for run in found.runs
        if not run.metric.multilabel
    }
    given = report.job.given
    shown = []
    for own in found.every[:SHOWN_RUNS]:
        again, seeds = "", " ".join(map(str, own.run.seeds))
        if own.run.config.command:  # an answer has none
            words = [f"FEATURES={own.run.features}"]
            words += without(own.run.config.command, "FEATURES")
            words += [f"SEED={seeds}"] if seeds != "0" else []
            again = make_command("train", *given, *words)
        shown.append((own, run_facts(own), settings(own.run), again))
    values = {"shown": shown, "more": len(found.every[SHOWN_RUNS:])}
    return Section("runs", "Runs", tables=matrices, values=values)


def run_facts(own: Ranked) -> dict[str, str]:
    """Facts of one run that are known: heading -> text."""
    run, model = own.run, own.run.model
    if parameters := own.cost["parameters"]:
        model += f", {count(parameters)} parameters"
    machine: list[str | None] = []
    if at := run.config.machine:
        machine = [at.processor, counted(at.cores, "core") if at.cores else "", at.gpu]
    if run.config.computed:
        machine.append(run.config.computed.precision)
    seconds = own.cost["fold_seconds"]
    seeds = "none: an exact solution" if run.exact else ", ".join(map(str, run.seeds))
    facts = {
        "Folds": f"{own.n} of {len(run.config.folds)}",
        "Seeds" if len(run.seeds) > 1 else "Seed": seeds,
        "Protocol": run.protocol,
        "Model": model,
        "Training, per fold": duration(seconds) if known(seconds) else "",
        "Machine": ", ".join(filter(None, machine)),
    }
    return {heading: text for heading, text in facts.items() if text}


def data(report: Report) -> Section | None:
    """The dataset: facts, and the clips of each class and fold."""
    if report.cache is None:
        return None
    return Section(
        "data",
        "Data",
        tables={"clips": clips_by_fold(report.cache)},
        values={"data_facts": data_facts(report.cache)},
    )


# section or task -> its function, loaded for a page that has runs of the task, or such
# files below the dataset's runs
SUBJECTS = {
    "answer": ("featurestack.answers.section:answer", "answer/*.json"),
    "foreign": ("featurestack.analysis.sections:foreign", f"*/fold*/{FOREIGN_FILE}"),
    **extras.SECTIONS,
}


def add_sections(report: Report) -> None:
    """Make all sections of the page, in their order."""
    found = report.found
    made: list[Section | None] = []
    if found.main:
        multilabel = found.main.metric.multilabel
        made = [
            comparison(report),
            classes(report),
            Section("ablations", "Ablations") if found.gains else None,
            error_browser(report) if not multilabel else None,
            errors_of_tags(report) if multilabel else None,
            runs(report),
        ]
    folders = {report.job.runs_folder / report.job.dataset}
    folders |= {folder.path.parent for run in found.runs for folder in run.folders}
    for name, (place, files) in SUBJECTS.items():
        if files and any(any(folder.glob(files)) for folder in folders):
            try:
                section = object_at(place)(report)
            except RequestError as error:  # its file is damaged
                problem = Problem(name, str(error), "damaged")
                section = Section("", "", problems=[problem])
            # what chose the features comes first
            made.insert(0 if name == "answer" else len(made), section)
    made.append(data(report))
    if found.main:
        made.append(Section("method", "Method"))
    again = make_command("analysis", *report.job.given)
    made.append(Section("files", "Files", values={"again": again}))
    report.sections += [section for section in made if section]
    report.sections.insert(0, first_screen(report))
    figures = [
        each for own in report.sections for each in figures_of(report, own.template)
    ]
    for name, stem, arrays in progress(figures, label="drawing", unit="figures"):
        report.draw(name, stem, arrays)


def figures_of(
    report: Report, section: str
) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The figures of a section, each with the stem of its files and its data; those of
    an extra are entered with it.
    """
    return [
        (name, stem, arrays)
        for name, figure in FIGURES.items()
        if section and figure.section == section
        if report.job.for_print or not figure.print_only
        for stem, arrays in figure.data(report).items()
    ]
