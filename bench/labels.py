"""Accuracy of ridge with labels chosen by NEXT= and at random, and the share of wrong
labels among those that a report lists first:

    make features DATASET=../esc50_16k FEATURES=embedding@model=yamnet,layers=last
    python -m bench.labels DATASET=../esc50_16k

The folds are those of the dataset. Among the training clips of a fold, one clip of each
class, drawn at random, has a label. Four times, fifty more are chosen as NEXT=50
chooses them, or drawn at random; each time the model predicts all clips of the tested
fold. Then 5 % of all labels are changed, and the clips are ordered as in the section
"Labels to check". The rows are means over DRAWS and stored in docs/tables/labels.csv.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import softmax

from bench.record import bench, record, spent
from featurestack.base.options import option
from featurestack.base.terminal import progress
from featurestack.comparison.metrics import Floats, Ints
from featurestack.extras.labels import SUSPECTS, contradictions, first_to_label
from featurestack.train.fits import Fits, Part, read_features
from featurestack.train.options import FitOptions

STEP, TIMES = 50, 4  # labels that are chosen at a time
CHANGED = 0.05  # share of the labels
CHOSEN = {"chosen": True, "random": False}


class LabelsOptions(FitOptions):
    """Accuracy by the choice of labelled clips; wrong labels that are listed."""

    features: str = option("embedding@model=yamnet,layers=last", "one feature set")
    draws: int = option(4, "of the first clips", least=2)


def labels(options: LabelsOptions) -> None:
    """Measure every row, and keep the table."""
    (features,), fits = read_features(options, least=1)
    rows = []
    found = []
    for draw in progress(range(options.draws), label="labels", unit="draws"):
        for name, chosen in CHOSEN.items():
            for fold in fits.splits:
                given = {"draw": draw, "fold": fold, "choice": name}
                scores = accuracies(fits, features, fold, draw, chosen)
                rows += [given | {"labels": n, "score": s} for n, s in scores.items()]
        found.append(changed_in_list(fits, features, draw))
    table = pd.DataFrame(rows)
    of_draws = table.pivot_table("score", "labels", ["choice", "draw"])
    means = of_draws.T.groupby("choice").mean().T
    leads = of_draws["chosen"] - of_draws["random"]
    means["lead"], means["lead_sd"] = leads.mean(axis=1), leads.std(axis=1, ddof=1)
    means.index = [f"one label a class and {n}" for n in means.index]
    name = f"changed labels, % of the first {SUSPECTS}"
    means.loc[name, "chosen"] = np.mean(found)
    means.loc[name, "random"] = 100 * CHANGED
    print(means.round(1).to_string())
    command = "python -m bench.labels DATASET=../esc50_16k"
    record("labels", means.rename_axis("row").reset_index(), command, spent())


def accuracies(
    fits: Fits, features: str, fold: int, draw: int, chosen: bool
) -> dict[int, float]:
    """Number of added labels -> % of the tested fold that is classified correctly."""
    rng = np.random.default_rng([draw, fold])
    pool, test = rng.permutation(fits.trained(fold)), fits.tested(fold)
    groups = fits.plan.cache.clips["group"].to_numpy()
    later = pd.Series(fits.plan.targets[pool]).duplicated().to_numpy()
    labelled, rest = pool[~later], pool[later]
    scores = {}
    for number in range(0, TIMES * STEP + 1, STEP):
        both = np.concatenate([test, rest])
        answers = fits.fitted(features, Part(labelled, both))
        right = answers[: len(test)].argmax(axis=1) == fits.plan.targets[test]
        scores[number] = 100 * float(right.mean())
        order: Ints = np.arange(len(rest))
        if chosen:
            order = first_to_label(softmax(answers[len(test) :], axis=1), groups[rest])
        labelled = np.concatenate([labelled, rest[order[:STEP]]])
        rest = rest[order[STEP:]]
    return scores


def changed_in_list(fits: Fits, features: str, draw: int) -> float:
    """The % of clips with a changed label among those that the report would list."""
    plan, rng = fits.plan, np.random.default_rng(draw)
    targets, names = plan.targets.copy(), np.array(plan.names)
    changed = rng.permutation(len(targets))[: round(CHANGED * len(targets))]
    targets[changed] += rng.integers(1, len(names), len(changed))
    targets %= len(names)
    labels_of = names[targets[plan.table.index]]
    table = plan.table.assign(**{plan.task.column: labels_of})
    noisy = replace(fits, plan=replace(plan, table=table))
    probabilities: Floats = np.zeros((len(targets), len(names)))
    for part in noisy.parts:
        probabilities[part.tested] = softmax(noisy.fitted(features, part), axis=1)
    first = contradictions(probabilities, targets)[:SUSPECTS]
    return 100 * float(np.isin(first, changed).mean())


if __name__ == "__main__":
    bench(labels)
