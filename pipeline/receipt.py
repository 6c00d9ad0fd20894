"""What a run of `features` did: speed, cost by feature, failures, and the command that comes next."""

import numpy as np

from commandline import duration, make_command, size, text_table, words
from features_cache.records import FAILURES
from pipeline.job import WHOLE_CLIP, Outcome
from pipeline.options import FeaturesCommand
from pipeline.request import Request

SHOWN_FAILURES = 10


def receipt(asked: Request, options: FeaturesCommand, outcome: Outcome, seconds: float) -> str:
    """Several lines, the last of them the next command."""
    if not outcome.clips:
        lines = [f"{asked.dataset.name}: all {len(asked.specs)} features of {_part(asked)} are done"]
    else:
        lines = [_table(asked, outcome), _speed(asked, outcome, seconds), *_failures(asked, outcome)]
    return "\n".join([*lines, f"next: {_next(asked, options)}"])


def _part(asked: Request) -> str:
    return f"{asked.part.stop - asked.part.start:,} clips"


def _table(asked: Request, outcome: Outcome) -> str:
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


def _speed(asked: Request, outcome: Outcome, seconds: float) -> str:
    written = sum(count * spec.clip_bytes for count, spec in zip(np.asarray(outcome.computed), asked.specs))
    speed = f"{outcome.clips / seconds:.1f} clips/s"
    return (
        f"{outcome.clips:,} clips in {duration(seconds)}: {speed}, {size(written)}; "
        f"sharing intermediates saved {duration(outcome.seconds_saved)} of computing"
    )


def _failures(asked: Request, outcome: Outcome) -> list[str]:
    if not outcome.failures:
        return []
    ids, clips = asked.clips["clip_id"].to_numpy(), {row for row, *_ in outcome.failures}
    lines = [f"{len(clips)} clips could not be done ({asked.folder / FAILURES}):"]
    for row, feature, reason in sorted(outcome.failures)[:SHOWN_FAILURES]:
        named = "" if feature == WHOLE_CLIP else f" {asked.specs[feature].stored}:"
        lines.append(f"  {ids[row]}:{named} {reason}")
    more = len(outcome.failures) - SHOWN_FAILURES
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _next(asked: Request, options: FeaturesCommand) -> str:
    stored = [spec.stored for spec in asked.specs]
    features = "+".join(name for name in ("mel", "mfcc", "chroma") if name in stored) or stored[0]
    where = words(options, ("name", "data"))
    return make_command("train", f"DATASET={options.dataset}", f"FEATURES={features}", *where)
