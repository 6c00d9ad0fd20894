"""How often a report claims something of equally good runs, and how often it finds true differences.

    python -m bench.false_claims

Runs are drawn at random on the same test clips (see `tests.analysis.simulated`) and judged by the functions
that a report calls. A claim is: a run is clearly worse than the best, or an ablation is a clear gain or loss.
For the power mel+mfcc is truly better than the other runs; and on tables like those of ESC-10 mel is truly
worse by as much as a report says that its data can show.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import text_table
from tests.analysis.simulated import claims, simulated_runs

CLASSES = 10
ESC10 = [1] * 237 + [2] * 51 + [3] * 10 + [4] * 2 + [5] * 2 + [6, 7]  # clips of its 304 recordings
OWN = (0.1, 0.3, 0.6)  # alike as two seeds, as feature sets, as models


@dataclass(frozen=True, kw_only=True)
class FalseClaimsOptions(Options):
    """Rates of false claims over equal runs, and the power for true differences, by simulation."""

    reports: int = option(100, "simulated reports of each row")
    runs: tuple[int, ...] = option((3, 10, 30), "runs of a report")
    clips: tuple[int, ...] = option((100, 400, 2000), "test clips, two of each source recording")
    points: tuple[int, ...] = option((2, 5, 10), "true differences of which the power is shown")
    seed: int = option(0, "draws the runs")


def false_claims(options: FalseClaimsOptions) -> None:
    """Rates of false claims over equal runs, and the power for true differences, by simulation."""
    rng = np.random.default_rng(options.seed)
    print(f"False claims: % of {options.reports} reports of equally good runs that say they differ\n")
    print(text_table([*_false(options, rng)], ("clips", "runs", "best", "ablations", "any")))
    print("\nPower: % of reports that find the better of three runs, as the winner, as a gain\n")
    print(text_table([*_power(options, rng)], ("clips", "points", "winner", "gain")))
    print("\nESC-10: points that reports say they can show; % that find such a difference to that run\n")
    print(text_table([*_shown(options, rng)], ("own share", "runs", "points said", "found")))


def _false(options: FalseClaimsOptions, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    every = []
    for clips, runs in product(options.clips, (2, *options.runs)):
        named = runs == 2  # by RUN=: one planned comparison, at a level of 0.05
        drawn = (simulated_runs(runs, clips, CLASSES, rng) for _ in range(options.reports))
        said = [claims(equal, named=named) for equal in drawn]
        every += said
        yield (f"{clips:,}", "2, named" if named else str(runs), *_rates(said))
    yield ("all", "", *_rates(every))


def _rates(said: list) -> Iterator[str]:
    return (_percent([getattr(report, name) for report in said]) for name in ("overall", "ablations", "any"))


def _power(options: FalseClaimsOptions, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    for clips, points in product(options.clips, options.points):
        drawn = (simulated_runs(3, clips, CLASSES, rng, points / 100) for _ in range(options.reports))
        said = [claims(runs) for runs in drawn]
        found = (_percent([getattr(report, name) for report in said]) for name in ("winner", "gain"))
        yield f"{clips:,}", str(points), *found


def _shown(options: FalseClaimsOptions, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    for own, runs in product(OWN, options.runs[:2]):

        def drawn(worse: float, own: float = own, runs: int = runs) -> list:
            given: dict[str, Any] = {"own": own, "accuracy": 0.9, "different": "mel"}
            sets = (
                simulated_runs(runs, ESC10, CLASSES, rng, -worse, **given) for _ in range(options.reports)
            )
            return [claims(one) for one in sets]

        shown = float(np.mean([report.detectable for report in drawn(0.0)]))
        found = _percent([report.worse for report in drawn(shown)])
        yield f"{own:g}", str(runs), f"{100 * shown:.1f}", found


def _percent(values: list[bool]) -> str:
    return f"{100 * float(np.mean(values)):.1f}"


if __name__ == "__main__":
    main([false_claims])
