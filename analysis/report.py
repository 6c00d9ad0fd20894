"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained and nothing is written outside the report's folder. Where nothing changed since the
last time nothing is done, and the half about the data is kept for as long as the cache and the gallery's
audio files do not change.
"""

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from analysis import error_browser, inputs, page
from analysis.answer import listed
from analysis.clips import Media, features_to_show, media_of, readable_cache
from analysis.comparison import comparison_blocks, comparison_rows, interval_axis, statistics_blocks
from analysis.data import data_blocks, data_facts
from analysis.extras.gallery import Gallery, gallery_figures, gallery_from_json, make_gallery
from analysis.figures import save_figure
from analysis.figures.drawing import uncovered
from analysis.findings import Findings, findings
from analysis.first_screen import by_reason, common_mistake, first_screen
from analysis.inputs import ReportJob
from analysis.next_command import next_command
from analysis.options import AnalysisOptions
from analysis.page import Block, blocks_from_json, blocks_to_json
from analysis.ranking import level_sentence
from analysis.results import Problem, Run, load_runs, outdated_runs
from analysis.run import RunSection, augmentation_figure, choose_samples, importance_blocks, run_section
from analysis.tables import as_latex, write_table
from commandline.files import replace_file
from commandline.options import make_command
from commandline.terminal import Stages
from features_cache import Cache
from features_cache.splits import untrainable

REMARKED = 5  # runs named in the terminal for one reason
DATA_STAMP = ".data.json"

Content = dict[str, Any]


@dataclass(frozen=True)
class ReportContext:
    """What every part of a report is made from."""

    job: ReportJob
    options: AnalysisOptions
    cache: Cache | None
    features: list[str]  # the cached ones that can be read
    stage: Stages

    @property
    def folder(self) -> Path:
        return self.job.folder

    @property
    def audio_mb(self) -> float:
        """Of the error browser, and of the gallery."""
        return self.options.audio_mb / 2

    def rng(self) -> np.random.Generator:
        """The same draws in every part, whatever the others drew."""
        return np.random.default_rng(self.options.seed)


def build_report(job: ReportJob, options: AnalysisOptions) -> inputs.Built:
    """Make the report of one dataset."""
    stage = Stages("report", 6)
    stage("reading the cache and the runs")
    hash_ = inputs.inputs_hash(job, options)  # before reading: what changes meanwhile is seen next time
    job.folder.mkdir(parents=True, exist_ok=True)
    before = inputs.report_files(job.folder)
    cache, features, damage = readable_cache(job.cache)
    context = ReportContext(job, options, cache, features, stage)
    content = _content(context, [Problem("cache", text, damaged=True) for text in damage])
    stage("page")
    target = job.folder / "index.html"
    replace_file(target, page.render(**content).encode("utf-8"))
    printed = {
        "headline": content["answer"].summary,
        "remarks": content["remarks"],
        "whole": content["whole"],
        "next_command": f"{content['next'].command}   ({content['next'].reason})",
    }
    audio = _gallery_audio(cache, content["gallery"])
    of_data = inputs.stamped_files(job.folder / DATA_STAMP) if cache else {}  # also where they were kept
    written = {target.name, *of_data} | inputs.written_since(job.folder, before)
    inputs.remove_left_over(job.folder, written)
    inputs.write_stamp(job.folder / inputs.STAMP, hash_, written, of_data, printed=printed, audio=audio)
    stage.end()
    return inputs.Built(target, **printed)


def _content(context: ReportContext, damage: list[Problem]) -> Content:
    """Every name that the page's templates use."""
    results = load_runs(context.job.runs)
    context.stage("statistics")
    outdated = [] if context.cache is None else outdated_runs(results.runs, context.cache.clips)
    changed = {problem.run for problem in outdated}
    found = findings(results, context.rng(), named=bool(context.options.run), outdated=changed)
    for name, table in found.tables.items():
        write_table(table, context.folder / "tables", name)
    of_runs = _runs(context, found) if found.runs else {"runs": []}
    context.stage("data")  # computed while other processes draw the figures of the runs
    facts, gallery, blocks = _data(context)
    if found.runs:
        _write_paper(context, found, of_runs)
    problems = [*damage, *found.problems, *outdated, *of_runs.pop("problems", [])]
    commands = of_runs.get("train_again", {})
    return {
        "dataset": context.job.dataset,
        "made": f"{datetime.now().astimezone():%d %B %Y, %H:%M}".removeprefix("0"),
        "synthetic": _synthetic(found.runs, context.cache),
        "answer": found.answer,
        "level": level_sentence(found.main) if found.main else "",
        "overview": found.overview,
        "next": next_command(
            context.job.given,
            found.main,
            found.answer.kind,
            found.answer.lacking,
            set(found.tables["attribution"]["of"]) if "attribution" in found.tables else (),
            {name: context.cache[name].frames for name in context.features} if context.cache else {},
            untrainable(context.cache.clips) if context.cache else "",
            [run for run in results.runs if run.name in changed],
        ),
        "remarks": _remarks(found.runs, problems, commands),
        "whole": not any(problem.damaged for problem in problems),
        **first_screen(found, context.job.dataset, facts, problems, of_runs.pop("players", {}), commands),
        "data_facts": facts,
        "gallery": gallery,
        "data": blocks,
        "command": make_command("analysis", *context.job.given),
        "versions": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        **of_runs,
    }


def _synthetic(runs: Sequence[Run], cache: Cache | None) -> bool:
    return any(run.synthetic for run in runs) or bool(cache and cache.synthetic)


def _remarks(runs: Sequence[Run], problems: Sequence[Problem], commands: Mapping[str, str]) -> list[str]:
    """What the terminal prints besides the answer."""
    remarks = [f"{listed(names, REMARKED)}: {text}" for names, text, _ in by_reason(problems, commands)]
    missing = uncovered(name for run in runs for name in run.classes)
    if missing:
        remarks.append(
            f"no installed font has {len(missing)} characters of the class names: PNG and PDF show boxes, "
            "the page does not (Debian: apt install fonts-noto-core fonts-noto-cjk)"
        )
    return remarks


def _players(media: Media, clips: error_browser.ClipDifficulty) -> dict[str, str]:
    """Clip id -> address of its audio: in the page where it is embedded, else the clip's own file."""
    embedded = {clips.ids[number]: f"data:audio/mpeg;base64,{text}" for number, text in media.audio}
    return media.links | embedded


def _runs(context: ReportContext, found: Findings) -> Content:
    """What the page shows where there are runs, and `problems` that were found on the way."""
    context.stage("clips")
    comparison = found.tables["comparison"]
    features = _shown_features(context, found.runs)
    clips = error_browser.clip_difficulty(found.runs)
    mistake = common_mistake(found.rankings[0].best)
    first = [clip for _, clip in mistake.clips] if mistake else []
    media = media_of(context.cache, features, clips, context.folder, context.audio_mb, first)
    browser = error_browser.browser_data(found.runs, clips, features=features, links=media.links)
    context.stage("figures")
    compared = comparison_blocks(found, context.folder)
    sections, problems = _sections(context, found, features)
    # Loaded here: reading this module should not need it.
    from analysis.extras import methods

    return {
        "comparison": comparison_rows(comparison, few=found.answer.kind == "too little data"),
        "scale": interval_axis(comparison),
        "comparison_blocks": compared,
        "browser_data": error_browser.in_script(browser),
        "matrix": error_browser.static_matrix(found.runs[0]),
        "browser_views": [view["name"] for view in browser["views"]],
        "media": media,
        "players": _players(media, clips),
        "runs": sections,
        "drawn": context.options.figures,
        "statistics": statistics_blocks(found, context.folder),
        "methods": methods.methods_text(found.main) if found.main else "",
        "train_again": {run.name: methods.train_again(run, _where(context)) for run in found.runs},
        "problems": problems,
    }


def _where(context: ReportContext) -> list[str]:
    """The words that name the dataset and the folders."""
    return [word for word in context.job.given if not word.startswith("RUN=")]


def _write_paper(context: ReportContext, found: Findings, of_runs: Content) -> None:
    """The comparison for LaTeX, and a document with the figures of the comparison and of the best run."""
    # Loaded here: few reports end in a paper, and reading this module should not need it.
    from analysis.extras import latex

    file = context.folder / "tables" / "comparison.tex"
    replace_file(file, as_latex(latex.paper_comparison(found.tables["comparison"])).encode("utf-8"))
    best: RunSection = of_runs["runs"][0]
    blocks = [*of_runs["comparison_blocks"], Block("", figures=best.figures), *best.blocks]
    drawn = [*(saved for block in blocks for saved in block.figures), *best.beside]
    figures = [(saved.caption, saved.file("pdf", context.folder)) for saved in drawn]
    latex.write_document(context.folder / "latex", context.job.dataset, found, figures)


def _shown_features(context: ReportContext, runs: Sequence[Run]) -> list[str]:
    if context.cache is None or not context.features:
        return []
    return features_to_show(context.cache, context.features, [run.features for run in runs])


def _sections(
    context: ReportContext, found: Findings, features: Sequence[str]
) -> tuple[list[RunSection], list[Problem]]:
    """A section a run, with figures for the best of them, and what could not be read for those."""
    rates = context.options.confusion == "rates"
    made, problems = [], []
    rows = found.tables["comparison"].to_dict("records")
    for number, (run, row) in enumerate(zip(found.runs, rows, strict=True)):
        drawn = number < context.options.figures
        one = run_section(run, row, context.folder, drawn=drawn, rates=rates)
        one.blocks[:0] = importance_blocks(
            run, found.tables.get("attribution"), found.tables.get("additions"), context.folder
        )
        if drawn:
            figures, damage = augmentation_figure(run, context.folder)
            problems += damage
            shown = Block("Before and after augmentation", figures=figures, folded=True)
            one.blocks.extend(_sample_block(context, run, features) if number == 0 else [])
            one.blocks.extend([shown] if figures else [])
        made.append(one)
    return made, problems


def _of_seeds(run: Run) -> str:
    """Which clips are called correct and wrong."""
    if (seeds := len(run.seeds)) == 1:
        return "Correct and wrong ones"
    return f"Probabilities are means of {seeds} seeds. Correct (by every seed) and wrong ones (by every seed)"


def _sample_block(context: ReportContext, run: Run, features: Sequence[str]) -> list[Block]:
    """Some correct, wrong and uncertain predictions of the run."""
    if context.cache is None or not features:
        return []
    shown = choose_samples(run, context.cache, features[0], context.rng())
    about = (
        f"{_of_seeds(run)} are drawn at random with a fixed seed, uncertain ones have the smallest margin; "
        f"shown as {features[0]}."
    )
    figures = [save_figure("sample_predictions", context.folder, samples=shown)] if shown else []
    return [Block("Sample predictions", about, figures)] if figures else []


def _data(context: ReportContext) -> tuple[list[tuple[str, str]], Gallery | None, list[Block]]:
    """Facts, gallery and blocks of the data half, kept from the last time where nothing of it changed."""
    if context.cache is None or context.job.cache is None:
        return [], None, []
    facts, stamp = [*data_facts(context.cache), *_artefacts(context)], context.folder / DATA_STAMP
    files = [*inputs.files_of_cache(context.job.cache), *inputs.files_of_code()]
    hash_ = inputs.hash_of_files(files, [context.options.seed, context.options.audio_mb])
    kept = None if context.options.overwrite else inputs.read_stamp(stamp, hash_)
    if kept:
        gallery = gallery_from_json(kept["gallery"]) if kept["gallery"] else None
        return facts, gallery, blocks_from_json(kept["blocks"])
    before = inputs.report_files(context.folder)
    given = context.cache, context.features, context.folder, context.options.seed
    gallery, blocks = make_gallery(*given, context.audio_mb), data_blocks(*given)
    if gallery:
        blocks.insert(0, gallery_figures(context.cache, context.features, gallery, context.folder))
    written = {path for block in blocks for figure in block.figures for path in figure.files.values()}
    # Other processes draw figures of the runs meanwhile, tables are written here alone.
    written |= {file for file in inputs.written_since(context.folder, before) if file.startswith("tables/")}
    shown = gallery.to_json() if gallery else None
    audio = _gallery_audio(context.cache, gallery)
    inputs.write_stamp(stamp, hash_, written, blocks=blocks_to_json(blocks), gallery=shown, audio=audio)
    return facts, gallery, blocks


def _artefacts(context: ReportContext) -> list[tuple[str, str]]:
    """Where to see how much of a score may come from how the clips were recorded: their audio says it."""
    if context.cache is None or not (context.cache.clips["path"] != "").all():
        return []
    command = shlex.join(["python", "-m", "pipeline", "check", *_source_words(context)])
    words = "How far level, padding and bandwidth of the recordings alone predict the class:"
    return [("Recording artefacts", f"{words} {command}")]


def _source_words(context: ReportContext) -> list[str]:
    return [word for word in _where(context) if word.startswith(("DATASET=", "NAME=", "DATA="))]


def _gallery_audio(cache: Cache | None, gallery: Gallery | None) -> dict[str, str]:
    """The states of the gallery's audio files. One of each class: the others come and go with them."""
    if cache is None or gallery is None:
        return {}
    paths = cache.clips.set_index("clip_id")["path"]
    return inputs.file_states(filter(None, paths.loc[[clip.clip_id for clip in gallery.clips]]))
