"""`python -m pipeline check`: what is wrong with this dataset?

Every clip is decoded once. What is certain to leak between folds (a source recording in two folds, one
sound in two folds) makes the exit status 1; everything else is for the user to judge.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError, progress, text_table
from features_cache.splits import fold_split
from pipeline import audio
from pipeline.datasets import Dataset
from pipeline.datasets.source import load_for
from pipeline.likeness import NO_MOMENTS, Fingerprint, Pair, fingerprint, identical
from pipeline.options import SourceOptions
from pipeline.soundness import ARTEFACTS, SILENT, Soundness, measure

MOSTLY = 0.5  # of a clip; more padding than that is worth a word
CLIPPED = 0.001  # of the samples
NARROW = 0.8  # of the Nyquist frequency; nothing above it means another rate or a lossy codec before
SHOWN = 8  # clips by name in a row of the table
KEPT_AT_HAND = 64  # decoded clips, while candidates are compared
SEVERITIES = LEAK, WARNING, NOTE = "LEAK", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with the clips or recordings or classes that it is wrong with."""

    severity: str
    what: str
    names: Sequence[str]
    of: str = "clip"

    @property
    def where(self) -> str:
        """`3 clips`, `2 classes`."""
        plural = "" if len(self.names) == 1 else "es" if self.of.endswith("s") else "s"
        return f"{len(self.names)} {self.of}{plural}"

    @property
    def by_name(self) -> str:
        """A line each for a leak, otherwise some."""
        if self.severity == LEAK:
            return "\n  ".join(self.names)
        return ", ".join(self.names[:SHOWN]) + (" …" if len(self.names) > SHOWN else "")


@dataclass(frozen=True)
class Listened:
    """What decoding a clip has told: either measures and fingerprint, or the reason why it cannot be used."""

    soundness: Soundness | None = None
    moments: Fingerprint | None = None
    reason: str = ""


Rule = Callable[[pd.DataFrame, Dataset], Iterator[Finding]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """A check over the table of clips with the columns of Soundness beside it."""
    RULES.append(function)
    return function


def run(options: SourceOptions) -> int:
    """Print what is wrong with a dataset; 1 where a leak is certain."""
    dataset = load_for(options)
    findings = findings_in(dataset)
    print(report(dataset, findings))
    return 1 if any(finding.severity == LEAK for finding in findings) else 0


def findings_in(dataset: Dataset) -> list[Finding]:
    """Every finding, leaks first."""
    table = dataset.table[dataset.table["copy_of"] == ""].reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(f"{dataset.name} is a cache of brought features and has no audio to check")
    heard = _listen(table["path"].tolist(), dataset.sample_rate)
    table = pd.concat([table, _measures(heard)], axis=1)
    findings = [finding for check in RULES for finding in check(table, dataset)]
    findings += _same_sounds(table, heard, dataset.sample_rate)
    return sorted((one for one in findings if one.names), key=lambda one: SEVERITIES.index(one.severity))


def report(dataset: Dataset, findings: Sequence[Finding]) -> str:
    """The table, then the names behind each row: all of them for a leak."""
    clips = dataset.table[dataset.table["copy_of"] == ""]
    classes, folds = clips["label"].nunique(), clips["fold"].nunique()
    head = f"{dataset.name}: {len(clips):,} clips, {classes} classes, {folds} folds"
    if not findings:
        return f"{head}\nnothing was found wrong"
    rows = [[one.severity, one.where, one.what] for one in findings]
    names = [f"\n{one.what}:\n  {one.by_name}" for one in findings]
    return "\n".join([head, "", text_table(rows, ["", "where", "finding"]), *names])


@rule
def unreadable(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Clips that cannot be decoded."""
    bad = table[table["reason"] != ""]
    named = [f"{row.clip_id} ({row.reason})" for row in bad.itertuples()]
    yield Finding(WARNING, "cannot be read, every command leaves them out", named)


@rule
def sources_in_two_folds(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """What trains on the folds as they are has heard the test's own recordings."""
    folds = table.groupby("group")["fold"].unique()
    spread = [
        f"{group} (folds {', '.join(map(str, sorted(there)))})"
        for group, there in folds.items()
        if len(there) > 1
    ]
    yield Finding(
        LEAK, "a source recording lies in several folds; training here leaves it out", spread, "source"
    )


@rule
def levels(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Silent and clipped clips."""
    yield Finding(WARNING, "silent: never above -60 dB", _ids(table, table["peak"] < SILENT))
    clipped = table["clipped"] >= CLIPPED
    yield Finding(
        WARNING, f"clipped: more than {CLIPPED:.1%} of the samples in flat tops", _ids(table, clipped)
    )


@rule
def padding(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Clips that are mostly silence around a sound, and clips that are cut."""
    kept = np.minimum(table["seconds"], dataset.duration)
    sound = kept - table["lead"] - np.maximum(0, table["trail"] - (table["seconds"] - kept))
    padded = (sound < (1 - MOSTLY) * dataset.duration) & (table["peak"] >= SILENT)
    yield Finding(
        NOTE,
        f"mostly padded: the sound fills less than half of {dataset.duration:.4g} s",
        _ids(table, padded),
    )
    longer = table["seconds"] > dataset.duration * 1.01
    yield Finding(NOTE, f"longer than {dataset.duration:.4g} s: the end is cut", _ids(table, longer))


@rule
def rates(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Traces of another sample rate or of a codec."""
    other = table["sample_rate"].notna() & (table["sample_rate"] != dataset.sample_rate)
    yield Finding(NOTE, f"another rate than {dataset.sample_rate} Hz: resampled", _ids(table, other))
    nyquist = table["sample_rate"] / 2
    narrow = (table["bandwidth"] < NARROW * nyquist) & (table["peak"] >= SILENT)
    what = f"nothing above {NARROW:.0%} of the band: recorded at a lower rate, or coded"
    yield Finding(NOTE, what, _ids(table, narrow))


@rule
def small_classes(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Classes that some fold cannot test."""
    by_fold = pd.crosstab(table["label"], table["fold"])
    lacking = by_fold.index[(by_fold == 0).any(axis=1)]
    yield Finding(WARNING, "a class is missing in some fold", [str(label) for label in lacking], "class")


@rule
def artefacts(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """How far a linear classifier gets from artefacts alone, on the folds as they are used."""
    readable = table[table["reason"] == ""].reset_index(drop=True)
    try:
        scores = artefact_accuracies(readable)
    except RequestError:
        return  # too few folds or classes to train on anything
    chance = readable["label"].value_counts(normalize=True).max()
    what = (
        f"a linear classifier of artefacts alone reaches {scores.mean():.1%} ± {scores.std(ddof=1):.1%} "
        f"(n = {len(scores)} folds; the commonest class has {chance:.1%})"
    )
    telling = scores.mean() - 2 * scores.std(ddof=1) > chance
    yield Finding(WARNING if telling else NOTE, what, ARTEFACTS, "measure")


def artefact_accuracies(table: pd.DataFrame) -> NDArray[np.float64]:
    """Test accuracy on every fold of a logistic regression on ARTEFACTS, nothing else, without a leak."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if table["label"].nunique() < 2:
        raise RequestError("one class alone cannot be told apart")
    rows = table.set_index("clip_id")
    scores = []
    for fold in sorted(rows["fold"].unique()):
        parts = fold_split(table, fold)
        train, test = rows.loc[parts.train], rows.loc[parts.test]
        if train["label"].nunique() < 2:
            raise RequestError("one class alone cannot be told apart")
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(train[list(ARTEFACTS)], train["label"])
        scores.append(model.score(test[list(ARTEFACTS)], test["label"]))
    return np.array(scores)


def _same_sounds(table: pd.DataFrame, heard: Sequence[Listened], sample_rate: int) -> Iterator[Finding]:
    """Clips that hold the same sound, also shifted, cut or rescaled."""
    moments = [one.moments or NO_MOMENTS for one in heard]
    decode = lru_cache(KEPT_AT_HAND)(lambda row: audio.decode(table["path"].iloc[row], sample_rate))
    across, beside, mixed = [], [], []
    for pair in identical(moments, decode):
        a, b = table.iloc[pair.a], table.iloc[pair.b]
        named = f"{a.clip_id} (fold {a.fold}) = {b.clip_id} (fold {b.fold}){_moved(pair, sample_rate)}"
        if a.fold != b.fold:
            across.append(named)
        elif a.group != b.group:
            beside.append(named)
        if a.label != b.label:
            mixed.append(f"{a.clip_id} is {a.label}, {b.clip_id} is {b.label}")
    yield Finding(LEAK, "the same sound lies in two folds", across, "pair")
    yield Finding(WARNING, "the same sound under two source recordings, in one fold", beside, "pair")
    yield Finding(WARNING, "the same sound has two labels", mixed, "pair")


def _moved(pair: Pair, sample_rate: int) -> str:
    seconds = pair.shift / sample_rate
    shifted = f", shifted by {seconds:+.3f} s" if pair.shift else ""
    return f"{shifted}, correlation {pair.correlation:.3f}"


def _listen(paths: Sequence[str], sample_rate: int) -> list[Listened]:
    """Threads suffice: decoding and transforms work outside Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        heard = threads.map(partial(_hear, sample_rate=sample_rate), paths)
        return list(progress(heard, total=len(paths), label="listen", unit="clips"))


def _hear(path: str, sample_rate: int) -> Listened:
    try:
        info = audio.info(path)
        y = audio.decode(path)
    except audio.AudioError as error:
        return Listened(reason=str(error))
    at_rate = y if info.sample_rate == sample_rate else audio.resample(y, info.sample_rate, sample_rate)
    return Listened(measure(y, info.sample_rate, info.channels), fingerprint(at_rate, sample_rate))


def _measures(heard: Sequence[Listened]) -> pd.DataFrame:
    rows = [{"reason": one.reason, **(asdict(one.soundness) if one.soundness else {})} for one in heard]
    return pd.DataFrame(rows, columns=["reason", *ARTEFACTS])


def _ids(table: pd.DataFrame, chosen: "pd.Series[bool]") -> list[str]:
    return [str(clip) for clip in table.loc[chosen, "clip_id"]]
