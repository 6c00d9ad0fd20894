"""`python -m pipeline features`: every wanted feature of every clip, into the cache, in parallel."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np

from commandline.files import not_written
from commandline.registry import RequestError
from commandline.system import give_back_freed_memory
from commandline.terminal import counted, duration, progress, size, tell, text_table
from features_cache.claims import Handle, claimed
from features_cache.index import FAILURES, WHOLE, refresh, write_costs, write_failures
from features_cache.layout import FeatureFile, lock
from features_cache.writer import NOT_FINITE, ready, written_to
from pipeline import audio
from pipeline.job import WHOLE_CLIP, ExtractionResult, Job
from pipeline.next_step import training_step
from pipeline.options import FeaturesCommand
from pipeline.plan import (
    Cost,
    Remaining,
    all_done,
    batch_lengths,
    cost,
    describe_cost,
    find_remaining,
    make_batches,
    refuse_full_disk,
)
from pipeline.pool import Backend, open_backend, unused_options
from pipeline.request import Request, request

SHOWN_FAILURES = 10
FINITE_EVERYWHERE = (
    "a feature has to be finite in every frame, also where all samples are 0: digital silence and padding\n"
    "occur in nearly every dataset (docs/howto/adding-a-feature.md)"
)


def run(options: FeaturesCommand) -> int:
    """The command `features`: extract what the cache lacks; 1 where something could not be done.

    options  which dataset, features and copies, and how: see FeaturesCommand

        run(FeaturesCommand(dataset="synth", features="mel mfcc", jobs=2))

    Prints what it will cost before it starts, and what it did.
    """
    begun = time.perf_counter()
    asked = request(options, options.part)
    unused = unused_options(options.backend, options.jobs, options.scheduler)
    for note in (*asked.dataset.notes, *asked.changes, *unused):
        print(note)
    for name, reason in asked.wanted.left_out.items():
        print(f"left out: {name}, {reason}")
    try:
        outcome = extract(asked, options, begun)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        tell(f"stopped: {reason}; what is done stays done, the same command goes on")
        return 1
    if not options.prepare:
        print(run_summary(asked, options, outcome, time.perf_counter() - begun))
    return 1 if outcome.failures else 0


def extract(asked: Request, options: FeaturesCommand, begun: float | None = None) -> ExtractionResult:
    """Compute and store what the cache lacks of a request.

    begun  time.perf_counter() when the command began, from which on its estimate and its summary count

    options = FeaturesCommand(dataset="synth", features="mel")
    outcome = extract(request(options), options)
    """
    begun = time.perf_counter() if begun is None else begun
    give_back_freed_memory()
    with ExitStack() as held:
        handle = held.enter_context(_admitted(asked, options))
        with _preparing(asked, options) as found:
            for note in found.notes:
                print(f"made again: {note}")
            if found.damaged.any():
                damaged = counted(int(found.damaged.sum()), "damaged feature map")
                print(f"computed again: {damaged}, {_by_feature(asked, found)}")
            refuse_full_disk(asked, found)
            work = bool(found.todo.any()) and not options.prepare
            if work:
                backend = held.enter_context(open_backend(options.backend, options.jobs, options.scheduler))
                expected = cost(asked, found, backend, begun)
                print(describe_cost(asked, found, expected), flush=True)
            files = _prepared(asked, held)
            refresh(asked.folder, asked.clips, asked.settings, asked.part)
        if options.prepare:
            ready_now = f"{counted(len(files), 'file')} for {counted(len(asked.clips), 'clip')}"
            print(f"ready: {ready_now}; PART=1/n and so on fill them")
        return _fill(asked, found, files, handle, backend, expected) if work else ExtractionResult()


def _admitted(asked: Request, options: FeaturesCommand) -> AbstractContextManager[Handle]:
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(asked.folder, error) from error
    rows = (0, 0) if options.prepare else (asked.part.start, asked.part.stop)
    return claimed(asked.folder, [spec.stored for spec in asked.specs], rows, wait=options.wait)


@contextmanager
def _preparing(asked: Request, options: FeaturesCommand) -> Iterator[Remaining]:
    """What is there, and the right to make what is not.

    One run has it at a time, and only when nobody writes to a file that has to be made again.
    """
    while True:
        with lock(asked.folder, "preparing"):
            found = find_remaining(asked, check=not options.skip_checksums)
            make = [spec.stored for spec, wanted in zip(asked.specs, found.make) if wanted]
            others = {stored: who for stored in make if (who := written_to(asked.folder, stored))}
            if not others:
                yield found
                return
        stored, who = next(iter(others.items()))
        reason = f"{stored}.h5 has to be made again for these clips, and is being written by {who}"
        if not options.wait:
            raise RequestError(f"{reason}; wait for it to end, or add WAIT=1 (--wait)")
        tell(f"waiting: {reason}")
        with lock(asked.folder, stored):
            pass  # nobody writes any more


def _prepared(asked: Request, held: ExitStack) -> tuple[FeatureFile, ...]:
    """The file of every feature, made where it is not there or does not fit, and a shared lock on it."""
    files = []
    for spec in asked.specs:
        file, shared_lock = ready(asked.folder, spec, asked.ids, asked.keys)
        held.callback(shared_lock.release)
        files.append(file)
    return tuple(files)


def _fill(
    asked: Request,
    found: Remaining,
    files: tuple[FeatureFile, ...],
    handle: Handle,
    backend: Backend,
    expected: Cost,
) -> ExtractionResult:
    """Compute what is missing; the workers write it."""
    for feature, file in enumerate(files):
        missing = np.flatnonzero(found.todo[:, feature])
        file.forget(missing[file.map(state=True)[missing] != 0])
    dataset, variants = asked.dataset, tuple(asked.wanted.variants.values())
    job = Job(variants, dataset.sample_rate, dataset.samples, files, handle)
    lengths, outcome = batch_lengths(len(found.clips), expected), ExtractionResult()
    with progress(total=len(found.clips), label="features", unit="clips") as bar:
        for one in backend(job, make_batches(asked, found.todo, found.clips, lengths)):
            outcome += one
            bar.update(one.clips)
    features = [spec.stored for spec in asked.specs]
    write_failures(asked.folder, asked.clips, found.clips, features, _named(asked, outcome))
    write_costs(asked.folder, _seconds_a_clip(asked, outcome))
    return outcome


def _seconds_a_clip(asked: Request, outcome: ExtractionResult) -> dict[str, float]:
    """Of every feature that was computed for a clip at least."""
    columns = zip(asked.specs, np.atleast_1d(outcome.computed), np.atleast_1d(outcome.seconds))
    return {spec.stored: seconds / clips for spec, clips, seconds in columns if clips}


def _named(asked: Request, outcome: ExtractionResult) -> list[tuple[int, str, str]]:
    """(row, feature or WHOLE, reason) of every failure."""
    names = {number: spec.stored for number, spec in enumerate(asked.specs)} | {WHOLE_CLIP: WHOLE}
    return [(row, names[feature], reason) for row, feature, reason in sorted(outcome.failures)]


def _by_feature(asked: Request, found: Remaining) -> str:
    return ", ".join(f"{spec.stored} {count}" for spec, count in zip(asked.specs, found.damaged) if count)


def run_summary(asked: Request, options: FeaturesCommand, outcome: ExtractionResult, seconds: float) -> str:
    """What a run did: speed, cost by feature, failures; the last lines are the next commands."""
    if not outcome.clips:
        lines = [all_done(asked, asked.part.stop - asked.part.start)]
    else:
        lines = [_table(asked, outcome), _speed(asked, outcome, seconds), *_failed(asked, outcome)]
    frames = {spec.stored: spec.shape[1] for spec in asked.specs}
    return "\n".join([*lines, training_step(options, asked.dataset, frames)])


def _table(asked: Request, outcome: ExtractionResult) -> str:
    computed, taken = np.asarray(outcome.computed), np.asarray(outcome.seconds)
    rows = [
        (
            spec.stored,
            f"{computed[feature]:,}",
            f"{1000 * taken[feature] / computed[feature]:.2f}",
            f"{computed[feature] * spec.clip_bytes / 1e6:.1f}",
        )
        for feature, spec in enumerate(asked.specs)
        if computed[feature]
    ]
    return text_table(rows, ("feature", "clips", "ms a clip", "megabytes"))


def _speed(asked: Request, outcome: ExtractionResult, seconds: float) -> str:
    written = sum(count * spec.clip_bytes for count, spec in zip(np.asarray(outcome.computed), asked.specs))
    speed = f"{outcome.clips / seconds:.1f} clips/s, {size(written)}"
    saved = f"; sharing intermediates saved {duration(outcome.seconds_saved)} of computing"
    return f"{counted(outcome.clips, 'clip')} in {duration(seconds)}: {speed}" + (
        saved if outcome.seconds_saved >= 1 else ""
    )


def _failed(asked: Request, outcome: ExtractionResult) -> list[str]:
    if not outcome.failures:
        return []
    ids, clips = asked.clips["clip_id"].to_numpy(), {row for row, *_ in outcome.failures}
    lines = [f"{counted(len(clips), 'clip')} could not be done ({asked.folder / FAILURES}):"]
    for row, feature, reason in sorted(outcome.failures)[:SHOWN_FAILURES]:
        named = "" if feature == WHOLE_CLIP else f" {asked.specs[feature].stored}:"
        lines.append(f"  {ids[row]}:{named} {reason}")
    more = len(outcome.failures) - SHOWN_FAILURES
    lines += [f"  and {more} more"] if more > 0 else []
    undefined = any(NOT_FINITE in reason for *_, reason in outcome.failures)
    advice = audio.advice(asked.clips["path"].iloc[sorted(clips)])
    return [*lines, *([FINITE_EVERYWHERE] if undefined else []), *([advice] if advice else [])]
