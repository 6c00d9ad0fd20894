"""`make answer`: from a folder of sounds to the report, in one command.

The steps follow the stages: check, extract every feature that exists at the dataset's
rate and the layers of every installed network, rank the features, train the chosen
sets, report. Everything finished is kept, so the same command resumes where the last
one ended.

The score measures the whole procedure: each fold is tested by the set that was chosen
without this fold (`choice`). The set for later use is chosen from the scores of all
folds together and has no score of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from joblib import cpu_count

from featurestack import functions
from featurestack.answers import CANDIDATES, FOLDER, AnswerOptions
from featurestack.commandline.commands import command, options_from
from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.options import fields, option_words, part_of
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.embeddings.networks import choose_networks
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.hdf5 import FeatureSpec
from featurestack.features_cache.index import read_check
from featurestack.features_cache.names import dataset_name, is_cache
from featurestack.features_cache.table import fold_split, originals, untrainable
from featurestack.features_cache.writer import missing
from featurestack.pipeline.features import refuse_unknown
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from featurestack.results.config import Choice
from featurestack.results.run_folder import (
    RunFolder,
    claim_run,
    configuration_score,
)
from featurestack.storage.files import Lock

if TYPE_CHECKING:
    from featurestack.analysis.report import Built
    from featurestack.pipeline.extraction_request import Request
    from featurestack.scores.metrics import Score

# Seconds of a usual core: check of a clip; a feature of a clip; a fit, times the cube
# of the clips, and at least; a clip in a fold by texturenet; a report
CHECK, EXTRACT, SOLVE, FIT, TEXTURE, REPORT = 0.01, 0.01, 5e-11, 0.02, 0.02, 8.0
TRIED = 12  # sets that are scored of each fold


@dataclass(frozen=True)
class Question:
    """A question, before anything is done."""

    options: AnswerOptions
    wanted: FeaturesCommand
    asked: "Request | None"  # None for a cache, which is used as it is
    specs: Sequence[FeatureSpec]  # the features to rank
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
        """The run folder of the choice."""
        return self.options.runs / self.name / FOLDER

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command, to ask again."""
        names = dict.fromkeys(["dataset", *fields(AnswerOptions)])
        return tuple(option_words(self.options, names))

    def unchecked(self) -> bool:
        """Whether `check` has not looked at these clips."""
        if self.asked is None:
            return False
        dataset = self.asked.dataset
        return read_check(dataset.folder, dataset.table) is None


def ask(options: AnswerOptions) -> Question:
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
        return Question(options, command, None, kept, [], cache.clips)
    refuse_unknown(options.features)
    dataset = load(part_of(options, SourceOptions))
    refuse(options, dataset.source, dataset.name, dataset.table)
    if options.features == "all":
        fitting = choose_networks(dataset.sample_rate)
        command = replace(command, features=" ".join(["all", *fitting]))
    asked = request(command, dataset)
    kept = without_samples(options, asked.specs)
    pairs = zip(asked.specs, asked.variants, strict=True)
    variants = tuple(variant for spec, variant in pairs if spec in kept)
    asked = replace(asked, specs=tuple(kept), variants=variants)
    counts = missing(asked).todo.sum(axis=0)
    lacking = [spec.stored for spec, count in zip(kept, counts) if count]
    specs = [spec for spec in kept if spec.stored not in asked.read]
    return Question(options, command, asked, specs, lacking, asked.clips)


def refuse(options: AnswerOptions, source: str, name: str, table: Any) -> None:
    """RequestError for recordings with events, or clips that cannot be tested."""
    from featurestack.scores.tasks import claiming_name, require_clips, task_of

    asked = claiming_name(source) if options.task == "auto" else options.task
    task = task_of(asked) if asked else None
    if task:
        require_clips(task, options.dataset)
    table = originals(table)
    if reason := untrainable(table):
        raise RequestError(f"{name}: {reason}")
    counts = table["label"].value_counts()
    if len(table) < 4 or counts.max() < 2:
        raise RequestError(
            f"{name}: {counted(len(table), 'clip')} of {counted(len(counts), 'class')},"
            " and a class needs two clips, one to train and one to test: add clips"
        )
    if task:
        task.refuse(table)
    for fold in sorted(table["fold"].unique()):
        train = fold_split(table, fold).train
        labels = table["label"][table["clip_id"].isin(train)]
        if labels.nunique() < 2:
            raise RequestError(
                f"{name}: without fold {fold} all clips are of one class,"
                f" {labels.iloc[0] if len(labels) else 'none'}: each other class needs"
                " clips of two recordings, one to train and one to test"
            )


def without_samples(
    options: AnswerOptions, features: Sequence[FeatureSpec]
) -> list[FeatureSpec]:
    """The features but samples of a waveform, which mean nothing by themselves."""
    ranked = [spec for spec in features if spec.feature != "waveform"]
    if features and not ranked:
        words = f"DATASET={options.dataset}", "FEATURES=waveform", "MODEL=aclnet"
        raise RequestError(
            "FEATURES=waveform is no feature to rank, its samples mean nothing by"
            f" themselves: {make_command('train', *words)} trains on them"
        )
    return ranked


def tell_time(question: Question) -> None:
    """Tell coarsely how long the steps will take; not if they were taken before."""
    if not question.lacking and (question.folder / "run.json").is_file():
        return
    clips = originals(question.clips)
    number, folds = len(clips), clips["fold"].nunique()
    fits = (len(question.specs) + TRIED) * folds * (folds + 1) / 2
    cores = number * EXTRACT * len(question.lacking) + fits * (FIT + SOLVE * number**3)
    maps = any(feature.frames > 1 for feature in question.specs)
    seconds = REPORT + number * (
        CHECK * question.unchecked() + 2 * folds * TEXTURE * maps
    )
    minutes = max(1, round((seconds + cores / cpu_count()) / 60))
    tell(
        f"{counted(number, 'clip')}, {counted(len(question.specs), 'feature')}:"
        f" about {counted(minutes, 'minute')}. Run the same command again to resume."
    )


@dataclass(frozen=True)
class Answer:
    """The findings; `print` shows them in lines.

    score        the procedure's: each fold tested by the set chosen without it
    chosen       tested fold -> the set that was chosen without it
    recommended  the set for later use, chosen from all folds; '' if nothing is better
                 than chance. It has no score, unless it is the only feature
    run          the run of the recommended set, as dataset/name, in `runs`
    alone        feature -> its own score by ridge, the best first
    whole        False if a clip, a run or a part of the report failed
    """

    built: "Built"
    score: "Score"
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

    def __str__(self) -> str:
        return "\n".join(self.lines)


def make_answer(options: AnswerOptions) -> int:
    """From a folder of sounds to the report: check, features, a choice, its run."""
    found = find_answer(options)
    print(found)
    return 0 if found.whole else 1


def find_answer(options: AnswerOptions) -> Answer:
    """Take the steps that are not done yet."""
    from featurestack.analysis.options import refuse_users_folder
    from featurestack.answers import choice
    from featurestack.checks import report as findings_table
    from featurestack.checks.run import findings_in
    from featurestack.pipeline.extract import extract_features

    question = ask(options)
    refuse_users_folder(options.reports / question.name)
    refuse_other_run(question.folder)
    claim_run(question.folder, (), CANDIDATES)
    tell_time(question)
    lock = Lock(question.folder / ".lock")
    if not lock.take():
        tell("waiting: another process answers this question")
    # a process that has waited finds everything done
    with lock:
        checked, whole = question.unchecked(), True
        if question.asked:
            if checked:
                _, findings = findings_in(question.asked.dataset)
                print(findings_table(findings))
            whole = extract_features(question.wanted, question.asked) == 0
        cache = cache_of(options.dataset, options.data, options.name)
        scores = choice.rank(options, cache, question.features)
        chosen = choice.choose_sets(scores, question.words)
        features = choice.feature_table(scores, chosen.sets)
        folds = scores.fits.plan.folds
        del scores  # its clips leave memory before training begins
        choice.keep_former(question.folder, cache, chosen)
        run = choice.train(options, question.folder, folds, chosen, features)
        names = ("dataset", "name", "data", "runs", "reports")
        given = {name: getattr(options, name) for name in names}
        built: Any = functions.report(**given)  # `Built`, of one dataset
        remarks = built.remarks[built.of_check if checked else 0 :]
        found = conclude(question, chosen, features, run, built, remarks)
        return replace(found, whole=whole and built.whole)


def conclude(
    question: Question,
    choice: Choice,
    features: pd.DataFrame,
    run: RunFolder,
    built: "Built",
    remarks: Sequence[str],
) -> Answer:
    from featurestack.answers import section

    scores = features.sort_values("alone", ascending=False, kind="stable")
    score = configuration_score([run])
    lines = [f"  {remark}" for remark in remarks]
    if built.best != run.name:
        lines.append(f"{question.name}: {run.config.features}: {score}")
    lines.append(f"{question.name}: {built.headline}")
    chance = built.state == "chance"
    own = run.name
    if found := run.config.choice:
        own = found.recommended_run
        lines.append(f"In the sets of the folds: {section.chosen(found)}.")
        lines.append(section.recommended(found, chance=chance))
    options = question.options
    cache = cache_of(options.dataset, options.data, options.name)
    perfect = score.value == 1
    lines.append(
        section.surer(choice.candidates, cache, question.words, perfect=perfect)
    )
    lines.append(section.singles(scores, run.task.metric.title))
    lines.append(f"report: {built.page.resolve()}")
    if built.next_command:
        lines.append(f"next:   {built.next_command}")
    return Answer(
        built=built,
        score=score,
        chosen=dict(zip(run.config.folds, choice.sets)),
        recommended="" if chance else choice.recommended,
        run="" if chance else f"{question.name}/{own}",
        runs=run.path.parent.parent,
        alone=dict(zip(scores["feature"], scores["alone"])),
        lines=lines,
        whole=built.whole,
    )


def refuse_other_run(folder: Path) -> None:
    """RequestError if the folder of the choice holds a run of another kind."""
    try:
        of_choice = RunFolder(folder).config.choice is not None
    except RequestError:  # no run, or a damaged one, which is replaced if it is ours
        of_choice = True
    if not of_choice:
        raise RequestError(
            f"{folder} holds a run that is no choice of features, and is not replaced:"
            " move it, or give another RUNS"
        )


@command
def answer(
    dataset: str = "",
    data: Path | str = "data",
    *,
    reports: Path | str = "reports",
    runs: Path | str = "runs",
    name: str = "",
    archive: str = "",
    audio_dir: str = "",
    group: str = "",
    label: str = "",
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    features: str = "all",
    frame: float | None = None,
    jobs: int | None = None,
    task: str = "auto",
    yes: bool = False,
    quiet: bool = False,
) -> Answer:
    """`make answer`: from a folder of sounds to the report. The same call resumes what
    was interrupted.

    Parameters
    ----------
    dataset : str
        A folder of sounds, a table, or a cache folder.
    data : path
        Folder of datasets.

    Other Parameters
    ----------------
    The options of `make answer`, explained by `featurestack help answer`.

    Returns
    -------
    Answer
        `.score` is that of the procedure: each fold is tested by the set in `.chosen`,
        which was chosen without this fold. `.recommended` is the set for later use and
        `.run` its run, `.alone` each feature's own score, `.page` the HTML file,
        `.headline` its finding in one sentence.

    Examples
    --------
    ::

        found = fs.answer("my sounds")
        found.score.value, found.recommended
    """
    return find_answer(options_from(AnswerOptions, locals()))
