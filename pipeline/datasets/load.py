"""From the word after DATASET= to a dataset: its table of clips, sample rate and duration."""

import math
import shlex
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError, closest, nearest
from commandline.terminal import counted, progress
from commandline.terminal import duration as shown_duration
from features_cache import Cache, dataset_name
from features_cache.cache import NAMED, TABLES, is_cache, nearest_path
from features_cache.hdf5 import DamagedFile
from features_cache.index import read_settings
from features_cache.table import refuse_class_names, validate
from pipeline import audio
from pipeline.datasets.folds import KeptFolds, with_folds, with_groups
from pipeline.datasets.readers import (
    SYNTHETIC_CATEGORIES,
    FoundClips,
    describe_labels,
    is_esc_layout,
    read_esc_layout,
    read_table,
)
from pipeline.options import ExtractOptions, SourceOptions
from pipeline.parameters import Framing

LONGEST = 30.0  # seconds; a longer clip is cut unless DURATION says otherwise
MOSTLY_PADDING = 0.5  # of all clips' time; more is worth a word
MOST, LONGER = 0.8, 1.01  # of the clips; a longest one that is so many times as long is worth a word
HELD = 0.98  # of the clips, that the duration which is then proposed holds whole
FEW_FRAMES = 43  # of a sound; half a second has so many at 44.1 kHz
SLOW_FRAMES = 4  # times as long as at 44.1 kHz, or more: they are worth a word whatever the sounds' length
STEP = 0.05  # s, to which it is rounded up
DEFAULT_FRAME, DEFAULT_HOP = Framing().n_fft, Framing().hop_length  # samples
FRAME_SECONDS = DEFAULT_FRAME / 44_100  # what the default frame is at ESC-50's rate
SHOWN = 3  # damaged files by name
THREADS = 8  # opening a file waits for the disk, and libsndfile works outside Python's lock


@dataclass(frozen=True)
class Dataset:
    """Clips of one rate and duration.

    `table` has the columns of `features_cache.table.CLIP_COLUMNS`, one row a clip: originals in the
    order of their source, then altered copies where they were asked for. `source` identifies
    the dataset beside others of its name: a known name, or the absolute path that was given.
    """

    name: str
    table: pd.DataFrame
    sample_rate: int  # Hz
    duration: float  # seconds
    source: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()  # what a user should know: ignored files, folds that were drawn
    published_test: int | None = None  # the one fold that the publishers test, where it is not each in turn

    @property
    def samples(self) -> int:
        """Length of every clip after padding or cutting."""
        return round(self.duration * self.sample_rate)


def load(
    dataset: str,
    data: Path = Path("data"),
    *,
    name: str | None = None,
    archive: str | Path | None = None,
    url: str | None = None,
    audio_dir: str | Path | None = None,
    group: str | None = None,
    folds_by: str | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    copies: int | None = None,
    alter: str = ExtractOptions.alter,
    seed: int = 0,
) -> Dataset:
    """A dataset by its name (esc50, esc10, synth), or from a folder of clips, a CSV, or a cache folder.

    dataset      that word; a named one that is not there yet is downloaded or made
    data         folder of named datasets and of caches
    name         what the dataset is called, by default the name or the stem of the path
    archive      a zip of ESC-50 that is there already; url: another address to download it from
    audio_dir    folder of the audio files, where the table is elsewhere
    group        source recording of a clip: a column of the table, or a pattern for file names
    folds_by     "group" makes each group a fold, "dataset" takes its own folds or draws them
    sample_rate  Hz, duration: seconds; by default found in the files
    copies       altered copies of every clip, after the originals; alter: by which alterations
    seed         of drawn folds and of copies

    Folds that are not the dataset's own and `group` are kept in `<data>/<name>/folds.csv`, so that clips
    which come later do not
    move the others, and later commands need not be given `group` again.

        load("esc10").table[["clip_id", "label", "fold"]]
    """
    data = Path(data)
    if dataset not in NAMED and is_cache(Path(dataset)):
        return _of_cache(Path(dataset), name)
    called = dataset_name(dataset, name)
    found = _read(dataset, data, archive, url, Path(audio_dir) if audio_dir else None)
    refuse_class_names(found.table["label"])
    origin = dataset if dataset in NAMED else str(Path(dataset).resolve())
    refuse_another_source(data / called / "features", called, origin)  # before its folds are written
    kept = KeptFolds(data / called / "folds.csv", origin)
    group = group or kept.grouped_by
    table, group_notes = with_groups(found, group)
    table, fold_notes = with_folds(table, kept, seed, group, folds_by)
    published_test = found.published_test if (table["fold"] == found.table["fold"]).all() else None
    found = replace(found, table=table)
    found = with_audio_settings(found, sample_rate, duration, listed=Path(dataset).is_file())
    assert found.sample_rate and found.duration
    return Dataset(
        name=called,
        table=validate(_with_copies(table, copies, alter, seed)),
        sample_rate=found.sample_rate,
        duration=found.duration,
        source=origin,
        synthetic=set(table["label"]) <= SYNTHETIC_CATEGORIES.keys(),
        notes=(
            *_without_use(dataset, archive, url, audio_dir),
            *found.notes,
            *describe_labels(table["label"]),
            *group_notes,
            *fold_notes,
        ),
        published_test=published_test,
    )


def refuse_another_source(cache: Path, name: str, source: str) -> None:
    """RequestError where the cache of this name holds features of another source."""
    try:
        known = read_settings(cache)["source"]
    except (FileNotFoundError, DamagedFile):
        return
    if known != source:
        raise RequestError(
            f"{cache} holds features of {known}, not of {source}; give this dataset another name: "
            f"NAME={name}2"
        )


def load_for(options: SourceOptions) -> Dataset:
    """The dataset that a command's options ask for: originals alone, unless they name copies."""
    extracted = options if isinstance(options, ExtractOptions) else ExtractOptions()
    return load(
        options.dataset,
        options.data,
        name=options.name,
        archive=options.archive,
        url=options.url,
        audio_dir=options.audio_dir,
        group=options.group,
        folds_by=options.folds_by,
        sample_rate=options.sample_rate,
        duration=options.duration,
        copies=extracted.copies,
        alter=extracted.alter,
        seed=options.seed,
    )


def _read(
    dataset: str, data: Path, archive: str | Path | None, url: str | None, audio_dir: Path | None
) -> FoundClips:
    if dataset in ("esc50", "esc10"):
        from pipeline.datasets import esc50

        folder = esc50.obtain(data, archive=archive, url=url, audio_dir=audio_dir)
        return esc50.subset(read_esc_layout(folder, audio_dir), dataset)
    if dataset == "synth":
        from pipeline import synth

        return read_esc_layout(synth.write_dataset(data / "synth"), audio_dir)
    path = Path(dataset)
    if path.is_dir():
        if is_esc_layout(path, audio_dir):
            return read_esc_layout(path, audio_dir)
        from pipeline.datasets.layouts import read_folder

        return read_folder(path)
    if path.is_file() and path.suffix.lower() in TABLES:
        return read_table(path, audio_dir)
    raise RequestError(_unknown(dataset))


def _with_copies(table: pd.DataFrame, copies: int | None, alter: str, seed: int) -> pd.DataFrame:
    if not copies:
        return table
    from pipeline.alter import with_copies

    return with_copies(table, copies, alter, seed)


def _without_use(
    dataset: str, archive: str | Path | None, url: str | None, audio_dir: str | Path | None
) -> tuple[str, ...]:
    """Options that were given and change nothing for this kind of dataset."""
    fetched = dataset in ("esc50", "esc10")
    folder = Path(dataset)
    idle = {
        "ARCHIVE": archive and not fetched,
        "URL": url and not fetched,
        "AUDIO_DIR": audio_dir and folder.is_dir() and not is_esc_layout(folder, Path(audio_dir)),
    }
    return tuple(
        f"{name} does not apply to {dataset} and is ignored" for name, given in idle.items() if given
    )


def _of_cache(folder: Path, name: str | None) -> Dataset:
    """A cache as it is; its table says all, and no audio is needed."""
    cache = Cache(folder)
    return Dataset(
        name=dataset_name(str(folder), name),
        table=cache.clips,
        sample_rate=cache.sample_rate,
        duration=cache.duration,
        source=str(cache.settings["source"]),
        synthetic=cache.synthetic,
        published_test=cache.published_test,
    )


def _unknown(dataset: str) -> str:
    path = Path(dataset)
    if path.is_file():
        return (
            f"DATASET={dataset} is a file, but no CSV; expected a table filename,label or a folder of clips"
        )
    meant = nearest_path(path)
    hint = f"did you mean DATASET={shlex.quote(str(meant))}? Otherwise " if meant else ""
    if len(path.parts) > 1 or path.suffix or (meant and not closest(dataset, NAMED)):
        return (
            f"DATASET={dataset}: there is no such folder or file; {hint}expected {', '.join(NAMED)}, a "
            "folder with one sub-folder a class, a folder in ESC-50's layout, a CSV, or a cache folder"
        )
    message = nearest("dataset", dataset, NAMED)
    return f"{message}; or the path of a folder of clips, a CSV, or a cache, looked for in {Path.cwd()}"


def with_audio_settings(
    found: FoundClips, sample_rate: int | None, duration: float | None, *, listed: bool = False
) -> FoundClips:
    """The clips with their rate and duration: as given, as their source says, or found in the files.

    Found are the commonest rate (the higher where two are as common) and the longest clip, 30 s at most.

    listed  by a table, which AUDIO_DIR= may stand beside
    """
    _refuse_impossible_settings(sample_rate, duration)
    sample_rate, duration = sample_rate or found.sample_rate, duration or found.duration
    if sample_rate and duration:
        return replace(found, sample_rate=sample_rate, duration=duration)
    headers = _headers(found.table["path"].tolist(), listed)
    rates = Counter(header.sample_rate for header in headers.values())
    commonest = max(rates, key=lambda rate: (rates[rate], rate))
    notes = (
        [f"{counted(times, 'clip')} of {rate} Hz" for rate, times in rates.most_common()]
        if len(rates) > 1
        else []
    )
    sample_rate = sample_rate or commonest
    seconds = np.array([header.frames / header.sample_rate for header in headers.values()])
    if not duration:
        duration, length_notes = _longest(headers)
        notes += length_notes
        notes += describe_longest(seconds, duration)
    notes += describe_lengths(seconds, sample_rate, duration)
    return replace(found, sample_rate=sample_rate, duration=duration, notes=(*found.notes, *notes))


def frame_samples(sample_rate: int) -> int:
    """The power of two whose time is nearest to 46 ms, in ratio.

    >>> [frame_samples(rate) for rate in (8_000, 16_000, 22_050, 44_100, 48_000)]
    [512, 1024, 1024, 2048, 2048]
    """
    return int(2 ** round(math.log2(FRAME_SECONDS * sample_rate)))


def describe_longest(seconds: NDArray[np.floating], duration: float) -> list[str]:
    """A line where a few clips set the duration of all: `seconds` of each, `duration` of the longest.

    Where so much is padding that describe_lengths proposes a duration, or the longest is cut, no line.
    """
    most = float(np.quantile(seconds, MOST, method="higher"))
    shorter = round(STEP * math.ceil(round(most / STEP, 6)), 2)
    padded = 1 - np.minimum(seconds, duration).mean() / duration > MOSTLY_PADDING
    if padded or seconds.max() > duration or duration <= LONGER * most or shorter >= duration:
        return []
    share = f"{(seconds <= shorter).sum()} of {counted(len(seconds), 'clip')} have {shorter:g} s or less"
    return [f"{duration:.4g} s, as long as the longest; {share}: DURATION={shorter:g} cuts the others"]


def describe_lengths(seconds: NDArray[np.floating], sample_rate: int, duration: float) -> list[str]:
    """What a user should know of clips that are short for their duration or for a feature's frames.

    seconds: how long each clip lasts.
    """
    if not len(seconds):
        return []
    held = np.minimum(seconds, duration)
    padding, half, lines = 1 - held.mean() / duration, np.median(held), []
    if padding > MOSTLY_PADDING:
        count = len(seconds)
        wanted = np.sort(held)[min(math.ceil(HELD * count), count - 1) - 1]  # of few, all but one
        shorter = round(STEP * math.ceil(round(wanted / STEP, 6)), 2)
        whole = f"holds {(seconds < shorter + 1e-6).sum():,} of {counted(count, 'clip')} whole"
        proposal = f": DURATION={shorter:g} {whole}" if shorter < duration else ""
        which = f"half of the clips last {half:.2g} s or less"
        lines.append(
            f"{padding:.0%} of {duration:.4g} s is padding, {which}{proposal}; what training does with it is "
            "in docs/howto/short-clips.md"
        )
    n_fft, frames = frame_samples(sample_rate), half * sample_rate / DEFAULT_HOP
    slow = n_fft * SLOW_FRAMES <= DEFAULT_FRAME
    if slow or (n_fft < DEFAULT_FRAME and frames < FEW_FRAMES):
        parameters = f"n_fft={n_fft},hop_length={n_fft // 4}"
        proposal = "+".join(f"{name}@{parameters}" for name in ("mel", "mfcc", "chroma"))
        milliseconds = 1000 * DEFAULT_FRAME / sample_rate
        lines.append(
            f"a frame of {DEFAULT_FRAME} samples lasts {milliseconds:.0f} ms at {sample_rate:,} Hz, so half "
            f"of the clips have {frames:.0f} frames or fewer; frames as short as at 44.1 kHz: "
            f"FEATURES={proposal}"
        )
    return lines


def _headers(paths: list[str], listed: bool) -> dict[str, audio.Info]:
    """Those of the files that can be opened; the others are named when they are decoded."""
    headers, first_reason = {}, ""
    with ThreadPoolExecutor(THREADS) as threads:
        answers = progress(threads.map(_header, paths), total=len(paths), label="headers", unit="files")
        for path, answer in zip(paths, answers):
            if isinstance(answer, audio.Info):
                headers[path] = answer
            else:
                first_reason = first_reason or answer
    if not headers:
        moved = listed and "missing" in first_reason
        hint = "AUDIO_DIR= names the folder of a table's files" if moved else audio.advice(paths)
        raise RequestError(
            f"none of {counted(len(paths), 'file')} can be read; the first: {paths[0]}, {first_reason}"
            f"{f'; {hint}' if hint else ''}"
        )
    return headers


def _longest(headers: dict[str, audio.Info]) -> tuple[float, list[str]]:
    """Seconds of the longest clip, LONGEST at most, and what to say of it.

    A header may be damaged: a length counts once that much, up to LONGEST, has been decoded.
    """
    seconds = {path: header.frames / header.sample_rate for path, header in headers.items()}
    notes: list[str] = []
    for path in sorted(seconds, key=lambda path: -seconds[path]):
        try:
            audio.decode(path, seconds=LONGEST)
        except audio.AudioError as error:
            if len(notes) < SHOWN:
                notes.append(f"{path} does not count for the duration: {error}")
            continue
        if seconds[path] > LONGEST:
            shown = shown_duration(seconds[path])
            cut = f"is cut to {shown_duration(LONGEST)}: DURATION= sets another"
            notes.append(f"the longest clip, {shown} by its header, {cut}")
        return min(seconds[path], LONGEST), notes
    raise RequestError(f"none of {len(headers)} files can be decoded; the longest: {notes[0]}")


def _header(path: str) -> audio.Info | str:
    try:
        return audio.file_info(path)
    except audio.AudioError as error:
        return str(error)


def _refuse_impossible_settings(sample_rate: int | None, duration: float | None) -> None:
    if sample_rate is not None and not 100 <= sample_rate <= 1_000_000:
        raise RequestError(f"SAMPLE_RATE={sample_rate}: expected a number of Hz such as 44100")
    if duration is not None and not 0 < duration <= 3600:
        raise RequestError(f"DURATION={duration:g}: expected seconds above 0 and up to 3600")
