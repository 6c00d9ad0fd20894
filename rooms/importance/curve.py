"""`make curve`: the score against the number of training recordings.

For each feature set an exact model is fitted on an eighth, a quarter, half and all of
the training recordings of each fold, and scored on all test clips. Parts are
stratified, and each lies within the next larger one. If a curve still rises at its end,
more recordings help more than another model.
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import points
from featurestack.commandline.tables import text_table
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.splits import draw_groups
from featurestack.rooms.importance.fits import LoadedFolds, load_folds, make_fit_plan
from featurestack.rooms.importance.options import CurveOptions, ImportanceOptions
from featurestack.scores.bootstrap import accuracy_interval
from featurestack.scores.tasks.base import clip_metric
from featurestack.storage.own_files import own_file

# part of the training recordings -> its share
RECORD = ".curve.json"
PARTS = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}


def measure_curve(options: CurveOptions) -> pd.DataFrame:
    """A row for each feature set and part of the training recordings: features, part,
    recordings and clips (means over folds), and mAP, or accuracy with the ends of its
    95 % interval.
    """
    if options.out:  # before the work
        own_file(options.out, RECORD, "OUT")
    rows = []
    for channels in parse_list(options.features):
        features = "+".join(map(str, channels))
        asked = part_of(options, ImportanceOptions, features=features)
        folds = load_folds(make_fit_plan(asked, least=1))
        every = frozenset(folds.fits.names)
        for part in PARTS:
            trained = {
                fold: trained_on(folds, fold, part, options.seed) for fold in folds.data
            }
            answers = [
                folds.answers(every, fold, clips.index.to_numpy())
                for fold, clips in trained.items()
            ]
            recordings = [clips["group"].nunique() for clips in trained.values()]
            row = {
                "features": features,
                "part": part,
                "recordings": float(np.mean(recordings)),
                "clips": float(np.mean([len(clips) for clips in trained.values()])),
                **score_of(folds, np.concatenate(answers)),
            }
            rows.append(row)
    return pd.DataFrame(rows)


def score_of(folds: LoadedFolds, answers: NDArray[np.float32]) -> dict[str, float]:
    """The task's score of the tested clips, with its interval if it is quick."""
    plan = folds.fits.plan
    metric = clip_metric(plan.task)
    labels = plan.indicator(folds.tested)
    clips = plan.cache.clips.iloc[folds.tested]
    tested = clips["fold"].to_numpy()
    scores = {plan.task.score: metric.score(labels, answers, tested)}
    if metric.pooled:
        return scores
    right = labels[np.arange(len(labels)), answers.argmax(axis=1)]
    correct = right[:, None].astype(float)
    groups = clips["group"].to_numpy()
    ((low, high),) = accuracy_interval(correct, groups, np.ones(len(clips)))
    return scores | {"low": low, "high": high}


def trained_on(folds: LoadedFolds, fold: int, part: str, seed: int) -> pd.DataFrame:
    """The training clips of a fold, from one of PARTS of its recordings.

    Parts are stratified, and each lies within the next larger one.
    """
    clips = folds.fits.plan.table.loc[folds.data[fold].train]
    if PARTS[part] == 1:
        return clips
    rng = np.random.default_rng([seed, fold])
    left_out = draw_groups(clips, 1 - PARTS[part], rng)
    return clips[~clips["group"].isin(left_out)]


def write_curve(curve: pd.DataFrame, file: Path) -> None:
    """Write the table to a CSV file, and its figure beside it as SVG."""
    from featurestack.analysis.figures.drawing import draw
    from featurestack.analysis.figures.saving import SAVED_WITH

    content = io.BytesIO()
    draw("curve", curve=curve).savefig(content, format="svg", **SAVED_WITH[".svg"])
    figure = file.with_suffix(".svg")
    own = own_file(file, RECORD, "OUT")
    own.require(figure.name, "OUT")
    own.write({file.name: curve.to_csv(index=False), figure.name: content.getvalue()})


def curve_summary(curve: pd.DataFrame) -> str:
    """The curves as a table, and what their ends say."""
    digits = {"recordings": 1, "clips": 0}
    titles = {
        "part": "part of the recordings",
        "map": "mAP",
        "low": "95 % interval from",
        "high": "to",
    }
    shown = curve.copy()
    for name, numbers in shown.select_dtypes("float").items():
        shown[name] = [f"{number:,.{digits.get(name, 3)}f}" for number in numbers]
    header = [titles.get(name, name) for name in shown]
    lines = [text_table(shown.to_numpy().tolist(), header)]
    score = next(name for name in ("map", "accuracy") if name in curve)
    for features, rows in curve.groupby("features", sort=False):
        gain = rows[score].iloc[-1] - rows[score].iloc[-2]
        line = (
            f"{features}: the second half of the recordings brings {points(gain)}"
            f" points of {titles.get(score, score)} in this one draw"
        )
        if "low" in rows:
            halves = (rows["high"] - rows["low"]).iloc[-2:] / 2
            reach = float(np.hypot(*halves))
            line += f" (about {points(gain - reach)} to {points(gain + reach)})"
        lines.append(line)
    lines.append("the model is small, so only the shape of a curve counts")
    return "\n".join(lines)
