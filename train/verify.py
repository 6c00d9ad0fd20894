"""`python -m train verify`: do a run's predictions follow from its weights?

The weights of each fold predict that fold's test clips again, from the features in the
cache; the audio is not needed. A row of predictions.csv differs if a probability or the
true class differs, and a test clip without a row differs too.
"""

from collections.abc import Sequence

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.features_cache import Cache, cache_folder, dataset_name
from featurestack.features_cache.splits import fold_split
from featurestack.results import select_runs
from featurestack.results.changed_runs import is_changed
from featurestack.results.run_folder import RunFolder
from featurestack.results.training_data import training_clips
from featurestack.train.bundle import AGREES, BATCH, TrainedModel, bundle_of_run
from featurestack.train.compute import device_of, threads_of
from featurestack.train.trained_options import VerifyOptions

NAMED = 3  # clips of a fold that are named


def verify_run(options: VerifyOptions) -> int:
    """Print for each fold how many rows of predictions.csv differ; 1 if any does.

    RequestError if the cache holds other clips or values than the run was trained on.
    """
    import torch

    named = dataset_name(options.dataset)
    run = select_runs.select_one(options.runs, options.run, named)
    if run.task.predictor:
        raise RequestError(
            f"{run.name} answers frames of recordings: verify takes runs of clips"
        )
    dataset = options.dataset or run.dataset
    cache = Cache(cache_folder(dataset, options.data))
    if is_changed(run.training, cache):
        raise RequestError(
            f"{cache.folder} holds other clips or values than {run.name} was trained"
            " on: DATASET= names the cache that trained it"
        )
    torch.set_num_threads(threads_of(options.threads))
    selection = run.selection(options.selection)
    bundle = bundle_of_run(run, selection)
    model = TrainedModel(bundle, device_of(options.device))
    differing = 0
    rows = 0
    for fold in model.folds:
        clips = differing_clips(run, cache, model, fold, selection)
        tested = len(run.scored(fold, selection=selection))
        rows += tested
        differing += len(clips)
        if clips:
            more = "" if len(clips) <= NAMED else f" and {len(clips) - NAMED} more"
            tell(
                f"fold {fold}: {len(clips):,} of {counted(tested, 'row')} differ"
                f" ({', '.join(clips[:NAMED])}{more})"
            )
    compared = f"{counted(rows, 'row')} of {counted(len(model.folds), 'fold')}"
    if differing:
        print(
            f"{run.name}: {differing:,} differ from what the weights give ({compared})"
        )
        return 1
    print(f"{run.name}: predictions.csv is what the weights give ({compared})")
    return 0


def differing_clips(
    run: RunFolder,
    cache: Cache,
    model: TrainedModel,
    fold: int,
    selection: str,
) -> Sequence[str]:
    """Ids of the clips whose row in the fold's predictions.csv is missing or another
    than the one that the weights and the cache give.
    """
    config = run.training
    channels = [channel.channel for channel in config.channels]
    table = training_clips(cache, channels, config.options.copies)
    tested = {*fold_split(table, fold).test}
    known = run.scored(fold, selection=selection)
    ids = known["clip_id"].to_numpy()
    differing = [*sorted(tested - {*ids}), *sorted({*ids} - tested)]
    known = known[known["clip_id"].isin(tested)]
    if known.empty:
        return differing
    positions = cache.positions(known["clip_id"])
    batches = np.array_split(positions, -(-len(positions) // BATCH))
    again = np.concatenate(
        [
            model.probabilities(cache.batch(channels, batch), cache.filled[batch], fold)
            for batch in batches
        ]
    )
    before = known[run.classes].to_numpy()
    others = ~(np.abs(again - before) <= AGREES).all(axis=1)
    targets = cache.clips[run.task.column].to_numpy()[positions]
    others |= known["target"].to_numpy() != targets
    return [*differing, *known["clip_id"].to_numpy()[others]]
