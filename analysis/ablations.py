"""The effect of one choice: added features, or an augmentation.

Conventions: two ranked runs are a pair if their options differ only in the features,
or only in augmentation. A difference is the second run's accuracy
(mAP for tags) less the first's, a mean over seeds. All pairs of a ranking are one
family of `significance.sign_flip_tests`.

In a pair of feature sets the larger has all channels of the smaller and more. A pair is
left out if another ranked set lies between the two, because the two smaller steps say
more. Channels count as often as they occur: mel+mel+mel adds mel+mel to mel.
"""

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
import pandas as pd

from featurestack.analysis.ranking import Ranking, setting
from featurestack.analysis.runs import Run, differing_options
from featurestack.scores.significance import standard_error


def pairs_of_features(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """The pairs that differ only in features, without a set between them."""
    inside: dict[tuple[Run, Run], None] = {}
    for more, less in permutations(runs, 2):
        smaller = less.channels < more.channels
        if smaller and differing_options(less, more) == {"features"}:
            inside[less, more] = None
    steps = []  # pairs without a run between them
    for less, more in inside:
        if not any({(less, run), (run, more)} <= inside.keys() for run in runs):
            steps.append((less, more))
    return steps


def pairs_of_augmentation(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """The pairs that differ only in augmentation, the least first."""

    def amount(run: Run) -> tuple[bool, int]:
        text = run.option_text("augment")
        return text != "none", len(text)

    pairs = []
    for pair in combinations(runs, 2):
        if differing_options(*pair) == {"augment"}:
            less, more = sorted(pair, key=amount)
            pairs.append((less, more))
    return pairs


def ablations(ranking: Ranking) -> pd.DataFrame:
    """One row for each pair of ranked runs that differ in one choice: pairs of feature
    sets first, by rank.

    Columns: kind (features | augmentation), name, changed (added channels, or `augment
    none → mask`), base (features of the first run), model, without and with (runs),
    difference, low, high, p, verdict.
    """
    runs = ranking.runs
    pairs = [*pairs_of_features(runs), *pairs_of_augmentation(runs)]
    rows = []
    places = []
    for less, more in pairs:
        keys = sorted(differing_options(less, more))
        changed = "; ".join(
            f"{key} {less.option_text(key)} → {more.option_text(key)}" for key in keys
        )
        name = f"{changed} ({less.features}, {setting(less, runs, keys)})"
        if added := "+".join((more.channels - less.channels).elements()):
            changed = added
            name = f"{added} added to {less.features} ({setting(less, runs)})"
        kind = "features" if added else "augmentation"
        runs_of_pair = less.features, less.model, less.name, more.name
        rows.append((kind, name, changed, *runs_of_pair))
        places.append((runs.index(less), runs.index(more)))
    columns = ["kind", "name", "changed", "base", "model", "without", "with"]
    table = pd.DataFrame(rows, columns=columns)
    differences, tests = ranking.compare(places)
    numbers = tests.numbers(ranking.unit)
    table[["difference", "low", "high", "p"]] = np.clip(numbers, -1, 1)
    table["error"] = standard_error(differences / ranking.unit, ranking.shares)
    clear = np.where(table["difference"] > 0, "clear gain", "clear loss")
    verdict = np.where(tests.p < ranking.level, clear, "no clear difference")
    table["verdict"] = verdict
    if not ranking.testable:
        table["p"] = np.nan
        table["verdict"] = "not compared"
    return table
