"""False claims of a report about equally good runs, and its power for true differences.

    python -m bench.false_claims
    python -m bench.false_claims TASK=tags
    python -m bench.false_claims TASK=intervals
    python -m bench.false_claims TASK=best
    python -m bench.false_claims TASK=composed
    python -m bench.false_claims TASK=price

Runs are drawn at random on the same test clips (see `tests.analysis.simulated`) and
judged by the report's functions. A claim is that a run is clearly worse than the best,
or that an ablation is a clear gain or loss. For the power, mel+mfcc is truly better
than the other runs. For the difference that reports call detectable, one run is truly
better, or worse, by it than all others. TASK=intervals has the coverage of the interval
of a difference where few recordings differ. TASK=best has the coverage of both
intervals of the best of many equal runs: its own, and that of its choice on the other
folds. TASK=composed joins the best three of 25 useless features on the tested folds,
and has the reports that call something better than chance if the joined set were
tested, and as they are.
TASK=price has the reports of a loss by a field that means nothing.
"""

from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from featurestack.analysis.nested import nested_score
from featurestack.analysis.ranking import rankings
from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.pipeline.checks.artefacts import linear_accuracies
from featurestack.pipeline.checks.price import by_clip, is_lost
from featurestack.pipeline.datasets.folds import FOLDS, draw_folds
from featurestack.pipeline.datasets.name_fields import FOLDS_OF_GROUPS
from featurestack.results.scores import Floats, Ints
from featurestack.results.tags import (
    fold_ranks,
    jackknife_values,
    random_order_values,
)
from featurestack.results.training_options import STRENGTH
from tests.analysis.simulated import (
    claims,
    interval_holds,
    simulated_runs,
    simulated_tag_runs,
)

CLASSES = 10
# clips of its 304 recordings
ESC10 = [1] * 237 + [2] * 51 + [3] * 10 + [4] * 2 + [5] * 2 + [6, 7]
UNEVEN = np.maximum(5, 600 * np.exp(-np.arange(12) / 3) / 3.5).astype(int)
SEVERAL_CLIPS = {  # recordings -> clips of each
    "8 of 50 clips": [50] * 8,
    "12 of 50": [50] * 12,
    "12 of 5 to 171": UNEVEN.tolist(),
    "20 of 50": [50] * 20,
    "60 of 10": [10] * 60,
    "150 of 3": [3] * 150,
}
RECORDINGS = (8, 10, 12, 30)
BETTER = 0.4  # further distance of the better run's scores of a label from none
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
COMPOSED_CLIPS = (40, 100, 300)
PRICE_CLIPS = (60, 200)
PRICE_VALUES = (2, 3, 5, 20)
PRICE_TIED = (0.0, 0.5)  # share of the clips whose value follows from the class
ACCURACY = 0.75  # accuracy of `simulated_runs`
BEST_CLIPS = (40, 100, 400)
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
    task: Literal[
        "classes",
        "tags",
        "intervals",
        "best",
        "composed",
        "price",
    ] = option(
        "classes",
        "tags: clips with several labels, ranked by mAP; intervals: of"
        " differences between few recordings; best: of the best of many"
        " runs; composed: sets of the best features; price: of a leak that is none",
    )


def false_claims(options: FalseClaimsOptions) -> None:
    """Rates of false claims over equal runs, and the power for true differences, by
    simulation.
    """
    rng = np.random.default_rng(options.seed)
    if options.task == "tags":
        false_claims_of_tags(options, rng)
        return
    if options.task == "intervals":
        intervals_of_differences(options)
        return
    if options.task == "composed":
        composed_sets(options, rng)
        return
    if options.task == "price":
        price_of_nothing(options, rng)
        return
    if options.task == "best":
        best_of_many(options, rng)
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
        "\nPoints that reports say they can show; % of reports that can show any; %"
        " that find a run that is better than all others by so much, and a run that"
        " is worse than all others\n"
    )
    header = ("recordings", "own share", "runs", "can show", "points said")
    rows = [
        detectable_difference(options, rng, "ESC-10", ESC10, own, runs, 0.9)
        for own, runs in product(OWN, options.runs[:2])
    ]
    rows += [
        detectable_difference(options, rng, name, sizes, OWN[1], 3, 0.8)
        for name, sizes in SEVERAL_CLIPS.items()
    ]
    print(text_table(rows, (*header, "better", "worse")))


def detectable_difference(
    options: FalseClaimsOptions,
    rng: np.random.Generator,
    name: str,
    sizes: list[int],
    own: float,
    runs: int,
    accuracy: float,
) -> tuple[Any, ...]:
    """The difference that reports of equal runs on recordings of `sizes` clips say they
    can show, and how often they find it.
    """
    given: dict[str, Any] = {"own": own, "accuracy": accuracy}
    equal = reports(options, rng, runs, sizes, 0.0, **given)
    said = np.array([report.detectable for report in equal])
    possible = np.isfinite(said)
    row = (name, f"{own:g}", runs, f"{100 * possible.mean():.0f}")
    if possible.mean() < 0.5:
        return (*row, "-", "-", "-")
    shown = float(said[possible].mean())
    given["accuracy"] = accuracy - shown
    better = reports(options, rng, runs, sizes, shown, different="mel+mfcc", **given)
    given["accuracy"] = accuracy
    worse = reports(options, rng, runs, sizes, -shown, different="mel", **given)
    found = (*rates(better, "worse"), *rates(worse, "worse"))
    return (*row, f"{100 * shown:.1f}", *found)


def false_claims_of_tags(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """Rates of false claims over two runs with equal mAP, chosen beforehand, and over
    three.
    """
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
                reported.append(claims(runs, named=count == 2))
        rows.append(
            (recordings, kind, count, *rates(said, "overall"), *rates(found, "overall"))
        )
    useless_models(options, rng)
    print(
        f"Tags: % of {options.reports} reports that say runs differ, of runs with equal"
        " mAP (false) and of runs of which one is better (found)\n"
    )
    print(text_table(rows, ("recordings", "clips", "runs", "false", "found")))


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
    for clips, values, tied in product(PRICE_CLIPS, PRICE_VALUES, PRICE_TIED):
        lost = 0
        for _ in range(options.reports):
            target = np.arange(clips) % 5
            x = rng.normal(size=(clips, 60)).astype(np.float32)
            x[:, :5] += 1.2 * np.eye(5, dtype=np.float32)[target]
            field = rng.permutation(np.arange(clips) % values)
            of_class = rng.random(clips) < tied
            field[of_class] = target[of_class] % values
            names = np.arange(clips).astype(str)
            table = pd.DataFrame({"clip_id": names, "copy_of": ""})
            table["label"] = target.astype(str)
            folds = field + 1
            if values > FOLDS_OF_GROUPS:
                folds = draw_folds(table["label"], field.astype(str), FOLDS, 0, {})
            split = table.assign(group=field.astype(str), fold=folds)
            accuracies = [
                float(linear_accuracies(folded, x, STRENGTH).mean())
                for folded in (by_clip(split), split)
            ]
            of_clips, of_field = accuracies
            lost += is_lost(of_clips, of_field, clips)
        rows.append((clips, values, tied, f"{100 * lost / options.reports:.0f}"))
    print(
        f"Fields that mean nothing, {options.reports} checks: % that report points lost"
        " on a new value\n"
    )
    print(text_table(rows, ("clips", "values", "tied to the class", "lost")))


def best_of_many(options: FalseClaimsOptions, rng: np.random.Generator) -> None:
    """How often the interval of the best of equal runs, and that of its choice on the
    other folds, hold the accuracy of all runs.
    """
    rows = []
    for clips, runs in product(BEST_CLIPS, options.runs):
        own, nested, optimism = [], [], []
        for _ in range(options.reports):
            main = rankings(simulated_runs(runs, clips, CLASSES, rng))[0]
            low, high = main.interval[0]
            own.append(low <= ACCURACY <= high)
            mean, low, high = nested_score(main)
            nested.append(low <= ACCURACY <= high)
            optimism.append((main.accuracy[0] - ACCURACY, mean - ACCURACY))
        best, chosen = 100 * np.mean(optimism, axis=0)
        shares = [f"{100 * np.mean(held):.0f}" for held in (own, nested)]
        rows.append(
            (clips, runs, f"{best:+.1f}", shares[0], f"{chosen:+.1f}", shares[1])
        )
    print(
        f"The best of equal runs, {options.reports} reports: points above the truth,"
        " and % of intervals that hold it; as if named beforehand, and chosen on the"
        " other folds\n"
    )
    header = ("clips", "runs", "best", "held", "on other folds", "held")
    print(text_table(rows, header))


def intervals_of_differences(options: FalseClaimsOptions) -> None:
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
