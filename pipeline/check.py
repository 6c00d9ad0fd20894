"""`python -m pipeline check`: find faults of a dataset.

Every original clip is decoded, and possible duplicates again. The exit status is 1 if
there is a leak between folds: a source recording, or the same audio, in two folds. The
user judges all other findings. check.json in the cache keeps the findings for the
report and for the proposal of the next command.

Level, padding, clipping and bandwidth are artefacts of recording and editing. They
should not predict the class: if they do, a score may come from them and not from the
sound.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # loads its modules on first use
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, mean_percent, percent
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress
from featurestack.features_cache.check_findings import write_check
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.splits import fold_split
from featurestack.features_cache.statistics_table import clip_statistics
from featurestack.features_cache.table import (
    by_label,
    has_tags,
    has_windows,
    label_indicator,
    originals,
    spans,
)
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.folds import FOLDS, draw_folds, propose_group
from featurestack.pipeline.datasets.load import Dataset, load, shorter_duration
from featurestack.pipeline.datasets.name_fields import (
    FOLDS_OF_GROUPS,
    NameField,
)
from featurestack.pipeline.datasets.summary import counts
from featurestack.pipeline.features import Clip, Impossible, resolve_feature
from featurestack.pipeline.near_duplicates import (
    AudioFingerprint,
    audio_fingerprint,
    find_near_duplicates,
)
from featurestack.pipeline.next_step import next_step
from featurestack.pipeline.options import SourceOptions

# share of full scale; softer samples at a clip's ends are padding, also after a lossy
# codec
QUIET = 1e-4
SILENT = 1e-3  # share of full scale; a clip that is never louder is silent
CLIPPED_AT = 0.99  # share of full scale
CLIPPED_RUN = 3  # neighbouring samples at full scale that make a flat top
# dB of full scale; a softer band is empty; 16-bit rounding lies 20 dB lower
EMPTY = -105.0
FRAME = 1024  # samples of a spectrum
# a clip is clipped if at least this share of its samples lies in flat tops
CLIPPED_SHARE = 0.001
# share of the Nyquist frequency; silence above it comes from a lower rate or a lossy
# codec
NARROW = 0.8
SHOWN = 8  # most names shown in a finding; a leak's are all shown
# seconds, the most that DURATION allows; the rest of a clip is not read
LONGEST_DURATION = 3600
# a leak's price is measured by the model `linear` on statistics of these features
PRICED = ("mel", "mfcc")
C = 0.1  # inverse penalty of the model `linear`
MOST_PRICED = 2000  # clips of which the price is measured; the fits take half a minute
KEPT_AT_HAND = 64  # decoded clips in memory while candidates are compared
SEVERITIES = LEAK, WARNING, NOTE = "leak", "warning", "note"
ONE_GROUP = (
    "keep one of the equal clips, or give them one group: GROUP= or a CSV's column"
    " `group`"
)
ARTEFACT_HELP = "make them the same in all classes: docs/howto/datasets.md#artefacts"


@dataclass(frozen=True)
class Finding:
    """One finding, with the names of its clips, pairs, recordings, classes, measures or
    options.
    """

    kind: str
    severity: str  # one of SEVERITIES
    what: str
    names: Sequence[str]
    remedy: str = ""  # a note has none
    of: str = "clip"  # noun for each name
    # mean over folds of a classifier that sees only artefacts; AUROC for tags
    accuracy: float | None = None
    # accuracy of the constant answer, the commonest class; 0.5 for tags
    chance: float | None = None


class Measures(NamedTuple):
    """Artefacts of recording and editing in one clip, at its file's own rate."""

    sample_rate: int  # Hz
    seconds: float
    channels: int
    peak: float  # share of full scale
    level: float  # dB of full scale, without padding
    lead: float  # seconds of padding at the beginning
    trail: float  # seconds of padding at the end
    clipped: float  # share of samples in flat tops at full scale
    offset: float  # mean, as a share of full scale
    bandwidth: float  # Hz; above it there is nothing but rounding


ARTEFACTS = list(Measures._fields)


def measure_clip(y: audio.Samples, sample_rate: int, channels: int) -> Measures:
    """The measures of a clip, (samples,) at its file's own rate."""
    loud = np.flatnonzero(np.abs(y) >= QUIET)
    first = last = len(y)
    inner = y
    if len(loud):
        first = loud[0]
        last = loud[-1] + 1
        inner = y[first:last]
    # flat tops: runs of at least CLIPPED_RUN at full scale, of one sign; binary opening
    # drops shorter ones
    flat = (
        scipy.ndimage.binary_opening(side * y >= CLIPPED_AT, np.ones(CLIPPED_RUN))
        for side in (1, -1)
    )
    return Measures(
        sample_rate=sample_rate,
        seconds=len(y) / sample_rate,
        channels=channels,
        peak=float(np.abs(y).max(initial=0)),
        level=10 * float(np.log10(np.mean(np.square(inner, dtype=np.float64)) + 1e-12)),
        lead=first / sample_rate,
        trail=(len(y) - last) / sample_rate,
        clipped=float(sum(map(np.count_nonzero, flat)) / max(1, len(y))),
        offset=float(np.mean(y, dtype=np.float64)),
        bandwidth=bandwidth(inner, sample_rate),
    )


def bandwidth(y: audio.Samples, sample_rate: int) -> float:
    """The highest frequency (Hz) whose mean level over the clip is above EMPTY; 0 if
    there is none.
    """
    y = np.pad(y.astype(float), (0, max(0, FRAME - len(y))))
    frequencies, power = scipy.signal.welch(
        y,
        sample_rate,
        np.hanning(FRAME),
        noverlap=0,
        detrend=False,
        scaling="spectrum",
    )
    # a full-scale sine has power 1/2 = 0 dB
    return float(frequencies[2 * power > 10 ** (EMPTY / 10)].max(initial=0))


def linear_accuracies(
    table: pd.DataFrame,
    values: NDArray[np.floating],
    strength: float = 1.0,
) -> NDArray[np.float64]:
    """(folds,) test accuracies of a logistic regression on `values` (clips, d), split
    as for training; `strength` is its C.

    For tags, macro AUROC over the classes with positive and negative clips on both
    sides of every split. RequestError if no class is left, or a fold leaves fewer than
    two classes to train on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    row_of = pd.Index(table["clip_id"]).get_indexer
    splits = [fold_split(table, fold) for fold in sorted(table["fold"].unique())]
    rows = [(row_of(split.train), row_of(split.test)) for split in splits]
    labels = table["label"].to_numpy()
    regression = LogisticRegression(C=strength, max_iter=1000)
    scoring = "accuracy"
    if tagged := has_tags(table):
        regression = OneVsRestClassifier(regression)
        scoring = "roc_auc"
        labels = label_indicator(
            labels, sorted({*by_label(table)["label"]} - {""})
        ).astype(int)
        sides = [labels[side].mean(axis=0) for both in rows for side in both]
        labels = labels[
            :, np.all([(share > 0) & (share < 1) for share in sides], axis=0)
        ]
    if (
        not rows
        or not labels.size
        or (not tagged and any(len({*labels[train]}) < 2 for train, _ in rows))
    ):
        raise RequestError("a classifier needs clips of two classes in every fold")
    model = make_pipeline(StandardScaler(), regression)
    # threads would wait for one another longer than these small products take
    with threadpool_limits(1):
        return cross_val_score(model, values, labels, cv=rows, scoring=scoring)


def run(options: SourceOptions) -> int:
    """The command `check`: print and keep the findings about a dataset; 1 if there is a
    leak.

    options  the dataset: see SourceOptions

        run(SourceOptions(dataset="data/my-clips", group="(.*)-[A-Z]"))
    """
    dataset = load(options)
    measured, findings = findings_in(dataset)
    print(counts(dataset, measured))
    print(report(findings))
    keep(dataset, findings)
    print(f"\n{next_step(options, dataset)}")
    return int(any(finding.severity == LEAK for finding in findings))


def keep(dataset: Dataset, findings: Sequence[Finding]) -> None:
    """Write the findings to check.json, for the report and the next command."""
    kept = [asdict(found) | {"count": len(found.names)} for found in findings]
    write_check(dataset.folder, dataset.table, kept)


def report(findings: Sequence[Finding]) -> str:
    """The table of findings, then the names and the remedy of each, except for findings
    about options.
    """
    if not findings:
        return "nothing was found wrong"
    rows = [
        (found.severity, counted(len(found.names), found.of), found.what)
        for found in findings
    ]
    lines = ["", text_table(rows, ["", "where", "finding"])]
    for found in (found for found in findings if found.of != "option"):
        shown = ", ".join(found.names[:SHOWN]) + (
            " …" if len(found.names) > SHOWN else ""
        )
        each = found.names if found.severity == LEAK else [shown]
        lines += ["", f"{found.what}:", *(f"  {name}" for name in each)]
        lines += [f"  what to do: {found.remedy}"] if found.remedy else []
    return "\n".join(lines)


def findings_in(dataset: Dataset) -> tuple[pd.DataFrame, list[Finding]]:
    """The originals that can be read, with their Measures, and every finding, leaks
    first.

    RequestError for a cache of external features.
    """
    table = originals(dataset.table).reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(
            f"{dataset.name} is a cache of external features and has no audio to check"
        )
    measures, fingerprints = _measured(table, dataset.sample_rate)
    table = table.join(measures)
    unreadable = [
        f"{row.clip_id} ({row.reason})"
        for row in table[table["reason"] != ""].itertuples()
    ]
    measured = table[table["reason"] == ""].reset_index(drop=True)
    findings = [
        *_sources_across_folds(table),
        *_leaks(table, fingerprints, dataset.sample_rate),
        Finding(
            "unreadable",
            WARNING,
            "cannot be read, every command leaves them out",
            unreadable,
            f"convert or replace the files, then {make_command('features')}",
        ),
        *_of_clips(measured, dataset),
        *_options(measured, dataset),
        *_price(measured, dataset),
        *_artefacts(measured),
    ]
    there = [finding for finding in findings if finding.names]
    return measured, sorted(
        there, key=lambda finding: SEVERITIES.index(finding.severity)
    )


def _measured(
    table: pd.DataFrame,
    sample_rate: int,
) -> tuple[pd.DataFrame, list[AudioFingerprint]]:
    """The Measures of each clip with the `reason` why it cannot be read, and its
    fingerprint.
    """
    file_info = lru_cache(audio.file_info)  # a recording has many windows
    silence = np.zeros(1, np.float32)

    def measure_file(
        path: str,
        span: audio.Span,
    ) -> tuple[dict[str, object], AudioFingerprint]:
        try:
            info = file_info(path)
            y = audio.decode(path, seconds=LONGEST_DURATION, span=span)
        except audio.AudioError as error:
            return {"reason": str(error)}, audio_fingerprint(silence, sample_rate)
        at_rate = audio.resample(y, info.sample_rate, sample_rate)
        measures = measure_clip(y, info.sample_rate, info.channels)
        fingerprint = audio_fingerprint(at_rate, sample_rate)
        return {"reason": "", **measures._asdict()}, fingerprint

    # decoding works outside Python's lock
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        answers = threads.map(measure_file, table["path"], spans(table))
        shown = progress(answers, total=len(table), label="decode", unit="clips")
        measures, fingerprints = zip(*shown)
    return pd.DataFrame(measures, columns=["reason", *ARTEFACTS]), [*fingerprints]


def _options(measured: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """Findings about a better duration, and about recordings that names may tell."""
    shorter = ""
    if len(measured):
        seconds = measured["seconds"].to_numpy()
        shorter = shorter_duration(seconds, dataset.duration)
    table = originals(dataset.table)
    alone = not table["group"].duplicated().any()
    pattern = propose_group(table) if alone and not dataset.fields else ""
    fields = [
        Finding("field", WARNING, field.sentence, ["GROUP"], of="option")
        for field in dataset.fields
    ]
    return [
        Finding("length", NOTE, shorter, ["DURATION"] if shorter else [], of="option"),
        Finding(
            "group",
            NOTE,
            "every clip counts as a recording of its own; if the names say otherwise:"
            f" GROUP='{pattern}'",
            ["GROUP"] if pattern else [],
            of="option",
        ),
        *fields,
    ]


def _sources_across_folds(table: pd.DataFrame) -> list[Finding]:
    folds_of = table.groupby("group")["fold"].unique()
    sources = [
        f"{group} (folds {', '.join(map(str, sorted(folds)))})"
        for group, folds in folds_of.items()
        if len(folds) > 1
    ]
    return [
        Finding(
            "source_across_folds",
            LEAK,
            "a source recording is in several folds; training leaves out clips of"
            " tested recordings",
            sources,
            "nothing for this project; for others put each recording into one fold",
            "source",
        )
    ]


def _leaks(
    table: pd.DataFrame,
    fingerprints: Sequence[AudioFingerprint],
    sample_rate: int,
) -> list[Finding]:
    """Findings about clips with the same or similar audio."""
    across_folds = list[str]()
    in_one_fold = list[str]()
    similar = list[str]()
    two_labels = []
    paths = table["path"].tolist()
    places = spans(table)
    decode_row = lru_cache(KEPT_AT_HAND)(
        lambda row: audio.decode(paths[row], sample_rate, LONGEST_DURATION, places[row])
    )
    for pair in find_near_duplicates(fingerprints, paths, decode_row):
        a = table.iloc[pair.a]
        b = table.iloc[pair.b]
        shifted = (
            f", shifted by {pair.shift / sample_rate:+.3f} s" if pair.shift else ""
        )
        if a.group != b.group:  # clips of one group are never on both sides of a split
            found = in_one_fold if a.fold == b.fold else across_folds
            (found if pair.same else similar).append(
                f"{a.clip_id} (fold {a.fold}) {'=' if pair.same else '~'} {b.clip_id}"
                f" (fold {b.fold}){shifted}, correlation {pair.correlation:.3f}"
            )
        if pair.same and a.label != b.label:
            two_labels.append(f"{a.clip_id} is {a.label}, {b.clip_id} is {b.label}")
    return [
        Finding(
            "duplicates_across_folds",
            LEAK,
            "the same audio is in two folds",
            across_folds,
            ONE_GROUP,
            "pair",
        ),
        Finding(
            "duplicates",
            WARNING,
            "the same audio under two source recordings, in one fold",
            in_one_fold,
            ONE_GROUP,
            "pair",
        ),
        Finding(
            "similar",
            NOTE,
            "very similar audio under two source recordings, as an animal's calls can"
            " be: no leak",
            similar,
            of="pair",
        ),
        Finding(
            "two_labels",
            WARNING,
            "the same audio has two labels",
            two_labels,
            "keep the clip with the right label, remove the other",
            "pair",
        ),
    ]


def _of_clips(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """Findings about single clips, and classes that are missing in a fold."""
    sounding = table["peak"] >= SILENT
    seconds = table["seconds"]
    end = dataset.duration
    sound = (seconds - table["trail"]).clip(upper=end) - table["lead"]
    labels = by_label(table)
    by_fold = pd.crosstab(labels["label"], labels["fold"]).drop("", errors="ignore")

    def clips(chosen: "pd.Series[bool]") -> list[str]:
        return table.loc[chosen, "clip_id"].tolist()

    return [
        Finding(
            "silent",
            WARNING,
            "silent: never above -60 dB",
            clips(~sounding),
            "listen, and remove what is empty",
        ),
        Finding(
            "clipped",
            WARNING,
            f"clipped: at least {CLIPPED_SHARE:.1%} of the samples in flat tops",
            clips(table["clipped"] >= CLIPPED_SHARE),
            "take softer recordings, or see that each class has as many clipped clips",
        ),
        Finding(
            "missing_class",
            WARNING,
            "a class is missing in some fold",
            by_fold.index[(by_fold == 0).any(axis=1)].tolist(),
            "add clips of it from other recordings; scores of the fold leave it out",
            "class",
        ),
        Finding(
            "padded",
            NOTE,
            f"mostly silent: less than half of {end:.4g} s has sound",
            clips((sound < end / 2) & sounding),
        ),
        Finding(
            "cut",
            NOTE,
            f"longer than {end:.4g} s: the end is cut",
            clips(seconds > end * 1.01),
        ),
        Finding(
            "resampled",
            NOTE,
            f"another rate than {dataset.sample_rate} Hz: resampled",
            clips(table["sample_rate"] != dataset.sample_rate),
        ),
        Finding(
            "narrow",
            NOTE,
            f"nothing in the top {1 - NARROW:.0%} of the band: once at a lower rate, or"
            " coded",
            clips((table["bandwidth"] < NARROW * table["sample_rate"] / 2) & sounding),
        ),
    ]


def _artefacts(table: pd.DataFrame) -> list[Finding]:
    """A finding on the accuracy of a linear classifier of artefacts alone, on the
    dataset's folds.

    No finding for windows of recordings, whose level shows whether they hold an event,
    which is no artefact; none either if there are too few folds or classes.
    """
    if has_windows(table):
        return []
    try:
        scores = linear_accuracies(table, table[ARTEFACTS].to_numpy(float))
    except RequestError:
        return []
    metric, constant = "accuracy", "always the commonest class"
    chance = float(table["label"].value_counts(normalize=True).max())
    if has_tags(table):
        metric, constant, chance = "macro AUROC", "chance", 0.5
    mean = float(scores.mean())

    def above_chance(scores: NDArray[np.float64]) -> bool:
        return bool(scores.mean() - 2 * scores.std(ddof=1) > chance)

    what = (
        "a linear classifier of artefacts alone reaches"
        f" {mean_percent(scores.tolist())} {metric} (n = {len(scores)} folds;"
        f" {constant}: {percent(chance)} %)"
    )
    found = Finding("artefacts", NOTE, what, ARTEFACTS, "", "measure", mean, chance)
    if not above_chance(scores):
        return [found]
    alone = {
        name: linear_accuracies(table, table[[name]].to_numpy(float))
        for name in ARTEFACTS
    }
    first, *others = sorted(alone, key=lambda name: -alone[name].mean())
    predicting = [first, *(name for name in others if above_chance(alone[name]))]
    names = [f"{name} {percent(alone[name].mean())} %" for name in predicting]
    return [replace(found, severity=WARNING, names=names, remedy=ARTEFACT_HELP)]


def _price(table: pd.DataFrame, dataset: Dataset) -> list[Finding]:
    """The price of a leak: scores of a linear model by clip, and by group or by each
    field of the names that may be one.

    There is no price for more than MOST_PRICED clips, for clips without groups and
    fields, or if a fold has too few classes.
    """
    alone = not table["group"].duplicated().any()
    if not 0 < len(table) <= MOST_PRICED or (alone and not dataset.fields):
        return []
    splits = {dataset.groups or "source recording": table}
    if alone:
        splits = {field.where: by_field(table, field) for field in dataset.fields}
    clip_folds = draw_folds(table["label"], table["clip_id"], FOLDS, 0, {})
    by_clip = table.assign(group=table["clip_id"], fold=clip_folds)
    metric = "macro AUROC" if has_tags(table) else "accuracy"
    findings = []
    try:
        values = statistics_of(table, dataset)
        first = linear_accuracies(by_clip, values, C)
        for unit, split in splits.items():
            second = linear_accuracies(split, values, C)
            clips, groups = float(first.mean()), float(second.mean())
            new = "value of it" if alone else unit
            lost = (
                f"{percent(clips - groups)} points would be lost on a new {new}"
                if clips > groups
                else f"nothing would be lost on a new {new}"
            )
            what = (
                f"by clip {percent(clips)}, by {unit} {percent(groups)} % {metric}"
                f" (linear on {'+'.join(PRICED)}): {lost}"
            )
            findings.append(Finding("price", NOTE, what, [unit], of="option"))
    except (RequestError, Impossible):
        return findings
    return findings


def by_field(table: pd.DataFrame, field: NameField) -> pd.DataFrame:
    """The table with the field's values as groups: a fold each if they are few, else
    FOLDS drawn ones.
    """
    groups = field.of_clips(table)
    folds = pd.factorize(groups, sort=True)[0] + 1
    if len(field.values) > FOLDS_OF_GROUPS:
        folds = draw_folds(table["label"], groups, FOLDS, 0, {})
    return table.assign(group=groups, fold=folds)


def statistics_of(table: pd.DataFrame, dataset: Dataset) -> NDArray[np.float32]:
    """(N, D) row statistics of PRICED; Impossible if clips are too short for them."""
    variants = [resolve_feature(parse_channel(name)) for name in PRICED]
    rate, samples = dataset.sample_rate, dataset.samples
    for variant in variants:
        variant.shape(rate, samples)
    rows = zip(table["path"], spans(table))
    statistics = []
    for path, span in progress(rows, total=len(table), label="price", unit="clips"):
        clip = Clip(audio.load_clip(path, rate, samples, span), rate)
        maps = [variant.compute(clip)[None] for variant in variants]
        parts = [clip_statistics(values, "s") for values in maps]
        statistics.append(np.concatenate(parts, axis=1)[0])
    return np.stack(statistics)
