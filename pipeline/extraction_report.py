"""The lines that an extraction prints: its work, its costs and failures, the next
command; and `python -m pipeline plan`.
"""

from dataclasses import replace

import numpy as np

from featurestack.commandline.quantities import counted, duration, size
from featurestack.commandline.tables import text_table
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.missing import Missing, missing
from featurestack.features_cache.side_files import FAILURES, WHOLE, read_costs
from featurestack.pipeline.audio import damaged_parts
from featurestack.pipeline.dataset_state import (
    former_runs,
    missing_clips,
    next_lines,
    state_of,
)
from featurestack.pipeline.options import ExtractOptions, FeaturesCommand
from featurestack.pipeline.request import Request, part_of, request
from featurestack.pipeline.worker import ClipTask, Computation, ExtractionResult

SHOWN_FAILURES = 10
SHOWN_RUNS = 4
# clips that `plan` measures; the first also loads and compiles, so it is computed twice
MEASURED_CLIPS = 5


def describe_work(asked: Request, lacking: Missing) -> str:
    """Lines on the number of feature maps to compute, and the size of new files."""
    clips = counted(len(asked.clips), asked.noun)
    features = counted(len(asked.specs), "feature")
    todo = (
        f"{lacking.todo.sum():,} of {lacking.todo[asked.part].size:,} feature maps"
        " to compute"
    )
    lines = [f"{asked.dataset.name}: {clips}, {features}; {todo}"]
    sizes = lacking.sizes
    if sizes:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        named = ", ".join(f"{name} {size(sizes[name])}" for name in largest)
        lines.append(f"  {size(sum(sizes.values()))}; largest files: {named}")
    return "\n".join(lines)


def extraction_summary(
    asked: Request, result: ExtractionResult, seconds: float
) -> list[str]:
    """Lines on costs, speed and failures; none without work."""
    if not result.clips:
        return []
    took = result.seconds_a_clip()
    rows = []
    written = 0
    for spec in asked.specs:
        if clips := result.computed[spec.stored]:
            stored = clips * spec.clip_bytes
            written += stored
            name, time = spec.stored, "-"
            if name in took:
                time = f"{1000 * took[name]:.2f}"
            rows.append((name, f"{clips:,}", time, f"{stored / 1e6:.1f}"))
    speed = f"{result.clips / seconds:.1f} {asked.noun}s/s, {size(written)}"
    header = ("feature", f"{asked.noun}s", f"ms per {asked.noun}", "megabytes")
    lines = [
        text_table(rows, header),
        f"{counted(result.clips, asked.noun)} in {duration(seconds)}: {speed}",
    ]
    lines += damaged_parts(dict(result.damaged))
    if not result.failures:
        return lines
    failed = {row for row, *_ in result.failures}
    lines.append(
        f"{counted(len(failed), asked.noun)} could not be done"
        f" ({asked.folder / FAILURES}):"
    )
    for row, feature, reason in sorted(result.failures)[:SHOWN_FAILURES]:
        named = "" if feature == WHOLE else f" {feature}:"
        lines.append(f"  {asked.clips['clip_id'].iloc[row]}:{named} {reason}")
    return lines


def next_after(asked: Request, options: FeaturesCommand, cache: Cache) -> str:
    """The next commands: missing parts, else training."""
    missing = missing_clips(cache, asked.names)
    state = state_of(options, asked.dataset, cache, asked.names)
    if missing.any():
        total = int(options.part.partition("/")[2])
        parts = [f"{part}/{total}" for part in range(1, total + 1)]
        left = [part for part in parts if missing[part_of(part, len(missing))].any()]
        still = (
            f"{missing.sum():,} of {counted(len(missing), asked.noun)} are still"
            f" missing (PART={' '.join(left)})"
        )
        state = replace(state, features=options.features, part=left[0])
        return f"{still}\n{next_lines(state, asked.dataset)}"
    if not cache.readable(asked.names).any():
        return f"no {asked.noun} is usable: nothing to train on"
    lines = next_lines(state, asked.dataset)
    runs = former_runs(options, asked.dataset, cache) if asked.changed else ()
    if not runs:
        return lines
    named = ", ".join(run.name for run in runs[:SHOWN_RUNS])
    more = " …" if runs[SHOWN_RUNS:] else ""
    return f"runs of the clips before: {named}{more}\n{lines}"


def print_plan(options: ExtractOptions) -> int:
    """The command `plan`: print what is missing, its megabytes and its seconds."""
    asked = request(options)
    lacking = missing(asked)
    for note in (*asked.notes, *lacking.notes()):
        print(note)
    known = {name: seconds for name, (seconds, _) in read_costs(asked.folder).items()}
    if not {spec.stored for spec in asked.specs} <= known.keys():
        measured = measure(asked).seconds_a_clip()
        known = measured | known
        source = "about, measured on a few clips"
        print(f"seconds: {source if measured else 'unknown, no clip was read'}")
    rows = []
    for spec, todo in zip(asked.specs, lacking.todo.sum(axis=0).tolist()):
        seconds = f"{todo * known[spec.stored]:.1f}" if spec.stored in known else "-"
        megabytes = f"{len(asked.clips) * spec.clip_bytes / 1e6:.1f}"
        rows.append((spec.stored, todo, seconds, megabytes))
    print(text_table(rows, ("feature", "to compute", "seconds of a core", "megabytes")))
    print(describe_work(asked, lacking))
    return 0


def measure(asked: Request, clips: int = MEASURED_CLIPS) -> ExtractionResult:
    """Compute the features of a few clips, spread over the part, and write nothing."""
    result = ExtractionResult()
    computation = Computation(asked.variants, asked.specs, asked.maps())
    ids = asked.clips["clip_id"].tolist()
    everything = dict.fromkeys(range(len(asked.specs)), 0)
    part = asked.part
    spread = np.linspace(part.start, part.stop - 1, clips, dtype=int).tolist()
    for row in (spread[0], *sorted({*spread})):
        task = ClipTask(row, ids[row], asked.sources[row], everything)
        computation.compute(task, result)
    return result
