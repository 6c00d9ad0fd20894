"""What a feature adds to the set that it joins: does chroma help, and is that difference real?

Conventions: two ranked runs are a pair where their options differ in the features alone and the larger set
holds all channels of the smaller and more; pairs with a ranked set between them are left out, since the
steps tell more. Channels count as often as they occur: mel+mel+mel adds mel+mel to mel, a control.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import effects
from analysis.ranking import Ranking
from analysis.results import Run

BY_CLASS = 8  # pairs whose classes are looked at, those of the best sets: each costs a bootstrap of K columns

Pair = tuple[Run, Run]  # the smaller set, the larger


def channels(run: Run) -> Counter[str]:
    """The channels of a run's feature set and how often each occurs."""
    return Counter(run.features.split("+"))


def pairs(ranking: Ranking) -> list[Pair]:
    """Every pair of sets one step apart, the best larger set first, and of its steps the best smaller."""
    held = {run.name: channels(run) for run in ranking.runs}

    def within(smaller: Run, larger: Run) -> bool:
        a, b = held[smaller.name], held[larger.name]
        return a < b and effects.differing(smaller, larger) == {"features"}

    contained = {larger.name: [one for one in ranking.runs if within(one, larger)] for larger in ranking.runs}
    return [
        (smaller, larger)
        for larger in ranking.runs
        for smaller in contained[larger.name]
        if not any(within(smaller, between) for between in contained[larger.name])
    ]


def added(smaller: Run, larger: Run) -> str:
    """The channels that only the larger set has: `contrast`, `mel+mel`."""
    return "+".join((channels(larger) - channels(smaller)).elements())


def additions(ranking: Ranking) -> pd.DataFrame:
    """One row a pair: the columns of `effects.paired`, `changed` being what was added."""
    return effects.paired(ranking, [(*pair, added(*pair)) for pair in pairs(ranking)])


def by_class(found: Sequence[Pair], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """`contrast added to mel` -> recall of each class without and with it, for the first BY_CLASS pairs."""
    return {
        f"{added(*pair)} added to {pair[0].features}": effects.by_class(*pair, rng)
        for pair in found[:BY_CLASS]
    }
