"""`python -m train explain`: how much a trained run relies on each channel, without
training again.

Each fold's model predicts its test clips several times for each channel, each time with
that channel permuted among the clips, and the share of correct predictions is averaged
(permutation importance, Breiman 2001). Permuted values are real values, which suit
every model and standardisation. A constant does not: if a channel is set to its mean,
its modulation spectrum in the texture statistics lies many deviations off.

Explain measures how much a trained model uses a channel. A model that is trained
without it may do better than one that loses it: a sweep measures what training on a
channel gains.

fold*/attribution.csv has one row for each channel and test clip: channel, method
(permuted), clip_id, correct (share of repeats), selection (last or best, the epoch of
the weights).
"""

import numpy as np
import pandas as pd
import torch

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import words
from featurestack.commandline.quantities import counted, percent, points
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress
from featurestack.features_cache import Cache
from featurestack.features_cache.names import parse_set
from featurestack.results import run_folder
from featurestack.results.run_folder import RunFolder
from featurestack.storage.files import replace_file
from featurestack.train.bundle import AGREES, TrainedModel, bundle_of_run
from featurestack.train.compute import device_of
from featurestack.train.fold_data import chunked
from featurestack.train.options import ExplainOptions

LEGEND = (
    "correct %: the mean over repeats with this channel permuted among the test clips"
)


def explain_runs(options: ExplainOptions) -> int:
    """Write attribution.csv for every finished fold of the named runs; print each
    channel's effect.

    explain_runs(ExplainOptions(run="last", repeats=10))
    """
    for run in run_folder.select(options.runs, options.run):
        if run.tags:
            raise RequestError(
                f"{run.name}: explain counts correct clips, which has no meaning with"
                " several labels a clip"
            )
        cache = Cache(options.cache_of(run.dataset))
        model = TrainedModel(bundle_of_run(run), device_of(options.device))
        parts = []
        for fold in progress(run.finished, label=run.name, unit="folds"):
            correct = permute_channels(run, fold, model, cache, options)
            channels = correct.drop(columns="whole")
            table = channels.melt(
                var_name="channel", value_name="correct", ignore_index=False
            ).reset_index()
            table = table.assign(method="permuted", selection=run.selection())
            columns = ["channel", "method", "clip_id", "correct", "selection"]
            text = table.to_csv(
                columns=columns, index=False, float_format="%g", lineterminator="\n"
            )
            replace_file(run.fold(fold) / "attribution.csv", text)
            parts.append(correct)
        # the clips of all folds
        correct = pd.concat(parts)
        whole = correct.pop("whole")
        rows = [
            (name, percent(share), points(share - whole.mean()))
            for name, share in correct.mean().items()
        ]
        clips = f"{whole.sum()} of {counted(len(whole), 'test clip')} correct"
        print(
            f"{run.name}: {clips} in {len(run.finished)} of"
            f" {counted(len(run.folds), 'fold')}"
        )
        print(text_table(rows, ("channel", "correct %", "change, points")))
        print(f"{LEGEND}; the report shows it by class")
        folders = words(options, ("data", "runs"))
        print(f"next: {make_command('analysis', f'DATASET={run.dataset}', *folders)}")
    return 0


def permute_channels(
    run: RunFolder,
    fold: int,
    model: TrainedModel,
    cache: Cache,
    options: ExplainOptions,
) -> pd.DataFrame:
    """A row for each test clip of the fold: whether it is predicted correctly
    (`whole`), and for each channel the share of correct predictions with that channel
    permuted.

    RequestError if the cache gives other predictions than predictions.csv.
    """
    ids = run.scored(fold)["clip_id"].to_numpy()
    features = parse_set(run.config.features)
    inputs = [
        model.prepare(fold, cache.batch(features, chunk), cache.filled[chunk])
        for chunk in chunked(cache.positions(ids))
    ]
    x = torch.cat(inputs)
    known, target = run.answers(fold)
    whole = model.of_input(fold, x)
    if np.abs(whole - known).max() > AGREES:
        raise RequestError(
            f"fold {fold} of {run.name}: the cache {cache.folder} gives other"
            " predictions than in training, so its features have changed: train again,"
            " or give DATA=the folder of the former cache"
        )
    random = np.random.default_rng([options.seed, fold])
    start = 0
    correct = pd.DataFrame({"whole": whole.argmax(axis=1) == target}, ids)
    for place, (channel, width) in enumerate(zip(features, model.input.widths)):
        changed = x.clone()
        hits = []
        own = slice(start, start + width)
        for _ in range(options.repeats):
            changed[:, own] = x[random.permutation(len(x)), own]
            hits.append(model.of_input(fold, changed).argmax(axis=1) == target)
        again = features[:place].count(channel)
        correct[f"{channel} ({again + 1})" if again else str(channel)] = np.mean(
            hits, axis=0
        )
        start += width
    return correct.rename_axis("clip_id")
