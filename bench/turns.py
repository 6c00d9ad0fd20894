"""Alternatives timed in turns, so that a busy machine slows all alike."""

import statistics
import time
from collections.abc import Callable, Mapping

Timed = dict[str, list[float]]


def take_turns(alternatives: Mapping[str, Callable[[], object]], rounds: int) -> Timed:
    """Seconds of each alternative in each round, after one uncounted round."""
    seconds: Timed = {name: [] for name in alternatives}
    for number in range(1 + rounds):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Timed, slow: str, fast: str) -> float:
    """The time of `slow` as a multiple of that of `fast`: the median over the
    rounds.
    """
    return statistics.median(
        one / other for one, other in zip(seconds[slow], seconds[fast])
    )
