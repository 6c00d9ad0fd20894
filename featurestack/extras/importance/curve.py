"""`make curve`: the score of feature sets against the number of training recordings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featurestack.base.options import part_of, report_line
from featurestack.base.quantities import percent, points
from featurestack.base.terminal import text_table
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.comparison.significance import few_groups
from featurestack.extras.importance import CurveOptions
from featurestack.features_cache.feature_names import parse_list
from featurestack.results.splits import draw_groups
from featurestack.train.fits import Fits, Part, quick_score, ranking_of, read_features
from featurestack.train.options import FitOptions

# part of the training recordings -> its share
PARTS = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}


def measure_curve(options: CurveOptions) -> pd.DataFrame:
    """A row for each feature set and part of the training recordings: features, part,
    recordings and clips (means over folds), tested recordings, mAP, or accuracy with
    the ends of its 95 % interval, and whether it is clearly better than chance.
    """
    rows: list[dict[str, Any]] = []
    for channels in parse_list(options.features):
        features = "+".join(map(str, channels))
        asked = part_of(options, FitOptions, features=features)
        (channels_named,), fits = read_features(asked, least=1)
        for part in PARTS:
            tables, parts = [], []
            for fold in fits.plan.config.folds:
                tables.append(trained_on(fits, fold, part, options.seed))
                parts.append(Part(tables[-1].index.to_numpy(), fits.tested(fold)))
            predictions = fits.predicted(channels_named, parts)
            score, ranking = quick_score(predictions), ranking_of([predictions])
            clear = "yes" if ranking.against_chance.clear else "no"
            row = {
                "features": features,
                "part": part,
                "recordings": np.mean([table["group"].nunique() for table in tables]),
                "clips": np.mean([len(table) for table in tables]),
                "tested": len(ranking.shares),
                fits.metric.name: score.value,
                "low": score.low,
                "high": score.high,
                "better": None if ranking.untested else clear,
            }
            # with few recordings two parts can be the same: the larger is kept
            if rows and row == {**rows[-1], "part": part}:
                rows.pop()
            rows.append(row)
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def trained_on(fits: Fits, fold: int, part: str, seed: int) -> pd.DataFrame:
    """The training clips of a fold, from one of PARTS of its recordings.

    Parts are stratified, and each lies within the next larger one.
    """
    table = fits.plan.table.loc[fits.trained(fold)]
    if PARTS[part] == 1:
        return table
    rng = np.random.default_rng([seed, fold])
    left_out = draw_groups(table, 1 - PARTS[part], rng)
    return table[~table["group"].isin(left_out)]


def curve_summary(curve: pd.DataFrame) -> str:
    """The curves as a table, with what each larger part of the recordings brings."""
    titled = {"map": "mAP", "accuracy": "accuracy"}
    titled |= {"balanced_accuracy": "balanced accuracy"}
    score = next(name for name in titled if name in curve)
    title = titled[score]
    scores = [name for name in (score, "low", "high") if name in curve]
    texts = {name: curve[name].map(percent) for name in scores}
    for name in ("recordings", "clips"):
        texts[name] = curve[name].map("{:,.0f}".format)
    gains = curve.groupby("features", sort=False)[score].diff()
    texts["gain"] = ["" if pd.isna(gain) else points(gain) for gain in gains]
    shown = curve.drop(columns="tested").assign(**texts)
    titles = {"part": "part of the recordings", score: f"{title} %"}
    titles |= {"low": "95 % interval from", "high": "to", "gain": "gain, points"}
    titles["better"] = "clearly better than chance"
    header = [titles.get(name, name) for name in shown]
    lines = [text_table(shown.to_numpy().tolist(), header)]
    if few := few_groups(int(curve["tested"].max())):
        lines.append(few)
    lines.append("one random draw, fitted by ridge: read only the shape of a curve")
    return "\n".join(lines)


def make_curve(options: CurveOptions) -> None:
    print(curve_summary(measure_curve(options)))
    print(report_line(options))


@command
@documented(CurveOptions)
def curve(
    dataset: str = "esc50",
    features: str | Sequence[str] = "mel",
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    name: str = "",
    task: str = "auto",
    seed: int = 0,
    quiet: bool = False,
) -> pd.DataFrame:
    """`make curve`: the score of feature sets by the number of training recordings.

    Parameters
    ----------
    features : str
        Feature sets separated by spaces.

    Returns
    -------
    DataFrame
        A row for each set and part of the recordings.

    Examples
    --------
    >>> fs.curve("synth", "rms rms+zcr", quiet=True).columns[:3].tolist()
    ['features', 'part', 'recordings']
    """
    return measure_curve(options_from(CurveOptions, locals()))
