"""The time that `answer` will take, told once before it begins: coarse."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from joblib import cpu_count

from featurestack.features_cache.feature_file import FeatureSpec
from featurestack.features_cache.row_statistics import has_statistics, kept_columns
from featurestack.linear import logistic as linear
from featurestack.pipeline.extraction_request import Request
from featurestack.rooms.answer.choice import MOST_PAIRED

# the fit whose time on this machine tells that of others: clips, numbers, classes
TIMED = (400, 64, 10)
TIMED_SECONDS = 0.5  # time for repeated fits
EXTRACTED = 2  # clips whose extraction is timed
# numbers of `fit_seconds` that last as long as: a clip of `check`, the start of the
# workers of extraction, a clip of a fold by `texturenet`, a million cached values that
# are read to rank, a report
CHECK_FITS = 1.0
START_FITS = 450.0
TEXTURE_FITS = 3.0
READ_FITS = 4.0
REPORT_FITS = 900.0


def expected_seconds(
    clips: pd.DataFrame,
    features: Sequence[FeatureSpec],
    asked: Request | None,
    lacking: Sequence[str],
) -> tuple[float, float]:
    """Fewest and most seconds of all steps: a set of vectors alone, as of a pretrained
    network, trains no network. A few clips are extracted and a fit is timed here.

    asked    None if nothing is checked or extracted
    lacking  the features that the cache lacks
    """
    fit = fit_seconds()
    number = len(clips)
    classes, folds = clips["label"].nunique(), clips["fold"].nunique()
    seconds = 0.0
    if asked:
        seconds += CHECK_FITS * number * fit
    if asked and lacking:
        from featurestack.pipeline.extract import measure

        costs = measure(asked, EXTRACTED).seconds_a_clip()
        each = sum(costs.get(name, 0.0) for name in lacking)
        seconds += START_FITS * fit + number * each / cpu_count()
    fits = folds * (folds + 1) / 2 if folds <= MOST_PAIRED else 5 * folds
    for feature in features:
        sizes = number / TIMED[0] * width(feature) / TIMED[1] * classes / TIMED[2]
        read = number * feature.rows * feature.frames / 1e6 * READ_FITS
        seconds += (sizes * fits / cpu_count() + read) * fit
    seconds += REPORT_FITS * fit
    texture = 2 * folds * TEXTURE_FITS * number * fit
    maps = [feature.frames > 1 for feature in features]
    return seconds + texture * all(maps), seconds + texture * any(maps)


def fit_seconds() -> float:
    """The seconds of one fit of the size TIMED on this machine, the mean of several."""
    clips, columns, classes = TIMED
    rng = np.random.default_rng(0)
    x = rng.normal(size=(clips, columns))
    y = np.arange(clips) % classes
    linear.fit(x[:20], y[:20], classes)  # it imports
    begun = time.perf_counter()
    fits = 0
    while time.perf_counter() - begun < TIMED_SECONDS:
        linear.fit(x, y, classes)
        fits += 1
    return (time.perf_counter() - begun) / fits


def width(feature: FeatureSpec) -> int:
    """The numbers of a clip that `linear` reads of a feature."""
    if has_statistics(feature.frame_unit, feature.frames):
        return 2 * feature.rows
    return feature.rows * kept_columns(feature.rows, feature.frames)


def coarse(fewest: float, most: float) -> str:
    """`20 s`, `4 minutes`, `50 s to 4 minutes`: an estimate has one digit.

    >>> coarse(17, 17), coarse(230, 230), coarse(52, 230), coarse(12000, 12000)
    ('20 s', '4 minutes', '50 s to 4 minutes', '3 hours')
    """
    return " to ".join(dict.fromkeys(map(one_digit, (fewest, most))))


def one_digit(seconds: float) -> str:
    for limit, size, unit in ((150, 1, "s"), (5400, 60, "minutes")):
        if seconds < limit:
            number = float(f"{max(seconds / size, 1):.0e}")
            return f"{number:.0f} {unit}"
    return f"{max(seconds / 3600, 2):.0f} hours"
