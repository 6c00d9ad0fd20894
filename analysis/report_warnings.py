"""Warnings of what may make a report's result wrong, a class for each.

A class finds its warning in the Evidence and says it in a sentence. Its code ends the
sentence; the page reference/generated/warnings.md of the documents is made of codes,
titles and docstrings. A class that is defined here is in WARNINGS, and so in every
report and on that page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from featurestack.analysis.findings import WARNINGS, Findings, ReportWarning
from featurestack.analysis.runs import Run, added_clips
from featurestack.commandline.errors import quoted
from featurestack.commandline.quantities import (
    counted,
    is_or_are,
    listed,
    percent,
    plural,
)
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.side_files import WHOLE, failed_clips
from featurestack.features_cache.table import originals, source_changes

# measure of `check` -> its words, if they differ
MEASURES = {
    "sample_rate": "sample rate",
    "seconds": "duration",
    "lead": "padding at the beginning",
    "trail": "padding at the end",
    "clipped": "clipping",
    "offset": "mean of the samples",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """The runs, tables and checks that warnings are found in."""

    found: Findings  # the statistics of the runs
    runs: Sequence[Run] = ()  # also those that no ranking shows
    cache: Cache | None = None
    features: Sequence[str] = ()  # cached and readable
    checked: Sequence[Attributes] = ()  # findings of `check`

    def of_check(self, kind: str) -> Iterator[Attributes]:
        """The findings of one kind."""
        return (finding for finding in self.checked if finding["kind"] == kind)


def find_warnings(evidence: Evidence) -> list[ReportWarning]:
    """Every warning of a report, those of `check` first."""
    return [warning for kind in WARNINGS for warning in kind.find(evidence)]


def failures(cache: Cache) -> dict[str, set[str]]:
    """Cached feature, or WHOLE for the clip itself -> ids of the original clips that
    failed.

    No run tests the clips under WHOLE. A run tests the others if it does not use the
    features that failed.
    """
    tested = set(originals(cache.clips)["clip_id"])
    names = (WHOLE, *cache.features)
    failed = {
        name: clips & tested
        for name, clips in failed_clips(cache.folder).items()
        if name in names
    }
    return {name: clips for name, clips in failed.items() if clips}


def of_categories(found: Findings) -> bool:
    """Whether the runs predict categories, where `check` has measured classes."""
    return found.main is not None and found.main.best.task.column == "category"


@dataclass(frozen=True)
class Duplicates(ReportWarning):
    """`check` finds the same audio in two clips by its landmarks, also cut or
    resampled. If one clip is trained on and the other tested, the model only has to
    remember it. Keep one clip of each pair, or give both one group, and train again.
    """

    code = "W1"
    title = "The same audio in different folds"
    of_check = True

    pairs: int

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        for finding in evidence.of_check("duplicates_across_folds"):
            yield cls(finding["count"])

    def says(self, found: Findings) -> str:
        return (
            f"{counted(self.pairs, 'pair')} of clips hold the same audio in different"
            f" folds, so the {found.score} is too high: the same recording is in"
            " training and test. Keep one of them, or give them one group, and train"
            " again"
        )


@dataclass(frozen=True)
class Artefacts(ReportWarning):
    """`check` trains an exact model on level, padding, bandwidth and other traces
    of recording and editing alone. If it is better than chance, a model may learn the
    traces in place of the sounds. If they do not belong to the sounds, make them the
    same in all classes and train again.
    """

    code = "W2"
    title = "Recording conditions predict the class"
    of_check = True

    accuracy: float  # from the traces alone; macro AUROC of tags
    chance: float
    names: Sequence[str] = ()  # the best measures, each with its score: `level 60.0 %`

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        for finding in evidence.of_check("artefacts"):
            if finding["severity"] == "warning":
                yield cls(finding["accuracy"], finding["chance"], finding["names"])

    def says(self, found: Findings) -> str:
        named = []
        for name in self.names:
            measure, _, alone = name.partition(" ")
            text = MEASURES.get(measure, measure)
            named.append(f"{text} ({alone} alone)" if alone else text)
        within = " within the categories" if of_categories(found) else ""
        score = f"{percent(self.accuracy)} %"
        if found.several_labels:
            score = f"macro AUROC {score}"
        above_all = f": above all {listed(named)}" if named else ""
        return (
            "Recording and editing (level, padding, bandwidth and others) alone predict"
            f" the {'tags' if found.several_labels else 'class'}{within} ({score},"
            f" chance is {percent(self.chance)} %){above_all}. Part of the"
            f" {found.score} may come from them. If they do not belong to the sounds,"
            " make them the same in all classes and train again"
        )


@dataclass(frozen=True)
class SplitByClip(ReportWarning):
    """A field of the file names may be a speaker, a site or a device, and `check`
    measured that a model is clearly worse on new ones than a random split of the clips
    says. Group the clips by this field and train again.
    """

    code = "W3"
    title = "Clips of one speaker, site or device in training and test"
    of_check = True

    measured: str  # both scores and their difference, in the words of `check`
    options: Sequence[str] = ()  # the words that group by the field

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        for finding in evidence.of_check("price"):
            if finding["severity"] == "warning":
                yield cls(finding["what"], finding["names"][1:])

    def says(self, found: Findings) -> str:
        on = " on the classes, not the categories" if of_categories(found) else ""
        words = " ".join(map(quoted, self.options))
        remedy = f". {words} tests on new ones" if words else ""
        return (
            f"A random split of the clips makes the {found.score} too high, as check"
            f" measured{on}: {self.measured}{remedy}"
        )

    @property
    def in_headline(self) -> str:
        """`a new speaker, site or device scores 30.7 points less: by clip 95.7, …`"""
        scores, _, less = self.measured.rpartition(": ")
        return f"{less}: {scores}" if scores else less


@dataclass(frozen=True)
class FailedClips(ReportWarning):
    """No feature of these clips could be computed, because a file cannot be read or a
    value is not a number. The section on the data and failures.csv name the reasons.
    """

    code = "W4"
    title = "Clips that failed"

    failed: int
    clips: int

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        cache = evidence.cache
        if cache and (failed := failures(cache).get(WHOLE)):
            yield cls(len(failed), len(originals(cache.clips)))

    def says(self, found: Findings) -> str:
        were = "was" if self.failed == 1 else "were"
        return (
            f"{counted(self.failed, 'clip')} of {self.clips:,} failed and {were} not"
            " tested"
        )


@dataclass(frozen=True)
class ChangedAudio(ReportWarning):
    """Audio files or rows of the table of clips are not those that the features were
    extracted from. Extract again, then train again.
    """

    code = "W5"
    title = "Clips changed since their features were extracted"

    changes: str  # `1 clip removed`

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        cache = evidence.cache
        if cache and (changes := source_changes(cache.sources, cache.source)):
            yield cls(changes)

    def says(self, found: Findings) -> str:
        return (
            "The clips have changed since their features were extracted"
            f" ({self.changes}): extract and train again"
        )


@dataclass(frozen=True)
class OldRuns(ReportWarning):
    """These runs were trained on other clips, labels, folds or feature values than
    there are now, so they are compared with each other alone. Train them again with
    RETRAIN=1.
    """

    code = "W6"
    title = "Runs that are older than the clips"

    runs: int

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        if outdated := evidence.found.outdated:
            yield cls(len(outdated))

    def says(self, found: Findings) -> str:
        return (
            f"{counted(self.runs, 'run')} {is_or_are(self.runs)} older than the clips"
            " or their labels: train again"
        )


@dataclass(frozen=True)
class NewClips(ReportWarning):
    """Clips were added after the runs were trained, so no score counts them. Train
    again.
    """

    code = "W7"
    title = "Clips that are newer than the runs"

    clips: int

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        if evidence.cache:
            added = added_clips(evidence.runs, evidence.cache, evidence.features)
            if added:
                yield cls(added)

    def says(self, found: Findings) -> str:
        return (
            f"{counted(self.clips, 'clip')} {is_or_are(self.clips)} newer than the runs"
            " and not tested: train again"
        )


@dataclass(frozen=True)
class UnevenClasses(ReportWarning):
    """The largest class has at least one and a half times as many clips as the
    smallest. A model that prefers large classes has a high accuracy and still fails on
    small ones: the balanced accuracy, the mean of the classes' recalls, shows it.
    """

    code = "W8"
    title = "Uneven classes"

    fewest: int  # clips of the smallest class
    most: int

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        main = evidence.found.main
        if main and main.uneven:
            yield cls(*main.class_sizes)

    def says(self, found: Findings) -> str:
        return (
            f"The classes are uneven, {self.fewest} to {self.most} clips: read the"
            " balanced accuracy, in which every class counts the same"
        )


@dataclass(frozen=True)
class UnequalRecordings(ReportWarning):
    """Clips of one recording resemble each other, and few recordings hold many of the
    clips. The interval is as wide as that of fewer, equally large recordings.
    """

    code = "W9"
    title = "Recordings of unequal size"

    effective: int  # number of equally large recordings that are as sure

    @classmethod
    def find(cls, evidence: Evidence) -> Iterator[Self]:
        if main := evidence.found.main:
            effective = round(1 / float(main.shares @ main.shares))
            if effective < len(main.shares) / 2:
                yield cls(effective)

    def says(self, found: Findings) -> str:
        return (
            f"Some {plural(found.group)} have many more clips than others: the"
            f" {counted(found.recordings, found.group)} count like {self.effective}"
            " equal ones"
        )
