"""`make importance`: what each feature is worth, alone and beside the others; `make
curve`: the score against the number of training recordings.

An exact model is fitted to all features, to all but each one, to each one alone and to
each one beside the base. A report reads the folder of the fits' scores.

For a curve it is fitted to each feature set on an eighth, a quarter, half and all of
the training recordings of each fold, and scored on all test clips. Parts are
stratified, and each lies within the next larger one. If a curve still rises at its end,
more recordings help more than another model.
"""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import points
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.splits import draw_groups
from featurestack.results.composition import composed_from
from featurestack.results.config import digest
from featurestack.rooms.importance.fits import (
    Clips,
    answers_of_folds,
    clip_scores,
    read_features,
)
from featurestack.rooms.importance.folder import (
    CLIP_COLUMNS,
    FOLDER,
    NONE,
    ImportanceConfig,
    ImportanceFolder,
    importance_summary,
)
from featurestack.rooms.importance.options import (
    CurveOptions,
    FitOptions,
    ImportanceOptions,
)
from featurestack.scores.bootstrap import accuracy_interval
from featurestack.scores.tasks.base import clip_metric
from featurestack.storage.files import Lock
from featurestack.storage.own_files import OwnFiles

RECORD = ".importance-files.json"
# part of the training recordings -> its share
PARTS = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}


def measure_importance(options: FitOptions) -> ImportanceFolder:
    """The folder of a call; its fits are made unless it has them."""
    features, clips = read_features(options, least=2)
    sides = [(fold, clips.splits[fold]) for fold in clips.plan.folds]
    splits = [[fold, list(split.train), list(split.test)] for fold, split in sides]
    hash_ = digest([features, clips.plan.content, splits])
    path = clips.plan.path.with_name(FOLDER)
    lock = Lock(path / ".lock")
    if not lock.take():
        tell("waiting: another process measures importance")
    with lock:
        with suppress(RequestError, OSError):  # none yet, or a damaged one
            if ImportanceFolder(path).config.hash == hash_:
                return ImportanceFolder(path)
        write_scores(features, clips, path, hash_)
    return ImportanceFolder(path)


def write_scores(
    features: tuple[str, ...], clips: Clips, path: Path, hash_: str
) -> None:
    """Make the fits and write their scores, importance.json last."""
    own = OwnFiles(path, RECORD)
    for name in ("scores.csv", "importance.json"):
        own.require(name, "RUNS")
    (path / "importance.json").unlink(missing_ok=True)
    plan = clips.plan
    config = ImportanceConfig(
        dataset=plan.dataset,
        hash=hash_,
        synthetic=plan.cache.synthetic,
        model=plan.model.name,
        task=plan.training.task,
        classes=plan.classes,
        features=features,
        composed_from=composed_from(features, plan.path.parent, plan.training.task),
    )
    tested = np.concatenate([clips.tested(fold) for fold in plan.folds])
    table = plan.scored(tested, fold=plan.cache.clips["fold"])
    table = table[[*CLIP_COLUMNS]].reset_index(drop=True)
    for column in progress(config.sets, label="importance", unit="fits"):
        fitted = "" if column == NONE else column
        table[column] = clip_scores(clips, fitted, config.model)
    if not plan.task.multilabel:
        # the best constant answer, whatever the folds' own shares are
        table[NONE] = table["target"].value_counts(normalize=True).iloc[0]
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    own.write({"scores.csv": text})
    own.write({"importance.json": json.dumps(asdict(config), indent=2) + "\n"})


# ---- the curve


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
        for part in PARTS:
            tables = {
                fold: trained_on(clips, fold, part, options.seed)
                for fold in clips.plan.folds
            }
            trained = {fold: table.index.to_numpy() for fold, table in tables.items()}
            answers = answers_of_folds(clips, channels_named, options.model, trained)
            recordings = [table["group"].nunique() for table in tables.values()]
            row = {
                "features": features,
                "part": part,
                "recordings": float(np.mean(recordings)),
                "clips": float(np.mean([len(table) for table in tables.values()])),
                **score_of(clips, answers),
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


def score_of(clips: Clips, answers: NDArray[np.floating]) -> dict[str, float]:
    """The task's score of the tested clips, with its interval if it is quick."""
    plan = clips.plan
    metric = clip_metric(plan.task)
    tested = np.concatenate([clips.tested(fold) for fold in plan.folds])
    labels, table = plan.indicator(tested), plan.cache.clips.iloc[tested]
    score = metric.score(labels, answers, table["fold"].to_numpy())
    scores = {plan.task.score: score}
    if metric.pooled:
        return scores
    right = labels[np.arange(len(labels)), answers.argmax(axis=1)]
    correct = right[:, None].astype(float)
    groups = table["group"].to_numpy()
    ((low, high),) = accuracy_interval(correct, groups, np.ones(len(table)))
    return scores | {"low": low, "high": high}


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


# ---- commands


def make_importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth, alone and beside the others."""
    print(importance_summary(measure_importance(options)))


def make_curve(options: CurveOptions) -> None:
    """Measure the score against the number of training recordings."""
    print(curve_summary(measure_curve(options)))
