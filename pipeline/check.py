"""`python -m pipeline check`: what is wrong with this dataset?

Every clip is decoded once. What is certain to leak between folds (a source recording in two folds, the same
audio in two folds) makes the exit status 1; everything else is for the user to judge. The findings are kept
beside the cache in check.json, for the report and the next command.

Level, padding, clipping and bandwidth are artefacts of recording and editing. They should not predict the
class; how far they do is how far a score may come from them.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.files import not_written, replaced
from commandline.registry import RequestError
from commandline.terminal import counted, mean_percent, percent, progress, text_table
from features_cache import cache_folder
from features_cache.index import CHECKED
from features_cache.splits import fold_split
from features_cache.table import originals
from pipeline import audio
from pipeline.datasets import Dataset, load
from pipeline.datasets.folds import propose_group
from pipeline.datasets.load import shorter_duration
from pipeline.near_duplicates import NO_LANDMARKS, audio_fingerprint, find_near_duplicates
from pipeline.next_step import next_step
from pipeline.options import SourceOptions

Samples = NDArray[np.float32]

QUIET = 1e-4  # full scale; softer samples at a clip's ends are padding, also after a lossy codec
SILENT = 1e-3  # full scale; a clip that never gets louder is silent
CLIPPED_AT = 0.99  # full scale
CLIPPED_RUN = 3  # neighbouring samples at full scale that make a flat top
EMPTY = -105.0  # dB of full scale in a band; rounding to 16 bits is 20 dB below
FRAME = 1024  # samples of a spectrum
CLIPPED = 0.001  # of the samples
NARROW = 0.8  # of the Nyquist frequency; nothing above it means another rate or a lossy codec before
SHOWN = 8  # clips by name in a row of the table
LONGEST_DURATION = 3600  # seconds, as DURATION: no command reads more of a file
KEPT_AT_HAND = 64  # decoded clips, while candidates are compared
SEVERITIES = LEAK, WARNING, NOTE = "leak", "warning", "note"
ONE_GROUP = "remove one of each pair, or give both one group: GROUP= or a CSV's column `group`"
ARTEFACT_HELP = "make them the same in all classes: docs/howto/datasets.md#artefacts"


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


ARTEFACTS = [field.name for field in fields(Measures)]


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


def linear_accuracies(table: pd.DataFrame, values: NDArray[np.floating]) -> NDArray[np.float64]:
    """(folds,) test accuracies of a logistic regression on `values` (clips, d), without a leak.

    RequestError if a fold leaves fewer than two classes to train on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = pd.DataFrame(values, index=table["clip_id"])
    labels = pd.Series(table["label"].to_numpy(), index=table["clip_id"])
    scores = []
    for fold in sorted(table["fold"].unique()):
        split = fold_split(table, fold)
        if labels[split.train].nunique() < 2:
            raise RequestError("a classifier needs clips of two classes")
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(rows.loc[split.train], labels[split.train])
        scores.append(model.score(rows.loc[split.test], labels[split.test]))
    return np.array(scores)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with the clips or recordings or classes that it is wrong with."""

    kind: str  # a word for programs, such as duplicates_across_folds
    severity: str  # one of SEVERITIES
    what: str
    names: Sequence[str]
    of: str = "clip"
    remedy: str = ""  # what to do about it; a note needs nothing done
    accuracy: float | None = None  # of artefacts alone, mean over folds
    chance: float | None = None  # of always the commonest class


def run(options: SourceOptions) -> int:
    """The command `check`: print what is wrong with a dataset and keep it; 1 if a leak is certain.

    options  which dataset: see SourceOptions

        run(SourceOptions(dataset="data/my-clips", group="(.*)-[A-Z]"))
    """
    dataset = load(options)
    findings = findings_in(dataset)
    print(report(dataset, findings))
    path = cache_folder(options.dataset, options.data, options.name) / CHECKED
    kept = [asdict(found) | {"count": len(found.names)} for found in findings]
    content = {"format_version": 1, "clips": len(originals(dataset.table)), "findings": kept}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path, locked=False) as draft:
            draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise not_written(path, error) from None
    print(f"\n{next_step(options, dataset)}")
    return 1 if any(finding.severity == LEAK for finding in findings) else 0


def report(dataset: Dataset, findings: Sequence[Finding]) -> str:
    """The table, then the names behind each row: all of them for a leak."""
    clips = originals(dataset.table)
    columns = {"clip": "clip_id", "class": "label", "fold": "fold"}
    counts = ", ".join(counted(clips[column].nunique(), noun) for noun, column in columns.items())
    lines = [f"{dataset.name}: {counts}"]
    if not findings:
        return f"{lines[0]}\nnothing was found wrong"
    rows = [(found.severity, counted(len(found.names), found.of), found.what) for found in findings]
    lines += ["", text_table(rows, ["", "where", "finding"])]
    for found in findings:
        shown = ", ".join(found.names[:SHOWN]) + (" …" if len(found.names) > SHOWN else "")
        lines += ["", f"{found.what}:", f"  {shown}"]
        if found.severity == LEAK:
            lines[-1:] = [f"  {name}" for name in found.names]
        lines += [f"  what to do: {found.remedy}"] if found.remedy else []
    return "\n".join(lines)


def findings_in(dataset: Dataset) -> list[Finding]:
    """Every finding, leaks first."""
    table = originals(dataset.table).reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(f"{dataset.name} is a cache of external features and has no audio to check")
    rate = dataset.sample_rate

    def decode(path: str) -> tuple[dict[str, Any], Any]:
        try:
            info = audio.file_info(path)
            y = audio.decode(path, seconds=LONGEST_DURATION)
        except audio.AudioError as error:
            return {"reason": str(error)}, NO_LANDMARKS
        at_rate = y if info.sample_rate == rate else audio.resample(y, info.sample_rate, rate)
        measures = asdict(measure_clip(y, info.sample_rate, info.channels))
        return {"reason": "", **measures}, audio_fingerprint(at_rate, rate)

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoding works outside Python's lock
        answers = threads.map(decode, table["path"])
        decoded = list(progress(answers, total=len(table), label="decode", unit="clips"))
    measures = pd.DataFrame([measured for measured, _ in decoded], columns=["reason", *ARTEFACTS])
    table = table.join(measures)
    findings = _leaks(table, [fingerprint for _, fingerprint in decoded], rate)
    findings += _of_clips(table, dataset)
    findings += _artefacts(table[table["reason"] == ""].reset_index(drop=True))
    return sorted(
        (found for found in findings if found.names), key=lambda found: SEVERITIES.index(found.severity)
    )


def _leaks(table: pd.DataFrame, fingerprints: Sequence[Any], sample_rate: int) -> list[Finding]:
    """Source recordings in several folds; clips that hold the same audio, also shifted, cut or rescaled."""
    folds = table.groupby("group")["fold"].unique()
    spread = [
        f"{group} (folds {', '.join(map(str, sorted(folds_of)))})"
        for group, folds_of in folds.items()
        if len(folds_of) > 1
    ]
    across, beside, mixed = list[str](), list[str](), list[str]()
    decode = lru_cache(KEPT_AT_HAND)(
        lambda row: audio.decode(table["path"].iloc[row], sample_rate, LONGEST_DURATION)
    )
    for pair in find_near_duplicates(fingerprints, decode):
        a, b = table.iloc[pair.a], table.iloc[pair.b]
        shifted = f", shifted by {pair.shift / sample_rate:+.3f} s" if pair.shift else ""
        named = f"{a.clip_id} (fold {a.fold}) = {b.clip_id} (fold {b.fold}){shifted}"
        if a.group != b.group:  # those of one group are never both trained on and tested
            (across if a.fold != b.fold else beside).append(f"{named}, correlation {pair.correlation:.3f}")
        if a.label != b.label:
            mixed.append(f"{a.clip_id} is {a.label}, {b.clip_id} is {b.label}")
    return [
        Finding(
            "source_across_folds",
            LEAK,
            "a source recording is in several folds; training here leaves it out",
            spread,
            "source",
            "nothing here; for other programs give each of them one fold",
        ),
        Finding("duplicates_across_folds", LEAK, "the same audio is in two folds", across, "pair", ONE_GROUP),
        Finding(
            "duplicates",
            WARNING,
            "the same audio under two source recordings, in one fold",
            beside,
            "pair",
            ONE_GROUP,
        ),
        Finding(
            "two_labels",
            WARNING,
            "the same audio has two labels",
            mixed,
            "pair",
            "correct one label of each pair",
        ),
    ]


def _of_clips(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """What is wrong with clips one by one, and with their names, lengths and classes."""

    def ids(chosen: "pd.Series[bool]") -> list[str]:
        return [str(clip) for clip in table.loc[chosen, "clip_id"]]

    sounding, nyquist = table["peak"] >= SILENT, table["sample_rate"] / 2
    sound = (table["seconds"] - table["lead"] - table["trail"]).clip(lower=0)
    cut = (table["seconds"] - dataset.duration).clip(lower=0)
    filled = table["seconds"] - cut - table["lead"] - (table["trail"] - cut).clip(lower=0)
    unreadable = [f"{row.clip_id} ({row.reason})" for row in table[table["reason"] != ""].itertuples()]
    by_fold = pd.crosstab(table["label"], table["fold"])
    findings = [
        Finding(
            "unreadable",
            WARNING,
            "cannot be read, every command leaves them out",
            unreadable,
            remedy="convert or replace the files, then make features",
        ),
        Finding(
            "silent",
            WARNING,
            "silent: never above -60 dB",
            ids(table["peak"] < SILENT),
            remedy="listen, and remove what is empty",
        ),
        Finding(
            "clipped",
            WARNING,
            f"clipped: more than {CLIPPED:.1%} of the samples in flat tops",
            ids(table["clipped"] >= CLIPPED),
            remedy="take softer recordings, or see that each class has as many clipped clips",
        ),
        Finding(
            "missing_class",
            WARNING,
            "a class is missing in some fold",
            [str(label) for label in by_fold.index[(by_fold == 0).any(axis=1)]],
            "class",
            "add clips of it from other recordings; scores of the fold leave it out",
        ),
        Finding(
            "padded",
            NOTE,
            f"mostly padded: less than half of {dataset.duration:.4g} s is not silence",
            ids((filled < dataset.duration / 2) & sounding),
        ),
        Finding(
            "cut",
            NOTE,
            f"longer than {dataset.duration:.4g} s: the end is cut",
            ids(table["seconds"] > dataset.duration * 1.01),
        ),
        Finding(
            "resampled",
            NOTE,
            f"another rate than {dataset.sample_rate} Hz: resampled",
            ids(table["sample_rate"].notna() & (table["sample_rate"] != dataset.sample_rate)),
        ),
        Finding(
            "narrow",
            NOTE,
            f"nothing above {NARROW:.0%} of the band: recorded at a lower rate, or coded",
            ids((table["bandwidth"] < NARROW * nyquist) & sounding),
        ),
    ]
    for line in shorter_duration(sound[sounding].to_numpy(), dataset.duration):
        findings.append(Finding("length", NOTE, line, ["DURATION"], "option"))
    if (table["group"] == table["clip_id"]).all() and (pattern := propose_group(table)):
        what = f"every clip counts as a recording of its own; if the names say otherwise: GROUP='{pattern}'"
        findings.append(Finding("group", NOTE, what, ["GROUP"], "option"))
    return findings


def _artefacts(table: pd.DataFrame) -> list[Finding]:
    """How far a linear classifier gets from artefacts alone, on the folds as they are used."""
    try:
        scores = linear_accuracies(table, table[ARTEFACTS].to_numpy(float))
    except RequestError:
        return []  # too few folds or classes to train on anything
    chance = float(table["label"].value_counts(normalize=True).max())
    mean = float(scores.mean())
    what = (
        f"a linear classifier of artefacts alone reaches {mean_percent(scores.tolist())} accuracy "
        f"(n = {len(scores)} folds; always the commonest class: {percent(chance)} %)"
    )
    if mean - 2 * scores.std(ddof=1) <= chance:
        return [Finding("artefacts", NOTE, what, ARTEFACTS, "measure", "", mean, chance)]
    alone = {name: linear_accuracies(table, table[[name]].to_numpy(float)).mean() for name in ARTEFACTS}
    named = [f"{name} {percent(alone[name])} %" for name in sorted(alone, key=lambda name: -alone[name])]
    return [Finding("artefacts", WARNING, what, named, "measure", ARTEFACT_HELP, mean, chance)]
