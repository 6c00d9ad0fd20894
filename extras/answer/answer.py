"""`make answer`: from a folder of sounds to the report, in one command.

The steps are those of the stages: check, extract every feature that exists at the
dataset's rate, rank each by `linear`, train `texture` on the best, on their sum and on
the proven set, measure importance, report. Everything finished is kept, so a repeated
command goes on where the last one ended.

The features are ranked on the test folds: the first of them is selected there, and the
last lines say so. The verdicts of the report are corrected for the number of runs.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import (
    ReportsOptions,
    fields,
    option,
    option_words,
    written,
)
from featurestack.commandline.quantities import counted, duration, percent
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import silenced, tell
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from featurestack.results.next_step import PROVEN, by_unframed, promising_first
from featurestack.results.tasks.registry import task_choices
from featurestack.train.options import RunOptions

if TYPE_CHECKING:
    from featurestack.analysis.report_inputs import Built
    from featurestack.importance.folder import ImportanceFolder
    from featurestack.results.run_folder import RunFolder

BEST = 3  # features that `texture` is trained on, alone and together
MEASURED = 5  # features whose importance is measured: 32 fits
SHOWN = 5  # features in the ranking that is printed
# seconds of a core a clip and feature, with five folds: 600 spoken digits took 45 s for
# 29 features by `linear`, and 35 s for a set by `texture`
LINEAR_SECONDS = 45 / 29 / 600
TEXTURE_SECONDS = 35 / 600


class AnswerOptions(SourceOptions, ReportsOptions):
    """From a folder of sounds to the report: check, features, runs, importance."""

    example = 'DATASET="my sounds"'

    features: str = option("all", "feature sets to extract and rank; all, small")
    task: str = option(
        "auto",
        "labels to predict: classes, categories or tags; auto asks the table",
        choices=task_choices,
    )
    minutes: float | None = option(
        None,
        "minutes after which no further feature is extracted and no fold trained; the"
        " report has what is there",
        least=0,
    )
    frame: float | None = option(
        None,
        "milliseconds of a frame, for all features whose names do not state n_fft or"
        " hop_length; by default librosa's 2048 samples",
        least=1,
        most=1000,
    )
    jobs: int | None = option(
        None, "processes for extraction; by default one a core", least=1, most=10000
    )
    retrain: bool = option(
        False, "train the runs of other clips or folds again in their place"
    )


@dataclass(frozen=True)
class Answer:
    """The report, and what was found, in lines."""

    built: "Built"
    lines: list[str]
    whole: bool  # False if a clip, a run or a part of the report failed
    next_command: str


def answer(options: AnswerOptions) -> int:
    """From a folder of sounds to the report: check, every feature, runs, importance."""
    found = find_answer(options)
    for remark in found.built.remarks:
        print(f"  {remark}")
    print(*found.lines, sep="\n")
    print(f"report: {found.built.page.resolve()}")
    print(f"next:   {found.next_command}")
    return 0 if found.whole else 1


def find_answer(options: AnswerOptions) -> Answer:
    """Take the steps that are not done yet."""
    from featurestack.analysis.options import AnalysisOptions
    from featurestack.analysis.overview import build_overview
    from featurestack.analysis.report import build_report
    from featurestack.analysis.report_inputs import jobs, unchanged
    from featurestack.features_cache.cache import open_cache
    from featurestack.features_cache.location import is_cache

    clock = Clock(options.minutes)
    whole = True
    wanted = FeaturesCommand.build(_texts(options, FeaturesCommand))
    extracted: list[str] = []
    if not is_cache(Path(options.dataset)):  # a cache is used as it is
        check_once(options)
        whole, extracted = extract_until(clock, wanted)
    cache = open_cache(wanted.dataset, wanted.data, wanted.name)
    named = extracted or cache.named(options.features)
    # the samples of a waveform mean nothing by themselves
    singles = [name for name in cache.features if name in named and name != "waveform"]
    order = promising_first(singles)  # MINUTES may end before the last one
    ranked, sound = train_until(clock, options, order, "linear")
    whole &= sound
    maps = {name for name in singles if cache[name].frames > 1}  # texture takes these
    in_order = [folder.training.features for folder in ranked]
    best = [name for name in in_order if name in maps][:BEST]
    stored = by_unframed(maps)
    proven = [stored.get(name, name) for name in PROVEN.split("+")]
    sets = [*best, "+".join(best), "+".join(proven)]
    there = [each for each in sets if {*each.split("+")} <= maps]
    _, sound = train_until(clock, options, list(dict.fromkeys(there)), "texture")
    whole &= sound
    chosen = in_order[:MEASURED]
    matters = []
    measured = len(chosen) > 1 and "importance" in rooms.names("capabilities")
    if measured and clock.over:
        clock.leave_out("importance")
    elif measured:
        room = rooms.load("capabilities", "importance")
        kind = room.ImportanceOptions
        texts = _texts(options, kind) | {"features": " ".join(chosen)}
        matters = importance_lines(room.measure_importance(kind.build(texts)))
    report = AnalysisOptions.build(_texts(options, AnalysisOptions))
    (job,) = jobs(report)
    built = unchanged(job, report) or build_report(job, report)
    build_overview(report)
    lines = [f"{job.dataset}: {built.headline}", *ranking(ranked, clock), *matters]
    next_command = built.next_command
    if clock.left_out:
        given = option_words(
            options, dict.fromkeys(["dataset", *fields(AnswerOptions)])
        )
        next_command = make_command("answer", *given) + "   (it goes on)"
    return Answer(built, lines, whole and built.whole, next_command)


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

    @property
    def over(self) -> bool:
        return self.left <= 0

    def leave_out(self, what: str) -> None:
        """Note a step that is not taken, and tell it."""
        self.left_out.append(what)
        tell(
            f"MINUTES={self.minutes:g} is over: {what} left out, the same command goes"
            " on"
        )


def importance_lines(folder: "ImportanceFolder") -> list[str]:
    """A line on the features with the largest shares."""
    import numpy as np

    from featurestack.results.bootstrap import fold_weights

    weights = fold_weights(folder.clips["fold"].to_numpy())
    shares = weights @ folder.contributions()["shapley"]
    order = np.argsort(-shares, kind="stable")
    each = [f"{folder.features[place]} {shares[place]:.2f}" for place in order]
    told = ", ".join(each)
    return [f"importance by linear, nats a clip: {told}; the report has intervals"]


def ranking(ranked: "Sequence[RunFolder]", clock: Clock) -> list[str]:
    """Lines on the features alone, best first."""
    if not ranked and clock.left_out:
        return ["no feature was ranked: MINUTES= was too short; repeat the command"]
    if not ranked:
        return ["no feature was ranked: the runs failed, each with its reason above"]
    from featurestack.results.run_folder import configuration_score

    scores = [
        f"{folder.training.features} {percent(configuration_score([folder]).mean)}"
        for folder in ranked
    ]
    metric = ranked[0].task.metric.title
    shown = ", ".join(scores[:SHOWN])
    if len(scores) > SHOWN:
        shown += f" … {scores[-1]}"
    selected = (
        f"{scores[0].split()[0]} is the first of {counted(len(scores), 'feature')},"
        " selected on the test folds: its score is optimistic"
    )
    return [f"alone, by linear, {metric} %: {shown}", selected]


def extract_until(clock: Clock, wanted: FeaturesCommand) -> tuple[bool, list[str]]:
    """Extract the features that the cache lacks, after telling how long the steps will
    take. Returns whether no clip failed, and the stored names of the wanted features.

    If extraction takes longer than MINUTES, the features are extracted one by one, the
    most promising first and of the others the quickest, until the time is over.
    """
    from joblib import cpu_count

    from featurestack.pipeline import extract
    from featurestack.pipeline.plan import measure
    from featurestack.pipeline.request import find_remaining, request

    asked = request(wanted)
    todo = find_remaining(asked).todo.sum(axis=0)
    seconds = {}  # feature that is lacking -> time of its extraction
    if todo.any():
        costs = measure(asked).seconds_a_clip()
        processes = wanted.jobs or cpu_count()
        for spec, count in zip(asked.specs, todo):
            if count:
                cost = costs.get(spec.stored, 0.0)
                seconds[spec.stored] = count * cost / processes
        clips = len(asked.clips)
        linear = LINEAR_SECONDS * clips * len(asked.specs)
        texture = TEXTURE_SECONDS * clips * (BEST + 2)
        tell(
            f"{counted(clips, 'clip')}, {counted(len(asked.specs), 'feature')}: about"
            f" {duration(sum(seconds.values()))} to extract,"
            f" {duration(linear + texture)} to train; MINUTES= bounds it, and a"
            " repeated command goes on"
        )
    names = [spec.stored for spec in asked.specs]
    if sum(seconds.values()) <= clock.left:
        return extract.run(wanted, propose=False) == 0, names
    whole = True
    ordered = promising_first(sorted(seconds, key=seconds.__getitem__))
    for place, name in enumerate(ordered):
        if place and clock.over:
            left = counted(len(ordered) - place, "feature")
            clock.leave_out(f"the extraction of {left}")
            break
        one = replace(wanted, features=name)
        whole &= extract.run(one, propose=False) == 0
    return whole, names


def check_once(options: AnswerOptions) -> None:
    """Print and keep what `check` finds, if these clips have not been checked.

    RequestError if a feature does not exist, before the check takes its time.
    """
    from featurestack.features_cache.check_findings import read_check
    from featurestack.features_cache.splits import untrainable
    from featurestack.pipeline.checks.findings import report
    from featurestack.pipeline.checks.run import findings_in, keep
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.request import wanted

    source = SourceOptions.build(_texts(options, SourceOptions))
    dataset = load(source)
    wanted(options.features, dataset)
    if reason := untrainable(dataset.table):
        raise RequestError(f"{dataset.name}: {reason}")
    if read_check(dataset.folder, dataset.table) is None:
        _, findings = findings_in(dataset)
        keep(dataset, findings)
        print(report(findings))


def train_until(
    clock: Clock,
    options: AnswerOptions,
    sets: Sequence[str],
    model: str,
) -> "tuple[list[RunFolder], bool]":
    """The runs of these feature sets by a model, best first, and whether none failed;
    no fold is started when the time is over.
    """
    from featurestack.results.run_folder import configuration_score
    from featurestack.train.retraining import StaleRun

    folders = []
    whole = True
    for number, features in enumerate(sets):
        if clock.over:
            left = counted(len(sets) - number, "run")
            clock.leave_out(f"{left} by {model}")
            break
        texts = _texts(options, RunOptions) | {"features": features, "model": model}
        try:
            folder = train_folds(clock, RunOptions.build(texts))
        except StaleRun:  # so would the other runs
            raise
        except Exception as error:  # any error: the other runs go on
            tell(f"failed: {features} by {model}: {error}")
            whole = False
            continue
        if folder.finished != folder.folds:
            clock.leave_out(f"folds of {folder.name}")
            break
        folders.append(folder)
        score = configuration_score([folder])
        tell(f"{model} {number + 1} of {len(sets)}: {features} {percent(score.mean)} %")
    return sorted(folders, key=lambda each: -configuration_score([each]).mean), whole


def train_folds(clock: Clock, options: RunOptions) -> "RunFolder":
    """The run with its folds, in silence; without those that MINUTES leave no time
    for.
    """
    from featurestack.train.plan import make_plan
    from featurestack.train.run import execute

    with silenced():
        if clock.minutes is None:
            return execute(options)
        first, *others = make_plan(options).folds
        folder = execute(replace(options, folds=(first,)))
        for fold in others:
            if clock.over:
                break
            folder = execute(replace(options, folds=(fold,)))
    return folder


def _texts(options: AnswerOptions, kind: type) -> dict[str, str]:
    """The values of these options that a command with options of this `kind` takes."""
    known = fields(type(options))
    return {
        name: written(getattr(options, name))
        for name in fields(kind)
        if name in known and getattr(options, name) != known[name].default
    }
