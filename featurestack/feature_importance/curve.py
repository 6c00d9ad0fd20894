"""`make curve`: the score against the number of training recordings.

Ridge is fitted to each feature set on an eighth, a quarter, half and all of
the training recordings of each fold, and scored on all test clips. Parts are
stratified, and each lies within the next larger one. If a curve still rises at its end,
more recordings help more than another model.
"""

import numpy as np
import pandas as pd

from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import points
from featurestack.commandline.terminal import text_table
from featurestack.feature_importance.fits import (
    Clips,
    Fits,
    Part,
    read_features,
    score_of,
)
from featurestack.feature_importance.options import CurveOptions, FitOptions
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.table import draw_groups

# part of the training recordings -> its share
PARTS = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}


def measure_curve(options: CurveOptions) -> pd.DataFrame:
    """A row for each feature set and part of the training recordings: features, part,
    recordings and clips (means over folds), and mAP, or accuracy with the ends of its
    95 % interval.
    """
    rows = []
    for channels in parse_list(options.features):
        features = "+".join(map(str, channels))
        asked = part_of(options, FitOptions, features=features)
        (channels_named,), clips = read_features(asked, least=1)
        tested = np.concatenate([part.tested for part in clips.parts])
        for part in PARTS:
            tables = {
                fold: trained_on(clips, fold, part, options.seed)
                for fold in clips.plan.folds
            }
            parts = [
                Part(table.index.to_numpy(), clips.tested(fold))
                for fold, table in tables.items()
            ]
            answers = np.concatenate(Fits(clips).answers(channels_named, parts))
            recordings = [table["group"].nunique() for table in tables.values()]
            row = {
                "features": features,
                "part": part,
                "recordings": float(np.mean(recordings)),
                "clips": float(np.mean([len(table) for table in tables.values()])),
                **score_of(clips, tested, answers),
            }
            rows.append(row)
    return pd.DataFrame(rows)


def trained_on(clips: Clips, fold: int, part: str, seed: int) -> pd.DataFrame:
    """The training clips of a fold, from one of PARTS of its recordings.

    Parts are stratified, and each lies within the next larger one.
    """
    table = clips.plan.table.loc[clips.trained(fold)]
    if PARTS[part] == 1:
        return table
    rng = np.random.default_rng([seed, fold])
    left_out = draw_groups(table, 1 - PARTS[part], rng)
    return table[~table["group"].isin(left_out)]


def curve_summary(curve: pd.DataFrame) -> str:
    """The curves as a table, and what their ends say."""
    score = next(name for name in ("map", "accuracy") if name in curve)
    title = {"map": "mAP"}.get(score, score)
    digits = {"recordings": 1, "clips": 0}
    shown = curve.copy()
    for name, numbers in shown.select_dtypes("float").items():
        shown[name] = [f"{number:,.{digits.get(str(name), 3)}f}" for number in numbers]
    titles = {"part": "part of the recordings", score: title}
    titles |= {"low": "95 % interval from", "high": "to"}
    header = [titles.get(name, name) for name in shown]
    lines = [text_table(shown.to_numpy().tolist(), header)]
    for features, rows in curve.groupby("features", sort=False):
        gain = rows[score].iloc[-1] - rows[score].iloc[-2]
        line = (
            f"{features}: the second half of the recordings brings {points(gain)}"
            f" points of {title} in this one draw"
        )
        if "low" in rows:
            halves = (rows["high"] - rows["low"]).iloc[-2:] / 2
            reach = float(np.hypot(*halves))
            line += f" (about {points(gain - reach)} to {points(gain + reach)})"
        lines.append(line)
    lines.append("the model is small, so only the shape of a curve counts")
    return "\n".join(lines)


def make_curve(options: CurveOptions) -> None:
    """Measure the score against the number of training recordings."""
    print(curve_summary(measure_curve(options)))
