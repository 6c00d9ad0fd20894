"""`python -m pipeline features`: extract features of all clips into the cache, in
parallel.

`request` resolves clips and features, `find_remaining` compares them with the cache,
and `extract` computes what is missing: it claims its part, creates the files, and sends
batches of clips to workers, which write the values. `python -m pipeline plan` takes the
first two steps and leaves the cache as it is.
"""

import functools
import importlib.metadata
import itertools
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray

from featurestack.commandline.errors import NOT_WRITABLE, Failed, RequestError
from featurestack.commandline.quantities import counted, duration, size
from featurestack.commandline.spelling import spelled
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.claims import Handle, claimed
from featurestack.features_cache.costs import read_costs, write_costs
from featurestack.features_cache.failures import FAILURES, WHOLE, write_failures
from featurestack.features_cache.feature_file import (
    FeatureFile,
    FeatureSpec,
    clip_keys,
    fingerprints,
    lock,
)
from featurestack.features_cache.index import refresh, stored_ids
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.table import SOURCE_COLUMNS, spans, with_sources
from featurestack.features_cache.verified import note_verified
from featurestack.features_cache.writer import (
    StoredClips,
    ready,
    stored_clips,
    written_to,
)
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.features import (
    FEATURES,
    Clip,
    Impossible,
    Variant,
    resolve_feature,
)
from featurestack.pipeline.frame_duration import long_frames_note, with_frames
from featurestack.pipeline.next_step import (
    features_command,
    former_runs,
    missing_clips,
    training_step,
)
from featurestack.pipeline.options import ExtractOptions, FeaturesCommand
from featurestack.pipeline.pool import Backend, open_backend
from featurestack.pipeline.worker import (
    ClipTask,
    Computation,
    ExtractionResult,
    Job,
    Source,
)
from featurestack.storage.files import content_hash

LIBRARIES = ("librosa", "numpy", "scipy", "numba", "soundfile", "soxr", "h5py")
LARGEST_FLOAT16 = 65504
THREADS = 8  # for waiting on the disk; hashing releases the interpreter's lock
RESERVE = 5e6  # bytes of the disk that stay free, for the index and the file system
LONGEST_BATCH = 32  # clips; sending a batch takes milliseconds
# seconds of audio in a batch; the progress bar moves when a batch is done
LONGEST_AUDIO = 160
# a batch takes at most about 1/4 of a process's share of the remaining clips
BATCHES_LEFT = 4
SHOWN_FAILURES = 10
SHOWN_RUNS = 4
# clips that `plan` measures; the first also loads and compiles, so it is computed twice
MEASURED_CLIPS = 5


@dataclass(frozen=True)
class Request:
    """The clips and features of a run: clips with their sources, features with their
    files' specs.
    """

    dataset: Dataset
    folder: Path
    clips: pd.DataFrame  # N rows, columns of the index
    part: slice  # rows of this run
    variants: tuple[Variant, ...]  # F, in the order in which they were given
    specs: tuple[FeatureSpec, ...]  # F
    # lines on the dataset, changes since the last run, features left out
    notes: tuple[str, ...]
    changed: bool  # whether clips are new, gone or have other audio since the last run

    @functools.cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as stored in a file."""
        return stored_ids(self.clips)

    @functools.cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) clip keys; a fingerprint combines a clip's key with a feature's."""
        return clip_keys(self.clips)

    @functools.cached_property
    def sources(self) -> list[Source]:
        """(N,) origin of each clip's samples."""
        clips = self.clips
        versions = zip(clips["source_size"].tolist(), clips["source_time_ns"].tolist())
        return list(
            map(Source, clips["path"], clips["alteration"], spans(clips), versions)
        )

    @property
    def settings(self) -> dict[str, str | int]:
        """Attributes of the index."""
        dataset = self.dataset
        values: dict[str, str | int | None] = {
            "dataset": dataset.name,
            "source": dataset.source,
            "synthetic": int(dataset.synthetic),
            "sample_rate": dataset.sample_rate,
            "samples": dataset.samples,
            "published_test": dataset.published_test,
            "groups": dataset.groups or None,
            "fields": "\n".join(field.sentence for field in dataset.fields) or None,
        }
        return {name: value for name, value in values.items() if value is not None}


def request(options: ExtractOptions) -> Request:
    """Load the dataset, resolve the features, find audio files that changed.

    RequestError as in `load`, `wanted` and `part_of`, or if the dataset has no audio.
    """
    dataset = load(options)
    before = dataset.cached
    table = dataset.table
    if options.copies is None and before is not None:
        table = kept_copies(table, before.drop(columns=list(SOURCE_COLUMNS)))
    if not (table["path"] != "").any():
        raise RequestError(
            f"{dataset.folder} has no audio to compute features from; it is used as"
            " it is"
        )
    variants, left_out = wanted(options.features, dataset, options.frame)
    rows = part_of(options.part, len(table))
    clips = with_hashes(with_sources(table, before), rows)
    specs = tuple(spec_of(variant, dataset, options.dtype) for variant in variants)
    changes = [] if before is None else describe_changes(before, clips, rows)
    long_frames = long_frames_note(variants, dataset.sample_rate)
    notes = (*dataset.notes, *changes, *left_out, *filter(None, [long_frames]))
    return Request(
        dataset, dataset.folder, clips, rows, variants, specs, notes, bool(changes)
    )


def wanted(
    features: str,
    dataset: Dataset,
    frame: float | None = None,
) -> tuple[tuple[Variant, ...], list[str]]:
    """The variants in a list of features, and lines on those that are left out.

    A variant that cannot exist at this rate or duration is left out of `all` and
    `small`. RequestError if it is named, or if no variant is left. `frame` is the
    duration of frames in milliseconds, None for librosa's 2048 samples.
    """
    variants = {}
    left_out = []
    for word in features.split():
        for channel in itertools.chain(*parse_list(word, list(FEATURES))):
            if frame:
                channel = with_frames(channel, frame, dataset.sample_rate)
            variant = resolve_feature(channel)
            try:
                rows, _ = variant.shape(dataset.sample_rate, dataset.samples)
            except Impossible as reason:
                if word not in ("all", "small"):
                    raise
                left_out.append(f"left out: {reason}")
                continue
            channel.kept_rows(rows)
            variants[variant.stored] = variant
    if not variants:
        parse_list(features)  # an empty list has its own message
        raise RequestError(
            f"no feature can exist at {dataset.sample_rate} Hz and"
            f" {dataset.duration:g} s"
        )
    return tuple(variants.values()), left_out


def spec_of(variant: Variant, dataset: Dataset, dtype: str) -> FeatureSpec:
    """A feature's description, as its file holds it."""
    feature = variant.feature
    if feature.units == "Hz" and dataset.sample_rate / 2 > LARGEST_FLOAT16:
        dtype = "float32"  # in float16 a frequency up to half the rate would overflow
    return FeatureSpec(
        stored=variant.stored,
        feature=feature.name,
        parameters=variant.recorded,
        code_version=feature.version,
        units=feature.units,
        row_axis=variant.row_axis(dataset.sample_rate),
        row_unit=feature.row_unit,
        frame_axis=variant.frame_axis(dataset.sample_rate, dataset.samples),
        frame_unit=feature.frame_unit,
        sample_rate=dataset.sample_rate,
        samples=dataset.samples,
        hop_length=(
            int(variant.parameters.get("hop_length") or 0)
            if feature.frame_unit == "s"
            else 0
        ),
        dtype=dtype,
        libraries=libraries(),
    )


@functools.cache
def libraries() -> str:
    """Names and versions of the libraries that compute features."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)


def with_hashes(clips: pd.DataFrame, part: slice) -> pd.DataFrame:
    """The clips with up-to-date SOURCE_COLUMNS in `part`.

    A file is read again only if its size or time changed, or if it could not be opened
    before. A missing file keeps its values: features that were computed from it stay
    done.
    """
    # copies share their original's
    files = clips.iloc[part].drop_duplicates("path").set_index("path")
    known = ["source_size", "source_time_ns"]
    now = np.array([audio.version(path) for path in files.index], np.int64).reshape(
        -1, 2
    )
    exists = now.any(axis=1)
    changed = exists & (
        (files[known] != now).any(axis=1) | (files["source_hash"] == "")
    )
    files.loc[exists, known] = now[exists]
    again = files.index[changed]
    # keeps no list of futures
    reading = Parallel(THREADS, backend="threading", return_as="generator")
    read = reading(delayed(read_source)(path) for path in again)
    hashed = progress(read, total=len(again), label="hashing", unit="files")
    for column, values in zip(("source_hash", "source_seconds"), zip(*hashed)):
        files.loc[again, column] = values
    updated = clips.copy()
    for name in SOURCE_COLUMNS:
        updated.iloc[part, clips.columns.get_loc(name)] = (
            files[name].loc[clips["path"].iloc[part]].to_numpy()
        )
    return updated


def read_source(path: str) -> tuple[str, float]:
    """Hash of a file's content, and seconds of audio; '' and 0 if it cannot be
    opened.
    """
    try:
        info = audio.file_info(path)
        return content_hash(Path(path)), info.frames / info.sample_rate
    except (audio.AudioError, OSError):
        return "", 0.0


def describe_changes(before: pd.DataFrame, now: pd.DataFrame, part: slice) -> list[str]:
    """Lines such as `clips new: 10`; changed audio is counted only in `part`."""
    old, new = (clips.set_index("clip_id")["source_hash"] for clips in (before, now))
    known = old.reindex(new.index[part], fill_value="")
    counts = {
        "clips new": (~new.index.isin(old.index)).sum(),
        "clips removed": (~old.index.isin(new.index)).sum(),
        "clips changed in their audio": (
            ((known != "") & (known != new.iloc[part])).sum()
        ),
    }
    return [f"{what}: {count:,}" for what, count in counts.items() if count]


def kept_copies(table: pd.DataFrame, cached: pd.DataFrame) -> pd.DataFrame:
    """The originals of `table` followed by the copies in `cached` whose original is
    still there.

    A copy keeps its id and its alteration; its other columns are those of its original
    in `table`.
    """
    copies = cached[cached["copy_of"].isin(table["clip_id"])]
    now = table.set_index("clip_id").loc[copies["copy_of"]]
    columns = table.columns.drop(["clip_id", "copy_of", "alteration"])
    renewed = copies.assign(**{column: now[column].to_numpy() for column in columns})
    return pd.concat([table, renewed[list(table)]], ignore_index=True)


def part_of(part: str, count: int) -> slice:
    """The rows of a part: `3/16` is the third sixteenth of `count` rows; RequestError
    for another form.
    """
    number, _, total = part.partition("/")
    if not (
        number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)
    ):
        raise RequestError(
            f"PART={part}: expected which part of how many, such as 3/16"
        )
    return slice(
        count * (int(number) - 1) // int(total), count * int(number) // int(total)
    )


@dataclass(frozen=True)
class Remaining:
    """The feature maps of N clips and F features that the cache lacks."""

    stored: list[StoredClips]  # F
    todo: NDArray[np.bool_]  # (N, F), False outside the part
    sizes: dict[str, int]  # stored name -> bytes, for files that have to be made

    @functools.cached_property
    def clips(self) -> NDArray[np.intp]:
        """Rows of the clips that lack a feature."""
        return np.flatnonzero(self.todo.any(axis=1))


def find_remaining(asked: Request, *, check: bool = True) -> Remaining:
    """Compare every wanted feature with its file.

    check  whether the CRCs of the part's clips are compared too, in files that are not
           verified
    """
    # a CRC releases the interpreter's lock
    with ThreadPoolExecutor(min(8, cpu_count())) as threads:
        checked = asked.part if check else None
        stored = list(
            threads.map(
                lambda spec: stored_clips(
                    asked.folder, spec, asked.ids, asked.keys, checked
                ),
                asked.specs,
            )
        )
    todo = ~np.stack([clips.done for clips in stored], axis=1)
    todo[: asked.part.start] = todo[asked.part.stop :] = False
    sizes = {
        spec.stored: len(todo) * spec.clip_bytes
        for spec, clips in zip(asked.specs, stored)
        if not clips.fits
    }
    return Remaining(stored, todo, sizes)


def describe_work(asked: Request, remaining: Remaining) -> str:
    """Lines on the number of feature maps to compute, and the size of new files."""
    clips = counted(len(asked.clips), "clip")
    features = counted(len(asked.specs), "feature")
    todo = (
        f"{remaining.todo.sum():,} of {remaining.todo[asked.part].size:,} feature maps"
        " to compute"
    )
    lines = [f"{asked.dataset.name}: {clips}, {features}; {todo}"]
    sizes = remaining.sizes
    if sizes:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        named = ", ".join(f"{name} {size(sizes[name])}" for name in largest)
        lines.append(f"  {size(sum(sizes.values()))}; largest files: {named}")
    return "\n".join(lines)


def plan(options: ExtractOptions) -> int:
    """The command `plan`: print the clips to compute, seconds and megabytes of each
    feature.

    Seconds are those that were last measured in this cache, else measured on a few
    clips.
    """
    asked = request(options)
    remaining = find_remaining(asked)
    for note in filter(
        None, (*asked.notes, *(clips.note for clips in remaining.stored))
    ):
        print(spelled(note))
    known = {name: seconds for name, (seconds, _) in read_costs(asked.folder).items()}
    if not {spec.stored for spec in asked.specs} <= known.keys():
        measured = measure(asked).seconds_a_clip()
        known = measured | known
        source = "about, measured on a few clips"
        print(f"seconds: {source if measured else 'unknown, no clip was read'}")
    rows = []
    for spec, todo in zip(asked.specs, remaining.todo.sum(axis=0).tolist()):
        seconds = f"{todo * known[spec.stored]:.1f}" if spec.stored in known else "-"
        rows.append(
            (
                spec.stored,
                todo,
                seconds,
                f"{len(asked.clips) * spec.clip_bytes / 1e6:.1f}",
            )
        )
    print(text_table(rows, ("feature", "to compute", "seconds of a core", "megabytes")))
    print(describe_work(asked, remaining))
    return 0


def measure(asked: Request) -> ExtractionResult:
    """Compute the features of a few clips, spread over the part, and write nothing."""
    result = ExtractionResult()
    computation = Computation(
        asked.variants, asked.dataset.sample_rate, asked.dataset.samples, asked.specs
    )
    everything = dict.fromkeys(range(len(asked.specs)), 0)
    part = asked.part
    spread = np.unique(
        np.linspace(part.start, part.stop - 1, MEASURED_CLIPS, dtype=int)
    ).tolist()
    for row in (*spread[:1], *spread):
        computation.compute(ClipTask(row, asked.sources[row], everything), result)
    return result


def run(options: FeaturesCommand, *, propose: bool = True) -> int:
    """The command `features`: extract the features that the cache lacks; 1 if a clip
    failed, Failed if every clip did.

    options  dataset, features, copies and backend: see FeaturesCommand
    propose  whether the summary ends with the next command

        run(FeaturesCommand(dataset="synth", features="mel mfcc", jobs=2))
    """
    begun = time.perf_counter()
    asked = request(options)
    for note in asked.notes:
        print(spelled(note))
    if options.scheduler and options.backend != "dask":
        print("SCHEDULER applies only with BACKEND=dask")
    try:
        result = extract(asked, options)
    except OSError as error:
        if error.errno in NOT_WRITABLE:  # the caller ends with exit status 2
            raise
        raise Failed(
            f"{error}; what is done stays done, the same command goes on"
        ) from error
    files = [asked.folder / f"{spec.stored}.h5" for spec in asked.specs]
    if result.failures and not any(file.exists() for file in files):
        _, _, reason = min(result.failures)
        raise Failed(
            f"no clip could be done, the first because of: {reason};"
            f" {asked.folder / FAILURES} has the reasons of all"
        )
    if options.prepare:
        print("ready: PART=1/n and so on fill the files")
    else:
        lines = summary(asked, result, time.perf_counter() - begun)
        if propose:
            lines.append(next_after(asked, options))
        if result.failures:
            failed = {row for row, *_ in result.failures}
            lines.append(usable_clips(asked, len(failed)))
        print(*lines, sep="\n")
    return 1 if result.failures else 0


def extract(asked: Request, options: FeaturesCommand) -> ExtractionResult:
    """Compute and store the feature maps of a request that the cache lacks.

    RequestError if the disk lacks space; without WAIT=1 also if another run works on
    the same clips and features.

        options = FeaturesCommand(dataset="synth", features="mel")
        result = extract(request(options), options)
    """
    hashed = asked.part
    if options.prepare:
        asked = replace(asked, part=slice(0, 0))
    try_own_features(asked)
    asked.folder.mkdir(parents=True, exist_ok=True)
    names = [spec.stored for spec in asked.specs]
    rows = asked.part.start, asked.part.stop
    with ExitStack() as stack:
        handle = stack.enter_context(
            claimed(asked.folder, names, rows, wait=options.wait)
        )
        with prepared(asked, options) as remaining:
            for name, clips in zip(names, remaining.stored):
                if clips.note:
                    print(f"made again: {clips.note}")
                if damaged := int(clips.damaged.sum()):
                    print(
                        f"computed again: {counted(damaged, 'damaged feature map')} of"
                        f" {name}"
                    )
            refuse_full_disk(asked.folder, sum(remaining.sizes.values()))
            print(describe_work(asked, remaining), flush=True)
            if remaining.todo.any():
                backend = stack.enter_context(open_backend(options))
            files = [
                stack.enter_context(
                    ready(asked.folder, spec, asked.ids, asked.keys, clips)
                )
                for spec, clips in zip(asked.specs, remaining.stored)
            ]
            refresh(asked.folder, asked.clips, asked.settings, hashed)
        done = ExtractionResult()
        if remaining.todo.any():
            done = compute_missing(asked, remaining, files, backend, handle)
            write_costs(asked.folder, done.seconds_a_clip(), done.timed)
        write_failures(
            asked.folder, asked.clips, remaining.clips, names, sorted(done.failures)
        )
        if asked.part == slice(0, len(asked.clips)):
            remove_empty(asked, files, done)
            if not options.skip_checksums:
                note_verified(asked.folder, names)
        return done


def refuse_full_disk(folder: Path, needed: int) -> None:
    """RequestError if the disk has no space for these bytes."""
    free = shutil.disk_usage(folder).free
    if needed and needed + RESERVE > free:
        raise RequestError(
            f"the features need {size(needed + RESERVE)} in {folder}, where"
            f" {size(free)} are free; fewer FEATURES need less, DATA= names another"
            " disk"
        )


def compute_missing(
    asked: Request,
    remaining: Remaining,
    files: Sequence[FeatureFile],
    backend: Backend,
    handle: Handle,
) -> ExtractionResult:
    """Let the backend's workers fill the files, with a progress bar.

    handle  of the claim, which workers hold too
    """
    for feature, file in enumerate(files):
        missing = np.flatnonzero(remaining.todo[:, feature])
        file.forget(missing[file.map(state=True)[missing] != 0])
    # workers need only the axis's length; a waveform's axis has megabytes
    light = [replace(file, frame_axis=np.empty((file.frames, 0))) for file in files]
    job = Job(
        asked.variants,
        asked.dataset.sample_rate,
        asked.dataset.samples,
        tuple(light),
        handle,
    )
    done = ExtractionResult()
    parts = batches(asked, remaining, backend.processes)
    with progress(total=len(remaining.clips), label="features", unit="clips") as bar:
        for result in backend.compute(job, parts):
            done += result
            bar.update(result.clips)
    return done


def try_own_features(asked: Request) -> None:
    """Compute each feature of the user's own for the first readable clip.

    RequestError with file and line if one raises: it would fail for every clip.
    """
    dataset = asked.dataset
    own = [
        variant
        for variant in asked.variants
        if not variant.feature.function.__module__.startswith("featurestack.")
    ]
    sources = asked.sources[asked.part] if own else []
    for source in sources:
        try:
            samples = source.load(dataset.sample_rate, dataset.samples)
            break
        except audio.AudioError:
            continue  # extraction names this clip
    else:
        return
    clip = Clip(samples, dataset.sample_rate)
    for variant in own:
        try:
            variant.compute(clip)
        except Exception as error:
            *_, place = traceback.extract_tb(error.__traceback__)
            raise RequestError(
                f"{variant.stored} raised {type(error).__name__}: {error}"
                f" ({place.filename}, line {place.lineno}), tried on {source.path}"
            ) from error


def remove_empty(
    asked: Request,
    files: Sequence[FeatureFile],
    done: ExtractionResult,
) -> None:
    """Remove files without a single feature map after failures."""
    if not done.failures:
        return
    empty = [file for file in files if not file.map(state=True).any()]
    for file in empty:
        file.path.unlink()
    if empty:
        refresh(asked.folder, asked.clips, asked.settings, asked.part)


@contextmanager
def prepared(asked: Request, options: FeaturesCommand) -> Iterator[Remaining]:
    """The work that remains; only this run may create files within the context.

    RequestError if another run writes to a file that has to be made again; with WAIT=1,
    wait for its end.
    """
    while True:
        with lock(asked.folder, "preparing"):
            remaining = find_remaining(asked, check=not options.skip_checksums)
            writers = [
                (name, who)
                for name in remaining.sizes
                if (who := written_to(asked.folder, name))
            ]
            if not writers:
                yield remaining
                return
        stored, who = writers[0]
        reason = (
            f"{stored}.h5 has to be made again for these clips, and is being written by"
            f" {who}"
        )
        if not options.wait:
            raise RequestError(f"{reason}; wait for it to end, or add WAIT=1")
        tell(f"waiting: {reason}")
        with lock(asked.folder, stored):
            pass  # granted when no run writes to the file


def batches(
    asked: Request,
    remaining: Remaining,
    processes: int,
) -> Iterator[list[ClipTask]]:
    """Batches of the clips that lack a feature, each made when it is needed.

    Batches become shorter towards the end, so that all processes end at about the same
    time.
    """
    keys = [spec.key for spec in asked.specs]
    left = remaining.clips
    most = int(np.clip(LONGEST_AUDIO / asked.dataset.duration, 1, LONGEST_BATCH))
    while len(left):
        rows, left = np.split(
            left, [min(most, 1 + len(left) // (processes * BATCHES_LEFT))]
        )
        of_features = [fingerprints(asked.keys[rows], key).tolist() for key in keys]
        yield [
            ClipTask(
                row,
                asked.sources[row],
                {
                    k: of_features[k][place]
                    for k in np.flatnonzero(remaining.todo[row]).tolist()
                },
            )
            for place, row in enumerate(rows.tolist())
        ]


def summary(asked: Request, result: ExtractionResult, seconds: float) -> list[str]:
    """Lines on the cost of each feature, the speed and failures; none if there was
    nothing to compute.
    """
    if not result.clips:
        return []
    took = result.seconds_a_clip()
    rows = []
    written = 0
    for spec in asked.specs:
        if clips := result.computed[spec.stored]:
            stored = clips * spec.clip_bytes
            written += stored
            milliseconds = (
                f"{1000 * took[spec.stored]:.2f}" if spec.stored in took else "-"
            )
            rows.append(
                (spec.stored, f"{clips:,}", milliseconds, f"{stored / 1e6:.1f}")
            )
    speed = f"{result.clips / seconds:.1f} clips/s, {size(written)}"
    lines = [
        text_table(rows, ("feature", "clips", "ms a clip", "megabytes")),
        f"{counted(result.clips, 'clip')} in {duration(seconds)}: {speed}",
    ]
    if not result.failures:
        return lines
    failed = {row for row, *_ in result.failures}
    lines.append(
        f"{counted(len(failed), 'clip')} could not be done ({asked.folder / FAILURES}):"
    )
    for row, feature, reason in sorted(result.failures)[:SHOWN_FAILURES]:
        named = "" if feature == WHOLE else f" {feature}:"
        lines.append(f"  {asked.clips['clip_id'].iloc[row]}:{named} {reason}")
    return lines


def usable_clips(asked: Request, failed: int) -> str:
    """A line on the clips that have every feature; `failed` is the number of others."""
    done = Cache(asked.folder).readable([spec.stored for spec in asked.specs])
    usable = counted(int(done.sum()), "clip")
    return f"usable: {usable}; {failed:,} left out, see {FAILURES}"


def next_after(asked: Request, options: FeaturesCommand) -> str:
    """The next commands: extraction of parts that are missing, else training, unless no
    clip is usable.
    """
    frames = {spec.stored: spec.frames for spec in asked.specs}
    cache = Cache(asked.folder)
    missing = missing_clips(cache, [*frames])
    if missing.any():
        total = int(options.part.partition("/")[2])
        parts = [f"{part}/{total}" for part in range(1, total + 1)]
        left = [part for part in parts if missing[part_of(part, len(missing))].any()]
        still = (
            f"{missing.sum():,} of {counted(len(missing), 'clip')} are still missing"
            f" (PART={' '.join(left)})"
        )
        command = features_command(
            options, f"FEATURES={options.features}", f"PART={left[0]}"
        )
        return f"{still}\nnext: {command}"
    if not cache.readable([*frames]).any():
        return "no clip is usable: nothing to train on"
    lines = [training_step(options, asked.dataset, frames)]
    before = former_runs(options, asked.dataset)
    if asked.changed and before:
        named = ", ".join(before[:SHOWN_RUNS]) + (" …" if before[SHOWN_RUNS:] else "")
        lines.insert(0, f"runs of the clips before: {named}")
    return "\n".join(lines)
