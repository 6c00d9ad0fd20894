"""Time and exactness of the linear model's solution: `python -m bench.linear`.

For each fold, in turns: our solution, scikit-learn's at its default tolerance, and
scikit-learn's at a tolerance of 1e-8, whose probabilities of the test clips are those
to reach. The features must be cached. The exit status is 1 if a probability is more
than 1e-4 from them.
"""

import sys
import time

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from featurestack.commandline.commands import main
from featurestack.commandline.options import option
from featurestack.results.minimise import minimise
from featurestack.results.scores import Floats
from featurestack.rooms.importance.measure import load_folds, make_importance_plan
from featurestack.rooms.importance.options import ImportanceOptions

STRENGTH = 0.1  # the default C of the linear model
FARTHEST = 1e-4


class LinearOptions(ImportanceOptions):
    """The dataset and its cached features."""

    features: str = option(
        "mel mfcc modulation chroma contrast", "features, all in one fit"
    )


def seconds_and_logits(
    train: Floats, y: NDArray[np.intp], test: Floats, **settings: float
) -> tuple[float, Floats]:
    """Processor seconds of a fit, and its logits of the test clips; without settings
    the fit is ours.
    """
    start = time.process_time()
    if settings:
        regression = LogisticRegression(C=STRENGTH, **settings).fit(train, y)
        weight, bias = regression.coef_, regression.intercept_
    else:
        weight, bias = minimise(train, y[:, None] == np.unique(y), STRENGTH, True)
    seconds = time.process_time() - start
    return seconds, test @ weight.T + bias


def run(options: LinearOptions) -> None:
    folds = load_folds(make_importance_plan(options))
    ratios = []
    farthest = 0.0
    for fold, data in folds.data.items():
        train, test = (
            next(data.source.batches([clips])).flatten(1).double().numpy()
            for clips in (data.train, data.test)
        )
        y = data.plan.targets[data.train]
        scaler = StandardScaler().fit(train)
        inputs = scaler.transform(train), y, scaler.transform(test)
        with threadpool_limits(1):
            ours, logits = seconds_and_logits(*inputs)
            default, of_default = seconds_and_logits(*inputs, max_iter=2000)
            exact, of_exact = seconds_and_logits(*inputs, max_iter=20_000, tol=1e-8)
        wanted = softmax(of_exact, axis=1)
        distance = np.abs(softmax(logits, axis=1) - wanted).max()
        of_default = np.abs(softmax(of_default, axis=1) - wanted).max()
        farthest = max(farthest, distance)
        ratios.append(default / ours)
        print(
            f"fold {fold}: {ours:.2f} s, within {distance:.0e}; scikit-learn"
            f" {default:.2f} s, within {of_default:.0e}; with tol=1e-8 {exact:.2f} s"
        )
    print(f"{np.median(ratios):.1f} times as fast, within {farthest:.0e}")
    if farthest > FARTHEST:
        sys.exit(1)


if __name__ == "__main__":
    main([run])
