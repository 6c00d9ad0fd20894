"""`python -m pipeline features`: every wanted feature of every clip, into the cache, in parallel."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np

from commandline import RequestError, progress, tell
from features_cache.claims import Handle, claimed
from features_cache.index import refresh
from features_cache.layout import FeatureFile
from features_cache.records import write_costs, write_failures
from features_cache.storage import lock
from features_cache.writer import ready, written_to
from pipeline import engine as engines
from pipeline.engine import Engine
from pipeline.job import WHOLE_CLIP, Job, Outcome
from pipeline.memory import give_back_freed_memory
from pipeline.options import FeaturesCommand
from pipeline.plan import Cost, Survey, batch_lengths, batches, cost, described, refuse_full_disk, survey
from pipeline.receipt import receipt
from pipeline.request import Request, request


def run(options: FeaturesCommand) -> int:
    """Say what it will cost, do it, say what it did; 1 where something could not be done."""
    begun = time.perf_counter()
    asked = request(options, options.part)
    idle = engines.idle(options.engine, options.jobs, options.scheduler)
    for note in (*asked.dataset.notes, *asked.changes, *idle):
        print(note)
    for name, reason in asked.wanted.left_out.items():
        print(f"left out: {name}, {reason}")
    try:
        outcome = extract(asked, options)
    except OSError as error:
        tell(f"stopped: {error}; what is done stays done, the same command goes on")
        return 1
    if not options.prepare:
        print(receipt(asked, options, outcome, time.perf_counter() - begun))
    return 1 if outcome.failures else 0


def extract(asked: Request, options: FeaturesCommand) -> Outcome:
    """Bring the cache to what was asked for."""
    give_back_freed_memory()
    with ExitStack() as held:
        handle = held.enter_context(_admitted(asked, options))
        with _preparing(asked, options) as found:
            for note in found.notes:
                print(f"made again: {note}")
            if found.damaged.any():
                print(f"{found.damaged.sum()} damaged maps are computed again: {_by_feature(asked, found)}")
            refuse_full_disk(asked, found)
            work = bool(found.todo.any()) and not options.prepare
            if work:
                engine = held.enter_context(engines.opened(options.engine, options.jobs, options.scheduler))
                expected = cost(asked, found, engine)
                print(described(asked, found, expected), flush=True)
            files = _prepared(asked, held)
            refresh(asked.folder, asked.clips, asked.settings, asked.part)
        if options.prepare:
            print(
                f"{len(files)} files for {len(asked.clips):,} clips are ready; PART=1/n and so on fill them"
            )
        return _fill(asked, found, files, handle, engine, expected) if work else Outcome()


def _admitted(asked: Request, options: FeaturesCommand) -> AbstractContextManager[Handle]:
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{asked.folder} cannot be made: {error.strerror}") from error
    rows = (0, 0) if options.prepare else (asked.part.start, asked.part.stop)
    return claimed(asked.folder, [spec.stored for spec in asked.specs], rows, wait=options.wait)


@contextmanager
def _preparing(asked: Request, options: FeaturesCommand) -> Iterator[Survey]:
    """What is there, and the right to make what is not.

    One run has it at a time, and only when nobody writes to a file that has to be made again.
    """
    while True:
        with lock(asked.folder, "preparing"):
            found = survey(asked, trust=options.trust)
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
    """The file of every feature, made where it is not there or does not fit, and our share of its lock."""
    files = []
    for spec in asked.specs:
        file, share = ready(asked.folder, spec, asked.ids, asked.keys)
        held.callback(share.release)
        files.append(file)
    return tuple(files)


def _fill(
    asked: Request,
    found: Survey,
    files: tuple[FeatureFile, ...],
    handle: Handle,
    engine: Engine,
    expected: Cost,
) -> Outcome:
    """Compute what is missing; the workers write it."""
    for feature, file in enumerate(files):
        missing = np.flatnonzero(found.todo[:, feature])
        file.forget(missing[file.map(state=True)[missing] != 0])
    dataset, variants = asked.dataset, tuple(asked.wanted.variants.values())
    job = Job(variants, dataset.sample_rate, dataset.samples, files, handle)
    lengths, outcome = batch_lengths(len(found.clips), expected), Outcome()
    with progress(total=len(found.clips), label="features", unit="clips") as bar:
        for one in engine(job, batches(asked, found.todo, found.clips, lengths)):
            outcome += one
            bar.update(one.clips)
    write_failures(asked.folder, asked.clips, found.clips, _named(asked, outcome))
    write_costs(asked.folder, _seconds_a_clip(asked, outcome))
    return outcome


def _seconds_a_clip(asked: Request, outcome: Outcome) -> dict[str, float]:
    """Of every feature that was computed for a clip at least."""
    told = zip(asked.specs, np.atleast_1d(outcome.computed), np.atleast_1d(outcome.seconds))
    return {spec.stored: seconds / clips for spec, clips, seconds in told if clips}


def _named(asked: Request, outcome: Outcome) -> list[tuple[int, str, str]]:
    """(row, feature or 'all', reason) of every failure."""
    names = {number: spec.stored for number, spec in enumerate(asked.specs)} | {WHOLE_CLIP: "all"}
    return [(row, names[feature], reason) for row, feature, reason in sorted(outcome.failures)]


def _by_feature(asked: Request, found: Survey) -> str:
    return ", ".join(f"{spec.stored} {count}" for spec, count in zip(asked.specs, found.damaged) if count)
