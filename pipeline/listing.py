"""`python -m pipeline list`: every feature with its size, on request its cost; `list NAME`: its card."""

import statistics
import textwrap
import time
from collections.abc import Iterable

import numpy as np

from commandline.registry import RequestError
from commandline.terminal import text_table
from features_cache.names import Channel, parse_channel
from pipeline.cards import described
from pipeline.features import FEATURES, Clip, Impossible, Variant, resolve_feature
from pipeline.options import ListCommand
from pipeline.pool import keep_freed_arrays

STORED_BYTES = 2  # a value, as float16
REPEATS = 3
MOST_SAMPLES = 10_000_000  # every feature is computed, to measure it four times
WIDTH = 100
INDENT = 15
TIMES = ("ms alone", "ms in all")
MEASURED = "milliseconds of one core,\neach feature alone, and in a run of all, which share their spectra."


def run(options: ListCommand) -> None:
    """Print the table, or the card of one feature."""
    if options.feature is None:
        print(feature_table(options.sample_rate, options.duration, options.measure))
    else:
        print(card(options.feature))


def card(name: str) -> str:
    """The card of a feature, as text; RequestError where there is none of that name."""
    channel = parse_channel(name)
    resolve_feature(channel)
    lines = [
        textwrap.fill(text, WIDTH, initial_indent=f"{heading + ':':{INDENT}}", subsequent_indent=" " * INDENT)
        for heading, text in described(channel.name).items()
    ]
    return "\n".join([channel.name, "", *lines])


def feature_table(sample_rate: int, seconds: float, measure: bool = False) -> str:
    """Every feature with its size; with `measure` its milliseconds here and now, on a clip of noise."""
    samples = round(seconds * sample_rate)
    if not 1 <= samples <= MOST_SAMPLES:
        raise RequestError(
            f"DURATION={seconds:g} at SAMPLE_RATE={sample_rate} are {samples:,} samples: expected 1 to "
            f"{MOST_SAMPLES:,}"
        )
    possible: dict[Variant, tuple[int, int]] = {}
    remarks: list[str] = []
    for name in FEATURES:
        variant = resolve_feature(Channel(name))
        try:
            possible[variant] = variant.shape(sample_rate, samples)
        except Impossible as reason:
            remarks.append(f"{name} cannot exist here: {reason}")
    times = _times(list(possible), samples, sample_rate) if measure else {}
    lines: list[tuple[object, ...]] = []
    for variant, (rows, frames) in possible.items():
        megabytes = f"{rows * frames * STORED_BYTES / 1e6:.3f}"
        lines.append((variant.name, rows, frames, megabytes, *_shown(times.get(variant, ())), variant.units))
    whole = sum(rows * frames for rows, frames in possible.values()) * STORED_BYTES / 1e6
    lines.append(("all", "", "", f"{whole:.3f}", *_shown([sum(one) for one in zip(*times.values())]), ""))
    remarks += [
        f"For a clip of {seconds:g} s at {sample_rate} Hz: MB stored as float16"
        + (f"; {MEASURED}" if measure else ". MEASURE=1 adds the milliseconds."),
        "python -m pipeline list NAME shows what a feature is and what it is good for.",
    ]
    header = ("name", "rows", "frames", "MB", *(TIMES if measure else ()), "units")
    return "\n".join([text_table(lines, header), "", *remarks])


def _shown(milliseconds: Iterable[float]) -> list[str]:
    return [f"{one:.1f}" for one in milliseconds]


def _times(variants: list[Variant], samples: int, sample_rate: int) -> dict[Variant, tuple[float, float]]:
    """Milliseconds of each, computed alone and after the others before it."""
    keep_freed_arrays()
    y = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    together = _milliseconds(variants, y, sample_rate)
    return {
        variant: (_milliseconds([variant], y, sample_rate)[variant], together[variant])
        for variant in variants
    }


def _milliseconds(variants: list[Variant], y: np.ndarray, sample_rate: int) -> dict[Variant, float]:
    """Median time of each variant, computed in this order for one clip, after a clip to warm up."""
    times: dict[Variant, list[float]] = {variant: [] for variant in variants}
    for _ in range(REPEATS + 1):
        clip = Clip(y, sample_rate)
        for variant in variants:
            begun = time.process_time()
            variant.compute(clip)
            times[variant].append(1e3 * (time.process_time() - begun))
    return {variant: statistics.median(found[1:]) for variant, found in times.items()}
