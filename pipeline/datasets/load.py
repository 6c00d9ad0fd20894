"""Load the dataset that DATASET= names: its table of clips, sample rate, duration; and
`make data`, which gets it ready and summarises it.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base import NAMED, SYNTHETIC
from featurestack.base.errors import DamagedFile, RequestError, see
from featurestack.base.extras import OPTIONS
from featurestack.base.files import content_hash, exists, require_readable, without_dots
from featurestack.base.options import DatasetOptions, fields, option_words
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import (
    counted,
    enumerated,
    first_names,
    is_or_are,
    listed,
    spelt_alike,
)
from featurestack.base.registry import object_at
from featurestack.base.shell import make_command, next_line, quoted
from featurestack.base.table_files import SPREADSHEETS, TEXT_TABLES
from featurestack.base.terminal import text_table
from featurestack.features_cache import clip_table, identity
from featurestack.features_cache.cache import Cache, IndexSettings, find_cache
from featurestack.features_cache.datasets import (
    another_name,
    cache_folder,
    cached_in,
    dataset_name,
    is_cache,
    other_source,
    unknown_dataset,
)
from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.identity import Identity, place_of
from featurestack.features_cache.index_file import (
    WHOLE,
    failed_clips,
    register_for_dataset,
)
from featurestack.pipeline import audio
from featurestack.pipeline.datasets import readers
from featurestack.pipeline.datasets.folds import (
    last_option,
    read_folds,
    with_folds,
    with_labels,
)
from featurestack.pipeline.datasets.name_fields import NameField, name_field
from featurestack.pipeline.options import AlterOptions, FeaturesCommand, SourceOptions

ESC_DURATION = 5.0  # seconds of ESC-50's clips and of any folder in its layout
LONGEST_CLIP = 30.0  # seconds; a longer clip is cut unless DURATION says otherwise
HELD_WHOLE = 0.95  # least share of clips that a shorter duration holds whole
MOST_PADDING = 0.1  # share of the longest clip's duration; if more, a shorter is taken
# options that are ignored for a cache, with a note
OF_AUDIO = ("sample_rate", "duration")
DURATION_STEP = 0.05  # seconds; a shorter duration is rounded up to a multiple of it


@dataclass(frozen=True)
class Dataset(IndexSettings):
    """Clips of one rate and duration; `table` has CLIP_COLUMNS and WINDOW_COLUMNS."""

    name: str
    folder: Path  # the cache's
    table: pd.DataFrame
    settings: Attributes
    cached: pd.DataFrame | None  # clips of the cache, with SOURCE_COLUMNS
    notes: list[str]  # notes for the user, such as ignored files and drawn folds
    # a field of names or a column that may be speakers, if each clip is a group
    field: NameField | None = None
    read_only: bool = False  # a cache that is used as it is

    @property
    def has_audio(self) -> bool:
        return bool((self.table["path"] != "").any())


def load(options: SourceOptions) -> Dataset:
    """Load a dataset by name (fetched if missing), or from a folder, CSV or cache.
    RequestError if it has fewer than two classes or another source's features have its
    name, raised before folds.csv is written.

        load(SourceOptions(dataset="esc10")).table[["clip_id", "label", "fold"]]
    """
    options = located(options)
    word = options.dataset
    name = dataset_name(word, options.name)
    folder = cache_folder(word, options.data, options.name)
    if word not in NAMED and is_cache(Path(word)):
        cache = Cache(folder)
        stated = {key: getattr(options, key) for key in ("audio_dir", "group", "label")}
        require_as_remembered(options, {k: v for k, v in stated.items() if v})
        ignored = [f"{key.upper()}=" for key in OF_AUDIO if getattr(options, key)]
        note = f"{' and '.join(ignored)} ignored: a cache is used as it is"
        kept = cache.clips, cache.settings, cache.sources, [note] if ignored else []
        return Dataset(name, folder, *kept, read_only=True)
    cached, settings = None, dict[str, Any]()
    with suppress(DamagedFile):  # a damaged index is made again
        if cache_before := find_cache(word, options.data, options.name)[1]:
            cached, settings = cache_before.sources, cache_before.settings
    place = place_of(word)
    folds = options.data / name / "folds.csv"
    kept = read_folds(folds)
    # read after folds.csv, which may have just been written: whose is it?
    beside = OwnFiles(folds.parent)
    former = Identity.parse(beside.identity)
    elsewhere = cached is None and former.place not in ("", place)
    other = other_source(folds, former.place, place, name)
    label = last_option(kept, "labelled_by")
    options, remembered = with_earlier(options, settings.get("audio_dir", ""), label)
    try:
        listing = _read(options)
    except RequestError as error:
        raise other if elsewhere else error from None
    if elsewhere and not identity.of_files(word, listing.table["path"]).is_same(former):
        raise other
    listed = with_labels(listing.table, options.label or "")
    clip_table.refuse_class_names(clip_table.classes_in(listed))
    if clip_table.originals(listed).empty:
        raise RequestError(
            f"DATASET={word}: every clip is marked train_only, so none can be tested"
        )
    if reason := clip_table.too_few_classes(listed):
        raise RequestError(f"DATASET={word}: {reason}")
    notes = [*listing.notes, *remembered]
    for names in spelt_alike(clip_table.classes_in(listed)):
        notes.append(f"{enumerated(names)} are different classes")

    def write(text: str) -> None:
        ours = Identity(place)
        of_part = isinstance(options, FeaturesCommand) and options.part
        if of_part in (False, FeaturesCommand.part):  # others read the other parts
            ours = identity.of_files(word, listing.table["path"])
        names = [folds.name]
        register_for_dataset(beside, names, ours, folder, lambda file: file == folds)
        beside.write({folds.name: text}, edited=edited)

    edited = not beside.is_own(folds.name)
    table, fold_notes, folds_drawn = with_folds(
        listed, folds, kept, options, edited=edited, write=write
    )
    as_published = (table["fold"] == listed["fold"]).all()
    groups = listing.groups
    grouped_by = table["grouped_by"].iloc[0]
    tested = clip_table.originals(table)["group"]
    if grouped_by and not tested.is_unique:  # GROUP='(.*)' is none
        groups = grouped_by if grouped_by in listed else "group"
    of_audio = settings_of_audio(listing, options, settings)
    audio_settings, audio_notes, unreadable = of_audio
    unreadable |= failed_clips(folder).get(WHOLE, set())
    readable = clip_table.originals(table[~table["clip_id"].isin(unreadable)])
    field = None if word in NAMED or groups else name_field(readable)
    notes += [*fold_notes, *audio_notes, *([field.sentence] if field else [])]
    attributes = {
        "dataset": name,
        "source": place,
        "synthetic": int(word in SYNTHETIC),
        **audio_settings,
        "published_test": listing.published_test if as_published else None,
        "folds_drawn": int(folds_drawn) or None,
        "groups": groups or None,
        "audio_dir": options.audio_dir or None,
        "table": content_hash(Path(word)) if Path(word).is_file() else None,
    }
    stated = {k: v for k, v in attributes.items() if v is not None}
    return Dataset(
        name, folder, clip_table.complete(table), stated, cached, notes, field
    )


def located(options: SourceOptions) -> SourceOptions:
    """The options with the place of the sounds as DATASET=, also if it named their
    cache.
    """
    word, data = options.dataset, options.data
    if word in NAMED or exists(word) or word not in cached_in(data):
        return options
    cache = Cache(data / word / "features")
    sounds, name = cache.sounds
    if not sounds:
        raise RequestError(
            f"{word} is a cache in {data}, but its audio is needed, which was in"
            f" {cache.source}: give its present folder as DATASET=, with NAME={word}"
        )
    return replace(options, dataset=sounds, name=options.name or name)


def with_earlier(
    options: SourceOptions, audio_dir: str, before: str
) -> tuple[SourceOptions, list[str]]:
    """The options with the cache's AUDIO_DIR= and the LABEL= of an earlier command if
    they are not given, and a note on a LABEL= that is in force.
    """
    word, folder = options.dataset, options.audio_dir
    if folder and (word in NAMED or Path(word).is_dir()):
        raise RequestError(
            f"AUDIO_DIR={folder} needs a CSV as dataset; DATASET={word} is not a CSV"
        )
    folder = folder and str(without_dots(Path(folder)))
    folder = folder or audio_dir
    label, notes = options.label, []
    if label is None:
        label = before
        notes = [f"LABEL={label} as last given; LABEL= removes it"] if label else []
    return replace(options, audio_dir=folder, label=label), notes


def require_as_remembered(options: DatasetOptions, given: Mapping[str, str]) -> None:
    """RequestError for an AUDIO_DIR=, GROUP= or LABEL= that is not the one with which
    the dataset was made; `features` takes another.
    """
    called, cache = find_cache(options.dataset, options.data, options.name)
    if not called:
        names = " and ".join(f"{name.upper()}=" for name in given)
        raise RequestError(f"{names} belongs to one dataset: give DATASET= too")
    folds = cache.folds_csv if cache else options.data / called / "folds.csv"
    kept = read_folds(folds)
    settings = cache.settings if cache else {}
    folder = settings.get("audio_dir", "")
    if "table" in settings and not folder:
        folder = str(Path(settings["source"]).parent)
    remembered = {
        "audio_dir": folder,
        "group": last_option(kept, "grouped_by"),
        "label": last_option(kept, "labelled_by"),
    }
    sounds, name = cache.sounds if cache else (options.dataset, options.name)
    place = replace(options, dataset=sounds, name=name)
    for option, value in given.items():
        before, word = remembered[option], option.upper()
        same = value == before
        if option == "audio_dir" and before and value:
            same = Path(value).resolve() == Path(before).resolve()
        if same:
            continue
        made = f"with {quoted(f'{word}={before}')}" if before else f"without {word}="
        words = [*option_words(place, ("dataset", "name", "data")), f"{word}={value}"]
        run = f": run {make_command('features', *words)}"
        if cache and (not sounds or sounds == str(cache.folder)):
            run = ", which needs the sounds"
        raise RequestError(
            f"{word}= belongs to features{run}; {called} was made {made}"
        )


def _read(options: SourceOptions) -> readers.Listing:
    word = options.dataset
    path = Path(word)
    if path.suffix.lower() in (*TEXT_TABLES, *SPREADSHEETS) and path.is_file():
        folder = Path(options.audio_dir or path.parent)
        return readers.listing_of_table(path, folder, label=options.label or "")
    folder, rate = path, None
    if word in ("esc50", "esc10"):
        from featurestack.pipeline.datasets import esc50

        folder, rate = esc50.obtain(options), esc50.SAMPLE_RATE
    elif word in SYNTHETIC:
        from featurestack.pipeline import synth

        folder = synth.write_dataset(options.data / word, mix=word == "synth_mix")
        rate = synth.SAMPLE_RATE
    require_readable(folder)
    if readers.is_esc_layout(folder):
        listing = readers.read_esc_layout(folder, "esc10" if word == "esc10" else "")
        return listing._replace(sample_rate=rate, duration=ESC_DURATION)
    if path.is_dir():
        return readers.read_folder(path, options.label or "")
    if path.is_file():
        predict = make_command("predict", f"AUDIO={path}", "RUN=last")
        raise RequestError(
            f"DATASET={path} is one file, not a table: give a folder with one"
            " sub-folder of sounds per class (unpack a zip first), or a CSV; for the"
            f" class of one sound, {predict}"
        )
    raise unknown_dataset(word, options.data)


def settings_of_audio(
    listing: readers.Listing, options: SourceOptions, settings: Attributes
) -> tuple[Attributes, Sequence[str], set[str]]:
    """Rate and samples; notes; ids of clips whose files cannot be opened."""
    usual = listing.sample_rate, listing.duration
    if settings:
        usual = settings["sample_rate"], settings["samples"] / settings["sample_rate"]
    rate = options.sample_rate or usual[0]
    duration = options.duration or usual[1]
    notes = list[str]()
    unreadable = set[str]()
    # the cache keeps its rate and duration, also the one that this command makes
    other = another_name(dataset_name(options.dataset, options.name))
    if not (rate and duration):
        of_listed = of_files(listing.table, rate, duration, other)
        rate, duration, notes, unreadable = of_listed
    elif (rate, duration) == usual != (listing.sample_rate, listing.duration):
        note = (
            f"the cache's settings are used, {duration:.4g} s at {rate} Hz;"
            f" for DURATION= or SAMPLE_RATE= add {other}"
        )
        notes = [note]
    samples = round(duration * rate)
    if not samples:
        raise RequestError(
            f"a clip of {duration:g} s at {rate} Hz has no sample: set DURATION= or"
            " SAMPLE_RATE="
        )
    return {"sample_rate": rate, "samples": samples}, notes, unreadable


def of_files(
    table: pd.DataFrame, rate: int | None, duration: float | None, other: str
) -> tuple[int, float, list[str], set[str]]:
    """The files' commonest rate, the longest clip's duration, notes, unreadable ids;
    `other` is the NAME= for another duration.
    """
    clips = clip_table.originals(table)
    paths = clips["path"].tolist()
    # files that cannot be opened are reported when they are decoded
    answers = audio.file_infos(paths)
    rates = Counter[int]()
    length_of = {}
    unreadable = set()
    for clip, info, (start, end) in zip(
        clips["clip_id"], answers, clip_table.spans(clips)
    ):
        if isinstance(info, audio.Info):
            rates[info.sample_rate] += 1
            length_of[clip] = round(end - start, 6) or info.frames / info.sample_rate
        else:
            unreadable.add(clip)
    if not rates:
        raise RequestError(
            f"none of {counted(len(paths), 'file')} can be read; the first: {paths[0]}:"
            f" {answers[0]}; AUDIO_DIR= names the folder of a table's files"
        )
    seconds = pd.Series(length_of)
    rate = rate or max(rates, key=lambda rate: (rates[rate], rate))
    notes = []
    for hertz, number in rates.items() if len(rates) > 1 else ():
        low = f": no sound above {hertz / 2:,.0f} Hz, so models may be worse"
        notes.append(
            f"{counted(number, 'clip')} of {hertz:,} Hz{low if hertz < rate else ''}"
        )
    if not duration:
        duration = held_whole(
            seconds.to_numpy(), min(float(seconds.max()), LONGEST_CLIP)
        )
        notes += cut_clips(seconds, duration, other)
    return rate, duration, notes, unreadable


def padding(seconds: NDArray[np.floating], duration: float) -> float:
    """The share of `duration` that is padding, over clips of these lengths."""
    return float(1 - np.minimum(seconds, duration).mean() / duration)


def held_whole(seconds: NDArray[np.floating], longest: float) -> float:
    """`longest`, or if much is padding, what holds HELD_WHOLE of the clips whole."""
    if padding(seconds, longest) <= MOST_PADDING:
        return longest
    most = float(np.quantile(seconds, HELD_WHOLE, method="inverted_cdf"))
    return min(
        longest, round(DURATION_STEP * math.ceil(round(most / DURATION_STEP, 6)), 2)
    )


def is_cut(seconds: Any, duration: float) -> Any:
    """For each clip whether more than a hundredth of `duration` is cut off."""
    return seconds > duration * 1.01


def cut_clips(seconds: "pd.Series[float]", duration: float, other: str) -> list[str]:
    """A note that names the clips longer than `duration`, and says how to keep them."""
    cut = seconds[is_cut(seconds, duration)].sort_values(ascending=False, kind="stable")
    if cut.empty:
        return []
    names = [f"{clip} ({length:.4g} s)" for clip, length in cut.items()]
    longest = math.ceil(1000 * float(cut.iloc[0])) / 1000
    note = (
        f"{len(cut)} of {counted(len(seconds), 'clip')} {is_or_are(len(cut))} cut to"
        f" {duration:.4g} s: {listed(names)}; DURATION={longest:g} {other} keeps them"
        f" whole, with {100 * padding(seconds.to_numpy(), longest):.0f} % padding"
        f"{see('howto/datasets.md')}"
    )
    return [note]


def shorter_duration(seconds: NDArray[np.floating], duration: float, other: str) -> str:
    """A note that proposes the duration of `held_whole`; '' if it is not shorter."""
    shorter = held_whole(seconds, duration)
    if shorter >= duration:
        return ""
    return (
        f"{100 * padding(seconds, duration):.0f} % of {duration:.4g} s is padding:"
        f" DURATION={shorter:g} {other} leaves {100 * padding(seconds, shorter):.0f} %"
        f" and cuts {is_cut(seconds, shorter).sum()} of"
        f" {counted(len(seconds), 'clip')}"
        f"{see('howto/datasets.md')}"
    )


# ---- the command `data`

FAULTS_SHOWN = 10


def make_dataset(options: AlterOptions) -> int:
    """The command `data`: fetch or alter a dataset, then summarise it; 1 for faults."""
    if options.alter:
        options = object_at(OPTIONS["alter"])(options)
    elif options.copies > 1:
        raise RequestError(
            f"COPIES={options.copies} is the number of copies that ALTER= makes: give"
            " ALTER=pitch,stretch,noise too"
        )
    return summarise_dataset(options)


def summarise_dataset(options: SourceOptions) -> int:
    """Print a summary of a dataset and its faults; return 1 if there are any."""
    dataset = load(options)
    table = clip_table.originals(dataset.table)
    wrong = list[str]()
    if not dataset.read_only:  # a cache is used without its audio
        infos = dict(zip(table["path"], audio.file_infos(table["path"].tolist())))
        readable = table["path"].map(lambda path: isinstance(infos[path], audio.Info))
        wrong = [f"{path}: {infos[path]}" for path in table["path"][~readable]]
        table = table[readable]
        if options.dataset in ("esc50", "esc10"):
            from featurestack.pipeline.datasets import esc50

            wrong = list(esc50.faults(options.data / "esc50"))
    print(dataset_summary(dataset, table))
    if wrong:
        faults = counted(len(wrong), "fault")
        print(f"\n{faults}; files that cannot be read are not counted above:")
        print(*(f"  {fault}" for fault in first_names(wrong, FAULTS_SHOWN)), sep="\n")
    reason = clip_table.untrainable(dataset.table)
    following = next_line("features", *option_words(options, fields(SourceOptions)))
    print(f"\n{f'no training yet: {reason}' if reason else following}")
    return 1 if wrong else 0


def counts(dataset: Dataset, table: pd.DataFrame) -> str:
    """`my sounds: 78 clips of 39 source recordings, 2 classes, 5 folds`."""
    clips = clip_table.clips_of_recordings(
        table["clip_id"], table["group"], dataset.groups
    )
    columns = clip_table.by_label(table)[["label", "fold"]].replace(
        {"label": {"": None}}
    )
    named = [clips, *map(counted, columns.nunique(), ("class", "fold"))]
    made = " (synthetic)" if dataset.synthetic else ""
    return f"{dataset.name}{made}: {', '.join(named)}"


def dataset_summary(dataset: Dataset, table: pd.DataFrame) -> str:
    """Size, notes and class balance; `table` has the readable originals."""
    lines = [counts(dataset, table)]
    if dataset.sample_rate:  # external features need not come from audio
        length = f"{dataset.duration:.4g} s at {dataset.sample_rate:,} Hz"
        lines.append(f"{length} ({dataset.samples:,} samples per clip)")
    if only_trained := len(dataset.table) - len(clip_table.originals(dataset.table)):
        lines.append(f"{counted(only_trained, 'more clip')}, used only for training")
    lines += dataset.notes
    each = clip_table.by_label(table).replace({"label": {"": "(none)"}})
    columns = {"clips": ("clip_id", "size"), "sources": ("group", "nunique")}
    classes = each.groupby("label").agg(**columns)
    by_fold = pd.crosstab(each["label"], each["fold"]).add_prefix("fold ")
    classes = classes.join(by_fold).sort_values("clips", ascending=False, kind="stable")
    rows = [[*row] for row in classes.itertuples()]
    lines += ["", text_table(rows, ["class", *classes.columns])]
    if len(table):
        least = classes["clips"].min()
        most = classes["clips"].max()
        lines.append(f"balance: {least} to {counted(most, 'clip')} per class")
    return "\n".join(lines)
