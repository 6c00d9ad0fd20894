"""`python -m train predict`: the classes of new audio, or of a dataset's own test clips
from their audio.

New audio's features come from the pipeline functions that filled the cache, with the
same rounding.
"""

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import pandas as pd
import torch

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache import Cache, cache_folder, dataset_name
from featurestack.features_cache.index import read_index
from featurestack.features_cache.location import is_cache
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.table import (
    SEPARATOR,
    has_windows,
    label_indicator,
    spans,
)
from featurestack.features_cache.writer import to_stored
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.datasets.annotations import read_events
from featurestack.pipeline.datasets.recordings import find_recordings
from featurestack.pipeline.features import FEATURES, Variant, resolve_feature
from featurestack.results import run_folder
from featurestack.results.config import StoredChannel
from featurestack.results.detections import detection_scores, join_windows
from featurestack.results.run_folder import RunFolder
from featurestack.results.tags import epoch_scores
from featurestack.results.windows import (
    BACKGROUND,
    HOP_SHARE,
    label_windows,
    middles,
)
from featurestack.storage.files import content_hash
from featurestack.train.bundle import (
    AGREES,
    BATCH,
    Bundle,
    Probabilities,
    TrainedModel,
    Values,
    bundle_of_run,
    read_bundle,
)
from featurestack.train.compute import device_of, keep_freed_memory, threads_of
from featurestack.train.options import PredictOptions, TrainedOptions
from featurestack.train.rejection import NO_ANSWER, Rejection, Samples, class_thresholds

# seconds that a file may be longer without a note: MP3 and Ogg add some
TOLERANCE = 0.1
BAR = 24  # characters of the bar for a probability of 1
# fitted thresholds below it are named: their classes were rare or hard to find
LOW_THRESHOLD = 0.2

Key = TypeVar("Key")


class AudioModel(TrainedModel):
    """A trained model for audio: samples to features, as a cache stores them, to
    probabilities.

    for file, probabilities, predicted in AudioModel(bundle).predict([("dog.wav", y)]):
    ...
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "cpu",
        run: RunFolder | None = None,
        rejection: Rejection | None = None,
        threshold: str = "",
    ) -> None:
        """`run`: the bundle's run, None for a bundle from a file; `threshold`: see
        `class_thresholds`.

        RequestError if new audio cannot have the run's features.
        """
        super().__init__(bundle, device)
        self.run = run
        self.rejection = rejection or Rejection()
        self.thresholds = class_thresholds(
            threshold, self.classes, self.config.thresholds
        )
        self.sample_rate = self.config.sample_rate
        # samples of a clip
        self.samples = round(self.config.duration * self.sample_rate)
        # with run.json's description
        self.channels: list[tuple[Variant, StoredChannel]] = []
        for described in self.config.channels:
            stored = described.stored
            channel = parse_channel(stored)
            if channel.name not in (*FEATURES, "embedding"):
                raise RequestError(
                    f"nothing here computes {stored} for new audio: it was brought into"
                    " the cache, or the module that defines it is not imported"
                )
            variant = resolve_feature(channel)
            if described.parameters.get("file") != variant.recorded.get("file"):
                raise RequestError(
                    f"the run was trained on {stored} of another file than the one that"
                    " is there now: put the former network and card back, or train"
                    " again"
                )
            self.channels.append((variant, described))
        if not self.samples:
            raise RequestError(
                "the run's dataset has no sample rate and duration: no audio can be cut"
                " to clips"
            )
        for variant, described in self.channels:
            self.refuse_other_values(variant, described)

    def refuse_other_values(self, variant: Variant, trained: StoredChannel) -> None:
        """RequestError if the feature that is computed here is not the one that the run
        was trained on: another parameter, number of frames, or unit of frames.
        """
        facts = {
            **variant.recorded,
            "frames": variant.shape(self.sample_rate, self.samples)[1],
            "frame_unit": variant.feature.frame_unit,
        }
        recorded = {
            **trained.parameters,
            "frames": trained.frames,
            "frame_unit": trained.frame_unit,
        }
        for name in dict.fromkeys([*facts, *recorded]):
            if facts.get(name) != recorded.get(name):
                raise RequestError(
                    f"the run was trained on {trained.stored} with {name}"
                    f" {recorded.get(name)}, here it is computed with"
                    f" {facts.get(name)}: train again, or predict with the version"
                    " that trained it"
                )

    @classmethod
    def open(cls, options: TrainedOptions, threshold: str = "") -> "AudioModel":
        """The run or bundle of RUN, on the device and threads of the options; its name
        is printed.
        """
        device = device_of(options.device)
        torch.set_num_threads(threads_of(options.threads))
        keep_freed_memory()
        file = Path(options.run)
        run = None
        if file.is_file():
            bundle = read_bundle(file)
            name = str(file)
            if options.selection != "auto":
                tell(
                    "SELECTION does not apply to a bundle, which holds one epoch, and"
                    " is ignored"
                )
        else:
            dataset = dataset_name(options.dataset)
            run = run_folder.select_one(options.runs, options.run, dataset)
            selection = run.selection(options.selection)
            bundle = bundle_of_run(run, selection)
            name = f"{run.name}, {selection} epoch"
        folds = f"{len(bundle.folds)} of {len(bundle.config.folds)} folds"
        tell(
            f"predicted by {name}: {bundle.config.model} of {bundle.config.dataset},"
            f" {folds}"
        )
        return cls(bundle, device, run, Rejection.of(options, bundle.config), threshold)

    def features(self, y: Samples) -> Values:
        """The values of one clip as a cache stores them: (rows, frames) a channel.

        y  up to `samples` samples; zeros follow a shorter clip
        """
        clip = Clip(np.pad(y, (0, self.samples - len(y))), self.sample_rate)
        stored = []
        for variant, channel in self.channels:
            # limit for audio far beyond full scale
            largest = np.finfo(channel.dtype).max
            values = np.clip(variant.compute(clip), -largest, largest)
            first, last = channel.row_range
            stored.append(
                to_stored(values, values.shape, channel.dtype)[first : last + 1]
            )
        return stored

    def predict(
        self, clips: Iterable[tuple[Key, Samples]], fold: int | None = None
    ) -> Iterator[tuple[Key, Probabilities, str]]:
        """Yield each clip's key, (K,) probabilities of all folds' models or of one
        fold's, and `predicted`.

        `predicted` is "" if the prediction is rejected or, with tags, has no class.

        Memory does not grow with the number of clips. Threads compute the features of a
        batch: numpy's and scipy's transforms release the interpreter's lock.
        """
        rest = iter(clips)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(itertools.islice(rest, BATCH)):
                each = pool.map(self.features, [y for _, y in batch])
                values = [np.stack(channel) for channel in zip(*each, strict=True)]
                filled = np.array([len(y) / self.samples for _, y in batch])
                probabilities = self.probabilities(values, filled, fold)
                for (key, y), own in zip(batch, probabilities, strict=True):
                    answered = self.rejection.answers(y, self.sample_rate, own)
                    yield key, own, self.predicted(own) if answered else ""

    def predicted(self, probabilities: Probabilities) -> str:
        """The predicted class of (K,) probabilities; with tags all above their
        thresholds, joined by `;`.
        """
        if not self.tags:
            return self.classes[probabilities.argmax()]
        pairs = zip(self.classes, probabilities)
        return SEPARATOR.join(
            name for name, p in pairs if p > self.thresholds.get(name, 0.5)
        )

    def window_samples(self, seconds: float) -> int:
        """The number of samples of a window of WINDOW seconds; RequestError if it is
        longer than a clip.

        By default a window is as long as a clip, or as the median training clip if many
        clips were padded.
        """
        longest = self.samples / self.sample_rate
        if not seconds and self.config.clip_seconds:
            seconds = self.config.clip_seconds
            tell(
                f"windows of {seconds:g} s, the median of the training clips, since"
                " many are padded"
            )
        if seconds > longest:
            raise RequestError(
                f"WINDOW={seconds:g}: expected at most the {longest:g} seconds of a"
                " clip"
            )
        return max(1, round(seconds * self.sample_rate)) if seconds else self.samples


def predict_files(
    model: AudioModel,
    files: Mapping[str, Path],
    fold: int | None = None,
    places: Mapping[str, audio.Span] = MappingProxyType({}),
) -> pd.DataFrame:
    """The predictions of one fold's model, or of all folds' models together, for the
    beginning of each file.

    files   key -> file
    places  key -> the part of that file that counts instead of its beginning

    A row of the table, indexed by key, has `predicted` (see `AudioModel.predict`) and a
    probability for each class. Files that cannot be read are left out, and named on
    standard error.

    predict_files(model, {"dog": Path("dog.wav")})["predicted"]
    """
    rate = model.sample_rate
    longest = model.samples / model.sample_rate
    longer = []
    failures = {}

    def clips() -> Iterator[tuple[str, Samples]]:
        for key, file in progress(
            files.items(), total=len(files), label="predicting", unit="files"
        ):
            try:
                start, end = places.get(key, audio.WHOLE)
                info = None if end else audio.file_info(file)
                # like the dataset's clips
                y = audio.load_clip(file, rate, model.samples, (start, end))
            except audio.AudioError as error:
                failures[file] = str(error)
                continue
            seconds = info.frames / info.sample_rate if info else end - start
            if seconds > longest + TOLERANCE:
                longer.append(file)
            yield key, y[: max(1, round(seconds * rate))]

    predictions = list(model.predict(clips(), fold))
    keys, probabilities, predicted = zip(*predictions) if predictions else ((), (), ())
    table = pd.DataFrame(
        np.reshape(probabilities, (-1, len(model.classes))), list(keys), model.classes
    )
    table.insert(0, "predicted", predicted)
    if longer:
        begun = (
            f"only the first {duration(longest)} of {counted(len(longer), 'file')}"
            " count"
        )
        tell(f"{begun}; HOP=1 predicts windows through all of them")
    tell_failures(failures, len(files))
    return table


def show(
    table: pd.DataFrame, classes: list[str], options: PredictOptions, *, tags: bool
) -> None:
    """Print predictions as JSON, as CSV, or for people, with the best classes first.

    tags  `predicted` may be several classes, or none
    """
    if options.json:
        probabilities = table[classes].to_dict("records")
        rows = table.drop(columns=classes).assign(probabilities=probabilities)
        print(json.dumps(rows.to_dict("records"), indent=1))
        return
    if options.csv:
        print(as_csv(table), end="")
        return
    ranked = [
        row.astype(float).nlargest(options.top) for _, row in table[classes].iterrows()
    ]
    if len(table) == 1:
        if tags:
            print(f"predicted: {table['predicted'].iloc[0] or 'none of the classes'}")
        elif not table["predicted"].iloc[0]:
            print(f"{NO_ANSWER}; it would be")
        width = max(map(len, ranked[0].index))
        for name, p in ranked[0].items():
            print(f"{name:{width}}  {p:.3f}  {'#' * round(BAR * p)}".rstrip())
    elif len(table):
        header = [
            "file",
            *["predicted"] * tags,
            *(f"{place + 1}." for place in range(len(ranked[0]))),
        ]
        rows = []
        for file, predicted, best in zip(table["file"], table["predicted"], ranked):
            cells = (
                [f"{name} {p:.2f}" for name, p in best.items()]
                if predicted or tags
                else [NO_ANSWER]
            )
            if tags:
                cells = [predicted or "none", *cells]
            rows.append([file, *cells, *[""] * (len(header) - 1 - len(cells))])
        print(text_table(rows, header))


def tell_failures(failures: Mapping[Path, str], total: int) -> None:
    """Name the files that could not be read."""
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be read")


def tell_trained(cache: Path, files: Mapping[str, Path]) -> None:
    """Print how many files have the content of clips in the run's cache, and the first
    one's name.
    """
    if not is_cache(cache):
        return
    clips, _ = read_index(cache)
    named = clips["group"] if has_windows(clips) else clips["clip_id"]
    known = dict(zip(clips["source_hash"], named))
    sizes = {*clips["source_size"]}
    trained = {}
    for name, file in files.items():
        with suppress(OSError):  # the prediction names files that cannot be read
            if file.stat().st_size in sizes and (clip := known.get(content_hash(file))):
                trained[name] = clip
    if trained:
        name, clip = next(iter(trained.items()))
        share = f"{len(trained)} of {counted(len(files), 'file')}"
        tell(
            f"trained on {share} ({name} is {clip} of the dataset): new audio is"
            " predicted less well"
        )


def predict_audio(options: PredictOptions) -> int:
    """Print the classes of audio files or test clips, or write timelines; 1 if a file
    could not be read.

    predict_audio(PredictOptions(run="last", audio=Path("dog.wav")))
    """
    if options.test_clips == (options.audio is not None):
        raise RequestError(
            "give AUDIO=a file or a folder, or TEST_CLIPS=1 for the dataset's own clips"
        )
    model = AudioModel.open(options, options.threshold)
    if options.audio is None:
        return predict_test_clips(options, model)
    files = find_recordings(options.audio)
    tell_trained(
        cache_folder(model.config.dataset, options.data, model.config.dataset), files
    )
    if options.hop or model.config.windows:
        if options.json or options.csv:
            tell(
                "JSON and CSV do not apply to HOP, which writes files, and are ignored"
            )
        return write_timelines(options, model, files)
    if options.tables:
        raise RequestError(
            "TABLES scores the detections of windows through recordings: give HOP too,"
            " as HOP=0.5"
        )
    if options.window:
        raise RequestError(
            "WINDOW is for windows through a recording: give HOP too, as HOP=0.5"
        )
    answers = predict_files(model, {str(file): file for file in files.values()})
    show(answers.reset_index(names="file"), model.classes, options, tags=model.tags)
    return 1 if len(answers) < len(files) else 0


def predict_test_clips(options: PredictOptions, model: AudioModel) -> int:
    """Predict each fold's test clips from their audio by that fold's model; compare
    with predictions.csv.

    Returns 1 if a file could not be read.
    """
    run = model.run
    classes = model.classes
    if run is None:
        raise RequestError(
            "TEST_CLIPS=1 compares with predictions.csv: give a run, a bundle has none"
        )
    cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
    known = run.scored(selection=options.selection).set_index("clip_id")
    clips = cache.clips.iloc[cache.positions(known.index)]
    files = pd.Series(map(Path, clips["path"]), known.index)
    places = dict(zip(known.index, spans(clips)))
    by_fold = known.groupby("fold").groups.items()
    answers = pd.concat(
        [
            predict_files(model, files[ids].to_dict(), fold, places)
            for fold, ids in by_fold
        ]
    )
    before = known.loc[answers.index]
    table = before[["fold", "target"]].join(answers)
    if options.json or options.csv:
        show(table.reset_index(names="clip_id"), classes, options, tags=model.tags)
    score = "map" if model.tags else "accuracy"
    metric = "mAP of all folds together:" if model.tags else score
    accuracy, then = (
        epoch_scores(run.numbers(part["target"]), part[classes].to_numpy())[score]
        for part in (table, before)
    )
    largest = np.abs(table[classes] - before[classes]).to_numpy().max(initial=0)
    verdict = (
        "the same"
        if largest <= AGREES
        else "NOT the same: was the audio or a library changed?"
    )
    tell(
        f"{metric} {accuracy:.4f} of {len(table)} clips; predictions.csv says"
        f" {then:.4f}"
    )
    tell(f"probabilities differ by {largest:.1e} at most: {verdict}")
    return 1 if len(answers) < len(known) else 0


def write_timelines(
    options: PredictOptions, model: AudioModel, files: Mapping[str, Path]
) -> int:
    """Write each file's timeline, in timelines/, and detections.* of all files to
    <reports>/<dataset>/.

    TABLES also gives scores.csv there.

    files  name -> file; the names are paths below AUDIO, as annotation tables give them

    Returns 1 if a file could not be read.
    """
    from featurestack.train import timeline  # imported here, since few runs need it

    rate = model.sample_rate
    samples = model.window_samples(options.window)
    hop = options.hop or samples / rate * HOP_SHARE
    if hop > samples / rate:
        raise RequestError(
            f"HOP={hop:g}: expected at most the {samples / rate:g} seconds of a window"
        )
    step = max(1, round(hop * rate))
    hop = step / rate
    low = {
        name: p
        for name, p in model.thresholds.items()
        if p < LOW_THRESHOLD and name != BACKGROUND
    }
    if low and not options.threshold:
        lowest = ", ".join(f"{name} {p:.2g}" for name, p in low.items())
        tell(
            f"low thresholds of the run may give false alarms: {lowest}; THRESHOLD=0.5"
            " sets others"
        )
    folder = options.reports / model.config.dataset
    durations = {
        name: info.frames / info.sample_rate
        for name, info in zip(files, audio.file_infos(list(files.values())))
        if isinstance(info, audio.Info)
    }
    tables = None
    if options.tables and durations:  # a wrong table is refused before the work
        tables = read_events(
            options.tables, durations, options.column, options.label, options.missing
        )
    predictions = []
    failures = {}
    targets = timeline.output_paths(list(files.values()), folder / "timelines")
    for (name, file), target in zip(files.items(), targets):
        try:
            blocks = timeline.resampled(
                audio.blocks(file), audio.file_info(file).sample_rate, rate
            )
            seconds = durations[name]
            windows = progress(
                timeline.windows(blocks, rate, samples, step),
                total=1 + max(0, int(np.ceil((seconds * rate - samples) / step))),
                label=f"{file.name} ({duration(seconds)})",
                unit="windows",
            )
            spans, each, predicted = zip(*model.predict(windows))
        except audio.AudioError as error:
            failures[file] = str(error)
            continue
        table = pd.DataFrame(spans, columns=["start", "end"]).assign(
            file=name, predicted=predicted
        )
        probabilities = pd.DataFrame(np.stack(each), columns=model.classes)
        if model.thresholds and not model.tags:
            chosen = probabilities > pd.Series(model.thresholds)
            chosen.loc[table["predicted"] == ""] = False  # no answer
        else:
            chosen = pd.DataFrame(
                label_indicator(table["predicted"], model.classes),
                columns=model.classes,
            )
        detections = join_windows(middles(table, hop), chosen, probabilities)
        timeline.write_timeline(table, probabilities, detections, target)
        predictions.append((detections, table, chosen, probabilities))
    if predictions:
        detections, table, chosen, probabilities = (
            pd.concat(part, ignore_index=True) for part in zip(*predictions)
        )
        timeline.write_detections(detections, pd.Series(durations), rate / 2, folder)
        if tables:
            scored = table["file"].isin(tables.annotated)
            labels = label_windows(table[scored], tables.events, longest=not model.tags)
            scores = detection_scores(
                table[scored].assign(label=labels),
                chosen[scored],
                probabilities[scored],
                hop,
                tables.events,
            )
            remarks = {
                "recordings without a table, not scored": (
                    {*durations} - tables.annotated
                ),
                "labels that are no class of the model, not scored": (
                    {*tables.events["label"]} - {*chosen}
                ),
            }
            timeline.write_scores(scores, folder)
            for note in tables.notes:
                tell(note)
            for what, names in remarks.items():
                if names:
                    tell(f"{what}: {', '.join(sorted(names))}")
    tell_failures(failures, len(files))
    return 1 if failures else 0
