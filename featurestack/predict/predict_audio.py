"""The command `predict`, which refuses what is wrong before torch is loaded:
predictions for the beginnings of audio files, or for windows through long
recordings, which are read window by window; and what a reader of them must know.

`predict RUN=run DATASET=other` scores a run on another labelled dataset: clips count
whose labels the run knows. All folds' models together answer better than the one that
answers for a clip of the run's own dataset, which would flatter: a line says so.
"""

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.extras import OPTIONS
from featurestack.base.files import is_file, require_writable
from featurestack.base.options import no_effect, part_of
from featurestack.base.own_files import NO_DATA, OwnFiles, Taken, own_file
from featurestack.base.quantities import counted, duration, listed, percent
from featurestack.base.registry import object_at
from featurestack.base.table_files import as_csv, csv_text
from featurestack.base.terminal import progress, tell, text_table, warn
from featurestack.comparison.metrics import indicator, lost_ties, within_classes
from featurestack.comparison.scores import Predictions, suited
from featurestack.features_cache.clip_table import by_label, originals, spans
from featurestack.features_cache.datasets import dataset_name
from featurestack.features_cache.identity import DIGITS, Identity, hashes_of, of_files
from featurestack.pipeline import audio
from featurestack.pipeline.audio import Info, Samples, Span
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.datasets.readers import find_recordings
from featurestack.pipeline.options import SourceOptions
from featurestack.predict.options import PredictOptions, class_thresholds
from featurestack.results import dataset_folders
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import RunFolder
from featurestack.results.run_list import select_one
from featurestack.ridge import SURE

if TYPE_CHECKING:
    from featurestack.predict.model import Model

TIME_DIGITS = 6  # decimals of seconds: finer than a sample
MUCH_LONGER = 1.01  # times a clip; a longer file is a recording
NO_ANSWER = "no answer"
PRINTED_CLASSES = 5  # classes of a file that are printed, the most probable first
DIGITS_OF_RUN = 4  # of the hash of the run that predicted, in the name of its table
ANSWERS_RECORD = ".answers.json"  # names the files that `predict` wrote
ENDINGS = (".csv", ".json")  # possible endings of OUT
# options that have no effect on a request
LIMITS = ("threshold", "gate", "reject")
OF_SOUNDS = ("hop", "check", "next", *LIMITS)
WITHOUT_EFFECT = {
    "CHECKED=": ("audio", "run", "device", "threads", "out", *OF_SOUNDS),
    "DATASET= without AUDIO=": ("promise", *OF_SOUNDS),
    "AUDIO=": ("promise",),
}


# ---- files and recordings


def trained_on(config: RunConfig, files: Mapping[str, Path]) -> list[str]:
    """The keys of the files whose content a run was trained on, whatever they and its
    dataset are called.
    """
    sounds = config.dataset_identity.sounds
    hashes = zip(files, hashes_of(files.values())) if sounds else ()
    return [key for key, content in hashes if content[:DIGITS] in sounds]


def tell_model(model: "Model", files: Mapping[str, Path]) -> None:
    """Say which model predicts, and which of the files it was trained on."""
    tell(f"predicted by {model.title}")
    if (foreign := model.networks.foreign) is not None:
        tell(
            f"clips of a class that it was not trained on that get {100 * SURE:.0f} %"
            f" or more for one of its classes: {percent(foreign)} %"
        )
    if trained := trained_on(model.config, files):
        number = f"{len(trained)} of {counted(len(files), 'file')}"
        tell(
            f"the run was trained on {number} ({listed(trained)}): expect worse"
            " predictions for new audio"
        )


def longer_files(model: "Model", files: Mapping[str, Path]) -> dict[str, Path]:
    """The files that are clearly longer than the model's clips."""
    longest = MUCH_LONGER * model.longest
    infos = audio.file_infos([*files.values()])
    return {
        key: files[key]
        for key, info in zip(files, infos)
        if isinstance(info, Info) and info.frames / info.sample_rate > longest
    }


def predict_each(
    model: "Model", files: Mapping[str, Path], longer: Mapping[str, Path]
) -> pd.DataFrame:
    """`file`, then `predict_parts`: one row a file; of those that are `longer` than the
    model's clips, windows, a quarter of a window apart, with `start` and `end`.
    """
    if not longer:
        return predict_files(model, files).reset_index(names="file")
    return predict_recordings(model, files, model.window / 4, files.keys() - longer)


def predict_files(
    model: "Model",
    files: Mapping[str, Path],
    places: Mapping[str, Span] | None = None,
) -> pd.DataFrame:
    """`predict_parts` for the beginning of each file, by all folds' models together.

    files   key -> file
    places  key -> the part of that file that counts instead of its beginning

    Files that cannot be read are left out, and named.
    """
    longer = []

    def beginning(key: str, file: Path, info: Info) -> Iterator[tuple[str, Samples]]:
        start, end = (places or {}).get(key, audio.WHOLE_FILE)
        seconds = end - start if end else info.frames / info.sample_rate
        if seconds > model.longest:
            longer.append(file)
        rate = model.sample_rate
        # like the dataset's clips
        place = model.samples, (start, end)
        y = audio.load_clip(file, rate, *place)
        yield key, y[: max(1, round(seconds * rate))]

    bar = progress(files.items(), label="predicting", unit="files", total=len(files))
    table, _ = predict_parts(model, bar, beginning)
    if longer:
        warn(
            f"only the first {duration(model.seconds)} of"
            f" {counted(len(longer), 'file')} are used"
        )
    return table


def predict_parts(
    model: "Model",
    files: Iterable[tuple[str, Path]],
    parts: Callable[[str, Path, Info], Iterator[tuple[Hashable, Samples]]],
) -> tuple[pd.DataFrame, list[str]]:
    """`predicted` (see `Model.predicted`) and a probability for each class, a row for
    each part of the files, indexed by its key; and the keys of files that cannot be
    read. Messages name these, and files of a lower sample rate.
    """
    rates: dict[str, int] = {}
    failures: dict[str, str] = {}  # file -> why
    unread = []

    def clips() -> Iterator[tuple[Hashable, Samples]]:
        for key, file in files:
            try:
                info = audio.file_info(file)
                rates[str(file)] = info.sample_rate
                yield from parts(key, file, info)
            except audio.AudioError as error:
                failures[str(file)] = str(error)
                unread.append(key)

    with audio.damaged_frames() as damaged:
        predictions = [*model.predicted(clips())]
    values = np.reshape(
        [values for _, values, _ in predictions], (-1, len(model.classes))
    )
    table = pd.DataFrame(values, [key for key, _, _ in predictions], model.classes)
    table.insert(0, "predicted", [text for _, _, text in predictions])
    low = [file for file, rate in rates.items() if rate < model.sample_rate]
    if low:
        rate, has = rates[low[0]], "has" if len(low) == 1 else "have"
        tell(
            f"{len(low)} of {counted(len(rates), 'file')} {has} a lower sample rate"
            f" than the run ({Path(low[0]).name}: {rate:,} of {model.sample_rate:,} Hz"
            f"): nothing is above {rate / 2:,.0f} Hz there, so predictions may be worse"
        )
    read = {file: error for file, error in damaged.items() if file not in failures}
    for line in audio.damaged_parts(read):
        tell(line)
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {counted(len({*rates, *failures}), 'file')} failed")
    return table, unread


def predict_recordings(
    model: "Model",
    recordings: Mapping[str, Path],
    hop: float,
    clips: Collection[str] = (),
) -> pd.DataFrame:
    """`predict_parts` for windows of `model.window` seconds, one every `hop` seconds,
    or as in `predict_files` for those that are `clips`; the key is file, start and end.
    Files that cannot be read are left out, and named. RequestError if audio between
    windows would be left out.
    """
    rate = model.sample_rate
    samples = round(model.window * rate)
    if hop > model.window:
        raise RequestError(
            f"HOP={hop:g}: expected at most the {model.window:g} seconds of a window"
        )
    if model.window < model.seconds:
        tell(
            f"windows of {model.window:g} s, the median of the training clips, since"
            " many are padded"
        )

    def windows(
        name: str, file: Path, info: Info
    ) -> Iterator[tuple[tuple[str, float, float], Samples]]:
        seconds = info.frames / info.sample_rate
        if name in clips:
            end = round(min(seconds, model.seconds), TIME_DIGITS)
            y = audio.load_clip(file, rate, model.samples)
            yield (name, 0.0, end), y[: max(1, round(seconds * rate))]
            return
        last = max(0, int(seconds * rate) - samples)
        starts = [*range(0, last, max(1, round(hop * rate))), last]
        label = f"{file.name} ({duration(seconds)})"
        recording = audio.Recording(file)
        for first in progress(starts, label=label, unit="windows"):
            start, end = first / rate, min((first + samples) / rate, seconds)
            y = recording.window((start, end), rate)
            yield (name, round(start, TIME_DIGITS), round(end, TIME_DIGITS)), y

    table, unread = predict_parts(model, recordings.items(), windows)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["file", "start", "end"])
    table = table.reset_index()
    return table[~table["file"].isin(unread)]


# ---- another labelled dataset


def score_elsewhere(options: PredictOptions) -> int:
    """Print the run's score on DATASET, write its predictions; 1 if a file was
    unreadable.
    """
    from featurestack.predict.model import Model  # loads torch

    model = Model.open(replace(options, dataset="", name=""))
    run = model.run
    if run is None:
        raise RequestError("DATASET= scores a run: give its name, not a file")
    other = load(part_of(options, SourceOptions))
    table, remarks = labelled_clips(other, run)
    if options.out and options.out.suffix != ".csv":
        raise RequestError(f"OUT={options.out}: expected a file ending in .csv")
    if options.out:
        file = options.out
    else:
        files = [Path(path) for path in other.table["path"]]
        place = options.reports / other.name / "predictions"
        place = dataset_folders.register_folder(
            place, of_files(other.source, files), ANSWERS_RECORD
        ).folder
        digits = run.config.hash[:DIGITS_OF_RUN]
        file = place / f"{run.dataset}.{run.name}.{digits}.csv"
    record = own_file(file, ANSWERS_RECORD, "OUT=")
    require_writable(file.parent)
    tell(f"predicted by {model.title}")
    table = table.set_index("clip_id", drop=False)
    places = dict(zip(table.index, spans(table)))
    predicted = predict_files(model, table["path"].map(Path).to_dict(), places)
    if predicted.empty:
        raise RequestError(f"no file of {other.name} can be read")
    clips, classes = table.loc[predicted.index], (*run.classes,)
    labels = indicator(run.task.targets(clips["target"], classes), len(classes))
    predictions = Predictions(
        metric=suited(run.task.metric, labels),
        classes=classes,
        groups=clips["group"].to_numpy(),
        folds=np.zeros((1, len(clips)), np.intp),  # one model predicts all
        labels=labels,
        probabilities=lost_ties(predicted[run.classes].to_numpy(float), labels)[None],
    )
    columns = {"clip_id": "clip", "target": "label", "group": "group"}
    of_clips = clips[[*columns]].rename(columns=columns).assign(fold=1)
    written = pd.concat([of_clips, predicted[run.classes]], axis=1)
    record.write({file.name: csv_text(written)})  # which compare reads
    for remark in remarks:
        tell(remark)
    metric = predictions.metric
    by_class = metric.class_table(predictions)[metric.class_score]
    sizes = labels.sum(axis=0)
    rows = zip(classes, map(str, sizes), map(percent, by_class))
    tested = [row for row, size in zip(rows, sizes) if size]
    print(text_table(tested, ["class", "clips", f"{metric.class_heading}, %"]))
    print(
        f"{other.name}: {metric.title} {predictions.score} of"
        f" {counted(len(clips), 'clip')}, by all folds' models together"
    )
    print(f"predictions: {file}")
    return 1 if len(predicted) < len(table) else 0


def labelled_clips(
    other: Dataset, run: RunFolder
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The other dataset's clips whose labels are all classes of the run, without files
    that it was trained on; and what is left out.
    """
    table = originals(other.table)
    target = table[run.task.column]
    labels = by_label(pd.DataFrame({"label": target}))["label"]
    present = {*labels} - {""}
    unknown = sorted(present - {*run.classes})
    counts = within_classes(run.task.targets(target, run.classes))
    if not counts.any() or not present & {*run.classes}:
        theirs = listed(unknown) or "no label"
        raise RequestError(
            f"{other.name} and {run.name} have no class in common: {theirs} there,"
            f" {listed(run.classes)} here"
        )
    kept = table.assign(target=target)[counts]
    files = {path: Path(path) for path in kept["path"].unique()}
    seen = kept["path"].isin(trained_on(run.config, files))
    if seen.all():
        raise RequestError(
            f"{run.name} was trained on the files of {other.name}: give another dataset"
            " as DATASET=, or new audio as AUDIO="
        )
    remarks = []
    if unknown:
        remarks.append(
            f"{counted(int((~counts).sum()), 'clip')} left out: the run does not know"
            f" their classes ({listed(unknown)})"
        )
    if seen.any():
        remarks.append(
            f"{counted(int(seen.sum()), 'clip')} left out: the run was trained on their"
            " files"
        )
    columns = ["clip_id", "group", "path", "start", "end", "target"]
    return kept.loc[~seen, columns], tuple(remarks)


# ---- the command


def report_folder(
    options: PredictOptions, model: "Model", files: Mapping[str, Path]
) -> Path:
    """The folder of a prediction's files, which then belongs to these recordings: OUT,
    or one in REPORTS for the dataset of the model, of AUDIO's name. RequestError if OUT
    has predictions of other recordings.
    """
    assert options.audio, "the caller predicts AUDIO"
    recordings = of_files(options.audio, files.values())
    if options.out:
        out = options.out.parent if options.out.suffix in ENDINGS else options.out
        require_writable(out)
        try:
            dataset_folders.register(OwnFiles(out, ANSWERS_RECORD), recordings)
        except Taken as other:
            former = Identity.parse(other.identity).place
            raise RequestError(
                f"{out} has predictions of {former}: give another OUT="
            ) from None
        return out
    config = model.config
    place = options.reports / config.dataset
    if config.identity:
        place = dataset_folders.folder_of(place, config.dataset_identity, NO_DATA)
    place /= dataset_name(str(options.audio))
    require_writable(place)
    return dataset_folders.register_folder(place, recordings, ANSWERS_RECORD).folder


def show(table: pd.DataFrame, classes: list[str], *, tags: bool) -> None:
    """Print a row for each answer: its place, then its most probable classes."""
    places = [name for name in ("file", "start", "end") if name in table]
    rows = []
    for _, row in table.iterrows():
        best = row[classes].astype(float).nlargest(PRINTED_CLASSES)
        cells = [f"{name} {p:.3f}" for name, p in best.items()]
        if tags:
            cells = [row["predicted"] or "none", *cells]
        elif not row["predicted"]:
            cells = [NO_ANSWER] + [""] * (len(cells) - 1)
        rows.append([*row[places], *cells])
    ranks = [f"{rank}." for rank in range(1, min(PRINTED_CLASSES, len(classes)) + 1)]
    predicted = ["predicted"] if tags else []
    print(text_table(rows, [*places, *predicted, *ranks]))


def predictions_text(table: pd.DataFrame, classes: list[str], ending: str) -> str:
    if ending == ".csv":
        return as_csv(table)
    probabilities = table[classes].to_dict("records")
    rows = table.drop(columns=classes).assign(probabilities=probabilities)
    return json.dumps(rows.to_dict("records"), indent=1) + "\n"


def predict_audio(options: PredictOptions) -> int:
    """Predict the classes of new audio by a trained model, or score it on another
    dataset; 1 if a file could not be read.
    """
    elsewhere = options.audio is None  # DATASET is another dataset
    request = "DATASET= without AUDIO=" if elsewhere else "AUDIO="
    if options.checked:
        request = "CHECKED="
    if ignored := no_effect(options, WITHOUT_EFFECT[request], request):
        tell(ignored)
    if options.checked:
        status: int = object_at(OPTIONS["checked"])(options)
        return status
    if elsewhere and not options.dataset:
        raise RequestError(
            "give AUDIO=a file or a folder, or DATASET=another labelled dataset"
        )
    if not is_file(options.run):
        words = ("", "") if elsewhere else (options.dataset, options.name)
        dataset = dataset_folders.named_dataset(words[0], options.data, words[1])
        run = select_one(options.runs, options.run, *dataset, data=options.data)
        class_thresholds(options.threshold, run.classes, {})
    if options.audio is None:
        return score_elsewhere(options)
    files = find_recordings(options.audio)
    from featurestack.predict.model import Model  # loads torch

    return predict_clips(options, Model.open(options), files)


def predict_clips(
    options: PredictOptions, model: "Model", files: Mapping[str, Path]
) -> int:
    """Print the class of each file, or of windows through those that are longer than
    the run's clips; with THRESHOLD or CHECK these become detections.
    """
    named = {str(file): file for file in files.values()}
    longer = {} if options.hop else longer_files(model, named)
    hop = options.hop or (model.window / 4 if longer else 0.0)
    into_file = bool(options.out and options.out.suffix in ENDINGS)
    if into_file and options.check:
        raise RequestError(
            f"OUT={options.out}: expected a folder, because CHECK= writes several files"
        )
    requested = options.check or (hop and options.threshold)
    detecting = bool(requested and "check" in OPTIONS and not into_file)
    unused = [] if detecting or model.task.multilabel else ["threshold"]
    if ignored := no_effect(options, unused, "clips of one label"):
        tell(ignored)
    record = None
    if options.out and into_file:
        record = own_file(options.out, ANSWERS_RECORD, "OUT=")
        require_writable(options.out.parent)
    elif options.out and not (detecting or options.next):
        raise RequestError(
            f"OUT={options.out}: expected a file ending in .csv or .json"
        )
    writes = detecting or options.next
    folder = report_folder(options, model, files) if writes else Path()
    tell_model(model, files)
    if options.hop or detecting:
        table = predict_recordings(model, named, hop or model.window)
    else:
        table = predict_each(model, named, longer)
    if record and options.out:
        text = predictions_text(table, model.classes, options.out.suffix)
        record.write({options.out.name: text})
    if options.next and len(table):
        object_at(OPTIONS["next"])(options, model, table, folder)
    if detecting:
        object_at(OPTIONS["check"])(options, model, files, table, folder)
        return int(table["file"].nunique() < len(files))
    if len(table) and not options.next:
        show(table, model.classes, tags=model.task.multilabel)
    return int(table["file"].nunique() < len(files))
