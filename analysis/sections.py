"""The sections of a report's page.

Each function makes one section: it submits the section's figures and returns its tables
and the values of its template, or None if the page has no such section.

In the forest plot of the first screen, a dot is hollow if its run does not differ
clearly from the best of the ranking.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.analysis import error_browser as browser
from featurestack.analysis.clips import Audio, clip_audio, features_to_show, thumbnails
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.findings import Findings, Row
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report_inputs import ReportJob
from featurestack.analysis.report_warnings import failures
from featurestack.analysis.runs import Problem, Run
from featurestack.analysis.tables import (
    accuracy_by_recording,
    classes_shown,
    common_mistake,
    confusion_by_category,
    confusion_table,
)
from featurestack.commandline.quantities import (
    count,
    counted,
    duration,
    percent,
    plural,
    rounded,
    size,
)
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.index import WHOLE
from featurestack.features_cache.table import (
    by_label,
    classes_in,
    has_windows,
    originals,
)

# columns of the comparison: of the data frame, heading, kind of cell
COSTS = (
    ("parameters", "Parameters", "count"),
    ("fold_seconds", "Training, per fold", "seconds"),
    ("trained_on", "On", "text"),
    ("extraction_seconds", "Extraction", "seconds"),
    ("extraction_megabytes", "Cache MB", "count"),
)
# column -> its heading among the facts of a run
SCORES = {
    "macro_auroc": "Macro AUROC",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss",
}
SHOWN_RUNS = 3  # the page has settings, figures and classes of the best runs
# a group with fewer says little: the page folds these
FEW_CLIPS = 3
FEW_RECORDINGS = 30  # the accuracy of each recording is shown only if there are fewer


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the page."""

    # its name without .html, and the section's id; '' if nothing of it is on the page
    template: str
    title: str  # in the page's navigation
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    # name -> a value for the templates
    values: Mapping[str, object] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    # heading -> sentences that the first screen shows
    leads: Mapping[str, str] = field(default_factory=dict)
    # the command to propose next, and its reason, in place of the report's own
    proposal: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class PageInputs:
    """The inputs of a page's sections."""

    job: ReportJob
    options: AnalysisOptions
    writer: FigureWriter
    found: Findings
    cache: Cache | None
    features: Sequence[str]  # cached and readable


def comparison(page: PageInputs) -> Section:
    """The runs next to each other; a single one has a figure for papers only."""
    found = page.found
    if len(found.rows) > 1 or page.writer.for_print:
        from featurestack.analysis.figures.comparison import submit_comparison

        submit_comparison(page.writer, found)
    rows = pd.DataFrame(found.rows)
    costs = found.tables["runs"].replace("", None).dropna(axis=1, how="all")
    balanced = rows.get("balanced_accuracy", rows["accuracy"]).fillna(rows["accuracy"])
    known = rows.dropna(axis=1, how="all")
    values = {
        "uneven": (balanced.map(percent) != rows["accuracy"].map(percent)).any(),
        "no_intervals": "difference_low" not in known,
        "score_columns": [
            column
            for column in found.runs[0].task.metric.score_columns
            if column[0] in known
        ],
        "cost_columns": [column for column in COSTS if column[0] in costs],
    }
    values |= first_screen_values(found)
    return Section("comparison", "Comparison", values=values)


def first_screen_values(found: Findings) -> dict[str, object]:
    """The template's values: forest plot, small matrix, common mistake."""
    best = found.runs[0]
    axis: dict[str, object] = {
        "forest": [row | {"name": row["label"]} for row in found.rows],
        "ticks": axis_of(found.rows, found.chance),
    }
    if best.task.metric.errors != "confusion":
        return axis
    counts = confusion_by_category(best)["counts"]
    return axis | {
        "confusion": counts,
        "shown_classes": classes_shown(counts),
        "mistake": common_mistake(best),
    }


def axis_of(rows: Sequence[Row], chance: float) -> range:
    """The forest plot's ticks, in whole tens of percent."""
    columns = ["accuracy", "accuracy_low", "accuracy_high"]
    accuracy = pd.DataFrame([*rows])[columns]
    numbers = accuracy.assign(chance=chance).to_numpy(float)
    low = int(np.floor(10 * np.nanmin(numbers)))
    high = int(np.ceil(10 * np.nanmax(numbers)))
    return range(10 * min(low, high - 1), 10 * high + 1, 10)


def recordings(page: PageInputs) -> Section | None:
    """The accuracy of each recording, if they are few and have several clips."""
    main = page.found.main
    if main is None or main.metric.pooled:
        return None
    if page.found.recordings >= min(FEW_RECORDINGS, len(main.best.clip_ids)):
        return None
    table = accuracy_by_recording(main, SHOWN_RUNS)
    return Section(
        "recordings",
        plural(page.found.group),
        tables={"accuracy_by_recording": table},
        values={"few_clips": FEW_CLIPS},
    )


def errors(page: PageInputs) -> Section | None:
    """The errors of clips, if the task leaves them to the report."""
    kind = page.found.runs[0].task.metric.errors
    if kind == "confusion":
        return error_browser(page)
    return errors_of_tags(page) if kind == "labels" else None


def error_browser(page: PageInputs) -> Section:
    """The error browser: clips, their images and audio."""
    runs, cache = page.found.runs, page.cache
    difficulty = browser.clip_difficulty(runs)
    clips = [*difficulty.index]
    wrong = [*difficulty.index[difficulty["wrong"] > 0]]
    mistake = common_mistake(runs[0])
    examples = [mistake["wrong"], mistake["right"]] if mistake else []
    audio = audio_of(page, clips, [*dict.fromkeys([*examples, *wrong])])
    shown: list[str] = []
    images: Mapping[str, object] = {}
    if cache:
        sets = [
            run.choice.recommended if run.choice else run.features
            for run in runs
            if not run.foreign
        ]
        shown = features_to_show(cache, page.features, sets)
        images = thumbnails(cache, shown, clips)
    data = browser.browser_data(runs, difficulty, shown, audio.links)
    values: dict[str, object] = {"audio": audio, "wrong": wrong, "images": images}
    values["browser"] = {"group": page.found.group, **data}
    return Section("errors", "Errors", values=values)


def errors_of_tags(page: PageInputs) -> Section:
    """The clips on which the best run errs most, with their audio."""
    from featurestack.scores.tags import error_table

    best = page.found.runs[0]
    table = error_table(best)
    clips = [*dict.fromkeys(table["clip_id"])]
    audio = audio_of(page, clips, clips)
    return Section(
        "tag_errors",
        "Errors",
        tables={f"{best.name}.errors": table},
        values={"audio": audio, "errors": table},
    )


def audio_of(page: PageInputs, clips: Sequence[str], wanted: Sequence[str]) -> Audio:
    """The clips' audio, the `wanted` embedded; none without a cache."""
    if page.cache is None:
        return Audio({}, {})
    return clip_audio(page.cache, clips, wanted, page.writer.own)


def run_figures(page: PageInputs) -> Section:
    """Confusion matrices of all runs; settings and figures of SHOWN_RUNS, and of every
    run that RUN= names.
    """
    runs = page.found.runs
    for run in runs if page.options.run else runs[:SHOWN_RUNS]:
        submit_run(page.writer, run)
    matrices = {
        f"{run.name}.confusion": confusion_table(run)
        for run in runs
        if run.task.metric.errors == "confusion"
    }
    values = {"shown_runs": SHOWN_RUNS}
    return Section("runs", "Runs", tables=matrices, values=values)


def fold_histories(run: Run) -> dict[int, pd.DataFrame]:
    """Fold -> mean learning curve of the seeds; empty without two epochs."""
    by_epoch = run.history.drop(columns="seed").groupby(["fold", "epoch"])
    mean = by_epoch.mean().reset_index()
    if mean["epoch"].nunique() <= 1:
        return {}
    return dict(list(mean.groupby("fold")))


def submit_run(writer: FigureWriter, run: Run) -> None:
    """Submit the figures of one run; papers have its confusion matrix."""
    if history := fold_histories(run):
        metric = run.task.metric
        writer.submit(
            "learning_curves",
            f"{run.name}.curves",
            history=history,
            title=f"{metric.title} of the fold" if metric.pooled else metric.title,
        )
    if run.task.metric.errors == "confusion" and writer.for_print:
        matrix = confusion_by_category(run)
        writer.submit("confusion_matrix", f"{run.name}.confusion", **matrix)


def run_facts(run: Run, row: Row) -> dict[str, str]:
    """Facts of one run that are known: heading -> text; `row` as in `Findings`."""
    model = run.model
    if pd.notna(row["parameters"]):
        model += f", {count(row['parameters'])} parameters"
    machine: list[str | None] = []
    if at := run.config.machine:
        machine = [at.processor, f"{at.cores} cores" if at.cores else "", at.gpu]
    if run.config.computed:
        machine.append(run.config.computed.precision)
    balanced = row.get("balanced_accuracy", np.nan)
    unlike = pd.notna(balanced) and percent(balanced) != percent(row["accuracy"])
    scores = {
        heading: rounded(row[name])
        for name, heading in SCORES.items()
        if pd.notna(row.get(name, np.nan))
    }
    seconds = row["fold_seconds"]
    seeds = "none: an exact solution" if run.exact else ", ".join(map(str, run.seeds))
    facts = {
        "Balanced accuracy": f"{percent(balanced)} %" if unlike else "",
        **scores,
        "Folds": f"{row['n']} of {len(run.config.folds)}",
        "Seeds" if len(run.seeds) > 1 else "Seed": "" if run.foreign else seeds,
        "Protocol": run.protocol,
        "Model": "" if run.foreign else model,
        "Training, per fold": duration(seconds) if pd.notna(seconds) else "",
        "Machine": ", ".join(filter(None, machine)),
    }
    return {heading: text for heading, text in facts.items() if text}


def data(page: PageInputs) -> Section | None:
    """The dataset: facts, and the clips of each class and fold."""
    if page.cache is None:
        return None
    return Section(
        "data",
        "Data",
        tables={"clips": clips_by_fold(page.cache)},
        values={"data_facts": data_facts(page.cache)},
    )


def data_facts(cache: Cache) -> dict[str, str]:
    """Facts of the dataset: name -> text, which is '' if a fact does not apply."""
    clips = originals(cache.clips)
    files = cache.folder.glob("*.h5")
    used = sum(file.stat().st_size for file in files if file.is_file())
    more = len(cache.clips) - len(clips)
    failed = failures(cache)
    untested = len(failed.pop(WHOLE, ()))
    single = ", ".join(
        f"{name} of {counted(len(ids), 'clip')}" for name, ids in failed.items()
    )
    groups = plural(cache.groups or "source recording")
    each = ""
    if not cache.groups and clips["group"].is_unique:
        each = ", each clip counted as one"
    drawn = (cache.folder.parent / "folds.csv").exists()
    own = "" if drawn else ", the dataset's own"
    of_recordings = ""
    if has_windows(clips):
        of_recordings = f" of {counted(clips['path'].nunique(), 'recording')}"
    only_trained = f" and {more:,} only trained on" if more else ""
    return {
        "Clips": f"{len(clips):,}{of_recordings}{only_trained}",
        "Classes": str(len(classes_in(clips))),
        "Clips that failed": (
            f"{untested:,}, so {len(clips) - untested:,} are tested" if untested else ""
        ),
        "Features that failed": (
            f"{single}; a run without the feature tests these clips" if single else ""
        ),
        groups[0].upper() + groups[1:]: f"{clips['group'].nunique():,}{each}",
        "Folds": f"{clips['fold'].nunique()}{own}",
        "A clip": f"{cache.duration:g} s at {cache.sample_rate:,} Hz"
        + (f", channel {cache.audio_channel}" if cache.audio_channel else ""),
        "Features cached": f"{len(cache.features)}, {size(used)}",
        # only the name: the page is passed on, its machine's folders are not
        "Source": Path(str(cache.settings.get("source", ""))).name,
    }


def clips_by_fold(cache: Cache) -> pd.DataFrame:
    """The clips of each class in each fold, by category, then by class."""
    each = by_label(originals(cache.clips))
    counts = pd.crosstab([each["category"], each["label"]], each["fold"])
    counts = counts.droplevel(0).rename(index={"": "(none)"})
    return counts.rename(columns=lambda fold: f"fold{fold}").reset_index()


# section, or the task whose runs it is of -> its function, loaded for a page that has
# such runs or such files below the dataset's runs
SUBJECTS = {
    "answer": ("featurestack.answers.section:answer", "answer/*.json"),
    "importance": (
        "featurestack.feature_importance.section:importance",
        "importance/*.json",
    ),
    "stress": ("featurestack.robustness:stress_section", "*/stress.json"),
    "events": ("featurestack.sound_events.section:events", ""),
}


def sections_of_subjects(page: PageInputs) -> list[Section | None]:
    """The sections of SUBJECTS, by the tasks of the runs or by files next to them."""
    folders = {page.options.runs / page.job.dataset}
    for run in page.found.runs:
        folders |= {folder.path.parent for folder in run.folders}
    tasks = {run.task.name for run in page.found.runs}
    made = []
    for name, (place, files) in SUBJECTS.items():
        if name in tasks or (
            files and any(any(folder.glob(files)) for folder in folders)
        ):
            module, _, function = place.partition(":")
            made.append(getattr(importlib.import_module(module), function)(page))
    return made


def page_sections(page: PageInputs) -> list[Section]:
    """All sections of the page in their order."""
    found = page.found
    made: list[Section | None] = []
    if found.main:
        made = [
            comparison(page),
            Section("classes", "Classes") if found.runs[0].task.metric.errors else None,
            recordings(page),
            Section("ablations", "Ablations") if found.gains else None,
            errors(page),
            run_figures(page),
        ]
    made += [*sections_of_subjects(page), data(page)]
    if found.runs:
        made.append(Section("method", "Method"))
    made.append(Section("files", "Files"))
    return [section for section in made if section]
