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
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestack import functions
from featurestack.answers.options import AnswerOptions
from featurestack.answers.question import Question, ask, tell_time
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import progress, silenced, tell
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import parse_channel
from featurestack.pipeline.features import FEATURES
from featurestack.results.run_folder import (
    RunFolder,
    claim_run,
    configuration_score,
    find,
)
from featurestack.storage.files import Lock
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.run import execute, is_run_of

if TYPE_CHECKING:
    from featurestack.analysis.report_inputs import Built
    from featurestack.answers.choice import Scores
    from featurestack.scores.metrics import Score


@dataclass(frozen=True)
class Answer:
    """The findings; `print` shows them in lines.

    score        the procedure's: each fold tested by the set chosen without it
    chosen       tested fold -> the set that was chosen without it
    recommended  the set for later use, chosen from all folds; '' if nothing is better
                 than chance. It has no score, unless it is the only feature
    run          the run of the recommended set, as dataset/name
    alone        feature -> its score alone by ridge, the best first
    whole        False if a clip, a run or a part of the report failed
    """

    built: "Built"
    score: "Score"
    chosen: dict[int, str]
    recommended: str
    run: str
    alone: dict[str, float]
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


def make_answer(options: AnswerOptions) -> int:
    """From a folder of sounds to the report: check, features, a choice, its run."""
    found = find_answer(options)
    print(found)
    return 0 if found.whole else 1


def find_answer(options: AnswerOptions) -> Answer:
    """Take the steps that are not done yet."""
    from featurestack.analysis.report_inputs import refuse_users_folder
    from featurestack.answers.section import CANDIDATES, refuse_other_run

    question = ask(options)
    refuse_users_folder(question.options.reports / question.runs.name)
    refuse_other_run(question.folder)
    claim_run(question.folder, (), CANDIDATES)
    tell_time(question)
    lock = Lock(question.folder / ".lock")
    if not lock.take():
        tell("waiting: another process answers this question")
    # a process that has waited finds everything done
    with lock:
        question = replace(question)  # reads again what may have changed
        checked = check(question)
        whole = extract(question)
        question = replace(question, lacking=[])
        scores = rank(question)
        run = train(question, scores)
        names = ("dataset", "name", "data", "runs", "reports")
        given = {name: getattr(question.options, name) for name in names}
        built: Any = functions.report(**given)  # `Built`, of one dataset
        return conclude(question, scores, run, built, checked=checked, whole=whole)


# ---- the steps


def check(question: Question) -> bool:
    """Print and keep what `check` finds; False if that is known."""
    from featurestack.checks import report
    from featurestack.checks.run import findings_in

    if question.asked is None or not question.unchecked:
        return False
    _, findings = findings_in(question.asked.dataset)
    print(report(findings))
    return True


def extract(question: Question) -> bool:
    """Extract the features that the cache lacks; whether all clips could be done."""
    from featurestack.pipeline import extract as extraction

    if question.asked is None:
        return True
    return extraction.extract_features(question.wanted, question.asked) == 0


def rank(question: Question) -> "Scores":
    """Score each feature alone, in the fits that choose."""
    from featurestack.answers.choice import Scores
    from featurestack.feature_importance.fits import RIDGE, Fits, read_clips

    names = rankable(question.cache, question.features)
    given = {"features": "+".join(names), "model": RIDGE}
    plan = make_plan(part_of(question.options, RunOptions, **given))
    scores = Scores(Fits(read_clips(plan)))
    for name in progress(plan.channel_names, label="ranking", unit="features"):
        scores.add(name, [None, *plan.folds])
    return scores


def rankable(cache: Cache, names: Sequence[str]) -> list[str]:
    """The features that no other has more clips of, in one order, however they were
    given: that of `make features`, which decides between equal ones.
    """
    known = [*FEATURES.complete()]

    def place(name: str) -> tuple[int, str]:
        own = parse_channel(name).name
        return known.index(own) if own in known else len(known), name

    counts = {
        name: int(cache.readable([name]).sum())
        for name in sorted(names, key=place)
        if name in cache.features
    }
    most = max(counts.values(), default=0)
    kept = []
    for name, count in counts.items():
        if count < most:
            tell(f"{name} is left out: it has {count:,} of {counted(most, 'clip')}")
        else:
            kept.append(name)
    return kept


def run_options(question: Question, features: str, model: str) -> RunOptions:
    """The options of a set's run, with its features in the order of the run that is
    there.
    """
    given = {"features": features, "model": model}
    options = part_of(question.options, RunOptions, **given)
    for run in find(question.options.runs, question.runs.name):
        with suppress(RequestError):  # damaged, or trained in another way
            order = run.config.features
            if {*order.split("+")} == {*features.split("+")}:
                turned = replace(options, features=order)
                if is_run_of(run.path, make_plan(turned)):
                    return turned
    return options


def train(question: Question, scores: "Scores") -> RunFolder:
    """Choose a set and a model for each fold and train them; then those for later use
    on every fold. A single feature has one run: a map by `texturenet`, a vector by
    `ridge`.
    """
    from featurestack.answers.choice import choose, recommend
    from featurestack.answers.section import write_choice

    plan = scores.clips.plan
    names = plan.channel_names

    def train_fold(features: str, fold: int, joined_from: int) -> RunFolder:
        """The run of a set, with this fold trained."""
        with silenced():
            options = run_options(question, features, scores.model(features))
            return execute(replace(options, folds=(fold,)), joined_from)

    if not question.chooses:
        for fold in progress(plan.folds, label="training", unit="folds"):
            run = train_fold(names[0], fold, 0)
        return run
    chosen = {
        fold: choose(scores, names, fold)
        for fold in progress(plan.folds, label="choosing", unit="folds")
    }
    recommended = recommend(scores, names, [*chosen.values()])
    jobs = [(features, fold) for fold, features in chosen.items()]
    jobs += [(recommended, fold) for fold in chosen if chosen[fold] != recommended]
    runs: dict[str, RunFolder] = {}
    for features, fold in progress(jobs, label="training", unit="folds"):
        runs[features] = train_fold(features, fold, len(names))
    return write_choice(
        question.folder,
        {fold: runs[features] for fold, features in chosen.items()},
        runs[recommended],
        scores,
        question.words,
    )


# ---- after the steps


def conclude(
    question: Question,
    scores: "Scores",
    run: RunFolder,
    built: "Built",
    *,
    checked: bool,
    whole: bool,
) -> Answer:
    from featurestack.answers import section

    names = scores.clips.plan.channel_names
    alone = {name: scores.by_ridge(name, None) for name in names}
    alone = dict(sorted(alone.items(), key=lambda pair: -pair[1]))
    score = configuration_score([run])
    name = question.runs.name
    lines = [
        f"  {remark}" for remark in built.remarks[built.of_check if checked else 0 :]
    ]
    lines.append(f"{name}: {built.headline}")
    if built.best != run.name:
        lines.insert(-1, f"{name}: {run.config.features}: {score}")
    config = run.config
    chance = built.state == "chance"
    recommended = "" if chance else config.features
    own, chosen = run.name, dict.fromkeys(run.finished, config.features)
    if choice := config.choice:
        own, chosen = choice.recommended_run, dict(zip(config.folds, choice.sets))
        recommended = "" if chance else choice.recommended
        lines.append(f"Chosen: {section.chosen(choice)}.")
        lines.append(section.recommended(choice, chance=chance))
    lines.append(section.surer(names, question.cache, question.words))
    lines.append(section.alone(alone, scores.clips.plan.task.metric.title))
    lines.append(f"report: {built.page.resolve()}")
    if built.next_command:
        lines.append(f"next:   {built.next_command}")
    return Answer(
        built=built,
        score=score,
        chosen=chosen,
        recommended=recommended,
        run=f"{name}/{own}" if recommended else "",
        alone=alone,
        lines=lines,
        whole=whole and built.whole,
    )
