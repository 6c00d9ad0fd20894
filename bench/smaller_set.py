"""`python -m bench.smaller_set`: false claims that a smaller set is as good.

Six equally useful features, 120 clips, five folds, fits by `linear`. A set that is
called as good is false if it has less than 95 % of the gain of all features above
chance on new clips. Told by the loss alone, and by the words of the report.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.linear import logistic
from featurestack.results.config import SoundClass
from featurestack.rooms.importance.folder import ImportanceConfig, ImportanceFolder
from featurestack.rooms.importance.tables import ENOUGH, smaller_sets

FEATURES = tuple("abcdef")
WIDTH = 3  # numbers of a feature
CLASSES, CLIPS, FOLDS, NEW, TRIALS = 4, 120, 5, 4000, 100
DISTANCE = 0.45  # between the classes' means, in deviations
CHANCE = 1 / CLASSES


def columns(features: tuple[str, ...]) -> list[int]:
    places = [FEATURES.index(name) for name in features]
    return [WIDTH * place + number for place in places for number in range(WIDTH)]


def drawn(rng: np.random.Generator, means: np.ndarray, clips: int) -> tuple:
    y = np.arange(clips) % CLASSES
    return means[y] + rng.normal(size=(clips, means.shape[1])), y


def trial(seed: int, config: ImportanceConfig) -> tuple[list[bool], list[bool]]:
    """Whether the set is false, by the loss alone and by the interval; empty if none
    is called as good.
    """
    rng = np.random.default_rng(seed)
    means = DISTANCE * rng.normal(size=(CLASSES, WIDTH * len(FEATURES)))
    x, y = drawn(rng, means, CLIPS)
    new_x, new_y = drawn(rng, means, NEW)
    fold = np.arange(CLIPS) // CLASSES % FOLDS
    scores = pd.DataFrame({"group": np.arange(CLIPS), "fold": fold, "none": CHANCE})
    for name, fit in config.sets.items():
        if not fit:
            continue
        of_fit = columns(fit)
        right = np.zeros(CLIPS)
        for number in range(FOLDS):
            test = fold == number
            model = logistic.fit(x[~test][:, of_fit], y[~test], CLASSES)
            right[test] = model.logits(x[test][:, of_fit]).argmax(axis=1) == y[test]
        scores[name] = right

    def gain(features: tuple[str, ...]) -> float:
        of_fit = columns(features)
        model = logistic.fit(x[:, of_fit], y, CLASSES)
        predicted = model.logits(new_x[:, of_fit]).argmax(axis=1)
        return float((predicted == new_y).mean()) - CHANCE

    folder = ImportanceFolder(Path(tempfile.gettempdir()))
    folder.__dict__.update(config=config, scores=scores)
    table = smaller_sets(folder)
    every = gain(FEATURES)
    verdicts = []
    for called in (
        table[table["lost"] <= (1 - ENOUGH) * (table["of"] - CHANCE)],
        table[table["verdict"] == "as good"],
    ):
        sets = [config.sets[name] for name in called["features"][:1]]
        verdicts.append([gain(features) < ENOUGH * every for features in sets])
    return verdicts[0], verdicts[1]


def main() -> None:
    """Print both rates."""
    names = [f"class{number}" for number in range(CLASSES)]
    classes = tuple(SoundClass(name=name, category="") for name in names)
    config = ImportanceConfig(
        dataset="drawn",
        hash="",
        synthetic=True,
        model="linear",
        task="classes",
        classes=classes,
        features=FEATURES,
    )
    trials = [trial(seed, config) for seed in range(TRIALS)]
    for place, rule in enumerate(("by the loss alone", "by its interval")):
        false = [verdict for each in trials for verdict in each[place]]
        rate = f"{100 * np.mean(false):.0f} %" if false else "none"
        print(f"{rule}: named in {len(false)} of {TRIALS}, false in {rate} of these")


if __name__ == "__main__":
    main()
