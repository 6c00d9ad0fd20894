"""Clips as a report shows them: facts of the dataset, feature maps from the cache,
small images, audio for the players, and the data of the error browser.

Damaged feature maps are left out. Embedded audio is mono MP3 at 16 kHz and about 22
kbit/s, enough to recognise a clip; compressing takes about 25 ms per clip.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import soundfile
import soxr
from matplotlib.image import imsave
from numpy.typing import NDArray

from featurestack.analysis.figures import SPECTRUM, VISIBLE
from featurestack.analysis.report import tables
from featurestack.analysis.report.runs import Configuration, same_clips
from featurestack.base.errors import OutdatedFeature, RequestError
from featurestack.base.files import is_file
from featurestack.base.quantities import EXACT_DIGITS, counted, plural, size
from featurestack.base.terminal import progress
from featurestack.comparison.metrics import Floats, Ints, largest_first
from featurestack.features_cache import clip_table
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_names import parse_set


def readable_cache(folder: Path | None) -> tuple[Cache | None, list[str], list[str]]:
    """The cache if its index is readable, its usable features, and its problems."""
    if folder is None:
        return None, [], []
    try:
        cache = Cache(folder)
        # read here, so that damage shows here
        cache.clips, cache.duration, cache.features  # noqa: B018
    except RequestError as error:
        return None, [], [str(error)]
    usable = []
    outdated = {}
    problems = []
    for name in cache.features:
        try:
            cache[name].done()
        except OutdatedFeature as other:
            outdated[name] = str(other)
        except RequestError as error:
            problems.append(str(error))
        else:
            usable.append(name)
    if outdated:
        first, *others = outdated.values()
        more = f"; also {', '.join([*outdated][1:])}" if others else ""
        problems.append(f"{first}{more}")
    return cache, usable, problems


# largest height and width in pixels; a card of the page is about 150 pixels wide
THUMBNAIL = 56, 144
WEBP_QUALITY = 42  # blocks begin to show below 30
FEATURES_SHOWN = 3
# about 1.2 kB each: a page of thirty runs, fifty classes and thirty features takes 6 MB
IMAGES = 500


def features_to_show(
    cache: Cache, usable: Sequence[str], sets: Sequence[str]
) -> list[str]:
    """Up to FEATURES_SHOWN features with several rows and frames from the runs' `sets`,
    beginning with the first set.

    If there are none, mel or another usable map is shown.
    """
    trained = [channel.stored for features in sets for channel in parse_set(features)]
    maps = [
        name
        for name in dict.fromkeys([*trained, "mel", *usable])
        if name in usable and min(cache[name].rows, cache[name].frames) > 1
    ]
    return ([name for name in maps if name in trained] or maps[:1])[:FEATURES_SHOWN]


def thumbnails(
    cache: Cache, features: Sequence[str], clips: Sequence[str]
) -> dict[str, dict[int, str]]:
    """clip -> {place in `features`: `as_image`} of up to IMAGES feature maps."""
    first = clips[: IMAGES // max(len(features), 1)]
    images: dict[str, dict[int, str]] = {}
    for number, feature in enumerate(features):
        for clip in first:
            with suppress(RequestError):  # not in the cache, not done or damaged
                (values,) = cache.read(feature, [clip])
                images.setdefault(clip, {})[number] = as_image(values, THUMBNAIL)
    return images


def as_image(values: NDArray[np.floating], most: tuple[int, int]) -> str:
    """(rows, frames), averaged down to `most`, as a base64 WebP image with a colour
    scale of its own.
    """
    small = np.asarray(values, np.float32)
    for axis, (length, kept) in enumerate(zip(small.shape, most)):
        if length > kept:
            starts = np.arange(kept) * length // kept
            sizes = np.diff(starts, append=length).astype(np.float32)
            if axis == 0:
                sizes = sizes[:, None]
            small = np.add.reduceat(small, starts, axis=axis) / sizes
    low, high = np.percentile(small, VISIBLE)
    content = BytesIO()
    imsave(
        content,
        small,
        vmin=low,
        vmax=high,
        cmap=SPECTRUM,
        origin="lower",
        format="webp",
        pil_kwargs={"quality": WEBP_QUALITY, "method": 1},
    )
    return base64.b64encode(content.getvalue()).decode()


MP3_RATE = 16000  # Hz
# libsndfile's scale, from 0 (best) to 1; a clip of five seconds has about 15 kB
MP3_COMPRESSION = 0.9
# longest audio of a clip if the dataset does not give a duration
LONGEST_SECONDS = 10.0
# characters of embedded audio in a page; other clips are linked
MOST_EMBEDDED = 1_000_000
EMBEDDED = "data:audio/mpeg;base64,"  # begins the address of embedded audio


def compressed(path: Path, start: float, seconds: float) -> bytes:
    """A part of an audio file as mono MP3."""
    from featurestack.base.decoder_messages import decoder_messages

    with decoder_messages.kept(), soundfile.SoundFile(path) as source:
        rate = source.samplerate
        source.seek(round(start * rate))
        samples = source.read(int(seconds * rate), dtype="float32", always_2d=True)
    mono = np.nan_to_num(samples.mean(axis=1))
    content = BytesIO()
    soundfile.write(
        content,
        np.clip(soxr.resample(mono, rate, MP3_RATE), -1, 1),
        MP3_RATE,
        "MPEG_LAYER_III",
        format="MP3",
        compression_level=MP3_COMPRESSION,
        bitrate_mode="VARIABLE",
    )
    return content.getvalue()


def clip_audio(
    cache: Cache,
    clips: Sequence[str],
    wanted: Sequence[str],
    folder: Path,
    most: int = MOST_EMBEDDED,
) -> dict[str, str]:
    """Clip id -> address of its audio for a page in `folder`; clips whose audio file
    does not exist are left out.

    The `wanted` clips are embedded in their order, as data URLs of up to `most`
    characters. The other clips, and those that cannot be decoded, are linked.
    """
    table = cache.clips
    paths = table.set_index("clip_id")["path"].reindex(clips, fill_value="")
    sources = {str(clip): Path(path) for clip, path in paths.items() if is_file(path)}
    places = dict(zip(table["clip_id"], clip_table.spans(table)))
    players = {}
    left = most
    for clip in progress(
        [clip for clip in wanted if clip in sources], label="audio", unit="clips"
    ):
        if left <= 0:
            break
        with suppress(soundfile.LibsndfileError, ValueError):
            start, end = places[clip]
            seconds = end - start or cache.duration or LONGEST_SECONDS
            sound = compressed(sources[clip], start, seconds)
            text = base64.b64encode(sound).decode()
            left -= len(text)
            if left >= 0:
                players[clip] = f"{EMBEDDED}{text}"
    for clip, file in sources.items():
        if clip not in players:
            start, end = places[clip]
            window = f"#t={start:.6g},{end:.6g}" if end else ""
            players[clip] = quote(os.path.relpath(file, folder)) + window
    return players


# ---- the dataset


def data_facts(cache: Cache) -> dict[str, str]:
    """Facts about a dataset: name -> text."""
    clips = clip_table.originals(cache.clips)
    files = cache.folder.glob("*.h5")
    stored = sum(file.stat().st_size for file in files if file.is_file())
    more = len(cache.clips) - len(clips)
    groups = plural(cache.groups or "source recording")
    number = f"{clips['group'].nunique():,}"
    if clips["group"].equals(clips["clip_id"]):
        number = "not stated, each clip counted as its own recording"
    from_dataset = "" if cache.folds_csv.exists() else ", the dataset's own"
    counts = f"{len(clips):,}"
    if clip_table.has_windows(clips):
        counts += f" windows of {counted(clips['path'].nunique(), 'recording')}"
    if more:
        counts += f" and {more:,} used only for training"
    return {
        "Clips": counts,
        "Classes": str(len(clip_table.classes_in(clips))),
        groups[0].upper() + groups[1:]: number,
        "Folds": f"{clips['fold'].nunique()}{from_dataset}",
        "A clip": f"{cache.duration:g} s at {cache.sample_rate:,} Hz",
        "Features cached": f"{len(cache.features)}, {size(stored)}",
        # only the name: the page may be passed on, but not this machine's folders
        "Source": Path(str(cache.settings.get("source", ""))).name,
    }


tables.declare(
    "clips", "a class", file={"label": "class"}, each=("fold", "its clips", "file")
)


def clips_by_fold(cache: Cache) -> pd.DataFrame:
    """The clips of each class in each fold, by category, then by class."""
    each = clip_table.by_label(clip_table.originals(cache.clips))
    counts = pd.crosstab([each["category"], each["label"]], each["fold"])
    counts = counts.droplevel(0).rename(index={"": "(none)"})
    return counts.add_prefix("fold").reset_index()


# ---- the error browser, whose data the page's script reads as one object:
#
# group      what the dataset calls a group: recording, speaker, …
# features   names of the features whose images are shown
# clips      [{id, group, number, link}]  number: the clip's place by difficulty, in the
#            ids of its images and audio; 0 is the hardest
# test_sets  [{classes, categories, matrix, clips, target, folds}]  shared by runs on
#            the same clips; classes of one category are neighbours, `matrix` has the
#            places of the classes that the confusion matrix shows, `clips` are places
#            in the list above, `target` places in `classes`
# runs       [{name, test_set, top}]  top: one row per clip, the places of the three
#            most probable classes (-1 for none), their probabilities in percent, then
#            that of the true class
# views      [{name, runs, top}]  what a reader can choose: a configuration with all its
#            seeds, then each seed. `runs` are places in the list above, and the page
#            adds up their counts. Only a view of several seeds has `top`, from their
#            mean probabilities

TOP = 3
# most classes in the confusion matrix, chosen by the most frequent errors: the cells of
# 2,000 classes would take 140 MB
MATRIX_CLASSES = 100


def clip_difficulty(runs: Sequence[Configuration]) -> pd.DataFrame:
    """The tested clips by id, hardest first, with means over the runs: group; wrong,
    the share of wrong seeds; doubt, 1 minus the probability of the true class.
    """
    parts = []
    for run in runs:
        every = np.arange(len(run.target))
        of_true_class = run.probabilities[:, every, run.target]  # (S, N)
        columns = {
            "group": run.groups,
            "wrong": 1 - run.correct,
            "doubt": 1 - of_true_class.mean(axis=0),
        }
        index = pd.Index(run.clip_ids, name="clip_id")
        parts.append(pd.DataFrame(columns, index))
    over_runs = pd.concat(parts).groupby("clip_id")
    clips = over_runs.agg({"group": "first", "wrong": "mean", "doubt": "mean"})
    return clips.sort_values(["wrong", "doubt"], ascending=False, kind="stable")


def browser_data(
    runs: Sequence[Configuration],
    clips: pd.DataFrame,
    features: Sequence[str],
    players: Mapping[str, str],
) -> dict[str, Any]:
    """The object above without `group`; `clip_audio` makes the `players`."""
    tested: list[Configuration] = []  # the first run of each test set
    test_sets: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    views = []
    for run in runs:
        order = run.class_order
        places = (n for n, other in enumerate(tested) if same_clips(run, other))
        test_set = next(places, len(tested))
        if test_set == len(tested):
            tested.append(run)
            matrix = tables.confusion_by_category(run)
            counts = matrix.pop("counts")
            test_sets.append(
                {
                    **matrix,
                    "matrix": tables.classes_shown(counts, MATRIX_CLASSES),
                    "clips": clips.index.get_indexer(run.clip_ids).tolist(),
                    "target": np.argsort(order)[run.target].tolist(),
                    "folds": run.folds[0].tolist(),
                }
            )
        seeds = len(run.seeds)
        if seeds > 1:
            view: dict[str, Any] = {"name": f"{run.name}, all {seeds} seeds"}
            view["runs"] = list(range(len(entries), len(entries) + seeds))
            view["top"] = top(run.probabilities.mean(axis=0), run.target, order)
            views.append(view)
        for folder, seed, probabilities in zip(
            run.folders, run.seeds, run.probabilities
        ):
            which = f" (seed {seed}, one of {seeds})" if seeds > 1 else ""
            views.append({"name": f"{folder.name}{which}", "runs": [len(entries)]})
            answers = top(probabilities, run.target, order)
            entries.append({"name": folder.name, "test_set": test_set, "top": answers})
    links = {clip: at for clip, at in players.items() if not at.startswith(EMBEDDED)}
    described = [
        {"id": clip, "group": group, "number": number, "link": links.get(clip, "")}
        for number, (clip, group) in enumerate(clips["group"].items())
    ]
    return {
        "features": list(features),
        "clips": described,
        "test_sets": test_sets,
        "runs": entries,
        "views": views,
    }


def top(probabilities: Floats, target: Ints, order: Ints) -> list[list[int]]:
    """A row for each clip as in `top` above; `order` has the classes as shown."""
    # Ties go to the class that is first in run.json, as in the prediction itself.
    first = largest_first(probabilities)[:, :TOP]
    shown_place = np.argsort(order)
    padding = ((0, 0), (0, TOP - first.shape[1]))
    places = np.pad(shown_place[first], padding, constant_values=-1)
    highest = np.take_along_axis(probabilities, first, axis=1)
    shares = np.pad(highest, padding)
    of_target = np.take_along_axis(probabilities, target[:, None], axis=1)
    shares = np.hstack([shares, of_target])
    percentages = np.rint(np.round(100 * shares, EXACT_DIGITS))
    rows = np.hstack([places, percentages])
    return rows.astype(int).tolist()
