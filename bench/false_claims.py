"""How often a report claims something of equally good runs, and how often it finds true differences.

    python -m bench.false_claims

Runs are drawn at random on the same test clips (see `tests.analysis.simulated`) and judged by the functions
that a report calls. A claim is: a run is significantly worse than the best (overall), an ablation is
significant (ablations), a class changes significantly (classes), a channel is worth something for a class
(channels; its permuted answers are those of an equally good run). For the power one of three runs, mel+mfcc
beside mel and mfcc, is truly better.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import text_table
from tests.analysis.simulated import claims, simulated_runs

CLAIMS = ("overall", "ablations", "classes", "channels", "any", "clear_winner")
Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FalseClaimsOptions(Options):
    """Rates of false claims over equal runs, and the power for true differences, by simulation."""

    reports: int = option(200, "simulated reports of each row")
    runs: tuple[int, ...] = option((3, 10, 30), "runs of a report")
    clips: tuple[int, ...] = option((100, 400, 2000), "test clips, two of each source recording")
    classes: tuple[int, ...] = option((10, 50), "classes, of ten clips or more each")
    points: tuple[int, ...] = option((2, 5, 10), "true differences of which the power is shown")
    seed: int = option(0, "draws the runs")


def false_claims(options: FalseClaimsOptions) -> None:
    """Rates of false claims over equal runs, and the power for true differences, by simulation."""
    rng = np.random.default_rng(options.seed)
    print(f"False claims: % of {options.reports} reports of equally good runs that say they differ\n")
    print(text_table([*_false(options, rng)], ("clips", "classes", "runs", *CLAIMS)))
    print("\nTwo runs named by RUN=, their level 0.05:\n")
    print(text_table([*_named(options, rng)], ("clips", "classes", "runs", *CLAIMS)))
    print("\nPower: % of reports that find the better of three runs: as the clear winner; as an ablation;")
    print("% of classes found; % of reports that call it a tie, and that 5 points would have been found\n")
    header = ("clips", "classes", "points", "clear winner", "ablation", "classes", "a tie")
    print(text_table([*_power(options, rng)], header))


def _settings(options: FalseClaimsOptions) -> list[tuple[int, int]]:
    return [(clips, few) for clips, few in product(options.clips, options.classes) if clips >= 10 * few]


def _false(options: FalseClaimsOptions, rng: np.random.Generator) -> Iterator[Row]:
    every = []
    for (clips, classes), runs in product(_settings(options), options.runs):
        said = [claims(simulated_runs(runs, clips, classes, rng), rng) for _ in range(options.reports)]
        every += said
        yield (
            f"{clips:,}",
            str(classes),
            str(runs),
            *(_share([getattr(one, name) for one in said]) for name in CLAIMS),
        )
    yield "all", "", "", *(_share([getattr(one, name) for one in every]) for name in CLAIMS)


def _named(options: FalseClaimsOptions, rng: np.random.Generator) -> Iterator[Row]:
    for clips, classes in _settings(options):
        runs = (simulated_runs(2, clips, classes, rng) for _ in range(options.reports))
        said = [claims(one, rng, named=True) for one in runs]
        yield (
            f"{clips:,}",
            str(classes),
            "2",
            *(_share([getattr(one, name) for one in said]) for name in CLAIMS),
        )


def _power(options: FalseClaimsOptions, rng: np.random.Generator) -> Iterator[Row]:
    for (clips, classes), points in product(_settings(options), options.points):
        runs = (simulated_runs(3, clips, classes, rng, points / 100) for _ in range(options.reports))
        said = [claims(one, rng) for one in runs]
        found = (_share([one.found[place] for one in said]) for place in range(3))
        yield f"{clips:,}", str(classes), str(points), *found, _share([one.tie for one in said])


def _share(values: list[bool] | list[float]) -> str:
    return f"{100 * float(np.mean(values)):.1f}"


if __name__ == "__main__":
    main([false_claims])
