"""`make answer`: from a folder of sounds to the report, in one command.

STEPS follow the stages: check, extract every feature that exists at the dataset's
rate, rank the features, train the chosen sets, report. Everything finished is kept, so
a repeated command goes on where the last one ended.

The score measures the whole procedure: each fold is tested by the set that was chosen
without this fold (`choice`). The set for later use is chosen by all folds and has no
score of its own.
"""

import errno
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import (
    Options,
    fields,
    option_words,
)
from featurestack.commandline.quantities import counted, duration, percent
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import progress, silenced, tell
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_file import FeatureSpec
from featurestack.features_cache.location import is_cache
from featurestack.features_cache.opening import open_cache
from featurestack.features_cache.row_statistics import is_time, kept_columns
from featurestack.features_cache.table import originals, untrainable
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from featurestack.results.next_run import promising_first
from featurestack.rooms.answer.options import AnswerOptions
from featurestack.storage.files import Lock, may_write, replace_file
from featurestack.train.options import RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.analysis.report_inputs import Built
    from featurestack.pipeline.request import Request
    from featurestack.results.run_folder import RunFolder
    from featurestack.results.scores import Score
    from featurestack.rooms.answer.choice import Clips, Scores

SHOWN = 5  # features in the ranking that is printed
EXTRACTED = 2  # clips whose extraction is timed
CHECKED = 8  # clips whose measures in `check` are timed
OTHER_CHECKS = 2.0  # time of `check` as a whole, in times of these measures
# numbers of `fit_seconds` that last as long as: the start of the workers of extraction,
# a clip of a fold by `texture`, a million cached values that are read to rank, a report
START_FITS = 450.0
TEXTURE_FITS = 3.0
READ_FITS = 4.0
REPORT_FITS = 900.0
LEAST_TAKEN = 10.0  # seconds of finished steps that correct the time of later ones
CHANGED = 1.25  # a remaining time that changes by less is not told again

Part = TypeVar("Part", bound=Options)


@dataclass(frozen=True)
class Answer:
    """The findings; `print` shows them in lines.

    score        the procedure's: each fold tested by the set chosen without it; None
                 if MINUTES ended before
    chosen       tested fold -> the set that was chosen without it
    recommended  the set for later use, chosen by all folds; it has no score, unless
                 it is the only feature
    run          the run of the recommended set, as dataset/name
    alone        feature -> its score alone by `linear`, the best first
    left_out     the steps that MINUTES left no time for
    surer        what would make the answer surer
    whole        False if a clip, a run or a part of the report failed
    """

    built: "Built"
    score: "Score | None"
    chosen: dict[int, str]
    recommended: str
    run: str
    alone: dict[str, float]
    left_out: list[str]
    surer: str
    next_command: str
    lines: list[str]
    whole: bool

    @property
    def page(self) -> Path:
        return self.built.page

    @property
    def headline(self) -> str:
        """The report's finding, in one sentence."""
        return self.built.headline

    def __str__(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Clock:
    """When MINUTES are over."""

    minutes: float | None
    begun: float = field(default_factory=time.monotonic)
    left_out: list[str] = field(default_factory=list)  # steps that were not taken

    @property
    def left(self) -> float:
        """Seconds."""
        if self.minutes is None:
            return math.inf
        return self.begun + 60 * self.minutes - time.monotonic()

    def leave_out(self, what: str) -> None:
        """Note a step that is not taken, and tell it."""
        self.left_out.append(what)
        tell(
            f"MINUTES={self.minutes:g} is over: {what} left out, the same command goes"
            " on"
        )


@dataclass
class Work:
    """The findings of the steps so far."""

    options: AnswerOptions
    wanted: FeaturesCommand
    clock: Clock
    asked: "Request | None"  # None for a cache, which is used as it is
    whole: bool = True
    checked: bool = False  # whether `check` has printed its findings
    # features that are asked for, samples apart, and those that are ranked, by name
    features: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # step -> those expected
    # feature that the cache lacks -> seconds of its extraction
    lacking: dict[str, float] = field(default_factory=dict)
    ranking: dict[str, float] = field(default_factory=dict)  # feature -> expected
    # whether this call has finished anything that MINUTES may leave out: each call gets
    # further, however short it is
    advanced: bool = False
    fold_seconds: float = 0.0  # time of the last fold that was trained
    clips: "Clips | None" = None
    scores: "Scores | None" = None
    chosen: dict[int, str] = field(default_factory=dict)
    recommended: str = ""
    # the run that answers: of the choice, or of the only feature that is asked for
    run: "RunFolder | None" = None
    built: "Built | None" = None

    @property
    def cache(self) -> Cache:
        """The cache as it is now."""
        return open_cache(self.wanted.dataset, self.wanted.data, self.wanted.name)

    @property
    def folder(self) -> Path:
        """The run folder of the choice."""
        from featurestack.features_cache.location import dataset_name
        from featurestack.rooms.answer.chosen_run import FOLDER

        name = dataset_name(self.options.dataset, self.options.name)
        return self.options.runs / name / FOLDER

    def left_before(self, *steps: str) -> float:
        """The seconds that MINUTES leave before these later steps, which get half of
        MINUTES at most.
        """
        if self.clock.minutes is None:
            return math.inf
        expected = sum(self.seconds.get(step, 0.0) for step in steps)
        half = 60 * self.clock.minutes / 2
        return self.clock.left - min(expected, half)


class Step(NamedTuple):
    """One step of the command.

    needed  whether it has anything to do
    take    does it; what is done already is not done again
    """

    name: str
    needed: Callable[[Work], bool]
    take: Callable[[Work], None]


def find_answer(options: AnswerOptions) -> Answer:
    """Take the steps that are not done yet."""
    work = begin(options)
    needed = [step for step in STEPS if step.needed(work)]
    if not was_answered(work):
        refuse_unwritable(work)
    tell_time(work, needed)
    lock = Lock(work.folder / ".lock")
    if not lock.take():
        tell("waiting: another process answers this question")
    # a process that has waited finds everything done
    with lock:
        expected = dict(work.seconds)
        begun = time.monotonic()
        names = [step.name for step in needed]
        for place, step in enumerate(needed, 1):
            step.take(work)
            taken = time.monotonic() - begun
            rescale(work, expected, names[:place], names[place:], taken)
        return conclude(work)


def shared(options: Options, kind: type[Part], **others: Any) -> Part:
    """The options of a stage: those that have the same names here, and the others."""
    known = fields(type(options))
    given = {name: getattr(options, name) for name in fields(kind) if name in known}
    return kind(**given | others)


def rescale(
    work: Work,
    expected: Mapping[str, float],
    done: Sequence[str],
    later: Sequence[str],
    taken: float,
) -> None:
    """Scale the seconds of the later steps by the time that the finished ones took, and
    tell what is left if this changes it.

    expected  step -> the seconds that were told first
    """
    told = sum(expected.get(name, 0.0) for name in done)
    before = sum(work.seconds.get(name, 0.0) for name in later)
    if not told or not before or taken < LEAST_TAKEN:
        return
    for name in later:
        work.seconds[name] = expected.get(name, 0.0) * taken / told
    left = sum(work.seconds[name] for name in later)
    if max(left, before) > CHANGED * min(left, before):
        steps = ", ".join(done)
        tell(
            f"{steps}: {duration(taken)} instead of {duration(told)}; about"
            f" {duration(left)} left"
        )


# ---- before the steps


def begin(options: AnswerOptions) -> Work:
    """Whether the question can be answered, and what is wanted; RequestError, before
    anything is extracted, if not.
    """
    from featurestack.features_cache.missing import missing
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.request import request, wanted

    if not options.dataset:
        raise RequestError("DATASET is empty: give a folder of sounds, or a table")
    clock = Clock(options.minutes)
    command = shared(options, FeaturesCommand, wait=True)
    if is_cache(Path(options.dataset)):
        work = Work(options, command, clock, None)
        settings = work.cache.settings
        refuse(options, settings["source"], settings["dataset"], work.cache.clips)
        names = work.cache.named(options.features)
        work.features = without_samples(options, [work.cache[name] for name in names])
        work.names = rankable(work.cache, work.features)
        return work
    dataset = load(shared(options, SourceOptions))
    wanted(options.features, dataset, options.frame)
    refuse(options, dataset.source, dataset.name, dataset.table)
    if options.features == "all":
        command = replace(command, features=with_networks(dataset.sample_rate))
    work = Work(options, command, clock, request(command))
    assert work.asked is not None
    work.features = without_samples(options, work.asked.specs)
    counts = missing(work.asked).todo.sum(axis=0)
    work.lacking = dict.fromkeys(
        [spec.stored for spec, count in zip(work.asked.specs, counts) if count], 0.0
    )
    return work


def refuse(options: AnswerOptions, source: str, name: str, table: Any) -> None:
    """RequestError if the model to train has an answer for each frame, or for clips
    that no model can be trained and tested on: too few, or without the labels of TASK=.
    """
    from featurestack.results.tasks.registry import claiming_name, task_of

    asked = claiming_name(source) if options.task == "auto" else options.task
    task = task_of(asked) if asked else None
    if task and task.framed:
        command = make_command("train", f"DATASET={options.dataset}")
        raise RequestError(
            f"{options.dataset} has recordings with events, and this command is for"
            f" clips: {command} trains a model that finds events by the frame"
        )

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
        task.refuse_clips(table)


def without_samples(
    options: AnswerOptions, features: Sequence[FeatureSpec]
) -> list[str]:
    """The features to rank. The samples of a waveform mean nothing by themselves:
    RequestError if they alone are asked for.
    """
    names = [spec.stored for spec in features if spec.feature != "waveform"]
    if features and not names:
        words = f"DATASET={options.dataset}", "FEATURES=waveform", "MODEL=aclnet"
        raise RequestError(
            "FEATURES=waveform is no feature to rank, its samples mean nothing by"
            f" themselves: {make_command('train', *words)} trains on them"
        )
    return names


def refuse_unwritable(work: Work) -> None:
    """Make the folders of the report and of the runs; RequestError if one of them, or
    a cache that lacks features, may not be written, before the work whose result would
    be lost.
    """
    from featurestack.pipeline.extract import not_writable

    if work.asked and work.lacking and not may_write(work.asked.folder):
        raise RequestError(not_writable(work.asked.folder, os.strerror(errno.EACCES)))
    name = work.folder.parent.name
    for folder, what, option in (
        (work.options.reports / name, "the report goes", "REPORTS"),
        (work.options.runs / name, "the runs go", "RUNS"),
    ):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        if not (folder.is_dir() and may_write(folder)):
            raise RequestError(
                f"{folder} may not be written, and {what} there: give another folder,"
                f" {option}="
            )


def with_networks(sample_rate: int) -> str:
    """FEATURES=all with the installed pretrained networks that fit this rate; tell
    which others could be had.
    """
    if "networks" not in rooms.names("capabilities"):
        return "all"
    networks = rooms.load("capabilities", "networks")
    fitting, remark = networks.choose_networks(sample_rate)
    if remark:
        tell(remark)
    return " ".join(["all", *fitting])


def rankable(cache: Cache, names: Sequence[str]) -> list[str]:
    """The features that can be ranked together, the promising ones first: one that
    lacks many clips of the others would cost all of them these clips.
    """
    counts = {
        name: int(cache.readable([name]).sum())
        for name in names
        if name in cache.features
    }
    most = max(counts.values(), default=0)
    kept = []
    for name, count in counts.items():
        if count < most:
            tell(f"{name} is left out: it has {count:,} of {counted(most, 'clip')}")
        else:
            kept.append(name)
    return promising_first(kept)


def tell_time(work: Work, needed: Sequence[Step]) -> None:
    """Tell how long the steps will take: a few clips are extracted and a fit is timed
    here.
    """
    from joblib import cpu_count

    from featurestack.results.linear import TIMED, fit_seconds
    from featurestack.rooms.answer.choice import MOST_PAIRED

    cores = cpu_count()
    fit = fit_seconds()
    table = originals(work.asked.clips if work.asked else work.cache.clips)
    clips, classes = len(table), table["label"].nunique()
    folds = table["fold"].nunique()
    if work.asked:
        if is_unchecked(work):
            checked = check_seconds(table, work.asked.dataset.sample_rate)
            work.seconds["check"] = OTHER_CHECKS * checked
        work.seconds["extract"] = extraction_seconds(work, work.asked, fit)
    features = described(work)
    fits = folds * (folds + 1) / 2 if folds <= MOST_PAIRED else 5 * folds
    of_timed = clips / TIMED[0] * classes / TIMED[2] * fits * fit / cores
    for feature in features:
        read = clips * feature.rows * feature.frames / 1e6 * READ_FITS * fit
        work.ranking[feature.stored] = of_timed * width(feature) / TIMED[1] + read
    work.seconds["rank"] = sum(work.ranking.values())
    maps = any(feature.frames > 1 for feature in features)
    trained = TEXTURE_FITS * clips if maps else 10
    work.seconds["train"] = folds * trained * fit
    work.seconds["report"] = REPORT_FITS * fit
    if was_answered(work):
        return
    steps = [step.name for step in needed]
    texts = [f"{name} {duration(work.seconds[name])}" for name in steps]
    total = sum(work.seconds[name] for name in steps)
    tell(
        f"{counted(clips, 'clip')}: about {duration(total)} ({', '.join(texts)});"
        " MINUTES= bounds it, and a repeated command goes on"
    )


def extraction_seconds(work: Work, asked: "Request", fit: float) -> float:
    """The seconds that the extraction will take, with those of each feature in
    `work.lacking`; a few clips are extracted here. `fit` is `fit_seconds`.
    """
    from joblib import cpu_count

    from featurestack.pipeline.plan import measure

    if not work.lacking:
        return 0.0
    jobs = work.wanted.jobs or cpu_count()
    costs = measure(asked, EXTRACTED).seconds_a_clip()
    for name in work.lacking:
        work.lacking[name] = len(asked.clips) * costs.get(name, 0.0) / jobs
    started = START_FITS * fit if jobs > 1 else 0.0
    return started + sum(work.lacking.values())


def check_seconds(table: "pd.DataFrame", sample_rate: int) -> float:
    """The seconds that the measures of all clips will take: those of a few here, which
    are spread over the table.
    """
    from featurestack.pipeline.checks.measures import measure_clips

    spread = np.linspace(0, len(table) - 1, CHECKED, dtype=int)
    some = table.iloc[np.unique(spread)].reset_index(drop=True)
    with silenced():
        measure_clips(some.iloc[:1], sample_rate)  # it imports
        begun = time.perf_counter()
        measure_clips(some, sample_rate)
    return (time.perf_counter() - begun) / len(some) * len(table)


def described(work: Work) -> Sequence[FeatureSpec]:
    """The features that will be ranked."""
    if work.asked:
        return work.asked.specs
    return [work.cache[name] for name in work.names]


def width(feature: FeatureSpec) -> int:
    """The numbers of a clip that `linear` reads of a feature."""
    if is_time(feature.frame_unit):
        return 2 * feature.rows
    return feature.rows * kept_columns(feature.rows, feature.frames)


def chooses(work: Work) -> bool:
    """Whether there is a choice: more than one feature is asked for."""
    return len(work.features) > 1


def was_answered(work: Work) -> bool:
    """Whether a former call has trained what answers, on features that are there."""
    if work.lacking:
        return False
    if chooses(work):
        return (work.folder / "run.json").exists()
    return all(is_trained(training_options(work, name)) for name in work.features)


# ---- the steps


def is_unchecked(work: Work) -> bool:
    from featurestack.features_cache.check_findings import read_check

    if work.asked is None:
        return False
    dataset = work.asked.dataset
    return read_check(dataset.folder, dataset.table) is None


def check(work: Work) -> None:
    """Print and keep what `check` finds."""
    from featurestack.pipeline.checks.findings import report
    from featurestack.pipeline.checks.run import findings_in, keep

    assert work.asked is not None
    _, findings = findings_in(work.asked.dataset)
    keep(work.asked.dataset, findings)
    print(report(findings))
    work.checked = True


def extract(work: Work) -> None:
    """Extract the features that the cache lacks.

    If that takes longer than MINUTES, they are extracted one by one, the most promising
    first and of the others the quickest, while there is time for what follows.
    """
    from featurestack.pipeline import extract as extraction

    assert work.asked is not None
    work.advanced = bool(work.lacking)
    later = ("rank", "train", "report")
    if sum(work.lacking.values()) <= work.left_before(*later):
        work.whole &= extraction.run(work.wanted, propose=False) == 0
    else:
        ordered = promising_first(sorted(work.lacking, key=work.lacking.__getitem__))
        # features that are there already are ranked too
        ranked = sum(
            seconds
            for name, seconds in work.ranking.items()
            if name not in work.lacking
        )
        for place, name in enumerate(ordered):
            ranked += work.ranking[name]
            needed = work.lacking[name] + ranked
            if place and needed > work.left_before("train", "report"):
                left = counted(len(ordered) - place, "feature")
                work.clock.leave_out(f"the extraction of {left}")
                break
            one = replace(work.wanted, features=name, frame=None)
            work.whole &= extraction.run(one, propose=False) == 0
    work.names = rankable(work.cache, work.features)


def rank(work: Work) -> None:
    """Score each feature by `linear`, alone, in the fits that choose."""
    from featurestack.rooms.answer.choice import Scores, read_clips
    from featurestack.train.plan import make_plan

    if not work.names:
        return
    features = "+".join(work.names)
    plan = make_plan(
        shared(work.options, RunOptions, features=features, model="linear")
    )
    work.clips = read_clips(plan)
    work.names = plan.channel_names
    work.scores = Scores(work.clips, work.folder)
    work.scores.read()
    folds: list[int | None] = [None, *plan.folds]
    ranked = 0
    for name in progress(work.names, label="ranking", unit="features"):
        # the first feature is ranked if there is any time
        time_left = work.left_before("train", "report") if ranked else work.clock.left
        if time_left <= 0 and work.advanced:
            left = counted(len(work.names) - ranked, "feature")
            work.clock.leave_out(f"the ranking of {left}")
            break
        work.advanced |= work.scores.add(name, folds)
        ranked += 1
    work.names = work.names[:ranked]


def train(work: Work) -> None:
    """Choose a set for each fold and train it; then the set for later use on every
    fold. Where one feature is asked for, there is nothing to choose: it has one run.
    """
    from featurestack.rooms.answer.choice import choose
    from featurestack.rooms.answer.chosen_run import write_choice

    if not work.names or work.clips is None or work.scores is None:
        return
    chosen = {
        fold: choose(work.scores, work.names, fold) for fold in work.clips.plan.folds
    }
    recommended = choose(work.scores, work.names, None)
    jobs = training_jobs(chosen, recommended, one_by_one=work.clock.minutes is not None)
    runs: dict[str, RunFolder] = {}
    for number, (features, folds) in enumerate(
        progress(jobs, label="training", unit="runs")
    ):
        # the first fold is trained if there is any time
        expected = work.fold_seconds if number else 0.0
        if work.left_before("report") <= expected and work.advanced:
            left = counted(len(jobs) - number, "fold")
            work.clock.leave_out(f"the training of {left}")
            return
        begun = time.monotonic()
        runs[features] = train_folds(work, features, folds)
        work.fold_seconds = (time.monotonic() - begun) / len(folds)
    work.chosen = chosen
    work.recommended = recommended
    if not chooses(work):
        work.run = runs[recommended]
        return
    work.run = write_choice(
        work.folder,
        {fold: runs[features] for fold, features in chosen.items()},
        runs[recommended],
        work.scores,
        work.names,
    )


def training_jobs(
    chosen: Mapping[int, str], recommended: str, *, one_by_one: bool
) -> list[tuple[str, tuple[int, ...]]]:
    """The sets and the folds to train them on: first those that test a choice, then
    the other folds of the recommended set.

    one_by_one  whether each fold is a job, so that MINUTES may end between two
    """
    jobs = [(features, fold) for fold, features in chosen.items()]
    jobs += [(recommended, fold) for fold in chosen if chosen[fold] != recommended]
    if one_by_one:
        return [(features, (fold,)) for features, fold in jobs]
    folds: dict[str, list[int]] = {}
    for features, fold in jobs:
        folds.setdefault(features, []).append(fold)
    return [(features, tuple(of_set)) for features, of_set in folds.items()]


def train_folds(work: Work, features: str, folds: tuple[int, ...]) -> "RunFolder":
    """The run of a set, with these folds trained; with RETRAIN=1 all, because a run
    takes another's place when it is whole.
    """
    from featurestack.train.run import execute

    options = training_options(work, features, () if work.options.retrain else folds)
    candidates = len(work.names) if chooses(work) else 0
    with silenced():
        work.advanced |= not is_trained(options)
        return execute(options, composed_from=candidates)


def training_options(
    work: Work, features: str, folds: tuple[int, ...] = ()
) -> RunOptions:
    """The options of the run of a set; no folds are all."""
    return shared(
        work.options,
        RunOptions,
        features=features,
        model="texture" if takes_maps(work.cache, features) else "linear",
        folds=folds,
        wait=True,
    )


def is_trained(options: RunOptions) -> bool:
    """Whether there is nothing to train: the run has these folds already."""
    from featurestack.results.run_folder import RunFolder
    from featurestack.train.plan import make_plan

    plan = make_plan(options)
    if options.retrain or not (plan.path / "run.json").is_file():
        return False
    return {*(options.folds or plan.folds)} <= {*RunFolder(plan.path).finished}


def takes_maps(cache: Cache, features: str) -> bool:
    """Whether `texture` can be trained on a set: all its features are maps."""
    return all(cache[name].frames > 1 for name in features.split("+"))


def report(work: Work) -> None:
    """The report of the dataset, and the entry page."""
    from featurestack.analysis.options import AnalysisOptions
    from featurestack.analysis.overview import build_overview
    from featurestack.analysis.report import build_report
    from featurestack.analysis.report_inputs import jobs, unchanged

    note_left_out(work)
    options = shared(work.options, AnalysisOptions)
    (job,) = jobs(options)
    work.built = unchanged(job, options) or build_report(job, options)
    build_overview(options)


def note_left_out(work: Work) -> None:
    """Note for the page what MINUTES left out and the command that goes on, or that
    everything is done.
    """
    from featurestack.rooms.answer.chosen_run import UNFINISHED

    file = work.folder / UNFINISHED
    if not work.clock.left_out:
        file.unlink(missing_ok=True)
        return
    names = dict.fromkeys(["dataset", *fields(AnswerOptions)])
    noted = {
        "left_out": work.clock.left_out,
        "command": option_words(work.options, names),
    }
    replace_file(file, json.dumps(noted))


STEPS = (
    Step("check", is_unchecked, check),
    Step("extract", lambda work: work.asked is not None, extract),
    Step("rank", lambda work: True, rank),
    Step("train", lambda work: True, train),
    Step("report", lambda work: True, report),
)


# ---- after the steps


def conclude(work: Work) -> Answer:
    """The answer of the steps."""
    from featurestack.results.config import ChoiceConfig
    from featurestack.results.run_folder import configuration_score
    from featurestack.rooms.answer import sentences

    assert work.built is not None
    built = work.built
    alone = {}
    if work.scores:
        scores = {name: work.scores.mean(name, None) for name in work.names}
        for name in sorted(scores, key=scores.__getitem__, reverse=True):
            alone[name] = scores[name]
    score = configuration_score([work.run]) if work.run else None
    run = ""
    lines = built.remarks[built.of_check if work.checked else 0 :]
    lines = [f"  {remark}" for remark in lines]
    name = work.folder.parent.name
    lines.append(f"{name}: {built.headline}")
    best = built.facts.get("value") or math.nan  # the headline's score
    if score and work.run and not math.isclose(best, score.mean, abs_tol=1e-6):
        lines.insert(-1, f"{name}: {score} by {work.run.config.features}")
    surer = ""
    if work.run:
        config = work.run.config
        own = work.run.name
        if isinstance(config, ChoiceConfig):
            own = config.recommended_run
            lines.append(sentences.chosen(config))
            lines.append(sentences.recommended(config))
        run = f"{name}/{own}"
        surer = sentences.surer(work.names, work.cache)
        lines.append(surer)
    if alone:
        lines.append(ranking(alone, work))
    elif work.clock.left_out:
        lines.append(
            "no feature was ranked: MINUTES= was too short; repeat the command"
        )
    if work.clock.left_out:
        lines.append(f"left out by MINUTES=: {'; '.join(work.clock.left_out)}")
    lines += [f"report: {built.page.resolve()}", f"next:   {built.next_command}"]
    return Answer(
        built=built,
        score=score,
        chosen=work.chosen,
        recommended=work.recommended,
        run=run,
        alone=alone,
        left_out=work.clock.left_out,
        surer=surer,
        next_command=built.next_command,
        lines=lines,
        whole=work.whole and built.whole,
    )


def ranking(alone: dict[str, float], work: Work) -> str:
    """A line on the features alone, best first."""
    texts = [f"{name} {percent(score)}" for name, score in alone.items()]
    shown = ", ".join(texts[:SHOWN])
    if len(texts) > SHOWN:
        shown += f" … {texts[-1]}"
    assert work.clips is not None
    metric = work.clips.plan.task.metric.title
    line = f"alone, by linear, {metric} %: {shown}"
    if len(texts) > 1:
        line += (
            f"   (the first of {len(texts)} features is selected: its score is"
            " optimistic)"
        )
    return line
