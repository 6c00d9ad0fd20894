"""Other tests of a difference between two models, on the worlds of `bench.worlds`.

    python -m bench.methods REPORTS=100

baycomp, autorank and deepsig are used if they are installed; McNemar's test and 5x2
cross-validation are those of mlxtend. None of these tests uses recordings; tests on the
scores of folds get folds that divide no recording. The rates are rows of
docs/tables/simulations.csv.
"""

import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
from scipy import stats

from bench.record import bench, record, spent
from bench.worlds import (
    FITS,
    Dataset,
    World,
    cross_validated,
    draw,
    folds_of,
    models_of,
)
from featurestack.base.options import Options, option
from featurestack.base.registry import Registry
from featurestack.base.terminal import text_table
from featurestack.comparison.metrics import Floats
from featurestack.comparison.ranking import ModelRanking, in_order
from featurestack.comparison.significance import LEVEL

RANDOM_SPLITS, TESTED = 15, 5  # of Nadeau and Bengio: a fifth of the clips is tested
REPEATS, FOLDS = 10, 10  # of Bouckaert and Frank
ALMOST = 0.2  # of deepsig: one model is almost stochastically dominant
WORLDS = (
    World("80 clips", 80, 1, 4, strength=1.2),
    World("30 recordings of 4", 30, 4, 3, strength=1.6),
    World("60 recordings of 5", 60, 5, 6, strength=1.6),
    World("400 clips", 400, 1, 10, 12, strength=2.0),
)
BETTER = (0.8, 0.8, 0.5, 0.25)  # the first set's strength is more by this

LOADED = """
import time
import featurestack.comparison.compare
print(f"fs.compare loads in {time.process_time():.2f} s")
"""

Method = Callable[[Dataset, np.random.Generator], bool]


def ours(dataset: Dataset, rng: np.random.Generator, drawings: int = 1) -> bool:
    """`fs.compare` of two runs of ridge on five folds."""
    runs = in_order(models_of(dataset, "ridge", drawings, rng))
    ranking = ModelRanking(runs=runs, crossed=True, level=LEVEL)
    return ranking.verdict(1) == "clearly worse"


def repeated(dataset: Dataset, rng: np.random.Generator) -> bool:
    """The same with five drawings of the folds."""
    return ours(dataset, rng, 5)


def mcnemar(dataset: Dataset, rng: np.random.Generator) -> bool:
    """The exact test of the clips on which the models differ, five folds."""
    predicted = cross_validated(dataset, folds_of(dataset, rng))
    one, other = (predicted == dataset.target[:, None]).T
    gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
    if not gained + lost:
        return False
    return stats.binomtest(gained, gained + lost).pvalue < LEVEL


def leads(
    dataset: Dataset, rng: np.random.Generator, repeats: int, folds: int
) -> Floats:
    """(repeats, folds) differences in accuracy, cross-validated by recording."""
    rows = []
    for _ in range(repeats):
        fold = folds_of(dataset, rng, folds)
        correct = cross_validated(dataset, fold) == dataset.target[:, None]
        difference = correct[:, 0].astype(float) - correct[:, 1]
        rows.append([difference[fold == own].mean() for own in range(folds)])
    return np.array(rows)


def corrected(differences: Floats, tested: float) -> bool:
    """The t test whose variance is larger by tested / trained clips."""
    number, variance = differences.size, differences.var(ddof=1)
    if not variance:
        return bool(differences.mean())
    error = np.sqrt(variance * (1 / number + tested / (1 - tested)))
    return 2 * stats.t.sf(abs(differences.mean()) / error, number - 1) < LEVEL


def nadeau_bengio(dataset: Dataset, rng: np.random.Generator) -> bool:
    """The corrected resampled t test of 15 random splits."""
    rows = []
    for _ in range(RANDOM_SPLITS):
        tested = folds_of(dataset, rng, TESTED) == 0
        correct = [
            FITS["ridge"](
                x[~tested], dataset.target[~tested], dataset.target.max() + 1, x[tested]
            )
            == dataset.target[tested]
            for x in dataset.numbers
        ]
        rows.append(correct[0].mean() - correct[1].mean())
    return corrected(np.array(rows), 1 / TESTED)


def bouckaert_frank(dataset: Dataset, rng: np.random.Generator) -> bool:
    """The corrected t test of ten times ten folds."""
    return corrected(leads(dataset, rng, REPEATS, FOLDS).ravel(), 1 / FOLDS)


def five_by_two(dataset: Dataset, rng: np.random.Generator) -> bool:
    """Dietterich's 5x2 cross-validated t test."""
    differences = leads(dataset, rng, 5, 2)
    variances = differences.var(axis=1, ddof=0) * 2
    if not variances.sum():
        return bool(differences[0, 0])
    t = differences[0, 0] / np.sqrt(variances.mean())
    return 2 * stats.t.sf(abs(t), 5) < LEVEL


def bayesian(dataset: Dataset, rng: np.random.Generator) -> bool:
    """baycomp's correlated t test of ten times ten folds: one model is better with a
    probability of more than 95 %.
    """
    import baycomp

    differences = leads(dataset, rng, REPEATS, FOLDS).ravel()
    if not differences.var():
        return bool(differences.mean())
    left, right = baycomp.two_on_single(differences, 0 * differences, runs=REPEATS)
    return max(left, right) > 1 - LEVEL


def ranked(dataset: Dataset, rng: np.random.Generator) -> bool:
    """autorank on the scores of ten folds."""
    import autorank

    fold = folds_of(dataset, rng, FOLDS)
    correct = cross_validated(dataset, fold) == dataset.target[:, None]
    scores = pd.DataFrame(correct.astype(float)).groupby(fold).mean()
    scores.columns = pd.Index(["a", "b"])
    if scores["a"].equals(scores["b"]):
        return False
    return bool(autorank.autorank(scores, alpha=LEVEL, verbose=False).pvalue < LEVEL)


def dominant(dataset: Dataset, rng: np.random.Generator) -> bool:
    """deepsig's almost stochastic order of the scores of ten folds."""
    import deepsig

    fold = folds_of(dataset, rng, FOLDS)
    correct = cross_validated(dataset, fold) == dataset.target[:, None]
    one, other = pd.DataFrame(correct.astype(float)).groupby(fold).mean().to_numpy().T
    aso = partial(
        deepsig.aso, num_bootstrap_iterations=200, show_progress=False, num_jobs=1
    )
    return min(aso(one, other), aso(other, one)) < ALMOST


METHODS: dict[str, tuple[Method, str]] = {  # and the package that it needs
    "fs.compare": (ours, "numpy"),
    "fs.compare of five drawings": (repeated, "numpy"),
    "McNemar": (mcnemar, "numpy"),
    "5x2 t test": (five_by_two, "numpy"),
    "Nadeau-Bengio t test": (nadeau_bengio, "numpy"),
    "Bouckaert-Frank t test": (bouckaert_frank, "numpy"),
    "baycomp": (bayesian, "baycomp"),
    "autorank": (ranked, "autorank"),
    "deepsig": (dominant, "deepsig"),
}


BY_WORD = Registry(
    "method", {method.__name__: name for name, (method, _) in METHODS.items()}
)


class MethodsOptions(Options):
    """Other tests of a difference, by simulation."""

    method: tuple[str, ...] = option((), f"of {', '.join(BY_WORD)}; all by default")
    reports: int = option(100, "simulated datasets of each cell", least=1)
    seed: int = option(0, "seed of what is drawn")


def methods(options: MethodsOptions) -> None:
    """% of datasets with a difference between two equal feature sets (false), and
    between two of which one is better (found).
    """
    loaded = subprocess.check_output([sys.executable, "-c", LOADED], text=True)
    print(loaded)
    warnings.simplefilter("ignore")
    kinds = {
        "false": "claims though both sets are equal",
        "found": "claims if the first set is better",
    }
    header = ["", *(f"{world.name}: {kind}" for world in WORLDS for kind in kinds)]
    chosen = [BY_WORD[word] for word in options.method or BY_WORD]
    for name in chosen:
        method, package = METHODS[name]
        if not find_spec(package):
            continue
        begun, rates = spent(), {}
        for world, better in zip(WORLDS, BETTER):
            for own, kind in zip((world, world._replace(better=better)), kinds):
                rng = np.random.default_rng(options.seed)
                datasets = range(options.reports)
                claims = [method(draw(own, 2, rng), rng) for _ in datasets]
                simulation = f"{name}, {world.name}, ridge: {kinds[kind]}"
                rates[simulation] = f"{100 * np.mean(claims):.1f}"
        print(text_table([[name, *rates.values()]], header), flush=True)
        rows = {"simulation": [*rates], "low": [*rates.values()]}
        table = pd.DataFrame(rows).assign(high=rates.values())
        words = f"METHOD={method.__name__} REPORTS={options.reports}"
        command = f"python -m bench.methods {words}"
        record("simulations", table, command, spent() - begun)


if __name__ == "__main__":
    bench(methods)
