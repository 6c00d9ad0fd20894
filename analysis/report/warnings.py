"""Warnings of what may make a report's result wrong, one function for each.

A function takes the Evidence and returns its warning as a sentence, or '' if there is
no reason to warn. `@warning` enters it in WARNINGS, and so in every report. Its
docstring is its page: how it is found, why it matters, how to reduce it. The report
shows the page behind the sentence; reference/generated/warnings.md is made of all.
"""

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from featurestack.analysis.report.runs import Configuration, ConfigurationRanking
from featurestack.base.errors import RequestError
from featurestack.base.quantities import counted, is_or_are, listed, percent
from featurestack.base.registry import Registry
from featurestack.base.shell import quoted
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.index_file import WHOLE, failed_clips
from featurestack.features_cache.source_changes import source_changes
from featurestack.results.run_folder import scored_features


@dataclass(frozen=True, eq=False)
class Evidence:
    """The facts that warnings are found in."""

    main: ConfigurationRanking | None  # None without a run
    cache: Cache | None = None
    checked: Sequence[Attributes] = ()  # findings of `check`
    old_runs: int = 0  # number of runs of other data, which are left out

    def grave(self, kind: str) -> Attributes | None:
        """The first finding of this kind that `check` warns about."""
        for found in self.checked:
            if found["kind"] == kind and found["severity"] == "warning":
                return found
        return None


def untested(cache: Cache, runs: Sequence[Configuration] = ()) -> set[str]:
    """Ids of original clips that failed and lack every feature that these runs were
    trained on; if there are no runs, every feature.
    """
    trained = [run.config.channels for run in runs if run.trained]
    used = {channel.stored for channels in trained for channel in channels} or {
        *cache.features
    }
    failed = failed_clips(cache.folder)
    ids = set[str]().union(*(failed.get(name, ()) for name in (WHOLE, *used)))
    ids &= {*originals(cache.clips)["clip_id"]}
    for name in used & {*cache.features}:
        with suppress(RequestError):  # a damaged feature is one of the problems
            ids -= {*cache.clips["clip_id"][cache.readable([name])]}
    return ids


Find = Callable[[Evidence], str]


@dataclass(frozen=True)
class _Warning:
    """A kind of warning."""

    title: str
    find: Find
    of_check: bool  # `check` prints it too
    touches_score: bool  # a score on the page is not what it seems

    @property
    def page(self) -> str:
        """How it is found, why it matters, how to reduce it."""
        return inspect.getdoc(self.find) or ""


WARNINGS: Registry[_Warning] = Registry("warning")  # by code, in a report's order


def warning(
    code: str, title: str, *, of_check: bool = False, touches_score: bool = True
) -> Callable[[Find], Find]:
    """Decorator: find a warning in every report."""
    return WARNINGS.register(
        code, lambda find: _Warning(title, find, of_check, touches_score)
    )


@warning("W1", "The same audio in different folds", of_check=True)
def duplicates(evidence: Evidence) -> str:
    """`check` finds the same audio in two clips by its landmarks, even if it was cut or
    resampled. If one clip is trained on and the other tested, the model only has to
    remember it. Keep one clip of each pair, or give both one group, and train again.
    """
    kind = "duplicates_across_folds"
    pairs = sum(
        len(finding["names"]) for finding in evidence.checked if finding["kind"] == kind
    )
    if not pairs:
        return ""
    return (
        f"{counted(pairs, 'pair')} of clips with the same audio in different folds, so"
        " the scores are too high: the same recording is in training and test. Keep one"
        " of them, or give them one group, and train again."
    )


@warning("W2", "Recording conditions predict the class", of_check=True)
def artefacts(evidence: Evidence) -> str:
    """`check` trains an exact model on level, padding, bandwidth and other traces
    of recording and editing. If it is better than chance, a model may learn the
    traces in place of the sounds. If they do not belong to the sounds, make them the
    same in all classes and train again.
    """
    finding = evidence.grave("artefacts")
    if finding is None:
        return ""
    score, what = f"{percent(finding['accuracy'])} %", "class"
    if evidence.main and evidence.main.best.task.multilabel:
        score, what = f"macro AUROC {score}", "tags"
    alone = f"; by themselves: {listed(finding['names'])}" if finding["names"] else ""
    return (
        "Level, padding, bandwidth and other traces of recording predict the"
        f" {what} ({score}, chance is {percent(finding['chance'])} %{alone})."
        " Part of a score may come from them."
    )


@warning(
    "W3", "Clips of one speaker, site or device in training and test", of_check=True
)
def split_by_clip(evidence: Evidence) -> str:
    """A field of the file names may be a speaker, a site or a device. `check` found
    that a model is clearly worse on new values of this field than in a random split of
    the clips. Group the clips by this field and train again.
    """
    finding = evidence.grave("price")
    if finding is None:
        return ""
    words = " ".join(map(quoted, finding["names"][1:]))
    remedy = f". {words} tests on new ones" if words else ""
    return (
        "A random split of the clips inflates the scores, as check measured:"
        f" {finding['what']}{remedy}."
    )


@warning("W4", "Clips that failed", touches_score=False)
def failed_ones(evidence: Evidence) -> str:
    """No feature of the runs could be computed for these clips, because a file cannot
    be read or a value is not a number. failures.csv in the cache lists the reasons.
    """
    cache, main = evidence.cache, evidence.main
    failed = untested(cache, main.runs if main else ()) if cache else None
    if not cache or not failed:
        return ""
    were = "was" if len(failed) == 1 else "were"
    clips = len(originals(cache.clips))
    return f"{counted(len(failed), 'clip')} of {clips:,} failed and {were} not tested."


@warning("W5", "Clips changed since their features were extracted")
def changed_audio(evidence: Evidence) -> str:
    """Audio files, rows of the table of clips, or groups and folds in folds.csv have
    changed since the features were extracted. Extract again, then train again.
    """
    cache = evidence.cache
    if not cache:
        return ""
    changes = source_changes(cache.sources, cache.settings, cache.folds_csv)
    if not changes:
        return ""
    return (
        "The clips have changed since their features were extracted"
        f" ({changes}): extract and train again."
    )


@warning("W6", "Runs of other data", touches_score=False)
def old_runs(evidence: Evidence) -> str:
    """The clips, labels, folds or feature values have changed since these runs were
    trained, so the report leaves them out. Their files stay; remove OLD=1 lists and
    deletes them.
    """
    runs = evidence.old_runs
    if not runs:
        return ""
    its = "its" if runs == 1 else "their"
    return (
        f"{counted(runs, 'older run')} {is_or_are(runs)} left out: {its} clips, labels,"
        " folds or values have changed since."
    )


@warning("W8", "Uneven classes")
def uneven_classes(evidence: Evidence) -> str:
    """The largest class has at least one and a half times as many clips as the
    smallest. A model that prefers large classes has a high accuracy and still fails on
    small ones, so runs are ranked and compared by balanced accuracy, the mean of the
    classes' recalls.
    """
    sizes = evidence.main.uneven if evidence.main else None
    if not sizes:
        return ""
    fewest, most = sizes
    return (
        f"The classes are uneven, {fewest} to {most} clips: runs are ranked by balanced"
        " accuracy, in which every class counts the same."
    )


@warning("W9", "Features that were scored on the same clips")
def ranked_on_these_clips(evidence: Evidence) -> str:
    """The features of the best configuration are among those that `train`,
    `importance` or `answer` scored one by one on the clips that test it. The highest of
    many scores is partly luck, and no test here corrects for features that were scored
    outside the comparison, or for a set that their scores suggested. `answer` chooses
    for each fold without its clips; to test a set that you have chosen, use new clips.
    """
    main = evidence.main
    if main is None:
        return ""
    run = max(main.runs, key=lambda configuration: configuration.score.value)
    features = {*run.channels}
    singles = [
        configuration.features
        for configuration in main.runs
        if configuration.trained and "+" not in configuration.features
    ]
    runs = run.folders[0].path.parent
    scored = {*singles} | scored_features(runs, run.config.clips, run.task.name)
    corrected = len(features) == 1 and scored == {*singles}
    if not run.trained or not features < scored or corrected:
        return ""
    lead = "score"
    if others := [
        configuration for configuration in main.runs if configuration is not run
    ]:
        lead = f"lead over {main.labels[others[0].name]}"
    return (
        f"{len(scored)} features were scored on these clips. If you chose"
        f" {main.labels[run.name]} by those scores, its {lead} may be luck; answer"
        " chooses inside the folds."
    )
