"""Predictions for audio files: for their beginnings, or for windows through long
recordings; and what a reader of them must know: files that were trained on, that cannot
be read, or that have a lower rate.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.index import read_index
from featurestack.features_cache.names import cache_folder, is_cache
from featurestack.features_cache.table import has_windows
from featurestack.pipeline import audio
from featurestack.predict.model import TOLERANCE, Model
from featurestack.predict.samples import Samples, resampled, windows_of
from featurestack.storage.files import content_hash

TIME_DIGITS = 6  # decimals of seconds: finer than a sample


def trained_clips(
    dataset: str, data: Path, files: Mapping[str, Path]
) -> dict[str, str]:
    """The keys of the files from which a dataset's cache has clips -> the clip's id, or
    that of the recording whose windows are clips.
    """
    cache = cache_folder(dataset, data, dataset)
    if not is_cache(cache):
        return {}
    clips, _ = read_index(cache)
    named = clips["group"] if has_windows(clips) else clips["clip_id"]
    known = dict(zip(clips["source_hash"], named))
    sizes = {*clips["source_size"]}
    trained = {}
    for key, file in files.items():
        with suppress(OSError):  # the prediction names files that cannot be read
            if file.stat().st_size in sizes and (clip := known.get(content_hash(file))):
                trained[key] = clip
    return trained


def tell_model(model: Model, files: Mapping[str, Path], data: Path) -> None:
    """Say which model answers, and which of the files it was trained on."""
    tell(f"predicted by {model.title}")
    trained = trained_clips(model.config.dataset, data, files)
    if trained:
        name, clip = next(iter(trained.items()))
        share = f"{len(trained)} of {counted(len(files), 'file')}"
        tell(
            f"trained on {share} ({name} is {clip} of the dataset): the predictions"
            " of these files are no score, and new audio is predicted less well"
        )


def answer_table(
    model: Model, clips: Iterable[tuple[Hashable, Samples]]
) -> pd.DataFrame:
    """`predicted` (see `Model.answers`) and a probability for each class, a row for
    each clip, indexed by its key.
    """
    answers = [*model.answers(clips)]
    values = np.reshape([own for _, own, _ in answers], (-1, len(model.classes)))
    table = pd.DataFrame(values, [key for key, _, _ in answers], model.classes)
    table.insert(0, "predicted", [text for _, _, text in answers])
    return table


def predict_files(
    model: Model,
    files: Mapping[str, Path],
    places: Mapping[str, audio.Span] = MappingProxyType({}),
) -> pd.DataFrame:
    """`answer_table` of all folds' models together for the beginning of each file.

    files   key -> file
    places  key -> the part of that file that counts instead of its beginning

    Files that cannot be read are left out, and named.
    """
    rate = model.sample_rate
    longer = []
    rates = {}
    failures = {}

    def clips() -> Iterator[tuple[str, Samples]]:
        for key, file in progress(
            files.items(), total=len(files), label="predicting", unit="files"
        ):
            try:
                start, end = places.get(key, audio.WHOLE)
                info = None if end else audio.file_info(file)
                # like the dataset's clips
                place = model.samples, (start, end), model.audio_channel
                y = audio.load_clip(file, rate, *place)
            except audio.AudioError as error:
                failures[file] = str(error)
                continue
            seconds = info.frames / info.sample_rate if info else end - start
            if info:
                rates[file] = info.sample_rate
            if seconds > model.seconds + TOLERANCE:
                longer.append(file)
            yield key, y[: max(1, round(seconds * rate))]

    with audio.damaged_frames() as damaged:
        table = answer_table(model, clips())
    if longer:
        tell(
            f"only the first {duration(model.seconds)} of"
            f" {counted(len(longer), 'file')} count; HOP=1 predicts windows through"
            " all of them"
        )
    tell_low_rates(rates, rate)
    tell_failures(failures, damaged, len(files))
    return table


def tell_low_rates(rates: Mapping[Path, int], wanted: int) -> None:
    """Tell how many files have a lower sample rate (`rates`) than the model's audio."""
    low = [file for file, rate in rates.items() if rate < wanted]
    if low:
        own = rates[low[0]]
        tell(
            f"{len(low)} of {counted(len(rates), 'file')} have a lower sample rate than"
            f" the run ({low[0].name}: {own:,} of {wanted:,} Hz): nothing is above"
            f" {own / 2:,.0f} Hz there, so that predictions may be worse"
        )


def tell_failures(
    failures: Mapping[Path, str], damaged: audio.Damaged, total: int
) -> None:
    """Name the files that failed, and those with damaged parts."""
    failed = {str(file) for file in failures}
    read = {file: error for file, error in damaged.items() if file not in failed}
    for line in audio.damaged_parts(read):
        tell(line)
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files failed")


def predict_recordings(
    model: Model, recordings: Mapping[str, Path], hop: float
) -> pd.DataFrame:
    """`answer_table` of windows of `model.window` seconds, one every `hop` seconds; the
    key is file, start and end. Recordings that cannot be read are left out, and named.
    RequestError if audio between windows would be left out.
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
    step = max(1, round(hop * rate))
    rates = {}
    failures = {}

    def windows() -> Iterator[tuple[tuple[str, float, float], Samples]]:
        for name, file in recordings.items():
            try:
                info = audio.file_info(file)
                rates[file] = info.sample_rate
                blocks = audio.blocks(file, model.audio_channel)
                blocks = resampled(blocks, info.sample_rate, rate)
                seconds = info.frames / info.sample_rate
                after_first = max(0.0, seconds * rate - samples)
                for (start, end), y in progress(
                    windows_of(blocks, rate, samples, step),
                    total=1 + int(np.ceil(after_first / step)),
                    label=f"{file.name} ({duration(seconds)})",
                    unit="windows",
                ):
                    yield (name, round(start, TIME_DIGITS), round(end, TIME_DIGITS)), y
            except audio.AudioError as error:
                failures[file] = str(error)

    with audio.damaged_frames() as damaged:
        table = answer_table(model, windows())
    tell_low_rates(rates, rate)
    tell_failures(failures, damaged, len(recordings))
    table.index = pd.MultiIndex.from_tuples(table.index, names=["file", "start", "end"])
    table = table.reset_index()
    unread = [name for name, file in recordings.items() if file in failures]
    return table[~table["file"].isin(unread)]
