"""How often the statements of reports and commands are false, by simulation.

    python -m bench.statements                            all, in some hours
    python -m bench.statements STATEMENT=tags REPORTS=40

Each simulation draws data whose truth is known, hands them to the functions that make
the statement, and prints a table: the share of statements that are false, or of
intervals that hold the truth. A simulation is one function below STATEMENTS; its
docstring says what its table shows.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.record import bench, record, spent
from bench.worlds import World, models_of, of_drawings
from bench.worlds import draw as draw_world
from featurestack import ridge
from featurestack.analysis.findings import findings
from featurestack.analysis.report.runs import Configuration, load_runs
from featurestack.answers import AnswerOptions
from featurestack.answers.answer import ask
from featurestack.answers.choice import choose_sets, rank, train
from featurestack.answers.chosen import read_choice
from featurestack.base.options import Options, option
from featurestack.base.quantities import counted
from featurestack.base.registry import Registry
from featurestack.base.terminal import text_table
from featurestack.checks.ridge_findings import accuracies, is_lost
from featurestack.comparison.average_precision import (
    average_precision,
    macro,
    precision_of_seeds,
)
from featurestack.comparison.metrics import Floats, Ints, Labels, indicator
from featurestack.comparison.ranking import ModelRanking, in_order
from featurestack.comparison.scores import BALANCED_ACCURACY, Predictions
from featurestack.comparison.significance import (
    FAMILY_LEVEL,
    LEVEL,
    between_recordings,
    recording_sums,
    sign_flip_tests,
)
from featurestack.extras.recordings.check import (
    draw_sample,
    precisions,
    promised,
    weighted,
)
from featurestack.extras.recordings.detections import candidates, merge_windows
from featurestack.features_cache import external
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import SEPARATOR
from featurestack.features_cache.folds import draw_folds
from featurestack.results.run_folder import find
from featurestack.results.training_options import STRENGTH
from tests.analysis.simulated import (
    FOLDS,
    claims,
    simulated_run,
    simulated_runs,
    simulated_tag_runs,
)

FEWEST_KEPT = 100  # reports
Rows = Iterator[tuple[object, ...]]  # the head of a table, then its rows
Simulation = Callable[[int, np.random.Generator], Rows]


def percent(values: object) -> str:
    """The share of true values; none if there is no value."""
    told = np.asarray(values, float)
    return f"{100 * told.mean():.1f}" if len(told) else "none"


def interval_holds(
    recordings: int,
    clips: int,
    more: float,
    less: float,
    rng: np.random.Generator,
    *,
    together: float,
) -> bool:
    """Whether the interval of a simulated difference contains the true difference.

    more, less  shares of the clips that only the second or only the first run
                classifies correctly
    together    share of the variance that the clips of a recording have in common
    """
    shared = rng.normal(size=(recordings, 1))
    own = rng.normal(size=(recordings, clips))
    place = norm.cdf(np.sqrt(together) * shared + np.sqrt(1 - together) * own)
    gained = (place < more).sum(axis=1)
    lost = (place > 1 - less).sum(axis=1)
    differences = (gained - lost)[:, None]
    shares = np.full(recordings, 1 / recordings)
    unit = recordings * clips
    found = sign_flip_tests(differences, shares, LEVEL, draws=1000, unit=unit)
    _, low, high, _ = found[0]
    return bool(low <= more - less <= high)


def simulated_recalls(
    sizes: Sequence[int], recalls: Sequence[float], rng: np.random.Generator
) -> Configuration:
    """A run whose answers are right for the given share of each class's clips, each a
    recording of its own; wrong answers are drawn among the other classes.

    sizes  the number of clips of each class
    """
    target = np.repeat(np.arange(len(sizes)), sizes)
    right = rng.random(len(target)) < np.repeat(recalls, sizes)
    others = rng.integers(1, len(sizes), len(target))
    predicted = (target + np.where(right, 0, others)) % len(sizes)
    every = np.eye(len(sizes))
    clips = np.arange(len(target))
    labels, answers = every[target] > 0, every[predicted]
    return simulated_run("mel", clips, clips % FOLDS + 1, labels, answers)


def classes(reports: int, rng: np.random.Generator) -> Rows:
    """% of 95 % intervals of balanced accuracy, and of mAP, that hold the truth if some
    classes have few clips: by the recordings of the classes, the clips of each, which
    share half of their variance, and the recalls (of mAP: the distance of a class's
    scores from the others, in deviations).
    """
    yield "score", "recordings of the classes", "clips of each", "by class", "% holds"
    accuracies: Sequence[tuple[Sequence[int], int, Sequence[float]]] = (
        ((270, 30), 1, (0.85, 0.85)),
        ((285, 15), 1, (0.85, 0.85)),
        ((290, 10), 1, (0.9, 0.8)),
        ((295, 5), 1, (0.9, 0.8)),
        ((45, 5), 1, (0.9, 0.8)),
        ((50,) * 8 + (3,) * 2, 1, (0.8,) * 10),
        ((100, 50, 20, 10, 5), 1, (0.97, 0.95, 0.93, 0.92, 0.9)),
        ((150, 150), 1, (0.85, 0.85)),
        ((180, 120), 1, (0.85, 0.85)),
        ((60, 30), 1, (0.9, 0.9)),
        ((60, 8), 4, (0.85, 0.85)),
        ((40, 5), 8, (0.9, 0.8)),
        ((30, 10, 5), 4, (0.9, 0.85, 0.8)),
        ((60, 5), 10, (0.9, 0.9)),
    )
    for recordings, clips, recalls in accuracies:
        target = np.repeat(np.arange(len(recordings)), recordings).repeat(clips)
        groups = np.arange(sum(recordings)).repeat(clips)
        held = []
        for _ in range(reports):
            easy = together(groups, clips, rng) < norm.ppf(np.array(recalls)[target])
            answers = np.eye(len(recordings))[(target + ~easy) % len(recordings)]
            labels = indicator(target, len(recordings))
            run = simulated_run("mel", groups, groups % FOLDS + 1, labels, answers)
            score = replace(run, metric=BALANCED_ACCURACY).score
            held.append(score.low <= np.mean(recalls) <= score.high)
        yield "balanced accuracy", recordings, clips, recalls, percent(held)
    for total, positive, clips, distances in (
        (200, (40,) * 4, 1, (2.0,) * 4),
        (300, (90, 90, 6, 6), 1, (2.5,) * 4),
        (300, (90, 5), 1, (2.5, 4.0)),
        (300, (90, 5), 1, (2.5, 2.0)),
        (60, (18, 4), 5, (2.5, 3.0)),
        (60, (18, 3), 5, (2.5, 4.0)),
    ):
        design = positive, clips, distances, rng
        truths = [labelled(20, total, *design)[:2] for _ in range(10)]
        truth = np.mean([macro(average_precision(*each)) for each in truths])
        held = []
        for _ in range(reports):
            labels, scores, groups = labelled(1, total, *design)
            low, high = precision_of_seeds(labels, scores[None], groups)[-1, 1:]
            held.append(low <= truth <= high)
        yield "mAP", f"{positive} of {total}", clips, distances, percent(held)


def together(groups: Ints, clips: int, rng: np.random.Generator) -> Floats:
    """(N,) normal numbers; the clips of a recording share half of their variance."""
    own = rng.normal(size=len(groups))
    if clips == 1:
        return own
    return np.sqrt(0.5) * (own + rng.normal(size=groups.max() + 1)[groups])


def labelled(
    times: int,
    total: int,
    positive: Sequence[int],
    clips: int,
    distances: Sequence[float],
    rng: np.random.Generator,
) -> tuple[Labels, Floats, Ints]:
    """Labels and scores (N, K) and recordings (N,) of `times` a dataset of so many
    recordings, of which so many have each class.
    """
    groups = np.arange(total * times).repeat(clips)
    order = rng.permuted(np.tile(np.arange(total * times), (len(positive), 1)), axis=1)
    labels = (np.array(positive) * times > order.T)[groups]
    scores = [together(groups, clips, rng) for _ in positive]
    return labels, np.stack(scores, axis=1) + labels * np.array(distances), groups


def equal_runs(reports: int, rng: np.random.Generator) -> Rows:
    """% of reports of equally good runs that say that they differ; % that find the
    better of three runs, where one is better.
    """
    yield "clips", "runs", "points", "ablations", "any", "winner", "gain"
    designs = [
        *((clips, runs, 0) for clips, runs in product((100, 400), (2, 3, 10))),
        *((clips, 3, points) for clips, points in product((100, 400), (5, 10))),
    ]
    for clips, runs, points in designs:
        difference = (points / 100,) if points else ()
        drawn = (runs, clips, 10, rng, *difference)
        said = [claims(simulated_runs(*drawn)) for _ in range(reports)]
        kinds = ("winner", "gain") if points else ("ablations", "any")
        rates = [percent([getattr(each, kind) for each in said]) for kind in kinds]
        yield clips, runs, points, *(("", "", *rates) if points else (*rates, "", ""))


def tags(reports: int, rng: np.random.Generator) -> Rows:
    """% of reports that say that runs differ, of runs with equal mAP (false) and of
    runs of which one is better (found).
    """
    yield "recordings", "clips of each", "runs", "false", "found"
    for recordings, kind, count in product((8, 12, 30), ("even", "uneven"), (2, 3)):
        said: dict[float, list[bool]] = {0.0: [], 0.4: []}
        for _ in range(reports):
            sizes = np.full(recordings, 600 // recordings)
            if kind == "uneven":
                shares = rng.lognormal(size=recordings)
                sizes = np.maximum(5, 600 * shares / shares.sum()).astype(int)
            for better, overall in said.items():
                runs = simulated_tag_runs(count, sizes, rng, better=better)
                overall.append(claims(runs).overall)
        yield recordings, kind, count, *map(percent, said.values())


def intervals(reports: int, rng: np.random.Generator) -> Rows:
    """% of 95 % intervals of a difference that hold the truth, by the shares of the
    clips that one, and the other of two runs alone has right.
    """
    shares = ((0.0, 0.0), (0.0075, 0.0025), (0.02, 0.01), (0.05, 0.05), (0.1, 0.0))
    heads = [f"{100 * more:g} + {100 * less:g} %" for more, less in shares]
    yield "recordings", "clips of each", "in common", *heads
    clusters = ((1, 0.0), (8, 0.0), (8, 0.5), (8, 1.0))
    for (clips, together), recordings in product(clusters, (12, 40, 100, 300)):
        held = []
        for more, less in shares:
            drawn = [
                interval_holds(recordings, clips, more, less, rng, together=together)
                for _ in range(reports)
            ]
            held.append(drawn)
        yield recordings, clips, together, *map(percent, held)


def highest(reports: int, rng: np.random.Generator) -> Rows:
    """% of datasets whose highest of several equal runs, of 75 % accuracy each, has a
    95 % interval that misses the truth: one run alone, eight, thirty; `own` is the
    share of a clip's difficulty that is a run's alone.
    """
    yield "clips", "own", "1 run", "8 runs", "30 runs"
    for clips, own in product((100, 400), (0.5, 1.0)):
        missed: list[list[bool]] = []
        for count in (1, 8, 30):
            missed.append([])
            for _ in range(reports):
                runs = simulated_runs(count, clips, 10, rng, own=own)
                score = max(runs, key=lambda run: run.score.value).score
                missed[-1].append(not score.low <= 0.75 <= score.high)
        yield clips, own, *map(percent, missed)


def chance(reports: int, rng: np.random.Generator) -> Rows:
    """% of reports that call a single model better than chance: useful ones, and ones
    whose answers do not depend on the class.
    """
    yield "clips of the classes", "recall", "called better"
    for sizes, recalls in (
        ((180, 20), (0.85, 0.85)),
        ((190, 10), (0.93, 0.9)),
        ((180, 20), (0.9, 0.1)),
        ((180, 20), (0.5, 0.5)),
        ((80, 40, 20, 10), (0.4, 0.2, 0.2, 0.2)),
        ((100, 100), (0.5, 0.5)),
    ):
        runs = [simulated_recalls(sizes, recalls, rng) for _ in range(reports)]
        clear = [not findings([run]).chance for run in runs]
        yield sizes, recalls, percent(clear)


def noise(reports: int, rng: np.random.Generator) -> Rows:
    """% of reports on eight feature sets of noise, trained by cross-validation, that
    call the best of them better than chance, and on one set alone: 60 clips of two even
    classes, folds as `make data` draws them.
    """
    yield "model", "% claimed, best of eight", "% claimed, one set"
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH))
    fits: dict[str, Callable[[Floats, Ints, Floats], Floats]] = {
        "ridge": lambda x, y, new: softmax(
            ridge.fit(x, y, 2, [8], np.arange(len(y))).logits(new), axis=1
        ),
        "linear": lambda x, y, new: linear.fit(x, y).predict_proba(new),
    }
    y = np.arange(60) % 2
    labels, clips = np.eye(2, dtype=bool)[y], np.arange(60)
    for model, fit in fits.items():
        claimed: dict[int, list[bool]] = {8: [], 1: []}
        for report in range(reports):
            names = [f"clip {number} of {report}" for number in clips]
            folds = draw_folds(y.astype(str), names, 5, 0, {})
            runs = []
            for number in range(8):
                x = rng.normal(size=(60, 8))
                answers = np.zeros((60, 2))
                for fold in range(1, 6):
                    test = folds == fold
                    answers[test] = fit(x[~test], y[~test], x[test])
                run = simulated_run(f"f{number}", clips, folds, labels, answers)
                runs.append(run)
            for count, of_count in claimed.items():
                of_count.append(not findings(runs[:count]).chance)
        yield model, percent(claimed[8]), percent(claimed[1])


SIGNS = 1_000  # patterns of signs, fewer than a report draws
DRAWINGS = 5  # of the folds
# whose classes are even
WORLDS = (
    World("80 clips, noise", 80, 1, 4),
    World("80 clips", 80, 1, 4, strength=1.2, better=1.5),
    World("30 recordings of 4, noise", 30, 4, 3),
    World("30 recordings of 4, weak", 30, 4, 3, strength=0.8),
    World("30 recordings of 4", 30, 4, 3, strength=1.6, better=1.4),
    World("60 recordings of 5, weak", 60, 5, 6, strength=0.8),
    World("60 recordings of 5", 60, 5, 6, strength=1.6, better=0.8),
    World("12 recordings of 10", 12, 10, 4, strength=1.5, better=1.5),
    World("200 clips, 60 numbers", 200, 1, 2, 60, strength=1.0, better=0.5),
    World("400 clips", 400, 1, 10, 12, strength=2.0, better=0.25),
    World("1,000 clips", 1000, 1, 20, 24, strength=2.5, better=0.3),
)
# whose first feature set leads by about ten points
TEN_POINTS = (
    World("400 clips", 400, 1, 10, 12, strength=2.0, better=0.33),
    World("200 clips", 200, 1, 10, 12, strength=2.0, better=0.295),
    World("50 recordings of 8", 50, 8, 10, 12, strength=2.0, better=0.26),
)
# for `factors`: another number of recordings or of features in each
CHOOSING = (
    World("12 recordings of 10", 12, 10, 3, strength=1.6, better=1.6),
    World("12 recordings of 10, weak", 12, 10, 3, strength=1.0, better=1.6),
    World("16 recordings of 6", 16, 6, 2, 10, strength=1.3, better=1.5),
    World("20 recordings of 8", 20, 8, 4, strength=1.6, better=1.4),
    World("24 recordings of 5", 24, 5, 3, 12, strength=1.3, better=1.2),
    World("28 recordings of 5", 28, 5, 4, strength=1.5, better=1.3),
    World("36 recordings of 4", 36, 4, 4, strength=1.5, better=1.2),
    World("40 recordings of 3", 40, 3, 2, 16, strength=1.2, better=1.0),
    World("50 recordings of 8", 50, 8, 5, strength=1.6, better=0.7),
    World("70 recordings of 3", 70, 3, 3, 10, strength=1.2, better=0.9),
    World("100 clips", 100, 1, 5, strength=1.4, better=1.0),
    World("150 clips", 150, 1, 2, 20, strength=0.9, better=0.6),
    World("300 clips", 300, 1, 6, 12, strength=1.6, better=0.4),
)


def worse(models: Sequence[Predictions], level: float) -> NDArray[np.bool_]:
    """Which of the models after the best are clearly worse."""
    ranking = ModelRanking(
        runs=in_order(models), crossed=True, level=level, draws=SIGNS
    )
    places = range(1, len(models))
    return np.array([ranking.verdict(place) == "clearly worse" for place in places])


def sets(reports: int, rng: np.random.Generator, model: str = "ridge") -> Rows:
    """% of reports that call a feature set clearly worse although all are equally good
    (false), and % of the worse sets that are called so if one set is better (found), by
    one and by several drawings of the folds, all trained with ridge. Two sets are
    tested at the level of `fs.compare`.
    """
    heads = [
        f"% {what}, {counted(drawings, 'drawing')}"
        for what in ("false", "found")
        for drawings in (1, DRAWINGS)
    ]
    yield "world", "model", "sets", *heads
    for world in WORLDS:
        dear = world.recordings > 500 or model == "linear"
        number = max(1, reports // 4) if dear else reports
        own_rng = np.random.default_rng([rng.integers(2**32)])
        rates: dict[tuple[int, float, int], list[float]] = {}
        for better in {0.0, world.better}:
            for _ in range(number):
                dataset = draw_world(world._replace(better=better), 8, own_rng)
                models = models_of(dataset, model, DRAWINGS, own_rng)
                for count, drawings in product((2, 3, 8), (1, DRAWINGS)):
                    few = of_drawings(models[:count], drawings)
                    clear = worse(few, LEVEL if count == 2 else FAMILY_LEVEL)
                    # others are worse than the first set, or than none
                    found = in_order(few)[0].name == "0"
                    rate = clear.mean() * found if better else clear.any()
                    rates.setdefault((count, better, drawings), []).append(float(rate))
        for count in (2, 3, 8):
            told = [percent(rates[count, 0.0, drawings]) for drawings in (1, DRAWINGS)]
            if world.better:
                own = (rates[count, world.better, each] for each in (1, DRAWINGS))
                told += map(percent, own)
            else:
                told += ["", ""]
            yield world.name, model, count, *told


def ten_points(reports: int, rng: np.random.Generator) -> Rows:
    """% of datasets in which the better of two feature sets is found, by ridge and one
    or several drawings of the folds. Its lead is that of the simulated datasets, in
    points, on average.
    """
    found = [f"% found, {counted(drawings, 'drawing')}" for drawings in (1, DRAWINGS)]
    yield "world", "% of lead", *found
    for world in TEN_POINTS:
        leads, clear = [], []
        for _ in range(reports):
            dataset = draw_world(world, 2, rng)
            both = models_of(dataset, "ridge", DRAWINGS, rng)
            leads.append(both[0].score.value - both[1].score.value)
            few = [of_drawings(both, drawings) for drawings in (1, DRAWINGS)]
            led = [own[0].score.value > own[1].score.value for own in few]
            clear.append([lead & worse(own, LEVEL)[0] for lead, own in zip(led, few)])
        yield world.name, percent(leads), *map(percent, np.transpose(clear))


def linear_sets(reports: int, rng: np.random.Generator) -> Rows:
    """The table of `sets`, trained with logistic regression."""
    yield from sets(reports, rng, "linear")


def nearest_sets(reports: int, rng: np.random.Generator) -> Rows:
    """As `sets`, for a classifier that gives the class of the nearest clip."""
    yield from sets(reports, rng, "nearest")


def factors(reports: int, rng: np.random.Generator) -> Rows:
    """% of reports with a false difference, and % of the worse sets that are found, on
    worlds of its own, by how the variance of training counts: by factors of the
    variance between recordings, and by several drawings whose variance counts `times`.
    """
    rules = [f"factor {own:g}" for own in (1.0, 1.25, 1.5, 1.75, 2.0, 2.25)]
    rules += [f"times {own:g}" for own in (1.5, 2.0, 3.0, 4.0)]
    kinds = ("false", "found")
    yield "world", "model", "sets", "drawings", "kind", *rules
    for world, model, kind in product(CHOOSING, ("ridge", "nearest"), kinds):
        own = world if kind == "found" else world._replace(better=0.0)
        clear: dict[tuple[int, int], list[list[float]]] = {}
        for _ in range(reports):
            dataset = draw_world(own, 8, rng)
            models = models_of(dataset, model, DRAWINGS, rng)
            for count, drawings in product((2, 3, 8), (1, DRAWINGS)):
                few = in_order(of_drawings(models[:count], drawings))
                ranking = ModelRanking(runs=few, crossed=True, draws=SIGNS)
                row = [
                    called(ranking, rule, count) * (few[0].name == "0")
                    if kind == "found"
                    else float(called(ranking, rule, count) > 0)
                    for rule in rules
                ]
                clear.setdefault((count, drawings), []).append(row)
        for (count, drawings), rates in clear.items():
            told = [f"{100 * rate:.1f}" for rate in np.mean(rates, axis=0)]
            yield world.name, model, count, drawings, kind, *told


def called(ranking: ModelRanking[Predictions], rule: str, count: int) -> float:
    """The share of the models that a rule of `factors` calls clearly worse."""
    what, number = rule.split()
    others = np.arange(1, count)
    by_seed = np.stack([model.parts_of_seeds for model in ranking.runs], axis=-1)
    sums = [recording_sums(own, ranking.best.units) for own in by_seed]
    differences = np.stack(sums)[..., others] - np.stack(sums)[..., [0]]
    differences /= by_seed.shape[1]
    between = between_recordings(differences.mean(axis=0), ranking.shares)
    training = (float(number) - 1) * between
    if what == "times":
        if len(differences) == 1:
            return np.nan
        training = float(number) * differences.var(axis=0, ddof=1).sum(axis=0)
    level = LEVEL if count == 2 else FAMILY_LEVEL
    tests = sign_flip_tests(
        differences.mean(axis=0),
        ranking.shares,
        level,
        selected=True,
        unit=1.0,
        draws=SIGNS,
        training=training,
    )
    return float((tests[:, 3] < level).mean())


def price(reports: int, rng: np.random.Generator) -> Rows:
    """% of checks that report points lost on a new value of a field of the names that
    means nothing, also of one whose values go with the class.
    """
    yield "clips of each value", "tied to the class", "lost"
    designs: tuple[tuple[int, ...], ...] = ((30, 30), (80, 10, 10), (10,) * 20)
    designs += ((170, 10, 10, 10), (140, 40, 10, 10), (340, 20, 20, 20), (40,) * 5)
    for sizes, tied in product(designs, (0.0, 0.5)):
        lost = []
        clips = sum(sizes)
        for _ in range(reports):
            target = np.arange(clips) % 5
            x = rng.normal(size=(clips, 60))
            x[:, :5] += 1.2 * np.eye(5)[target]
            field = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
            of_class = rng.random(clips) < tied
            field[of_class] = target[of_class] % len(sizes)
            table = pd.DataFrame({"label": target.astype(str)})
            table["group"] = np.arange(clips).astype(str)
            by_clip, by_field = accuracies([x], table, pd.Series(field).astype(str))
            lost.append(is_lost(by_clip, by_field, clips))
        yield sizes, tied, percent(lost)


class Design(NamedTuple):
    """A dataset of 25 brought features of 8 numbers, in four classes."""

    recordings: int
    clips: int  # clips per recording; half of their variance is common to it
    strength: float  # the class's effect on each feature, in deviations; 0 for noise

    def features(self, target: Ints, recording: Ints, rng: np.random.Generator) -> Any:
        """(25, N, 8) the features of clips."""
        own = rng.normal(size=(25, len(target), 8))
        common = rng.normal(size=(25, recording.max() + 1, 8))
        x = np.sqrt(0.5) * (own + common[:, recording])
        x[:, :, :4] += self.strength * np.eye(4)[target]
        return x


def answered(design: Design, rng: np.random.Generator, place: Path) -> dict[str, float]:
    """The truth about one dataset, and the claims of its answer."""
    recording = np.repeat(np.arange(design.recordings), design.clips)
    target = recording % 4
    ids = [f"clip{number}" for number in range(len(target))]
    groups = [f"recording{number}" for number in recording]
    labels = np.array([f"class{number}" for number in target])
    folder = place / "made" / "features"
    table = {"clip_id": ids, "label": labels, "group": groups}
    external.create_cache(folder, {**table, "fold": recording // 4 % 5 + 1})
    for number, values in enumerate(design.features(target, recording, rng)):
        external.write_feature(folder, f"f{number:02d}", values, ids)
    question = ask(AnswerOptions(dataset=str(folder), runs=place / "runs"))
    question.folder.mkdir(parents=True, exist_ok=True)
    scores = rank(question.options, Cache(folder), question.features)
    fits, chosen = scores.fits, choose_sets(scores, [])
    run = train(
        question.options,
        question.folder,
        fits.plan.config.folds,
        chosen,
        balanced=fits.metric.balanced,
    )
    config = run.config

    truth = 0.25
    if design.strength:
        new, right = np.arange(2_000) % 4, []
        drawn = design.features(new, np.arange(2_000), rng)
        numbers = dict(zip(sorted(fits.numbers), drawn))
        for fold, names in zip(config.folds, read_choice(run.path).sets):
            model = fits.fit(names, fits.trained(fold))
            of_set = [numbers[name] for name in names.split("+")]
            logits = model.logits(np.concatenate(of_set, axis=1))
            right.append(logits.argmax(axis=1) == new)
        truth = float(np.mean(right))
    found = findings(*load_runs([run]))
    score = found.best.score
    return {
        "truth": truth,
        "points above": 100 * (score.value - truth),
        "interval holds it": score.low <= truth <= score.high,
        "better": found.main is not None and found.main.against_chance.clear,
        "differs": any(own.verdict == "clearly worse" for own in found.ranked),
        "recommended": not found.chance,
    }


def answers(reports: int, rng: np.random.Generator) -> Rows:
    """`make answer` on features that are all noise or all equally good: the truth in %,
    points printed above it, and % of reports whose interval holds it, that call
    something better than chance, call something clearly worse, and recommend a set.
    """
    kinds = ("interval holds it", "better", "differs", "recommended")
    yield "dataset", "truth", "points above", *kinds
    for name, design in {
        "40 clips, noise": Design(40, 1, 0.0),
        "100 clips, noise": Design(100, 1, 0.0),
        "24 x 8 clips, noise": Design(24, 8, 0.0),
        "100 clips, equal": Design(100, 1, 1.0),
        "24 x 8 clips, equal": Design(24, 8, 1.0),
    }.items():
        rows = []
        for _ in range(reports):
            with tempfile.TemporaryDirectory() as place:
                rows.append(answered(design, rng, Path(place)))
        told = pd.DataFrame(rows)
        above = told["points above"]
        error = f"{above.mean():+.1f} ± {above.std() / np.sqrt(reports):.1f}"
        shares = [percent(told[kind]) for kind in kinds]
        yield name, percent(told["truth"]), error, *shares


def promise(reports: int, rng: np.random.Generator) -> Rows:
    """% of studies by `predict CHECK=` that promise a precision of 0.9, and % of these
    that break it. A study has 30 of the recordings of the finch, `runs/finch` of
    docs/howto/windows.md; it draws its checks among the detections of the run's test
    folds. A detection is right if it shares time with a marked sound of its name.
    """
    yield "threshold", "checks", "promised", "broken"
    for run in find(Path("runs"), "finch")[:1]:
        windows = run.scored().rename(columns={"group": "file"})
        marked = windows["target"].str.get_dummies(SEPARATOR).filter([*run.classes])
        marks = merge_windows(
            windows[["file", "start", "end"]].join(marked),
            dict.fromkeys(marked, 0.5),
        )
        for threshold, checks in product((0.1, 0.5), (100, 300)):
            drawn = candidates(windows, dict.fromkeys(run.classes, threshold))
            pairs = drawn.reset_index().merge(marks, on=["file", "label"])
            shared = pairs[["end_x", "end_y"]].min(axis=1) > pairs[
                ["start_x", "start_y"]
            ].max(axis=1)
            drawn["correct"] = drawn.index.isin(pairs["index"][shared]).astype(float)
            kept = []
            for _ in range(reports):
                files = rng.permutation(drawn["file"].unique())[:30]
                study = drawn[drawn["file"].isin(files)].reset_index(drop=True)
                kept += kept_promise(study, checks, rng)
            promised = f"{100 * len(kept) / reports:.1f}"
            yield threshold, checks, promised, percent(~np.array(kept, bool))


def kept_promise(
    study: pd.DataFrame, checks: int, rng: np.random.Generator
) -> list[bool]:
    """Check some detections and return whether those above the promised threshold
    really have the promised precision; empty if no threshold is promised.
    """
    predicted = study["predicted"].to_numpy(bool)
    places, above, numbers = draw_sample(
        study["score"].to_numpy(), predicted, checks, rng
    )
    answers = study.iloc[places].assign(above=above, detections=numbers)
    answers = answers.rename(columns={"file": "recording"})
    rows = precisions(weighted(answers))
    row = promised(rows, 0.9)
    if row is None:
        return []
    found = predicted if np.isnan(row["above"]) else study["score"] > row["above"]
    return [study["correct"][found].mean() >= 0.9]


SIMULATIONS: tuple[Simulation, ...]
SIMULATIONS = (
    classes,
    equal_runs,
    sets,
    linear_sets,
    nearest_sets,
    factors,
    ten_points,
    tags,
    intervals,
    highest,
    chance,
    noise,
    price,
    answers,
)
SIMULATIONS += (promise,)
STATEMENTS = Registry("statement", {each.__name__: each for each in SIMULATIONS})


class StatementsOptions(Options):
    """How often statements are false, by simulation."""

    statement: tuple[str, ...] = option(
        (), f"of {', '.join(STATEMENTS)}; all by default"
    )
    reports: int = option(100, "simulated reports of each row", least=1)
    seed: int = option(0, "seed of what is drawn")


def statements(options: StatementsOptions) -> None:
    """Print a table for each statement."""
    for name in options.statement or STATEMENTS:
        simulated = STATEMENTS[name]
        used = spent()
        head, *rows = simulated(options.reports, np.random.default_rng(options.seed))
        print(f"{name}: {' '.join((simulated.__doc__ or '').split())}")
        print(f"{options.reports} simulations of each row\n")
        print(text_table(rows, [str(each) for each in head]), "\n", flush=True)
        keep(name, head, rows, options.reports, spent() - used)


def keep(
    name: str,
    head: Sequence[object],
    rows: Sequence[Sequence[object]],
    reports: int,
    seconds: float,
) -> None:
    """Write the columns whose heading begins with "% " to simulations.csv, a row for
    each of their numbers; FEWEST_KEPT says from how many reports on.
    """
    numbers = {}
    for row in rows:
        cells = dict(zip(map(str, head), row))
        design = [f"{what} {cell}" for what, cell in cells.items() if what[0] != "%"]
        for what, cell in cells.items():
            if what[0] == "%" and cell:
                numbers[f"{name}: {'; '.join(design)}: {what}"] = cell
    if numbers and reports >= FEWEST_KEPT:
        ends = {"low": numbers.values(), "high": numbers.values()}
        table = pd.DataFrame({"simulation": [*numbers], **ends})
        command = f"python -m bench.statements STATEMENT={name} REPORTS={reports}"
        record("simulations", table, command, seconds)


if __name__ == "__main__":
    bench(statements)
