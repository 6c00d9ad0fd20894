"""`make importance`: what each feature is worth, alone and beside the others.

An exact model is fitted to all features, to all but each one, to each one alone and to
each one beside the base. A report reads the folder of the fits' scores.
"""

import json
from contextlib import suppress
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import percent, points
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.results.composition import composed_from
from featurestack.results.config import digest, to_json
from featurestack.rooms.importance.fits import (
    FeatureSet,
    FitPlan,
    load_folds,
    make_fit_plan,
)
from featurestack.rooms.importance.folder import (
    CLIP_COLUMNS,
    FOLDER,
    NONE,
    ImportanceConfig,
    ImportanceFolder,
)
from featurestack.rooms.importance.options import ImportanceOptions
from featurestack.rooms.importance.tables import MEASURES, measures_table
from featurestack.storage.files import Lock
from featurestack.storage.own_files import OwnFiles

RECORD = ".importance-files.json"


def measure_importance(options: ImportanceOptions) -> ImportanceFolder:
    """The folder of a call; its fits are made unless it has them."""
    fits = make_fit_plan(options)
    path = fits.plan.path.with_name(FOLDER)
    lock = Lock(path / ".lock")
    if not lock.take():
        tell("waiting: another process measures importance")
    with lock:
        hash_ = fits_hash(fits)
        with suppress(RequestError, OSError):  # none yet, or a damaged one
            if ImportanceFolder(path).config.hash == hash_:
                return ImportanceFolder(path)
        write_scores(fits, path, hash_)
    return ImportanceFolder(path)


def fits_hash(fits: FitPlan) -> str:
    """The digest of all that the scores depend on."""
    content = {**fits.plan.content}
    options = {**content.pop("options"), "features": fits.names}
    sides = [
        [fold, list(split.train), list(split.test)]
        for fold, split in fits.splits.items()
    ]
    return digest([options, content, sides])


def write_scores(fits: FitPlan, path: Path, hash_: str) -> None:
    """Make the fits and write their scores, importance.json last."""
    own = OwnFiles(path, RECORD)
    for name in ("scores.csv", "importance.json"):
        own.require(name, "RUNS")
    (path / "importance.json").unlink(missing_ok=True)
    plan = fits.plan
    task = plan.training.task
    config = ImportanceConfig(
        dataset=plan.dataset,
        hash=hash_,
        synthetic=plan.cache.synthetic,
        model=plan.model.name,
        task=task,
        classes=plan.classes,
        features=fits.names,
        composed_from=composed_from(fits.names, plan.path.parent, task),
    )
    folds = load_folds(fits)
    table = plan.scored(folds.tested, fold=plan.cache.clips["fold"])
    table = table[[*CLIP_COLUMNS]].reset_index(drop=True)
    for column, features in progress(
        config.sets.items(), label="importance", unit="fits"
    ):
        table[column] = folds.score(FeatureSet(features))
    if not plan.task.multilabel:
        # the best constant answer, whatever the folds' own shares are
        table[NONE] = table["target"].value_counts(normalize=True).iloc[0]
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    own.write({"scores.csv": text})
    own.write({"importance.json": json.dumps(to_json(config), indent=2) + "\n"})


def importance_summary(folder: ImportanceFolder) -> str:
    """A line for each feature: its score alone, points lost without it, and added."""
    config = folder.config
    tests = measures_table(folder).set_index(["feature", "measure"])
    rows = []
    for name in config.features:
        row = [name]
        for measure in MEASURES:
            text = "the base"
            if (name, measure) in tests.index:
                test = tests.loc[(name, measure)]
                text = points(test["mean"])
                if pd.notna(test["low"]):
                    text += f" ({points(test['low'])} to {points(test['high'])})"
            row.append(text)
        row[1] = f"{percent(tests.loc[(name, 'alone'), 'score'])} %: {row[1]}"
        rows.append(row)
    header = ("", "alone: above chance", "lost without it", f"added to {config.base}")
    every = folder.scores[config.column(*config.features)].mean()
    legend = (
        f"{len(folder.scores):,} test clips; all features together {percent(every)} %"
        f" {config.score}, by {config.model}; points with 95 % intervals"
    )
    return f"{text_table(rows, header)}\n{legend}"
