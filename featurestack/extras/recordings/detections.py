"""Detections in new recordings: `make predict` with a run of events, or
`fs.detections(...)`.

    detections.csv              file, start, end, label, score, checked, rows_code
    raven/<recording>.Table.1.selections.txt   Raven, one table per recording; only a
        header if it has no detection. The column of labels has its name from the
        annotation tables; boxes have the median frequencies of the class's marks
    audacity/<recording>.txt    label tracks: start, end, label and the check mark,
        which Audacity drops; none if there is no detection
    .audio                      the path of AUDIO, and the run
    counts.csv                  recording, seconds, problem, source; then the number of
        detections of each class, or of events in tables that a person has corrected
    scores.csv, errors.csv      only with TABLES: `score_table`, `list_errors`

A recording is cut into pieces as the training recordings were, and the models of all
folds answer each frame; the mean of their probabilities becomes detections by the rules
of run.json. Memory does not grow with the number of recordings.
"""

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from featurestack.base.csv_files import read_csv
from featurestack.base.errors import RequestError, make_command, quoted
from featurestack.base.files import without_dots
from featurestack.base.own_files import DETECTED, OwnFiles
from featurestack.base.quantities import counted
from featurestack.base.terminal import progress, tell, text_table
from featurestack.cli.commands import command, options_from
from featurestack.cli.help import documented
from featurestack.extras.recordings.annotations import (
    CHECKED,
    NOTHING_FOUND,
    Annotations,
    NoTable,
    check_mark,
    read_events,
)
from featurestack.extras.recordings.check import (
    checks_in,
    read_checked,
    write_check,
)
from featurestack.extras.recordings.checked import precision_above, tell_checked
from featurestack.extras.recordings.dataset import (
    cut_blocks,
    cut_pieces,
    measure_recordings,
    place,
)
from featurestack.extras.recordings.frames import Frames, Rule, candidates, together
from featurestack.extras.recordings.options import LabelOptions
from featurestack.extras.recordings.scores import (
    ALL,
    Tally,
    lie_on,
    list_errors,
    score_lines,
    score_table,
    tally_all,
    without_unscored,
)
from featurestack.extras.recordings.training import FrameModel
from featurestack.features_cache.datasets import dataset_name
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.readers import files_below, find_recordings
from featurestack.predict.bundle import RunModel
from featurestack.predict.command import ENDINGS, tell_next
from featurestack.predict.files import tell_failures, tell_low_rates, tell_model
from featurestack.predict.model import Model
from featurestack.predict.options import PredictOptions, class_thresholds

COLUMNS = ("file", "start", "end", "label", "score")
RAVEN, AUDACITY = "raven", "audacity"  # folders of tables that a person may correct
COUNTS, SCORES, ERRORS = "counts.csv", "scores.csv", "errors.csv"
FOUND = "detections.csv"
OF_AUDIO = ".audio"  # file with the path of AUDIO, and the run on a second line
BATCH = 16  # pieces


def predict_recordings(
    options: PredictOptions, model: Model, files: Mapping[str, Path]
) -> int:
    """Write the tables of detections to OUT, or <reports>/<dataset>/<AUDIO's name>;
    TABLES also gives scores.csv there. Returns 1 if a recording could not be read.
    """
    table, problems = find_detections(options, model, files)
    checked = options.check or checks_in(output_folder(options, model))
    if len(table) and not (checked or options.tables):
        tell_next(options, model, "CHECK=100")
    return int(bool(problems))


def output_folder(options: PredictOptions, model: Model) -> Path:
    name = dataset_name(str(options.audio))
    return options.out or options.reports / model.config.dataset / name


def find_detections(
    options: PredictOptions, model: Model, files: Mapping[str, Path]
) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """The content of detections.csv, and why recordings failed; writes all tables."""
    if options.hop:
        raise RequestError(
            "HOP= is for models of clips, and this run answers each frame: leave it out"
        )
    if options.out and options.out.suffix in ENDINGS:
        typed = quoted(f"OUT={options.out.with_suffix('')}")
        raise RequestError(f"OUT={options.out}: detections go to a folder: {typed}")
    known: Mapping[str, Mapping[str, Any]] = model.config.rules or {}
    rules = {name: Rule(**known.get(name, {})) for name in model.classes}
    own = {name: rule.threshold for name, rule in rules.items()}
    thresholds = class_thresholds(options.threshold, model.classes, own)
    folder = output_folder(options, model)
    source = os.path.abspath(str(options.audio))  # noqa: PTH100 a link keeps its name
    require_same_audio(folder, source, files)
    tell_model(model, files, options.data)
    tell(f"the detections go to {folder} (OUT= names the folder)")
    measured = measure_recordings(files, model.audio_channel)
    seconds, problems, truncated, rates = measured
    tell_low_rates(rates, model.sample_rate)
    # a wrong table is refused before the work
    annotations = None
    column = next(iter(rules.values())).column
    if options.tables and seconds:
        annotations = read_events(
            options.tables, measured.of_all, options, column, truncated
        )
    parts = []
    with audio.damaged_frames() as damaged:
        for name in [*seconds]:
            try:
                answers = predict_frames(model, name, files[name], seconds[name])
            except audio.AudioError as error:
                problems[name] = str(error)
                del seconds[name]
                continue
            every = answers[0].table(candidates(*answers, rules, thresholds))
            every["predicted"] = every["score"] > every["label"].map(thresholds)
            parts.append(every if options.check else every[every["predicted"]])
    failures = {str(files[name]): text for name, text in problems.items()}
    tell_failures(failures, damaged, len(files))
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS]), problems
    every = pd.concat(parts, ignore_index=True)
    detections = every.loc[every["predicted"], [*COLUMNS]].reset_index(drop=True)
    written = detections.round(4)
    of_class = written.groupby("label")["file"].agg(["size", "nunique"])
    rows = [(name, f"{n:,}", f"{m:,}") for name, n, m in of_class.itertuples()]
    print(text_table(rows, ["class", "detections", "recordings"]))
    highest = model.sample_rate / 2
    contents = detection_tables(written, files, seconds, rules, highest)
    contents[OF_AUDIO] = f"{source}\n{model.run.name if model.run else ''}\n"
    remarks = dict.fromkeys(truncated, "truncated") | problems
    labels = LabelOptions(label=options.label)
    corrected = corrected_events(folder, seconds, labels, column, truncated)
    counts = count_events(detections, corrected, seconds, remarks, model.classes)
    contents[COUNTS] = counts.to_csv(index=False, lineterminator="\n")
    if annotations:
        tallies, errors = tally_annotated(model, detections, seconds, annotations)
        contents[ERRORS] = errors.to_csv(index=False, lineterminator="\n")
        contents[SCORES] = score_table(tallies).round(6).to_csv(lineterminator="\n")
        for line in score_lines(tallies[ALL], "events"):
            tell(line)
    number = counted(len(detections), "detection")
    tell(f"{number} in {counted(len(seconds), 'recording')}")
    write_detection_tables(folder, contents)
    if options.check and len(every):
        write_check(every, files, seconds, model, options, folder)
    return written, problems


def require_same_audio(folder: Path, source: str, names: Collection[str]) -> None:
    """RequestError if the folder has detections in another AUDIO than `source`, whose
    recordings have these names. A folder that was moved counts as the same.
    """
    former, _ = source_and_run(folder)
    if former in ("", source):
        return
    counts = folder / COUNTS
    moved = counts.is_file() and not os.path.lexists(former)
    if not moved or {*read_csv(counts, ["recording"])["recording"]} - {*names}:
        raise RequestError(
            f"{folder} holds the detections in {former}: give another folder, for"
            f" instance {quoted(f'OUT={folder}-2')}"
        )
    tell(f"{former} is no longer there: {source} has its recordings, and replaces it")


def source_and_run(folder: Path) -> tuple[str, str]:
    """The path of AUDIO and the run of a folder's detections, '' if not known."""
    file = folder / OF_AUDIO
    text = file.read_text("utf-8") if file.is_file() else ""
    source, _, run = text.strip().partition("\n")
    return source, run


def write_detection_tables(folder: Path, contents: Mapping[str, str]) -> None:
    """Write the tables of a call, name -> content, in place of the last call's, and
    name them. A file that the user made or changed stays and is named.
    """
    own = OwnFiles(folder, DETECTED)
    _, former = source_and_run(folder)
    measured = measured_in(folder)
    own.write(contents)
    source, now = source_and_run(folder)
    if former not in ("", now):
        tell(f"the detections of {former} are replaced")
    names = dict.fromkeys(name.partition("/")[0] for name in contents)
    tell(", ".join(str(folder / name) for name in names if name != OF_AUDIO))
    result = "removed, they belong to other detections"
    same = own.before.get(FOUND) == own.hashes.get(FOUND)
    if former == now and same and measured.equals(measured_in(folder)):
        own.keep((SCORES, ERRORS))
        result = "kept, they score the same detections"
    kept = own.remove_others()
    if SCORES not in contents and SCORES in own.before.keys() - {*kept}:
        tell(f"{SCORES} and {ERRORS} of the last TABLES=: {result}")
    for tables in (RAVEN, AUDACITY):
        corrected = [name for name in kept if name.startswith(f"{tables}/")]
        kept = [name for name in kept if name not in corrected]
        if corrected:
            words = f"AUDIO={source}", f"TABLES={folder / tables}"
            tell(
                f"{folder / tables}: {counted(len(corrected), 'table')} with your"
                " corrections kept; detections.csv lacks these:"
                f" {make_command('events', *words)} writes them to events.csv"
            )
    for name in kept:
        tell(f"{folder / name}: kept because you changed it")


def measured_in(folder: Path) -> pd.DataFrame:
    """Recording, seconds and problem from counts.csv; no rows without the file."""
    columns = ["recording", "seconds", "problem"]
    with suppress(RequestError, OSError):
        return read_csv(folder / COUNTS, columns)[columns]
    return pd.DataFrame(columns=columns)


def predict_frames(
    model: Model, name: str, file: Path, seconds: float
) -> tuple[Frames, NDArray[np.float32], bool]:
    """The frames of one recording, their probabilities (T, K), means over folds, and
    whether labels exclude each other.
    """
    pieces = cut_pieces(cut_blocks({name: seconds}), model.config.duration)
    axis = model.channels[0][0].frame_axis(model.sample_rate, model.samples)
    recording = audio.Recording(file, model.audio_channel)
    of_run = model.networks
    assert isinstance(of_run, RunModel), "frames are not exported"

    spans = progress(
        zip(pieces["start"], pieces["end"]),
        total=len(pieces),
        label=name,
        unit="pieces",
    )
    windows = (recording.window(span, model.sample_rate) for span in spans)
    answers = []
    while batch := list(itertools.islice(windows, BATCH)):
        values, filled = model.batch(batch)
        each = []
        with torch.inference_mode():
            for fold, network in of_run.networks.items():
                x = of_run.prepare(fold, values, np.ones_like(filled))
                trained = cast(FrameModel, network)
                logits = trained(x.to(of_run.compute.device))
                each.append(trained.probabilities(logits).cpu().numpy())
        answers.append(np.mean(each, axis=0, dtype=np.float32))
    probabilities = np.concatenate(answers)
    clips = pieces.rename(columns={"file": "path"}).assign(fold=0)
    offsets = axis[: probabilities.shape[1]]
    order, own, frames = place(clips, offsets, model.classes)
    return frames, probabilities[order][own], bool(trained.exclusive)


def tally_annotated(
    model: Model,
    detections: pd.DataFrame,
    seconds: Mapping[str, float],
    annotations: Annotations,
) -> tuple[dict[str, Tally], pd.DataFrame]:
    """`tally_all` and `list_errors` for recordings with a table; prints what is not
    scored.
    """
    unknown = sorted({*annotations.events["label"]} - {*model.classes})
    for note in annotations.notes:
        tell(note)
    for what, names in (
        ("recordings without a table", sorted({*seconds} - annotations.annotated)),
        ("labels of no class", unknown),
    ):
        if names:
            tell(f"{what}, not scored: {', '.join(names)}")
    annotated = annotations.annotated & seconds.keys()
    durations = {name: seconds[name] for name in sorted(annotated)}
    stretches = pd.DataFrame({"file": [*durations], "end": [*durations.values()]})
    stretches = stretches.assign(start=0.0, fold=0, frames=0)
    recordings = Frames(stretches, np.empty(0), 0.0, tuple(model.classes))
    events = recordings.spans(annotations.events)
    found = recordings.spans(detections)
    others = replace(recordings, classes=tuple(unknown)).spans(annotations.events)
    known, every = together([*events.values()]), together([*found.values()])
    for name, own in others.items():
        on_other = int((lie_on(every, own) & ~lie_on(every, known)).sum())
        if on_other:
            number = counted(on_other, "detection")
            tell(f"{number} on {name} left out: {name} is not scored")
    found = without_unscored(found, known, [*others.values()])
    tallies = tally_all(events, found, recordings.seconds)
    return tallies, list_errors(recordings, events, found)


# ---- tables


def detection_tables(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    rules: Mapping[str, Rule],
    top: float,
) -> dict[str, str]:
    """The content of each table of detections (COLUMNS), by its name; boxes of unknown
    frequencies end at `top` (Hz).
    """
    no, code = check_mark(detections).split()
    every = detections.assign(checked=no, rows_code=code)
    tables = {FOUND: every.to_csv(index=False, lineterminator="\n")}
    column = next(iter(rules.values())).column
    for name in seconds:
        own = detections[detections["file"] == name]
        mark, boxes = check_mark(own), [rules[label] for label in own["label"]]
        raven = pd.DataFrame(
            {
                "Selection": range(1, len(own) + 1),
                "View": "Spectrogram 1",
                "Channel": 1,
                "Begin Time (s)": own["start"],
                "End Time (s)": own["end"],
                "Low Freq (Hz)": [rule.low for rule in boxes],
                "High Freq (Hz)": [rule.high or top for rule in boxes],
                "Begin File": Path(name).name,
                "Begin Path": str(without_dots(files[name])),
                "File Offset (s)": own["start"],
                column: own["label"],
                "Score": own["score"],
                CHECKED if len(own) else NOTHING_FOUND: mark,
            }
        )
        base = f"{Path(name).name}.Table.1.selections.txt"
        place = (Path(RAVEN) / name).with_name(base).as_posix()
        tables[place] = raven.to_csv(sep="\t", index=False, lineterminator="\n")
        if len(own):  # an empty track would say that there is no event
            cells = zip(own["start"], own["end"], own["label"])
            rows = [f"{start}\t{end}\t{label}\t{mark}\n" for start, end, label in cells]
            tables[f"{AUDACITY}/{name}.txt"] = "".join(rows)
    return tables


def corrected_events(
    folder: Path,
    seconds: Mapping[str, float],
    labels: LabelOptions,
    column: str,
    truncated: Collection[str],
) -> dict[str, pd.DataFrame]:
    """The file and label of each event in the tables below `folder` that a person has
    corrected, by recording.
    """
    own = OwnFiles(folder, DETECTED)
    corrected: dict[str, pd.DataFrame] = {}
    for tables in filter(Path.is_dir, (folder / RAVEN, folder / AUDACITY)):
        if all(own.is_own(f"{tables.name}/{name}") for name in files_below(tables)):
            continue
        try:
            read = read_events(tables, seconds, labels, column, truncated)
        except NoTable:  # a table was saved again, with the same rows
            continue
        except RequestError as error:
            tell(f"{COUNTS} counts the detections: {error}")
            continue
        for name in read.annotated:
            events = read.events[["file", "label"]]
            corrected[name] = events[events["file"] == name]
    if corrected:
        number = counted(len(corrected), "recording")
        tell(f"{COUNTS} counts {number} by your corrected tables")
    return corrected


def count_events(
    detections: pd.DataFrame,
    corrected: Mapping[str, pd.DataFrame],
    seconds: Mapping[str, float],
    problems: Mapping[str, str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """The table counts.csv of recordings with their `seconds`, and of those that could
    not be read, whose cells are empty; labels only in `corrected` tables come last.
    """
    names = [*dict.fromkeys([*seconds, *problems])]
    others = detections.loc[~detections["file"].isin([*corrected]), ["file", "label"]]
    every = pd.concat([others, *corrected.values()])
    columns = dict.fromkeys([*classes, *sorted(every["label"])])
    counts = pd.crosstab(every["file"], every["label"])
    counts = counts.reindex(index=[*seconds], columns=[*columns], fill_value=0)
    source = dict.fromkeys(seconds, "detections")
    source |= dict.fromkeys(corrected, "corrected")
    about = {
        "seconds": [round(seconds.get(name, np.nan), 3) for name in names],
        "problem": [problems.get(name, "") for name in names],
        "source": [source.get(name, "") for name in names],
    }
    parts = pd.DataFrame(about, names), counts.reindex(names).astype("Int64")
    table = pd.concat(parts, axis=1).rename_axis(index="recording")
    return table.reset_index(allow_duplicates=True)  # a class may be called problem


@command
@documented(PredictOptions)
def detections(
    audio: Path | str | None = None,
    *,
    column: str = "",
    label: str = "",
    tables: Path | str | None = None,
    check: int = 0,
    checked: Path | str | None = None,
    promise: float = 0.9,
    reports: Path | str = "reports",
    data: Path | str = "data",
    runs: Path | str = "runs",
    run: str = "last",
    device: str = "cpu",
    threads: str = "auto",
    dataset: str = "",
    gate: float | None = None,
    reject: float = 0.0,
    channel: int | None = None,
    hop: float = 0.0,
    threshold: str = "",
    out: Path | str | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """`make predict` by a run of events: detections in recordings. The command's files
    are written too; if `tables` is given, scores.csv is among them.

    Parameters
    ----------
    audio : path
        A recording, or a folder of them.

    Returns
    -------
    DataFrame
        file, start, end, label, score; for a table of `checked` detections, the
        precision above each threshold.

    Examples
    --------
    ::

        fs.detections("recordings", run="last", tables="labels")
    """
    options = options_from(PredictOptions, locals())
    if options.checked and not options.check:
        tell_checked(options.checked, options.promise)
        return precision_above(read_checked(options.checked))
    if options.audio is None:
        raise RequestError("give audio=, a recording or a folder of them")
    files = find_recordings(options.audio)
    model = Model.open(options)
    if model.task.name != "events":
        raise RequestError(
            f"{model.config.dataset} is a dataset of clips: detections are found by a"
            " run on a dataset of fs.events()"
        )
    table, _ = find_detections(options, model, files)
    return table
