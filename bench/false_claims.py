"""False claims of a report about equally good runs, and its power for true differences.

    python -m bench.false_claims
    python -m bench.false_claims TASK=tags

Runs are drawn at random on the same test clips (see `tests.analysis.simulated`) and
judged by the report's functions. A claim is that a run is clearly worse than the best,
or that an ablation is a clear gain or loss. For the power, mel+mfcc is truly better
than the other runs. On clips like those of ESC-10, mel is truly worse by the difference
that the report calls detectable.
"""

from itertools import product
from typing import Any, Literal

import numpy as np

from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.results.tags import (
    fold_ranks,
    jackknife_values,
    random_order_values,
)
from tests.analysis.simulated import claims, simulated_runs, simulated_tag_runs

CLASSES = 10
# clips of its 304 recordings
ESC10 = [1] * 237 + [2] * 51 + [3] * 10 + [4] * 2 + [5] * 2 + [6, 7]
RECORDINGS = (8, 10, 30)
TAG_CLIPS = 600
# clips, recordings, prevalence of a useless model's labels
USELESS = (
    (400, 400, 0.01),
    (400, 400, 0.25),
    (600, 8, 0.15),
    (600, 12, 0.03),
    (600, 30, 0.05),
    (600, 60, 0.02),
)
FALSE = ("overall", "ablations", "any")
# share of a clip's difficulty that differs between seeds, feature sets, models
OWN = (0.1, 0.3, 0.6)


class FalseClaimsOptions(Options):
    """Rates of false claims over equal runs, and the power for true differences, by
    simulation.
    """

    reports: int = option(100, "simulated reports of each row")
    runs: tuple[int, ...] = option((3, 10, 30), "runs of a report")
    clips: tuple[int, ...] = option(
        (100, 400, 2000), "test clips, two of each source recording"
    )
    points: tuple[int, ...] = option(
        (2, 5, 10), "true differences for the power, in points"
    )
    seed: int = option(0, "seed of the runs")
    task: Literal["classes", "tags"] = option(
        "classes", "tags: clips with several labels, ranked by mAP"
    )


def false_claims(options: FalseClaimsOptions) -> None:
    """Rates of false claims over equal runs, and the power for true differences, by
    simulation.
    """
    rng = np.random.default_rng(options.seed)
    if options.task == "tags":
        false_claims_of_tags(options, rng)
        return
    print(
        f"False claims: % of {options.reports} reports of equally good runs that say"
        " they differ\n"
    )
    rows, every = [], []
    for clips, runs in product(options.clips, (2, *options.runs)):
        named = runs == 2  # with RUN=: one planned comparison, at a level of 0.05
        said = reports(options, rng, runs, clips, named=named)
        every += said
        rows.append((f"{clips:,}", "2, named" if named else runs, *rates(said, *FALSE)))
    print(
        text_table(
            [*rows, ("all", "", *rates(every, *FALSE))],
            ("clips", "runs", "best", "ablations", "any"),
        )
    )
    print(
        "\nPower: % of reports that find the better of three runs, as the winner, as a"
        " gain\n"
    )
    rows = [
        (
            f"{clips:,}",
            points,
            *rates(reports(options, rng, 3, clips, points / 100), "winner", "gain"),
        )
        for clips, points in product(options.clips, options.points)
    ]
    print(text_table(rows, ("clips", "points", "winner", "gain")))
    print(
        "\nESC-10: points that reports say they can show; % that find such a difference"
        " to that run\n"
    )
    rows = []
    for own, runs in product(OWN, options.runs[:2]):
        given: dict[str, Any] = {"own": own, "accuracy": 0.9, "different": "mel"}
        said = reports(options, rng, runs, ESC10, 0.0, **given)
        shown = float(np.mean([report.detectable for report in said]))
        found = reports(options, rng, runs, ESC10, -shown, **given)
        rows.append((f"{own:g}", runs, f"{100 * shown:.1f}", *rates(found, "worse")))
    print(text_table(rows, ("own share", "runs", "points said", "found")))


def false_claims_of_tags(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """Rates of false claims over two runs with equal mAP, chosen beforehand, and over
    three.
    """
    rows = []
    for recordings, uneven in product(RECORDINGS, (False, True)):
        sizes = np.full(recordings, TAG_CLIPS // recordings)
        for count in (2, 3):
            said = []
            for _ in range(options.reports):
                if uneven:
                    shares = rng.lognormal(size=recordings)
                    sizes = np.maximum(5, TAG_CLIPS * shares / shares.sum()).astype(int)
                said.append(
                    claims(simulated_tag_runs(count, sizes, rng), named=count == 2)
                )
            rows.append(
                (
                    recordings,
                    "uneven" if uneven else "even",
                    count,
                    *rates(said, "overall"),
                )
            )
    useless_models(options, rng)
    print(
        f"Tags: % of {options.reports} reports of runs with equal mAP that say they"
        " differ\n"
    )
    print(text_table(rows, ("recordings", "clips", "runs", "best")))


def useless_models(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """Rates at which a random order of the clips is called better than chance."""
    rows = []
    for clips, recordings, prevalence in USELESS:
        groups = np.sort(np.arange(clips) % recordings)
        shares = np.bincount(groups) / clips
        better = 0
        for _ in range(options.reports):
            target = rng.random((clips, CLASSES)) < prevalence
            ranks = fold_ranks(rng.random(target.shape), groups % 5)
            lead = jackknife_values(target, ranks, groups)
            lead -= random_order_values(target, groups)
            p = sign_flip_tests(lead[:, None], shares, LEVEL).p[0]
            better += p < LEVEL and lead.sum() > 0
        share = f"{100 * better / options.reports:.1f}"
        rows.append((clips, recordings, f"{100 * prevalence:g}", share))
    print(
        f"Tags: % of {options.reports} useless models that are called better than"
        " chance\n"
    )
    print(text_table(rows, ("clips", "recordings", "prevalence %", "better")))


def reports(
    options: FalseClaimsOptions,
    rng: np.random.Generator,
    runs: int,
    clips: Any,
    *difference: float,
    **given: Any,
) -> list[Any]:
    """The claims of simulated reports on `runs` runs on the same clips."""
    named = given.pop("named", False)
    drawn = (
        simulated_runs(runs, clips, CLASSES, rng, *difference, **given)
        for _ in range(options.reports)
    )
    return [claims(one, named=named) for one in drawn]


def rates(said: list[Any], *names: str) -> list[str]:
    """The percentage of reports that make each claim."""
    return [
        f"{100 * float(np.mean([getattr(report, name) for report in said])):.1f}"
        for name in names
    ]


if __name__ == "__main__":
    main([false_claims])
