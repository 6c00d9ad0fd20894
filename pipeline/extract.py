"""`make features`: extract features of all clips into the cache.

`extract` computes what the cache lacks of a plan: it reserves the part,
creates the files, and sends batches of clips to workers, which write the values.
"""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
from joblib import cpu_count

from featurestack.base.errors import NOT_WRITABLE, Failed, RequestError, needed
from featurestack.base.extras import OPTIONS
from featurestack.base.options import option_words
from featurestack.base.quantities import counted, duration, listed, size
from featurestack.base.registry import object_at
from featurestack.base.shell import next_line, quoted
from featurestack.base.terminal import progress, tell
from featurestack.features_cache import writer
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import spans, untrainable
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.features_cache.hdf5 import fingerprints
from featurestack.features_cache.index_file import FAILURES, WHOLE, has_failed
from featurestack.pipeline import audio, kernels, worker
from featurestack.pipeline.extraction_plan import ExtractionPlan, plan_extraction
from featurestack.pipeline.options import FeaturesCommand

LONGEST_BATCH = 32  # clips; sending a batch takes milliseconds
# seconds of audio in a batch; the progress bar moves when a batch is done
LONGEST_AUDIO = 160
# a batch takes at most about 1/4 of a process's share of the remaining clips
BATCHES_LEFT = 4
SHOWN_FAILURES = 10
FIRST = "mel mfcc chroma"  # the features of the next command if all were computed


def extract_features(
    options: FeaturesCommand, plan: ExtractionPlan | None = None
) -> bool:
    """The command `features`: extract what the cache lacks. Return whether a clip
    failed; raise Failed if every clip did. After a `plan` no command is
    proposed.

        extract_features(FeaturesCommand(dataset="synth", features="mel mfcc", jobs=2))
    """
    begun = time.perf_counter()
    extraction = plan or plan_extraction(options)
    for note in extraction.notes:
        print(note)
    try:
        result = extract(extraction, options)
    except OSError as error:
        if error.errno in NOT_WRITABLE:
            reason = os.strerror(error.errno)
            raise RequestError(
                f"{extraction.folder} may not be written ({reason}): DATA= names a"
                " folder of your own; links in it to these files save computing them"
                " again"
            ) from error
        raise Failed(
            f"{error}; finished clips are kept; run the same command again to resume"
        ) from error
    lines = extraction_summary(extraction, result, time.perf_counter() - begun)
    if result.failures:
        refuse_failed_features(extraction, result, lines)
    cache = Cache(extraction.folder)
    if result.failures:
        usable = counted(int(cache.readable(extraction.names).sum()), "clip")
        failed = len({row for row, *_ in result.failures})
        lines.append(f"usable: {usable}; {failed:,} left out, see {FAILURES}")
    if plan is None:
        lines.append(next_step(extraction, options, cache))
    print("\n".join(lines))
    return bool(result.failures)


def refuse_failed_features(
    extraction: ExtractionPlan, result: worker.ExtractionResult, summary: list[str]
) -> None:
    """Failed, with the reason, if a feature could not be computed for any clip."""
    files = zip(extraction.names, extraction.files)
    absent = [stored for stored, file in files if not file.exists()]
    if not absent:
        return
    if len(absent) < len(extraction.names):
        print(*summary, sep="\n")
    reasons = [each for each in result.failures if each[1] in (WHOLE, *absent)]
    *_, reason = min(reasons)
    if reason.startswith("missing"):
        reason += "; AUDIO_DIR= names where a table's files are"
    raise Failed(
        f"{listed(absent)}: every clip failed, the first because of: {reason};"
        f" {extraction.folder / FAILURES} has all reasons"
    )


def extract(
    extraction: ExtractionPlan, options: FeaturesCommand
) -> worker.ExtractionResult:
    """Compute and store the feature maps of a plan that the cache lacks."""
    if complete := writer.nothing_to_compute(extraction):
        print_work(extraction, complete)
        return worker.ExtractionResult()
    of_audio = [not feature.source for feature in extraction.features]
    if extraction.read_only and writer.to_compute(extraction).todo[:, of_audio].any():
        raise RequestError(
            f"DATASET={options.dataset} is a cache, which is only read, and lacks some"
            f" of these features: give {quoted(f'DATASET={extraction.dataset.source}')}"
        )
    done = worker.ExtractionResult()
    with writer.cache_writer(extraction, partial(print_work, extraction)) as (
        work,
        made,
        reservation,
    ):
        none = np.empty(0)  # workers need no axes; a waveform's has megabytes
        files = [replace(each, row_axis=none, frame_axis=none) for each in made]
        of_maps = Cache(extraction.folder) if not all(of_audio) else None
        job = worker.Job(extraction.features, tuple(files), of_maps, reservation)
        total = len(work.clips)
        if total and not kernels.are_compiled():
            tell("compiling for this processor, once; it takes about a minute")
        if total:
            shown = progress(total=total, label="features", unit="clips")
            with open_backend(options) as backend, shown as bar:
                parts = batches(extraction, work, backend.processes)
                for result in backend.compute(job, parts):
                    done += result
                    bar.update(result.clips)
        writer.note_results(extraction, work, done.failures)
    return done


def batches(
    extraction: ExtractionPlan, work: writer.ToCompute, processes: int
) -> Iterator[list[worker.ClipTask]]:
    """Batches of clips that lack a feature, shorter towards the end."""
    left = work.clips
    clips = extraction.clips
    versions = zip(clips["source_size"].tolist(), clips["source_time_ns"].tolist())
    sources = [*zip(clips["clip_id"], clips["path"], spans(clips), versions)]
    fitting = int(LONGEST_AUDIO / max(extraction.dataset.duration, 1))
    most = min(max(fitting, 1), LONGEST_BATCH)
    feature_keys = [spec.key for spec in extraction.stored]
    while len(left):
        size = min(most, 1 + len(left) // (processes * BATCHES_LEFT))
        rows, left = np.split(left, [size])
        keys = extraction.keys[rows]
        of_features = [fingerprints(keys, key).tolist() for key in feature_keys]
        batch = []
        for row, prints in zip(rows.tolist(), zip(*of_features)):
            lacks = {k: prints[k] for k in np.flatnonzero(work.todo[row]).tolist()}
            clip_id, path, span, version = sources[row]
            batch.append(worker.ClipTask(row, clip_id, path, span, version, lacks))
        yield batch


def print_work(extraction: ExtractionPlan, work: writer.ToCompute) -> None:
    """Print notes, the number of feature maps to compute and the size of new files."""
    clips = counted(len(extraction.clips), "clip")
    features = counted(len(extraction.stored) - len(extraction.read), "feature")
    if read := [name for name in extraction.names if name in extraction.read]:
        features += f" and {listed(read)}, from which some are computed"
    left, whole = work.todo.sum(), work.todo[extraction.part].size
    todo = f"{left:,} of {whole:,} feature maps to compute"
    lines = [f"{extraction.dataset.name}: {clips}, {features}; {todo}"]
    sizes = work.sizes
    if sizes:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        named = ", ".join(f"{name} {size(sizes[name])}" for name in largest)
        others = f"; largest files: {named}" if len(sizes) > 1 else ""
        lines.append(f"  {size(sum(sizes.values()))} on disk{others}")
    print("\n".join([*work.notes, *lines]), flush=True)


def extraction_summary(
    extraction: ExtractionPlan, result: worker.ExtractionResult, seconds: float
) -> list[str]:
    """Lines on speed and failures; none if there was no work."""
    if not result.clips:
        return []
    maps = counted(result.computed.total(), "feature map")
    done = f"{maps} of {counted(result.clips, 'clip')} in {duration(seconds)}"
    lines = [f"{done}: {result.clips / seconds:.1f} clips/s"]
    lines += audio.damaged_parts(dict(result.damaged))
    if failed := {row for row, *_ in result.failures}:
        lines.append(
            f"{counted(len(failed), 'clip')} failed ({extraction.folder / FAILURES}):"
        )
    alike: dict[str, list[str]] = {}  # what is wrong -> clips
    for row, feature, reason in sorted(result.failures):
        wrong = reason if feature == WHOLE else f"{feature}: {reason}"
        alike.setdefault(wrong, []).append(extraction.clips["clip_id"].iloc[row])
    for wrong, ids in [*alike.items()][:SHOWN_FAILURES]:
        lines.append(f"  {listed(ids)}: {wrong}")
    return lines


def next_step(
    extraction: ExtractionPlan, options: FeaturesCommand, cache: Cache
) -> str:
    """The next command, training by a model that takes seconds and reads every feature;
    or why there is none yet.
    """
    readable = cache.readable(extraction.names)
    absent = ~readable & ~has_failed(cache.folder, cache.clips, extraction.names)
    if absent.any():
        clips = counted(len(absent), "clip")
        return f"{absent.sum():,} of {clips} are missing: extract the other parts"
    if not readable.any():
        return "no clip is usable: nothing to train on"
    if reason := untrainable(extraction.dataset.table):
        return f"no training yet: {reason}"
    words = option_words(options, ("dataset", "name", "data", "runs"))
    features = FIRST if options.features == "all" else options.features
    if options.frame:  # a plain feature may be there too
        names = extraction.names
        if options.features == "all":
            names = [n for n in names if parse_feature_name(n).name in FIRST.split()]
        features = " ".join(names)
    return next_line("train", *words, f"FEATURES={features}", "MODEL=ridge")


def open_backend(options: FeaturesCommand) -> AbstractContextManager[worker.Backend]:
    """The Dask cluster, processes of this machine, or this process."""
    if options.scheduler:
        with needed("scale", "SCHEDULER="):
            connected = object_at(OPTIONS["scheduler"])
        backend: AbstractContextManager[worker.Backend] = connected(options.scheduler)
        return backend
    jobs = options.jobs or cpu_count()
    if jobs > 1:
        return worker.Workers(jobs)
    worker.keep_freed_arrays()
    return nullcontext(worker.Backend())
