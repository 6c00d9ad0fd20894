"""`python -m pipeline check`: what is wrong with this dataset?

Every clip is decoded once. What is certain to leak between folds (a source recording in two folds, the same
audio in two folds) makes the exit status 1; everything else is for the user to judge.

Level, padding, clipping and bandwidth are artefacts of recording and editing. They should not predict the
class; how far they do is how far a score may come from them.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import lru_cache, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import Registry, RequestError
from commandline.terminal import counted, mean_percent, percent, progress, text_table
from features_cache.table import fold_split
from pipeline import audio
from pipeline.datasets import Dataset
from pipeline.datasets.load import describe_lengths, load_for
from pipeline.near_duplicates import (
    NO_LANDMARKS,
    AudioFingerprint,
    Pair,
    audio_fingerprint,
    find_near_duplicates,
)
from pipeline.next_step import next_step
from pipeline.options import SourceOptions

Samples = NDArray[np.float32]

QUIET = 1e-4  # full scale; softer samples at a clip's ends are padding, also after a lossy codec
SILENT = 1e-3  # full scale; a clip that never gets louder is silent
CLIPPED_AT = 0.99  # full scale
CLIPPED_RUN = 3  # neighbouring samples at full scale that make a flat top
EMPTY = -105.0  # dB of full scale in a band; rounding to 16 bits is 20 dB below
FRAME = 1024  # samples of a spectrum
MOSTLY = 0.5  # of a clip; more padding than that is worth a word
CLIPPED = 0.001  # of the samples
NARROW = 0.8  # of the Nyquist frequency; nothing above it means another rate or a lossy codec before
SHOWN = 8  # clips by name in a row of the table
LONGEST_DURATION = 3600  # seconds, as DURATION: no command reads more of a file
KEPT_AT_HAND = 64  # decoded clips, while candidates are compared
SEVERITIES = LEAK, WARNING, NOTE = "LEAK", "warning", "note"


@dataclass(frozen=True)
class Measures:
    """What one clip's samples say about how it was made, at its file's own rate."""

    sample_rate: int  # Hz, of the file
    seconds: float  # of the file
    channels: int
    peak: float  # of full scale
    level: float  # dB of full scale, of the part that is not padding
    lead: float  # seconds of padding at the beginning
    trail: float  # and at the end
    clipped: float  # fraction of samples in flat tops at full scale
    offset: float  # mean, of full scale
    bandwidth: float  # Hz; above it there is nothing but rounding


ARTEFACTS = tuple(field.name for field in fields(Measures))

WORDS = {  # of each measure
    "sample_rate": "the file's sample rate",
    "seconds": "the file's duration",
    "channels": "the number of channels",
    "peak": "the largest sample",
    "level": "the level",
    "lead": "the silence at the beginning",
    "trail": "the silence at the end",
    "clipped": "the share of clipped samples",
    "offset": "the mean of the samples (offset)",
    "bandwidth": "the bandwidth",
}
EVEN = {  # how to make a measure the same for all classes
    "sample_rate": "SAMPLE_RATE= the lowest of them, in make features",
    "seconds": "DURATION= the shortest of them in make features, or PADDING=drop in training",
    "channels": "nothing, all clips are made mono",
    "peak": "NORM=clip in the training of a network",
    "level": "NORM=clip in the training of a network",
    "lead": "cut the silence at the clips' beginnings",
    "trail": "cut the silence at the clips' ends, PADDING=drop in training",
    "clipped": "take softer recordings",
    "offset": "a high-pass filter over the files",
    "bandwidth": (
        "SAMPLE_RATE={rate} in make features, twice {hertz:,.0f} Hz, the lowest median bandwidth of a class "
        "({label})"
    ),
}
ADVISED = 3  # measures
WHAT_IT_MEANS = (
    "nothing where the sounds themselves differ so, as a siren is louder than a clock; where recording\n"
    "    or editing made them differ, make it the same in all classes and train again:"
)


def measure_clip(y: Samples, sample_rate: int, channels: int) -> Measures:
    """The measures of a clip, (samples,) at its file's own rate."""
    loud = np.flatnonzero(np.abs(y) >= QUIET)
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (len(y), len(y))
    inner = y[first:last] if len(loud) else y
    return Measures(
        sample_rate=sample_rate,
        seconds=len(y) / sample_rate,
        channels=channels,
        peak=float(np.abs(y).max(initial=0)),
        level=10 * float(np.log10(np.mean(np.square(inner, dtype=np.float64)) + 1e-12)),
        lead=first / sample_rate,
        trail=(len(y) - last) / sample_rate,
        clipped=clipped_fraction(y),
        offset=float(np.mean(y, dtype=np.float64)),
        bandwidth=bandwidth(inner, sample_rate),
    )


def clipped_fraction(y: Samples) -> float:
    """The fraction of samples that are at full scale beside others on the same side."""
    full = np.where(np.abs(y) >= CLIPPED_AT, np.sign(y), 0)
    ends = np.flatnonzero(np.diff(full, prepend=0, append=0))
    runs = np.diff(ends)  # lengths of stretches of one value, zero or full scale
    flat = (full[ends[:-1]] != 0) & (runs >= CLIPPED_RUN)
    return float(runs[flat].sum() / max(1, len(y)))


def bandwidth(y: Samples, sample_rate: int) -> float:
    """The highest frequency (Hz) that holds more than rounding, on average over the clip's whole frames."""
    y = np.pad(y, (0, max(0, FRAME - len(y))))
    whole = y[: len(y) // FRAME * FRAME].reshape(-1, FRAME)
    window = np.hanning(FRAME)
    power = np.mean(np.abs(np.fft.rfft(whole * window, axis=1)) ** 2, axis=0) / window.sum() ** 2 * 4
    filled = np.flatnonzero(10 * np.log10(power + 1e-20) > EMPTY)
    return float(filled[-1] * sample_rate / FRAME) if len(filled) else 0.0


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with the clips or recordings or classes that it is wrong with."""

    severity: str
    what: str
    names: Sequence[str]
    of: str = "clip"
    remedy: str = ""
    """what to do about it; a note needs nothing done"""

    @property
    def where(self) -> str:
        """`3 clips`, `2 classes`."""
        return counted(len(self.names), self.of)

    @property
    def by_name(self) -> str:
        """A line each for a leak, otherwise some."""
        if self.severity == LEAK:
            return "\n  ".join(self.names)
        return ", ".join(self.names[:SHOWN]) + (" …" if len(self.names) > SHOWN else "")


@dataclass(frozen=True)
class DecodedClip:
    """Measures and fingerprint of a clip, or the reason why it cannot be used."""

    measures: Measures | None = None
    fingerprint: AudioFingerprint | None = None
    reason: str = ""


Check = Callable[[pd.DataFrame, Dataset], Iterator[Finding]]  # of clips with the columns of Measures
CHECKS: Registry[Check] = Registry("check")


def run(options: SourceOptions) -> int:
    """The command `check`: print what is wrong with a dataset; 1 where a leak is certain.

    options  which dataset: see SourceOptions

        run(SourceOptions(dataset="data/my-clips", group="(.*)-[A-Z]"))
    """
    dataset = load_for(options)
    findings = findings_in(dataset)
    print(report(dataset, findings))
    print(f"\n{next_step(options, dataset)}")
    return 1 if any(finding.severity == LEAK for finding in findings) else 0


def findings_in(dataset: Dataset) -> list[Finding]:
    """Every finding, leaks first."""
    table = dataset.table[dataset.table["copy_of"] == ""].reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(f"{dataset.name} is a cache of external features and has no audio to check")
    decoded = _decode_all(table["path"].tolist(), dataset.sample_rate)
    table = pd.concat([table, _measures(decoded)], axis=1)
    findings = [finding for check in CHECKS.values() for finding in check(table, dataset)]
    findings += _near_duplicates(table, decoded, dataset.sample_rate)
    return sorted((one for one in findings if one.names), key=lambda one: SEVERITIES.index(one.severity))


def report(dataset: Dataset, findings: Sequence[Finding]) -> str:
    """The table, then the names behind each row: all of them for a leak."""
    clips = dataset.table[dataset.table["copy_of"] == ""]
    classes, folds = clips["label"].nunique(), clips["fold"].nunique()
    counts = counted(len(clips), "clip"), counted(classes, "class"), counted(folds, "fold")
    head = f"{dataset.name}: {', '.join(counts)}"
    if not findings:
        return f"{head}\nnothing was found wrong"
    rows = [[one.severity, one.where, one.what] for one in findings]
    names = [f"\n{one.what}:\n  {one.by_name}{_indented(one.remedy)}" for one in findings]
    return "\n".join([head, "", text_table(rows, ["", "where", "finding"]), *names])


def _indented(remedy: str) -> str:
    return f"\n  what to do: {remedy}" if remedy else ""


@CHECKS.register()
def unreadable(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Clips that cannot be decoded."""
    bad = table[table["reason"] != ""]
    named = [f"{row.clip_id} ({row.reason})" for row in bad.itertuples()]
    remedy = "convert or replace the files, then make features"
    yield Finding(WARNING, "cannot be read, every command leaves them out", named, remedy=remedy)


@CHECKS.register()
def sources_in_two_folds(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Source recordings that would be trained on and tested."""
    folds = table.groupby("group")["fold"].unique()
    spread = [
        f"{group} (folds {', '.join(map(str, sorted(there)))})"
        for group, there in folds.items()
        if len(there) > 1
    ]
    what = "a source recording is in several folds; training here leaves it out"
    remedy = "nothing here; for other programs give each of them one fold"
    yield Finding(LEAK, what, spread, "source", remedy)


@CHECKS.register()
def levels(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Silent and clipped clips."""
    silent = _ids(table, table["peak"] < SILENT)
    yield Finding(WARNING, "silent: never above -60 dB", silent, remedy="listen, and remove what is empty")
    clipped = _ids(table, table["clipped"] >= CLIPPED)
    what = f"clipped: more than {CLIPPED:.1%} of the samples in flat tops"
    remedy = "take softer recordings, or see that each class has as many clipped clips"
    yield Finding(WARNING, what, clipped, remedy=remedy)


@CHECKS.register()
def padding(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Clips that are mostly padding, and clips that are cut."""
    kept = np.minimum(table["seconds"], dataset.duration)
    filled = kept - table["lead"] - np.maximum(0, table["trail"] - (table["seconds"] - kept))
    padded = (filled < (1 - MOSTLY) * dataset.duration) & (table["peak"] >= SILENT)
    yield Finding(
        NOTE,
        f"mostly padded: less than half of {dataset.duration:.4g} s is not silence",
        _ids(table, padded),
    )
    sound = np.maximum(table["seconds"] - table["lead"] - table["trail"], 0)
    for line in describe_lengths(sound[table["peak"] >= SILENT], dataset.sample_rate, dataset.duration):
        yield Finding(NOTE, line, [str(name) for name in ("DURATION", "FEATURES") if name in line], "option")
    longer = table["seconds"] > dataset.duration * 1.01
    yield Finding(NOTE, f"longer than {dataset.duration:.4g} s: the end is cut", _ids(table, longer))


@CHECKS.register()
def rates(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Traces of another sample rate or of a codec."""
    other = table["sample_rate"].notna() & (table["sample_rate"] != dataset.sample_rate)
    yield Finding(NOTE, f"another rate than {dataset.sample_rate} Hz: resampled", _ids(table, other))
    nyquist = table["sample_rate"] / 2
    narrow = (table["bandwidth"] < NARROW * nyquist) & (table["peak"] >= SILENT)
    what = f"nothing above {NARROW:.0%} of the band: recorded at a lower rate, or coded"
    yield Finding(NOTE, what, _ids(table, narrow))


@CHECKS.register()
def small_classes(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """Classes that some fold cannot test."""
    by_fold = pd.crosstab(table["label"], table["fold"])
    lacking = by_fold.index[(by_fold == 0).any(axis=1)]
    remedy = "add clips of it from other recordings; scores of the fold leave it out"
    names = [str(label) for label in lacking]
    yield Finding(WARNING, "a class is missing in some fold", names, "class", remedy)


@CHECKS.register()
def artefacts(table: pd.DataFrame, dataset: Dataset) -> Iterator[Finding]:
    """How far a linear classifier gets from artefacts alone, on the folds as they are used."""
    readable = table[table["reason"] == ""].reset_index(drop=True)
    try:
        scores = artefact_accuracies(readable)
    except RequestError:
        return  # too few folds or classes to train on anything
    chance = readable["label"].value_counts(normalize=True).max()
    what = (
        f"a linear classifier of artefacts alone reaches {mean_percent(scores.tolist())} accuracy "
        f"(n = {len(scores)} folds; always the commonest class: {percent(chance)} %)"
    )
    telling = scores.mean() - 2 * scores.std(ddof=1) > chance
    if not telling:
        yield Finding(NOTE, what, list(WORDS.values()), "measure")
        return
    alone = {name: artefact_accuracies(readable, [name]).mean() for name in ARTEFACTS}
    best = sorted(alone, key=lambda name: -alone[name])
    named = [f"{percent(alone[name])} % by {WORDS[name]} alone" for name in best]
    telling_alone = [name for name in best[:ADVISED] if alone[name] > chance]
    yield Finding(
        WARNING, what, named, "measure", "\n    ".join([WHAT_IT_MEANS, *_advice(readable, telling_alone)])
    )


def _advice(table: pd.DataFrame, measures: Sequence[str]) -> list[str]:
    """How to make these measures the same for all classes, each remedy once."""
    medians = table.groupby("label")["bandwidth"].median()
    lowest = {"hertz": medians.min(), "rate": math.ceil(2 * medians.min()), "label": medians.idxmin()}
    remedies: dict[str, list[str]] = {}
    for name in measures:
        remedies.setdefault(EVEN[name].format(**lowest), []).append(WORDS[name])
    return [f"{' and '.join(words)}: {remedy}" for remedy, words in remedies.items()]


def artefact_accuracies(table: pd.DataFrame, measures: Sequence[str] = ARTEFACTS) -> NDArray[np.float64]:
    """Test accuracy on every fold of a logistic regression on these measures alone, without a leak."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if table["label"].nunique() < 2:
        raise RequestError("a classifier needs clips of two classes")
    rows = table.set_index("clip_id")
    scores = []
    for fold in sorted(rows["fold"].unique()):
        split = fold_split(table, fold)
        train, test = rows.loc[split.train], rows.loc[split.test]
        if train["label"].nunique() < 2:
            raise RequestError("a classifier needs clips of two classes")
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(train[list(measures)], train["label"])
        scores.append(model.score(test[list(measures)], test["label"]))
    return np.array(scores)


def _near_duplicates(
    table: pd.DataFrame, clips: Sequence[DecodedClip], sample_rate: int
) -> Iterator[Finding]:
    """Clips that hold the same audio, also shifted, cut or rescaled."""
    fingerprints = [one.fingerprint or NO_LANDMARKS for one in clips]
    decode = lru_cache(KEPT_AT_HAND)(
        lambda row: audio.decode(table["path"].iloc[row], sample_rate, LONGEST_DURATION)
    )
    across: list[str] = []
    beside: list[str] = []
    mixed = []
    for pair in find_near_duplicates(fingerprints, decode):
        a, b = table.iloc[pair.a], table.iloc[pair.b]
        named = f"{a.clip_id} (fold {a.fold}) = {b.clip_id} (fold {b.fold}){_moved(pair, sample_rate)}"
        if a.group != b.group:  # those of one group are never both trained on and tested
            (across if a.fold != b.fold else beside).append(named)
        if a.label != b.label:
            mixed.append(f"{a.clip_id} is {a.label}, {b.clip_id} is {b.label}")
    one_group = "remove one of each pair, or give both one group: GROUP= or a CSV's column `group`"
    yield Finding(LEAK, "the same audio is in two folds", across, "pair", one_group)
    what = "the same audio under two source recordings, in one fold"
    yield Finding(WARNING, what, beside, "pair", one_group)
    yield Finding(WARNING, "the same audio has two labels", mixed, "pair", "correct one label of each pair")


def _moved(pair: Pair, sample_rate: int) -> str:
    seconds = pair.shift / sample_rate
    shifted = f", shifted by {seconds:+.3f} s" if pair.shift else ""
    return f"{shifted}, correlation {pair.correlation:.3f}"


def _decode_all(paths: Sequence[str], sample_rate: int) -> list[DecodedClip]:
    """Threads suffice: decoding and transforms work outside Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        decoded = threads.map(partial(_decode, sample_rate=sample_rate), paths)
        return list(progress(decoded, total=len(paths), label="decode", unit="clips"))


def _decode(path: str, sample_rate: int) -> DecodedClip:
    try:
        info = audio.file_info(path)
        y = audio.decode(path, seconds=LONGEST_DURATION)
    except audio.AudioError as error:
        return DecodedClip(reason=str(error))
    at_rate = y if info.sample_rate == sample_rate else audio.resample(y, info.sample_rate, sample_rate)
    return DecodedClip(
        measure_clip(y, info.sample_rate, info.channels), audio_fingerprint(at_rate, sample_rate)
    )


def _measures(clips: Sequence[DecodedClip]) -> pd.DataFrame:
    rows = [{"reason": one.reason, **(asdict(one.measures) if one.measures else {})} for one in clips]
    return pd.DataFrame(rows, columns=["reason", *ARTEFACTS])


def _ids(table: pd.DataFrame, chosen: "pd.Series[bool]") -> list[str]:
    return [str(clip) for clip in table.loc[chosen, "clip_id"]]
