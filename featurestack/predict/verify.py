"""`make verify`: do a run's predictions follow from its weights?

The weights of each fold predict that fold's test and validation clips again, from the
features in the cache; the audio is not needed. Every column of predictions.csv is
compared. Not compared are history.csv and run.json.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from featurestack.base.quantities import counted, first_names
from featurestack.base.terminal import tell
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.datasets import dataset_name
from featurestack.features_cache.splits import fold_split
from featurestack.features_cache.table import WINDOW_COLUMNS
from featurestack.predict.bundle import AGREES, BATCH, RunModel, bundle_of_run
from featurestack.predict.options import VerifyOptions
from featurestack.results.run_folder import RunFolder
from featurestack.results.selection import (
    cache_that_trained,
    clips_of_run,
    select_one,
)
from featurestack.train.compute import device_of, threads_of

NAMED = 3  # clips of a fold that are named
KEYS = ["clip_id", "split", "selection"]  # name a row of predictions.csv
Models = Mapping[str, RunModel]  # selection -> the folds' networks of that epoch


def verify_run(options: VerifyOptions) -> int:
    """Print for each fold how many rows differ, and what was compared; 1 if any row
    differs.
    """
    dataset = dataset_name(options.dataset)
    run = select_one(options.runs, options.run, dataset, data=options.data)
    import torch

    cache = cache_that_trained(run, options.dataset, options.data)
    torch.set_num_threads(threads_of(options.threads))
    device = device_of(options.device)
    models = {}
    validated = any((run.fold(fold) / "best.pt").is_file() for fold in run.finished)
    for selection in ("last", "best") if validated else ("last",):
        models[selection] = RunModel(*bundle_of_run(run, selection), device)
    rows = differing = 0
    for fold in run.finished:
        expected = predicted_again(run, cache, models, fold)
        known = run.predictions(fold)
        known = known[known["selection"].isin([*models])]
        clips = differing_clips(known, expected, run.classes)
        rows += len(known)
        differing += len(clips)
        if clips:
            named = ", ".join(first_names(clips, NAMED))
            number = counted(len(known), "row")
            tell(f"fold {fold}: {len(clips):,} of {number} differ ({named})")
    compared = f"{counted(rows, 'row')} of {counted(len(run.finished), 'fold')}"
    if not run.config.exact:
        compared += f", {' and '.join(models)} epoch"
    verdict = "predictions.csv is"
    if differing:
        verdict = f"{differing:,} differ from"
    print(f"{run.name}: {verdict} what the weights give ({compared})")
    return int(differing > 0)


def predicted_again(
    run: RunFolder, cache: Cache, models: Models, fold: int
) -> pd.DataFrame:
    config = run.trained_config
    channels = [channel.channel for channel in config.channels]
    table = clips_of_run(config, cache)
    table = table[~table["clip_id"].isin(config.left_out)]
    split = fold_split(table, fold, val=config.options.val, seed=config.seed)
    sides = {"val": split.val, "test": split.test}
    rows = []
    answers = []
    for selection, model in models.items():
        for side, ids in sides.items():
            positions = cache.positions(ids)
            clips = cache.clips.iloc[positions]
            target = clips[run.task.column]
            rows.append(clips.assign(split=side, selection=selection, target=target))
            for start in range(0, len(positions), BATCH):
                batch = positions[start : start + BATCH]
                values = [cache.read(channel, batch) for channel in channels]
                answers.append(model.answers(fold, values, cache.filled[batch]))
    together = pd.concat(rows)[[*KEYS, "group", "target", *WINDOW_COLUMNS]]
    together = together.reset_index(drop=True)
    probabilities = pd.DataFrame(np.concatenate(answers), columns=run.classes)
    return pd.concat([together, probabilities], axis=1)


def differing_clips(
    known: pd.DataFrame, expected: pd.DataFrame, classes: list[str]
) -> list[str]:
    """The ids of clips with a row that differs or is in only one table."""
    known, expected = known.set_index(KEYS).align(expected.set_index(KEYS), axis=0)
    # the last columns: a class may have another column's name
    answers, again = (rows.to_numpy()[:, -len(classes) :] for rows in (known, expected))
    distances = np.abs(answers.astype(float) - again.astype(float))
    # NaN, which a row that one table lacks has too, differs
    differs = ~(distances <= AGREES).all(axis=1)
    columns = known.columns[: -len(classes)]
    for column in columns.intersection(WINDOW_COLUMNS):
        differs |= ~np.isclose(known[column], expected[column], atol=1e-6)
    for column in ("group", "target"):
        differs |= known[column].to_numpy() != expected[column].to_numpy()
    return known.index[differs].get_level_values(0).tolist()
