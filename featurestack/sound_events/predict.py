"""Detections in new recordings: `make predict` with a run of events, or
`fs.detections(...)`.

A recording is cut into pieces as the training recordings were, and the models of all
folds answer each frame; the mean of their probabilities becomes detections by the rules
of run.json. Memory does not grow with the number of recordings.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import progress, tell, text_table
from featurestack.pipeline import audio
from featurestack.predict.files import tell_failures, tell_low_rates, tell_model
from featurestack.predict.model import Model, class_thresholds
from featurestack.predict.options import PredictOptions
from featurestack.sound_events import tables
from featurestack.sound_events.annotations import Annotations, read_events
from featurestack.sound_events.check import write_check
from featurestack.sound_events.dataset import cut_blocks, cut_pieces, measure_recordings
from featurestack.sound_events.frames import (
    Frames,
    Rule,
    candidates,
    detect_above,
    place,
)
from featurestack.sound_events.models import FrameModel
from featurestack.sound_events.scored_frames import score_lines
from featurestack.sound_events.scores import score_table, tally_all
from featurestack.storage.own_files import OwnFiles

BATCH = 16  # pieces
SCORES = "scores.csv"
MOST_SHOWN = 20  # detections of a single recording that are printed


def predict_recordings(
    options: PredictOptions, model: Model, files: Mapping[str, Path]
) -> int:
    """Write the tables of detections to OUT, or <reports>/<dataset>/; TABLES also gives
    scores.csv there. Returns 1 if a recording could not be read.
    """
    _, problems = find_detections(options, model, files)
    return int(bool(problems))


def find_detections(
    options: PredictOptions, model: Model, files: Mapping[str, Path]
) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """The content of detections.csv, and failures; writes all tables."""
    if options.hop:
        raise RequestError(
            "HOP is for models of clips, and this run answers each frame: leave it out"
        )
    rules = rules_of(model)
    own = {name: rule.threshold for name, rule in rules.items()}
    thresholds = class_thresholds(options.threshold, model.classes, own)
    tell_model(model, files, options.data)
    folder = options.out or options.reports / model.config.dataset
    measured = measure_recordings(files, model.audio_channel)
    seconds, problems, lost, *_ = measured
    rates = {files[name]: rate for name, rate in measured.rates.items()}
    tell_low_rates(rates, model.sample_rate)
    if lost:
        tell(measured.lost_in_words)
    # a wrong table is refused before the work
    annotations = None
    if options.tables and seconds:
        annotations = read_events(
            options.tables, measured.promised, options, partial=True
        )
    parts, to_check = [], []
    with audio.damaged_frames() as damaged:
        for answers in frames_of(model, files, seconds, problems):
            parts.append(answers[0].table(detect_above(*answers, rules, thresholds)))
            if options.check:
                to_check.append(answers[0].table(candidates(*answers, rules)))
    failures = {files[name]: text for name, text in problems.items()}
    tell_failures(failures, damaged, len(files))
    if not parts:
        return pd.DataFrame(columns=[*tables.COLUMNS]), problems
    detections = pd.concat(parts, ignore_index=True)
    written = detections.round(tables.DIGITS)
    print(detections_summary(written, seconds))
    highest = model.sample_rate / 2
    contents = tables.detection_tables(written, files, seconds, rules, highest)
    remarks = {name: f"truncated, {own:.1f} s lost" for name, own in lost.items()}
    counts = tables.count_detections(
        detections, seconds, remarks | problems, model.classes
    )
    contents["counts.csv"] = tables.as_text(counts, ",")
    if annotations:
        scores = score(model, detections, seconds, annotations)
        contents[SCORES] = scores.to_csv(lineterminator="\n")
    write_detection_tables(folder, contents)
    if annotations:
        points = all(rule.points for rule in rules.values())
        for line in score_lines(scores, "events", points=points):
            tell(line)
    names = [name for name in contents if not name.startswith(tables.RAVEN)]
    places = ", ".join(str(folder / name) for name in (*names, f"{tables.RAVEN}/"))
    tell(
        f"{places}: {counted(len(detections), 'detection')} in"
        f" {counted(len(seconds), 'recording')}"
    )
    if options.check:
        every = pd.concat(to_check, ignore_index=True)
        write_check(every, options.check, files, seconds, model, folder)
    return written, problems


def frames_of(
    model: Model,
    files: Mapping[str, Path],
    seconds: dict[str, float],
    problems: dict[str, str],
) -> Iterator[tuple[Frames, NDArray[np.float32]]]:
    """The frames and answers of each recording in `seconds`; one that cannot be read
    moves to `problems`.
    """
    for name in [*seconds]:
        try:
            yield predict_frames(model, name, files[name], seconds[name])
        except audio.AudioError as error:
            problems[name] = str(error)
            del seconds[name]


def write_detection_tables(folder: Path, contents: Mapping[str, str]) -> None:
    """Write the tables of a call, name -> content, in the place of those of the last
    one, whose scores stay if this one has none. A file that the user made or changed
    stays and is named.
    """
    own = OwnFiles(folder, tables.RECORD)
    own.write(contents)
    own.keep([SCORES])
    for name in own.remove_others():
        tell(f"{folder / name}: kept, it is not as predict wrote it")


def rules_of(model: Model) -> dict[str, Rule]:
    """The rule of each class."""
    known: Mapping[str, Mapping[str, Any]] = model.config.rules or {}
    return {name: Rule(**known.get(name, {})) for name in model.classes}


def predict_frames(
    model: Model, name: str, file: Path, seconds: float
) -> tuple[Frames, NDArray[np.float32]]:
    """The frames of one recording, and their probabilities (T, K), mean of folds."""
    pieces = cut_pieces(cut_blocks({name: seconds}), model.config.duration)
    axis = model.channels[0][0].frame_axis(model.sample_rate, model.samples)
    recording = audio.Recording(file, model.audio_channel)
    of_run = model.networks

    def features() -> Iterator[list[NDArray[np.floating]]]:
        for start, end in zip(pieces["start"], pieces["end"]):
            yield model.stored_values(recording.window((start, end), model.sample_rate))

    answers = []
    rest = iter(progress(features(), total=len(pieces), label=name, unit="pieces"))
    while batch := list(itertools.islice(rest, BATCH)):
        values = [np.stack(channel) for channel in zip(*batch, strict=True)]
        each = []
        with torch.inference_mode():
            for fold, (network, _) in of_run.folds.items():
                x = of_run.prepare(fold, values, np.ones(len(batch)))
                own = cast(FrameModel, network)
                logits = own(x.to(of_run.compute.device))
                each.append(own.probabilities(logits).cpu().numpy())
        answers.append(np.mean(each, axis=0, dtype=np.float32))
    probabilities = np.concatenate(answers)
    placed = place(
        pieces.rename(columns={"file": "path"}).assign(fold=0),
        axis[: probabilities.shape[1]],
        model.classes,
    )
    return placed.frames, probabilities[placed.order][placed.own]


def detections_summary(detections: pd.DataFrame, seconds: Mapping[str, float]) -> str:
    """The first detections of a single recording; of several their number by class."""
    if len(seconds) > 1:
        of_class = detections.groupby("label")["file"].agg(["size", "nunique"])
        counts = [(name, f"{n:,}", f"{m:,}") for name, n, m in of_class.itertuples()]
        return text_table(counts, ["class", "detections", "recordings"])
    rows = [
        (f"{row.start:.3f}", f"{row.end:.3f}", row.label, f"{row.score:.2f}")
        for row in detections.head(MOST_SHOWN).itertuples()
    ]
    text = text_table(rows, ["start", "end", "class", "score"])
    more = len(detections) - MOST_SHOWN
    return f"{text}\n{more:,} more in detections.csv" if more > 0 else text


def score(
    model: Model,
    detections: pd.DataFrame,
    seconds: Mapping[str, float],
    annotations: Annotations,
) -> pd.DataFrame:
    """`score_table` of recordings with a table; names what is not scored."""
    for note in annotations.notes:
        tell(note)
    for what, names in (
        ("recordings without a table", {*seconds} - annotations.annotated),
        ("labels of no class", {*annotations.events["label"]} - {*model.classes}),
    ):
        if names:
            tell(f"{what}, not scored: {', '.join(sorted(names))}")
    annotated = annotations.annotated & seconds.keys()
    durations = {name: seconds[name] for name in sorted(annotated)}
    stretches = pd.DataFrame({"file": [*durations], "end": [*durations.values()]})
    stretches = stretches.assign(start=0.0, fold=0, frames=0)
    recordings = Frames(stretches, np.empty(0), 0.0, tuple(model.classes))
    events = recordings.spans(annotations.events)
    found = recordings.spans(detections)
    return score_table(tally_all(events, found, recordings.seconds))
