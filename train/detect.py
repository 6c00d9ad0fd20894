"""Detections in recordings: a window every hop, a decision for each window, and the
windows of one class joined.

Timelines are kept by recording: `detect` computes those that are not there, and decides
about all of them. The folder of the results then has

    timelines/<recording>.csv .txt .png   see `train.timeline`
    detections.csv .selections.txt .tsv   of all recordings: for Raven, as in DCASE
    counts.csv                            detections by recording and class
    scores.csv                            with TABLES alone
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.pipeline import audio
from featurestack.results.config import JoiningRule, to_json
from featurestack.results.detections import detection_scores
from featurestack.results.joining import (
    LEAST_THRESHOLD,
    join_by_rules,
    join_windows,
)
from featurestack.results.windows import (
    BACKGROUND,
    HOP_SHARE,
    label_windows,
    middles,
)
from featurestack.storage.files import replace_file
from featurestack.train.audio_model import AudioModel
from featurestack.train.rejection import Samples, class_thresholds, loudest_level
from featurestack.train.timeline import (
    Source,
    Span,
    Timeline,
    TimelineFolder,
    resampled,
    windows_of,
    with_ending,
)

# decimal places; times are in seconds
DIGITS = {"start": 3, "end": 3, "mean": 4, "largest": 4}
TIME_DIGITS = 6  # a timeline's times are finer than a sample
LEVEL_DIGITS = 2  # dB
MOST_SHOWN = 20  # detections of a recording on the screen
# Columns of scores.csv that are printed -> their headings.
SCORES_SHOWN = {
    "events": "events",
    "f1_iou": "F1 at IoU 0.3",
    "event_recall": "found",
    "false_alarms": "false alarms/h",
}
# a day in a recording's name, as 20260514 or 2026-05-14
DAY = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)"
)

Rules = dict[str, JoiningRule]  # by class


@dataclass(frozen=True)
class Windowing:
    """Length of a window and the hop to the next one, in samples."""

    samples: int
    step: int
    sample_rate: int

    @property
    def hop(self) -> float:
        """Seconds from one window to the next."""
        return self.step / self.sample_rate

    @classmethod
    def of(cls, model: AudioModel, window: float, hop: float) -> "Windowing":
        """WINDOW and HOP in seconds as samples of a model. HOP=0 is HOP_SHARE of the
        length, or the hop of the run's rules for this length if that is less.
        """
        rate = model.sample_rate
        samples = model.window_samples(window)
        joining = model.config.joining
        if not hop:
            hop = samples / rate * HOP_SHARE
            if joining and round(joining.length * rate) == samples:
                hop = min(hop, joining.hop)
        if hop > samples / rate:
            raise RequestError(
                f"HOP={hop:g}: expected at most the {samples / rate:g} seconds of a"
                " window"
            )
        return cls(samples, max(1, round(hop * rate)), rate)


def rules_of(model: AudioModel, text: str, windowing: Windowing) -> Rules:
    """The rule of each class: chosen for these windows or for a coarser hop, else a
    threshold alone; empty if the most probable class counts.

    text  THRESHOLD; the run's own thresholds, which it replaces, count as at least
          LEAST_THRESHOLD
    """
    rate = windowing.sample_rate
    joining = model.config.joining
    rules: Rules = {}
    if joining:
        is_same_length = round(joining.length * rate) == windowing.samples
        if is_same_length and windowing.step <= round(joining.hop * rate):
            rules = dict(joining.rules)
        else:
            tell(
                f"the run's rules are for windows of {joining.length:g} s every"
                f" {joining.hop:g} s or less, and are not used: give WINDOW and HOP so,"
                " or none"
            )
    defaults = model.task.default_thresholds(model.classes)
    for name, threshold in model.config.thresholds.items():
        defaults[name] = max(threshold, LEAST_THRESHOLD)
    for name, rule in rules.items():
        defaults[name] = rule.threshold
    thresholds = class_thresholds(text, model.classes, defaults)
    decided: Rules = {}
    for name, threshold in thresholds.items():
        rule = rules.get(name, JoiningRule(threshold=threshold))
        decided[name] = replace(rule, threshold=threshold)
    return decided


@dataclass(frozen=True)
class Decided:
    """The decisions about the windows of recordings, and what they join to.

    W windows, K classes.
    """

    windows: pd.DataFrame  # (W) file, start, end, level
    probabilities: pd.DataFrame  # (W, K)
    chosen: pd.DataFrame  # (W, K) whether a class is predicted
    detections: pd.DataFrame  # columns of `join_windows`

    @classmethod
    def of(
        cls,
        model: AudioModel,
        timeline: Timeline,
        hop: float,
        rules: Rules,
    ) -> "Decided":
        """The decisions by the rules, or for the most probable class without them."""
        windows, probabilities = timeline.windows, timeline.probabilities
        middle = middles(windows, hop)
        values = probabilities.to_numpy()
        answered = model.rejection.answers(windows["level"].to_numpy(), values)
        if not rules:
            most = values.argmax(axis=1)[:, None] == np.arange(len(model.classes))
            chosen = pd.DataFrame(most & answered[:, None], columns=model.classes)
            detections = join_windows(middle, chosen, probabilities)
            return cls(windows, probabilities, chosen, detections)
        thresholds = np.array([rules[name].threshold for name in model.classes])
        above = (values > thresholds) & answered[:, None]
        chosen = pd.DataFrame(above, columns=model.classes)
        # a window without an answer belongs to no detection
        accepted = probabilities.mul(answered, axis=0)
        detections = join_by_rules(middle, accepted, rules)
        return cls(windows, probabilities, chosen, detections)

    @classmethod
    def together(cls, parts: Sequence["Decided"]) -> "Decided":
        """The decisions of several recordings, one after the other."""

        def stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
            return pd.concat(tables, ignore_index=True)

        return cls(
            windows=stacked([part.windows for part in parts]),
            probabilities=stacked([part.probabilities for part in parts]),
            chosen=stacked([part.chosen for part in parts]),
            detections=stacked([part.detections for part in parts]),
        )

    def predicted(self, model: AudioModel) -> pd.Series:
        """(W,) the predicted class of each window as in `AudioModel.predict`."""
        values = self.probabilities.to_numpy()
        answered = model.rejection.answers(self.windows["level"].to_numpy(), values)
        names = model.task.predicted(values, self.chosen.to_numpy(), model.classes)
        return pd.Series(names, dtype=object).where(answered, "")


@dataclass(frozen=True)
class Detections:
    """The detections in the recordings of a call, and in those that were kept before.

    A score needs the windows, which only the call's own recordings have.
    """

    decided: Decided  # all recordings of the call together
    kept: pd.DataFrame  # detections in the recordings of former calls
    durations: Mapping[str, float]  # recording of this call -> seconds
    kept_durations: Mapping[str, float]  # recording of a former call -> seconds
    windowing: Windowing

    @property
    def table(self) -> pd.DataFrame:
        """The detections of all recordings."""
        parts = [part for part in (self.decided.detections, self.kept) if len(part)]
        if not parts:
            return self.decided.detections
        return pd.concat(parts).sort_values(["file", "start"], ignore_index=True)

    @property
    def seconds(self) -> pd.Series:
        """Name of each recording -> its seconds, sorted."""
        return pd.Series({**self.kept_durations, **self.durations}).sort_index()

    def write(self, folder: Path) -> None:
        """Write detections.* and counts.csv of all recordings; remove a former
        scores.csv.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scores.csv").unlink(missing_ok=True)
        durations = self.seconds
        table = self.table
        classes = self.decided.chosen.columns.drop(BACKGROUND, errors="ignore")
        formats = detection_formats(table, durations, self.windowing.sample_rate / 2)
        for ending, text in formats.items():
            replace_file(folder / f"detections.{ending}", text)
        counts = count_detections(table, list(durations.index), list(classes))
        replace_file(folder / "counts.csv", as_csv(counts))
        recordings = f"{counted(len(durations), 'recording')}"
        if self.kept_durations:
            recordings += f", {len(self.kept_durations)} of them from former calls"
        tell(
            f"{folder / 'detections'}.{{{','.join(formats)}}}, counts.csv:"
            f" {counted(len(table), 'detection')} in {recordings}"
        )

    def score(self, annotations: Any, *, longest: bool) -> pd.DataFrame:
        """The table of `detection_scores`, of the call's recordings that have a table.

        longest  a window has one label at most, as in `label_windows`
        """
        detections = self.decided.detections
        scored = self.decided.windows["file"].isin(annotations.annotated)
        windows = self.decided.windows[scored]
        labels = label_windows(windows, annotations.events, longest=longest)
        return detection_scores(
            windows.assign(label=labels),
            self.decided.chosen[scored],
            self.decided.probabilities[scored],
            self.windowing.hop,
            annotations.events,
            detections[detections["file"].isin(annotations.annotated)],
        )

    def tell_unscored(self, annotations: Any) -> None:
        """Name the recordings and the labels that `score` leaves out."""
        for note in annotations.notes:
            tell(note)
        without_table = {*self.durations} - annotations.annotated
        no_class = {*annotations.events["label"]} - {*self.decided.chosen}
        remarks = {
            "recordings without a table, not scored": without_table,
            "labels that are no class of the model, not scored": no_class,
        }
        for what, names in remarks.items():
            if names:
                tell(f"{what}: {', '.join(sorted(names))}")


def detect(
    model: AudioModel,
    recordings: Mapping[str, Path],
    windowing: Windowing,
    folder: Path,
    rules: Rules,
) -> tuple[Detections | None, dict[Path, str]]:
    """The detections in recordings, None if none of them can be read; the recordings
    that cannot be read, with the reason.

    recordings  name -> file; the names are paths below AUDIO, as annotation tables give
                them
    folder      of the timelines: those of recordings that are finished are read, the
                others written one by one

    RequestError if the folder has another recording of the same name.
    """
    made_by = f"{model.fingerprint} {windowing.samples} {windowing.step}"
    by_class = {name: to_json(rule) for name, rule in rules.items()}
    decided_by = json.dumps([by_class, *vars(model.rejection).values()])
    durations = recording_durations(recordings)
    sources = {
        name: source_of(name, file, durations.get(name, 0.0), made_by, decided_by)
        for name, file in recordings.items()
        if file.exists()
    }
    store = TimelineFolder(folder)
    store.refuse_other_recordings(sources.values())
    places = store.places(list(recordings))
    parts = []
    failures = {}
    finished = 0
    for name, file in recordings.items():
        timeline = store.read(sources[name], model.classes) if name in sources else None
        finished += timeline is not None
        if timeline is None:
            try:
                timeline = predict_windows(
                    model, name, file, durations.get(name, 0.0), windowing
                )
            except audio.AudioError as error:
                failures[file] = str(error)
                continue
        decided = Decided.of(model, timeline, windowing.hop, rules)
        store.write(
            sources[name],
            places[name],
            timeline,
            decided.predicted(model),
            decided.detections,
        )
        show_detections(name, decided.detections, places[name])
        parts.append(decided)
    if finished:
        tell(
            f"{finished} of {counted(len(recordings), 'recording')} predicted before:"
            f" read from {folder}"
        )
    if not parts:
        return None, failures
    decided = Decided.together(parts)
    kept, kept_durations = kept_detections(model, sources, windowing, store, rules)
    return Detections(decided, kept, durations, kept_durations, windowing), failures


def source_of(
    name: str,
    file: Path,
    seconds: float,
    made_by: str,
    decided_by: str,
) -> Source:
    """The source of a recording's timeline."""
    size, modified = audio.version(file)
    return Source(
        name, str(file.absolute()), size, modified, seconds, made_by, decided_by
    )


def kept_detections(
    model: AudioModel,
    sources: Mapping[str, Source],
    windowing: Windowing,
    store: TimelineFolder,
    rules: Rules,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The detections in the recordings of former calls, decided as those of this call
    are, and the recordings' seconds.

    sources  those of this call
    """
    present = next(iter(sources.values()))
    files = {source.file for source in sources.values()}
    parts = []
    durations = {}
    others = 0
    for name, (kept, place) in list(store.kept.items()):
        if name in sources or kept.file in files:
            continue
        source = replace(kept, made_by=present.made_by, decided_by=present.decided_by)
        timeline = store.read(source, model.classes)
        if timeline is None:
            others += 1
            continue
        decided = Decided.of(model, timeline, windowing.hop, rules)
        store.write(
            source, place, timeline, decided.predicted(model), decided.detections
        )
        parts.append(decided.detections)
        durations[name] = kept.seconds
    if others:
        tell(
            f"{counted(others, 'recording')} in {store.folder} of another model, WINDOW"
            " or HOP: not in detections.csv; OUT= names another folder"
        )
    return (pd.concat(parts) if parts else pd.DataFrame()), durations


def recording_durations(recordings: Mapping[str, Path]) -> dict[str, float]:
    """Seconds of each recording that can be read."""
    infos = audio.file_infos(list(recordings.values()))
    return {
        name: info.frames / info.sample_rate
        for name, info in zip(recordings, infos)
        if isinstance(info, audio.Info)
    }


def predict_windows(
    model: AudioModel,
    name: str,
    file: Path,
    seconds: float,
    windowing: Windowing,
    fold: int | None = None,
    span: Span | None = None,
) -> Timeline:
    """The timeline of one recording, by the models of all folds or that of one.

    seconds  of the recording, for the progress bar
    span     the part of it that is predicted; None for all of it

    AudioError if the file cannot be read.
    """
    rate = windowing.sample_rate
    begin = 0.0
    if span is None:
        blocks = resampled(audio.blocks(file), audio.file_info(file).sample_rate, rate)
    else:
        begin, end = span
        seconds = end - begin
        blocks = iter([audio.load_clip(file, rate, round(seconds * rate), span)])
    after_first = max(0.0, seconds * rate - windowing.samples)
    levels: list[float] = []

    def measured(y: Samples) -> Samples:
        levels.append(round(loudest_level(y, rate), LEVEL_DIGITS))
        return y

    windows = progress(
        windows_of(blocks, rate, windowing.samples, windowing.step),
        total=1 + int(np.ceil(after_first / windowing.step)),
        label=f"{file.name} ({duration(seconds)})",
        unit="windows",
    )
    clips = ((span, measured(y)) for span, y in windows)
    spans, probabilities, _ = zip(*model.predict(clips, fold))
    places = pd.DataFrame(spans, columns=["start", "end"])
    table = (begin + places).round(TIME_DIGITS)
    table = table.assign(file=name, level=levels)
    return Timeline(table, pd.DataFrame(np.stack(probabilities), columns=model.classes))


def show_detections(name: str, detections: pd.DataFrame, place: Path) -> None:
    """Print the first detections of a recording."""
    tell(f"{place}.csv .txt .png")
    print(f"{name}: {counted(len(detections), 'detection')}")
    for row in detections.head(MOST_SHOWN).itertuples(index=False):
        print(f"{row.start:10.3f} {row.end:10.3f}  {row.label}  {row.mean:.2f}")
    if len(detections) > MOST_SHOWN:
        hidden = len(detections) - MOST_SHOWN
        print(f"{hidden:,} more in {with_ending(place, '.txt')}")


def detection_formats(
    detections: pd.DataFrame,
    durations: pd.Series,
    top: float,
) -> dict[str, str]:
    """Ending of a file -> the detections of all recordings: csv, selections.txt
    (Raven), tsv (DCASE).

    durations  name of a recording -> seconds
    top        Hz, the upper edge of Raven's boxes
    """
    table = detections.rename(columns={"label": "class"}).round(DIGITS)
    # Raven opens files as one sequence
    begin = detections["file"].map(durations.cumsum() - durations)
    in_sequence = table[["start", "end"]].add(begin, axis=0).round(DIGITS)
    raven = {
        "Selection": range(1, len(table) + 1),
        "View": "Spectrogram 1",
        "Channel": 1,
        "Begin Time (s)": in_sequence["start"],
        "End Time (s)": in_sequence["end"],
        "Low Freq (Hz)": 0,
        "High Freq (Hz)": top,
        "Begin File": table["file"],
        "File Offset (s)": table["start"],
        "Annotation": table["class"],
        "Score": table["largest"],
    }
    dcase = table.iloc[:, :4].set_axis(
        ["filename", "onset", "offset", "event_label"], axis=1
    )
    formats = {"csv": as_csv(table)}
    for ending, columns in {
        "selections.txt": pd.DataFrame(raven),
        "tsv": dcase,
    }.items():
        formats[ending] = columns.to_csv(sep="\t", index=False, lineterminator="\n")
    return formats


def count_detections(
    detections: pd.DataFrame,
    recordings: Sequence[str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """A row for each recording and class, also without detections: recording, day,
    class, detections, seconds.

    The day is empty if the recording's name holds none. The seconds are those of the
    detections together.
    """
    rows = pd.MultiIndex.from_product(
        [recordings, classes], names=["recording", "class"]
    )
    lasting = detections["end"] - detections["start"]
    by_class = lasting.groupby([detections["file"], detections["label"]])
    summed = by_class.agg(["size", "sum"]).reindex(rows, fill_value=0)
    counts = summed.set_axis(["detections", "seconds"], axis=1).reset_index()
    counts["seconds"] = counts["seconds"].astype(float).round(DIGITS["end"])
    counts.insert(1, "day", counts["recording"].map(day_of))
    return counts


def day_of(name: str) -> str:
    """The day in a recording's name, or ''.

    >>> day_of("north/SMU1_20260514_053000.wav")
    '2026-05-14'
    """
    match = DAY.search(name)
    return f"{match[1]}-{match[3]}-{match[4]}" if match else ""


def write_scores(scores: pd.DataFrame, folder: Path) -> None:
    """Write scores.csv from the table of `detection_scores`; print its main columns."""
    replace_file(folder / "scores.csv", as_csv(scores.reset_index()))
    columns = []
    for name in SCORES_SHOWN:
        digits = 0 if name in ("events", "false_alarms") else 2
        column = scores[name].map(f"{{:,.{digits}f}}".format)
        columns.append(column.replace("nan", "-"))
    rows = zip(scores.index, *columns)
    print(text_table(list(rows), ["", *SCORES_SHOWN.values()]))
    tell(f"{folder / 'scores.csv'}")
