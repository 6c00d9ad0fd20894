"""The page of feature cards, and the measurements on it.

python -m docs.cards                     docs/reference/features.md anew; the features
    that it has no measurement of are measured first if ESC-10 is there
python -m docs.cards DATASET=../esc10    the same, with ESC-10 in this folder
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featurestack.base.errors import RequestError
from featurestack.base.options import DatasetOptions, part_of
from featurestack.base.terminal import progress, tell
from featurestack.cli.commands import main
from featurestack.features_cache.feature_names import FeatureName
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import SourceOptions
from featurestack.pipeline.parameters import Impossible
from featurestack.pipeline.show_features import MEASURED, TYPICAL, card

DOCUMENT = Path(__file__).parent / "reference" / "features.md"
LIBROSAS = Path(__file__).parent / "tables" / "librosas.csv"
ESC10 = Path(__file__).parents[2] / "shared" / "esc10"  # where tests look for it
SHOWN_PAIRS = 2
CHANCE = " (chance: 50 % for a pair)"  # said once, above the table

INTRODUCTION = """# Features

Each name in the table links to a card, which says what changes the feature, what it
ignores and how it is computed (`make show FEATURES=NAME` prints one). If you are unsure
where to begin, take `mel`, then add `mfcc` and `modulation`.

Rows and frames are counted for a clip of 5 s at 44.1 kHz, which has 431 frames unless a
card says otherwise. A name with parameters, `mel@n_mels=64`, is a variant that is
stored next to the plain feature; `mfcc:1-19` takes rows 1 to 19. "Separates" names the
pairs of ESC-10 classes that the feature separates best and worst, with the accuracy of
a linear classifier on the mean and deviation of each row over the five official folds
(`python -m docs.cards DATASET=esc10`; 80 clips per pair, chance is 50 %).

Features without a row in the [last table](#differences-from-librosa) are not from
librosa. Every value of the others agrees with plain librosa 0.11 and 1.0
(`tests/reference.py`) to 1e-4 of the largest value of its row; the cache then rounds
it to float16 (three significant digits). There are two exceptions. `rolloff` and `yin`
pick a bin, and 99.9 % of their values agree. `chroma…`, `tonnetz` and `tempogram_ratio`
follow an estimated tuning or tempo, which their cards say, and agree in all values for
99.5 % of the clips. The [last table](#differences-from-librosa) lists the differences
for five clips. `python -m docs.cards` writes this page from the code.

`embedding@model=speech` is also a feature. It is not in the table because it needs a
[pretrained network](../howto/bring-features.md#pretrained-networks).

| name | rows | what it is |
|---|---|---|"""

DIFFERENCES = """## Differences from librosa

The table shows the largest difference over five clips of ESC-10, in millionths of the
largest value of its row (`docs/tables/librosas.csv`). The tolerance is 100 millionths.
The last column compares librosa 1.0 with librosa 0.11.

| feature | from librosa 0.11 | from librosa 1.0 | between both |
|---|---|---|---|"""


def text_of_document() -> str:
    """docs/reference/features.md: a table of all features, then their cards."""
    rows, cards = [], []
    for name in FEATURES.complete():
        texts = card(name)
        height, _ = resolve_feature(FeatureName(name)).shape(*TYPICAL)
        rows.append(f"| [`{name}`](#{name}) | {height} | {texts['What it is']} |")
        cards.append(
            "\n".join(
                [
                    f"## {name}\n",
                    *(
                        f"- **{heading}:** {text.removesuffix(CHANCE)}"
                        for heading, text in texts.items()
                        if heading != "What it is"
                    ),
                ]
            )
        )
    measured = [
        f"| {row.feature} | {row.old:.2f} | {row.new:.2f} | {row.between:.2f} |"
        for row in pd.read_csv(LIBROSAS).itertuples()
    ]
    parts = [*rows, "", "\n\n".join(cards), "", DIFFERENCES, *measured, ""]
    return "\n".join([INTRODUCTION, *parts])


def pair_accuracies(
    clips: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> pd.DataFrame:
    """Accuracy over the folds for each pair of classes: columns first, second,
    accuracy.

    `clips` has a row of numbers for each clip.
    """
    found = []
    for first, second in combinations(sorted(set(labels)), 2):
        pair, right = np.isin(labels, (first, second)), 0
        for fold in np.unique(folds[pair]):
            train, test = pair & (folds != fold), pair & (folds == fold)
            model = make_pipeline(StandardScaler(), RidgeClassifier()).fit(
                clips[train], labels[train]
            )
            right += int(np.sum(model.predict(clips[test]) == labels[test]))
        found.append((first, second, right / pair.sum()))
    return pd.DataFrame(found, columns=["first", "second", "accuracy"])


def unmeasured() -> list[str]:
    """The features that the table of best and worst pairs lacks."""
    measured = {*pd.read_csv(MEASURED)["feature"]}
    return [name for name in FEATURES.complete() if name not in measured]


def measure(options: DatasetOptions) -> None:
    """Measure how well each feature separates each two classes, if the table of the
    best and worst pairs lacks it, and add it to the table. Features that cannot exist
    for these clips are left out, and named.
    """
    before = pd.read_csv(MEASURED)
    dataset = load(part_of(options, SourceOptions))
    to_measure = []
    for name in unmeasured():
        try:
            resolve_feature(FeatureName(name), dataset.sample_rate).shape(
                dataset.sample_rate, round(dataset.duration * dataset.sample_rate)
            )
            to_measure.append(name)
        except Impossible as reason:
            tell(f"not measured: {reason}")
    samples = round(dataset.duration * dataset.sample_rate)
    statistics: dict[str, list[np.ndarray]] = {name: [] for name in to_measure}
    for path in progress(dataset.table.path, label="clips", unit="clips"):
        clip = Clip.decoded(
            audio.load_clip(path, dataset.sample_rate, samples), dataset.sample_rate
        )
        for name, rows in statistics.items():
            values = resolve_feature(FeatureName(name)).compute(clip)
            rows.append(np.concatenate([values.mean(axis=1), values.std(axis=1)]))
    labels, folds = dataset.table.label.to_numpy(str), dataset.table.fold.to_numpy()
    table = []
    for name in progress(to_measure, label="classifiers", unit="features"):
        pairs = pair_accuracies(np.array(statistics[name]), labels, folds)
        pairs = pairs.sort_values(["accuracy", "first", "second"], ascending=False)
        ends = pairs.head(SHOWN_PAIRS), pairs.tail(SHOWN_PAIRS)[::-1]
        shown = (
            ", ".join(
                f"{pair.first} from {pair.second} {pair.accuracy:.0%}"
                for pair in end.itertuples()
            )
            for end in ends
        )
        table.append((name, *shown))
    added = pd.DataFrame(table, columns=["feature", "best", "worst"])
    pd.concat([before, added]).to_csv(MEASURED, index=False)


def document(options: DatasetOptions) -> None:
    """Write docs/reference/features.md; measure first what has no measurement."""
    if unmeasured():
        try:
            measure(options)
        except RequestError as error:
            names = ", ".join(unmeasured())
            tell(f"not measured: {names}: DATASET= is the folder of ESC-10 ({error})")
    DOCUMENT.write_text(text_of_document(), encoding="utf-8")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.argv.append(f"DATASET={ESC10 if ESC10.exists() else 'esc10'}")
    main(document)
