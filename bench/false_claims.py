"""False claims of a report about equally good runs, and its power for true differences.

    python -m bench.false_claims
    python -m bench.false_claims TASK=tags
    python -m bench.false_claims TASK=intervals
    python -m bench.false_claims TASK=composed
    python -m bench.false_claims TASK=price
    python -m bench.false_claims TASK=chance

Runs are drawn at random on the same test clips (see `tests.analysis.simulated`) and
judged by the report's functions. A claim is that a run is clearly worse than the best,
or that an ablation is a clear gain or loss. For the power, mel+mfcc is truly better
than the other runs. TASK=intervals has the coverage of the interval of a difference
where few recordings differ. TASK=composed joins the best three of 25 useless features
on the tested folds, and has the reports that call something better than chance if the
joined set were tested, and as they are.
TASK=price has the reports of a loss by a field that means nothing. TASK=chance has the
reports that call a single model better than chance, of classes of unequal size.
"""

from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from featurestack.analysis.findings import findings
from featurestack.analysis.runs import Results
from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.commandline.commands import script
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.pipeline.checks.probes import accuracies, is_lost
from featurestack.scores.metrics import Floats, Ints
from tests.analysis.simulated import (
    claims,
    interval_holds,
    simulated_recalls,
    simulated_runs,
    simulated_tag_runs,
)

CLASSES = 10
RECORDINGS = (8, 10, 12, 30)
BETTER = 0.4  # further distance of the better run's scores of a label from none
TAG_CLIPS = 600
COMPOSED_CLIPS = (40, 100, 300)
PRICE_VALUES = (  # clips of each value of a field
    (30, 30),
    (80, 10, 10),
    (170, 10, 10, 10),
    (140, 40, 10, 10),
    (340, 20, 20, 20),
    (40, 40, 40, 40, 40),
    (10,) * 20,
)
PRICE_TIED = (0.0, 0.5)  # share of the clips whose value follows from the class
INTERVAL_RECORDINGS = (12, 40, 100, 300)
# clips of a recording, the share of their variance that is common to it
CLUSTERS = ((1, 0.0), (8, 0.0), (8, 0.5), (8, 1.0))
# shares of the clips that only one, and only the other of two runs has right
DISCORDANCE = (
    (0.0, 0.0),
    (0.0025, 0.0025),
    (0.0075, 0.0025),
    (0.02, 0.0),
    (0.02, 0.01),
    (0.05, 0.05),
    (0.08, 0.02),
    (0.1, 0.0),
)
CHANCE_DESIGNS = (
    ((180, 20), (0.85, 0.85)),
    ((900, 100), (0.85, 0.85)),
    ((190, 10), (0.93, 0.9)),
    ((180, 20), (0.9, 0.1)),
    ((180, 20), (0.5, 0.5)),
    ((80, 40, 20, 10), (0.4, 0.2, 0.2, 0.2)),
    ((100, 100), (0.5, 0.5)),
)
FALSE = ("overall", "ablations", "any")
Task = Literal["classes", "tags", "intervals", "composed", "price", "chance"]


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
    task: Task = option(
        "classes",
        "tags: clips with several labels, ranked by mAP; intervals: of"
        " differences between few recordings; composed: sets of the best features;"
        " price: of a leak that is none; chance: models on uneven classes",
    )


def false_claims(options: FalseClaimsOptions) -> None:
    """Rates of false claims over equal runs, and the power for true differences, by
    simulation.
    """
    TASKS[options.task](options, np.random.default_rng(options.seed))


def false_claims_of_classes(
    options: FalseClaimsOptions, rng: np.random.Generator
) -> None:
    """Rates of false claims over equal runs, and the power for true differences."""
    print(
        f"False claims: % of {options.reports} reports of equally good runs that say"
        " they differ\n"
    )
    rows, every = [], []
    for clips, runs in product(options.clips, (2, *options.runs)):
        said = reports(options, rng, runs, clips)
        every += said
        rows.append((f"{clips:,}", runs, *rates(said, *FALSE)))
    print(
        text_table(
            [*rows, ("all", "", *rates(every, *FALSE))],
            ("clips", "runs", "ablations", "any"),
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


def false_claims_of_tags(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """Rates of false claims over two or three runs with equal mAP."""
    rows = []
    designs = product(RECORDINGS, ("even", "uneven"), (2, 3))
    for recordings, kind, count in designs:
        said: list[Any] = []
        found: list[Any] = []
        for _ in range(options.reports):
            sizes = np.full(recordings, TAG_CLIPS // recordings)
            if kind == "uneven":
                shares = rng.lognormal(size=recordings)
                sizes = np.maximum(5, TAG_CLIPS * shares / shares.sum()).astype(int)
            for better, reported in ((0.0, said), (BETTER, found)):
                runs = simulated_tag_runs(count, sizes, rng, better=better)
                reported.append(claims(runs))
        rows.append(
            (recordings, kind, count, *rates(said, "overall"), *rates(found, "overall"))
        )
    print(
        f"Tags: % of {options.reports} reports that say runs differ, of runs with equal"
        " mAP (false) and of runs of which one is better (found)\n"
    )
    print(text_table(rows, ("recordings", "clips", "runs", "false", "found")))


def composed_sets(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """How often the sum of the best three of 25 useless features, or the best of the
    25, is called better than chance.
    """
    rows = []
    for clips in COMPOSED_CLIPS:
        target = np.arange(clips) % 4
        folds = np.arange(clips) // 4 % 5
        shares = np.full(clips, 1 / clips)
        accuracy = []
        called = []
        for _ in range(options.reports):
            features = rng.normal(size=(25, clips, 8))
            correct = [correct_by_lda(x, target, folds) for x in features]
            order = np.argsort([-each.mean() for each in correct])
            joined = np.concatenate(features[order[:3]], axis=1)
            correct.append(correct_by_lda(joined, target, folds))
            lead = np.stack(correct, axis=1) - 0.25
            accuracy.append(correct[-1].mean())
            claims_of_best = []
            for tested in (lead, lead[:, :-1]):
                p = sign_flip_tests(tested, shares, LEVEL, draws=1000).p
                best = tested.sum(axis=0).argmax()
                claims_of_best.append(p[best] < LEVEL and tested[:, best].sum() > 0)
            called.append(claims_of_best)
        of_joined, of_single = 100 * np.mean(called, axis=0)
        mean = f"{100 * np.mean(accuracy):.1f}"
        rows.append((clips, mean, f"{of_joined:.0f}", f"{of_single:.0f}"))
    print(
        f"Useless features, {options.reports} reports: accuracy of the best three of 25"
        " joined (in truth 25 %), and % that call something better than chance: if the"
        " joined set is tested, and without it\n"
    )
    print(text_table(rows, ("clips", "joined %", "tested", "without")))


def correct_by_lda(x: Floats, target: Ints, folds: Ints) -> Floats:
    """(N,) whether shrunken linear discriminant analysis of the other folds' clips
    predicts each clip.
    """
    correct = np.zeros(len(target))
    for fold in np.unique(folds):
        tested = folds == fold
        seen, labels = x[~tested], target[~tested]
        means = np.stack([seen[labels == name].mean(axis=0) for name in range(4)])
        rest = seen - means[labels]
        covariance = rest.T @ rest / len(rest) + 0.2 * np.eye(x.shape[1])
        directions = np.linalg.solve(covariance, means.T)
        logits = x[tested] @ directions - (means.T * directions).sum(axis=0) / 2
        correct[tested] = logits.argmax(axis=1) == target[tested]
    return correct


def price_of_nothing(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """How often a loss is reported on a new value of a field that means nothing, also
    of one whose values occur in some classes more often than in others.
    """
    rows = []
    for sizes, tied in product(PRICE_VALUES, PRICE_TIED):
        lost = 0
        clips = sum(sizes)
        for _ in range(options.reports):
            target = np.arange(clips) % 5
            x = rng.normal(size=(clips, 60))
            x[:, :5] += 1.2 * np.eye(5)[target]
            field = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
            of_class = rng.random(clips) < tied
            field[of_class] = target[of_class] % len(sizes)
            table = pd.DataFrame({"label": target.astype(str)})
            table["group"] = np.arange(clips).astype(str)
            by_clip, by_field = accuracies([x], table, pd.Series(field).astype(str))
            lost += is_lost(by_clip, by_field, clips)
        rows.append((clips, sizes, tied, f"{100 * lost / options.reports:.0f}"))
    print(
        f"Fields that mean nothing, {options.reports} checks: % that report points lost"
        " on a new value\n"
    )
    header = ("clips", "clips of each value", "tied to the class", "lost")
    print(text_table(rows, header))


def better_than_chance(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """How often a single model is called better than chance: a useful one, and one
    whose answers do not depend on the class.
    """
    rows = []
    for sizes, recalls in CHANCE_DESIGNS:
        said = [
            findings(Results([simulated_recalls(sizes, recalls, rng)], [])).state
            for _ in range(options.reports)
        ]
        better = 100 * np.mean([state != "chance" for state in said])
        rows.append((f"{sizes}", f"{recalls}", f"{better:.0f}"))
    print(
        f"One model, {options.reports} reports: % that call it better than chance, by"
        " the classes' clips and the recall of each\n"
    )
    print(text_table(rows, ("clips", "recall", "better")))


def intervals_of_differences(
    options: FalseClaimsOptions, _: np.random.Generator
) -> None:
    """How often the 95 % interval of a difference holds the truth, where few recordings
    differ.
    """
    rows = []
    for (clips, together), recordings in product(CLUSTERS, INTERVAL_RECORDINGS):
        cells = []
        for more, less in DISCORDANCE:
            rng = np.random.default_rng(options.seed)
            held = [
                interval_holds(recordings, clips, more, less, rng, together=together)
                for _ in range(options.reports)
            ]
            coverage, width = 100 * np.mean(held, axis=0)
            cells.append(f"{coverage:.0f} ({width:.1f})")
        rows.append((recordings, clips, f"{together:g}", *cells))
    print(
        f"Intervals, {options.reports} simulations: % that hold the truth (width in"
        " points), by the shares of clips that one, and the other run alone has right\n"
    )
    header = [f"{100 * more:g} + {100 * less:g} %" for more, less in DISCORDANCE]
    print(text_table(rows, ("recordings", "clips", "together", *header)))


def reports(
    options: FalseClaimsOptions,
    rng: np.random.Generator,
    runs: int,
    clips: Any,
    *difference: float,
    **given: Any,
) -> list[Any]:
    """The claims of simulated reports on `runs` runs on the same clips."""
    drawn = (
        simulated_runs(runs, clips, CLASSES, rng, *difference, **given)
        for _ in range(options.reports)
    )
    return [claims(one) for one in drawn]


def rates(said: list[Any], *names: str) -> list[str]:
    """The percentage of reports that make each claim."""
    return [
        f"{100 * float(np.mean([getattr(report, name) for report in said])):.1f}"
        for name in names
    ]


TASKS = {
    "classes": false_claims_of_classes,
    "tags": false_claims_of_tags,
    "intervals": intervals_of_differences,
    "composed": composed_sets,
    "price": price_of_nothing,
    "chance": better_than_chance,
}

if __name__ == "__main__":
    script(false_claims)
