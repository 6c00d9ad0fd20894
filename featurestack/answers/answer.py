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
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from joblib import cpu_count

from featurestack.answers import FOLDER, LEADS, AnswerOptions
from featurestack.answers.chosen import FILE, Choice
from featurestack.base.errors import RequestError
from featurestack.base.files import Lock
from featurestack.base.options import option_words, part_of
from featurestack.base.quantities import counted
from featurestack.base.shell import make_command
from featurestack.base.terminal import status_of, tell
from featurestack.embeddings.networks import absent_networks, choose_networks
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.clip_table import originals, untrainable
from featurestack.features_cache.datasets import dataset_name, is_cache
from featurestack.features_cache.hdf5 import StoredFeature
from featurestack.features_cache.index_file import read_check
from featurestack.features_cache.splits import fold_split
from featurestack.features_cache.writer import missing
from featurestack.pipeline.features import refuse_unknown
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from featurestack.results.run_folder import RunFolder, claim_run, configuration_score

if TYPE_CHECKING:
    from featurestack.analysis.report import Built
    from featurestack.compare.scores import Estimate
    from featurestack.pipeline.extraction_request import Request

# Seconds on a usual core: a feature of a clip; a fit, per cube of the number of clips,
# and at least; texturenet on a clip in a fold; a report
EXTRACT, SOLVE, FIT, TEXTURE, REPORT = 0.01, 5e-11, 0.02, 0.02, 8.0
TRIED = 12  # sets that are scored for each fold


@dataclass(frozen=True)
class _Question:
    """A question, before anything is done."""

    options: AnswerOptions
    wanted: FeaturesCommand
    asked: "Request | None"  # None for a cache, which is used as it is
    specs: Sequence[StoredFeature]  # the features to rank
    lacking: list[str]  # features that the cache lacks
    clips: pd.DataFrame

    @property
    def features(self) -> list[str]:
        return [spec.stored for spec in self.specs]

    @property
    def name(self) -> str:
        return dataset_name(self.options.dataset, self.options.name)

    @property
    def folder(self) -> Path:
        """The run folder of the answer."""
        return self.options.runs / self.name / FOLDER


def ask(options: AnswerOptions) -> _Question:
    """The question of these options; RequestError if it cannot be answered."""
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.extraction_request import request

    if not options.dataset:
        raise RequestError(
            "which sounds? DATASET= takes a folder of sounds, or a table:"
            f" {make_command('answer', 'DATASET=my sounds')}"
        )
    command = part_of(options, FeaturesCommand)
    if is_cache(Path(options.dataset)):
        cache = cache_of(command.dataset, command.data, command.name)
        refuse(options, cache.source, cache.settings["dataset"], cache.clips)
        stored = [cache[name] for name in cache.named(options.features)]
        kept = without_samples(options, stored)
        return _Question(options, command, None, kept, [], cache.clips)
    refuse_unknown(options.features)
    dataset = load(part_of(options, SourceOptions))
    refuse(options, dataset.source, dataset.name, dataset.table)
    if options.features == "all":
        fitting = choose_networks(dataset.sample_rate)
        command = replace(command, features=" ".join(["all", *fitting]))
    asked = request(command, dataset)
    kept = without_samples(options, asked.stored)
    pairs = zip(asked.stored, asked.features, strict=True)
    features = tuple(feature for spec, feature in pairs if spec in kept)
    # the check, and then the answer, propose the field of the names
    told = dataset.field.sentence if dataset.field else ""
    notes = [note for note in asked.notes if note != told]
    asked = replace(asked, stored=tuple(kept), features=features, notes=notes)
    counts = missing(asked).todo.sum(axis=0)
    lacking = [spec.stored for spec, count in zip(kept, counts) if count]
    specs = [spec for spec in kept if spec.stored not in asked.read]
    return _Question(options, command, asked, specs, lacking, asked.clips)


def refuse(options: AnswerOptions, source: str, name: str, table: pd.DataFrame) -> None:
    """RequestError for clips that cannot be tested."""
    from featurestack.results.tasks import task_of

    table = originals(table)
    if reason := untrainable(table):
        raise RequestError(f"{name}: {reason}")
    if options.task != "auto":
        task_of(options.task).refuse(table)
    counts = table["label"].value_counts()
    labels = table.set_index("clip_id")["label"]
    trained = [labels[fold_split(table, k).train] for k in table["fold"].unique()]
    if counts.max() < 2 or min(own.nunique() for own in trained) < 2:
        raise RequestError(
            f"{name}: {counted(len(table), 'clip')} of {counted(len(counts), 'class')},"
            " and a class needs two clips, one to train and one to test, of different"
            " recordings: add clips"
        )


def without_samples(
    options: AnswerOptions, features: Sequence[StoredFeature]
) -> list[StoredFeature]:
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
    """Print roughly how long the steps will take, unless they were taken before."""
    if not question.lacking and (question.folder / "run.json").is_file():
        return
    clips = originals(question.clips)
    number, folds = len(clips), clips["fold"].nunique()
    fits = (len(question.specs) + TRIED) * folds * (folds + 1) / 2
    cores = number * EXTRACT * len(question.lacking) + fits * (FIT + SOLVE * number**3)
    seconds = REPORT + 2 * folds * number * TEXTURE + cores / cpu_count()
    known = counted(len(question.specs), "feature")
    asked = question.asked if question.options.features == "all" else None
    if asked and "speech" in absent_networks(asked.dataset.sample_rate):
        known += (
            " (embedding@model=speech is left out: the extra embeddings is not"
            " installed)"
        )
    tell(
        f"{counted(number, 'clip')}, {known}: about"
        f" {counted(max(1, round(seconds / 60)), 'minute')}. Run the same command again"
        " to resume."
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
    whole        False if a clip, a run or a part of the report failed
    """

    built: "Built"
    score: "Estimate"
    chosen: dict[int, str]
    recommended: str
    run: str
    runs: Path
    alone: dict[str, float]
    lines: list[str]
    whole: bool

    def __fspath__(self) -> str:
        if not self.run:
            raise RequestError("no run was trained: no set is better than chance")
        return str(self.runs / self.run)

    @property
    def page(self) -> Path:
        return self.built.page

    @property
    def headline(self) -> str:
        """The report's finding, in one sentence."""
        return self.built.headline

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def make_answer(options: AnswerOptions) -> int:
    """From a folder of sounds to the report: check, features, a choice, its run."""
    found = find_answer(options)
    print(found)
    return status_of(found.whole)


def find_answer(options: AnswerOptions) -> Answer:
    """Take the steps that are not done yet."""
    from featurestack.analysis.options import AnalysisOptions, refuse_users_folder
    from featurestack.analysis.report import build_report
    from featurestack.analysis.report_jobs import jobs
    from featurestack.answers import choice
    from featurestack.checks import report as findings_table
    from featurestack.checks.dataset import findings_in
    from featurestack.pipeline.extract import extract_features

    question = ask(options)
    refuse_users_folder(options.reports / question.name)
    claim_run(question.folder, (), (), FILE)
    tell_time(question)
    # a process that has waited finds everything done
    waiting = "another process answers this question"
    with Lock(question.folder / ".lock", waiting=waiting):
        checked, whole = False, True
        if question.asked:
            dataset = question.asked.dataset
            checked = read_check(dataset.folder, dataset.table) is None
            if checked:
                print(findings_table(findings_in(dataset)[1]))
            whole = extract_features(question.wanted, question.asked) == 0
        cache = cache_of(options.dataset, options.data, options.name)
        scores = choice.rank(options, cache, question.features)
        chosen = choice.choose_sets(scores, option_words(options))
        folds = scores.fits.plan.config.folds
        del scores  # its clips leave memory before training begins
        choice.keep_former(question.folder, cache, chosen)
        run = choice.train(options, question.folder, folds, chosen)
        (job,) = jobs(part_of(options, AnalysisOptions))
        built = build_report(job)
        remarks = built.remarks[built.of_check if checked else 0 :]
        found = conclude(question.name, chosen, run, built, remarks)
        return replace(found, whole=whole and built.whole)


def conclude(
    name: str, chosen: Choice, run: RunFolder, built: "Built", remarks: Sequence[str]
) -> Answer:
    """The findings on the dataset `name`, after its report was built."""
    score = configuration_score([run])
    lines = []
    if built.best != run.name:
        lines.append(f"{name}: {run.config.features}: {score}")
    lines.append(f"{name}: {built.headline}")
    lines += [f"  {remark}" for remark in remarks]
    lines += [built.leads[heading] for heading in LEADS if heading in built.leads]
    lines += built.lines
    own = run.config.members[0] if run.config.members else run.name
    chance = built.chance
    features = pd.DataFrame([*chosen.features]).set_index("feature")
    alone = features["alone"].sort_values(ascending=False, kind="stable")
    return Answer(
        built=built,
        score=score,
        chosen=dict(zip(run.config.folds, chosen.sets)),
        recommended="" if chance else chosen.recommended,
        run="" if chance else f"{name}/{own}",
        runs=run.path.parent.parent,
        alone=alone.to_dict(),
        lines=lines,
        whole=built.whole,
    )
