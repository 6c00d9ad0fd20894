"""Whether `answer` would gain from a second model: ridge on every feature without
textures, and texturenet on two sets of maps.

    python -m bench.two_models SOUNDS="fsdd commands"

Every candidate is scored in the inner folds, where texturenet is trained for EPOCHS
epochs; for the tested fold it is trained for its default, which is more. For each fold
the candidate with the highest score is taken, so that the accuracy can be compared with
that of bench.answers on the same datasets, in which ridge uses the textures as
features. The rows are stored in docs/tables/answer_sets.csv.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from bench.answers import MEL_MFCC, ROWS, described, write_table
from bench.record import bench, percentages, record, spent
from featurestack.answers.choice import SetScores, candidate_sets, rankable
from featurestack.base.options import Options, option
from featurestack.features_cache.cache import cache_of
from featurestack.results.splits import Split
from featurestack.train.compute import place, prepare
from featurestack.train.fits import Fits, Numbers, Part, fits_of, tested_by
from featurestack.train.fold_data import measure_clips
from featurestack.train.folds import draw_network, load_data
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.trainer import Trainer

MAPS = "mel", MEL_MFCC  # the sets of maps that texturenet reads


class TwoModelsOptions(Options):
    """Datasets of bench.answers, and the cheaper schedule."""

    sounds: str = option("commands fsdd", "datasets, separated by spaces")
    folder: Path = option(Path(".."), "the folder of esc10, esc50_16k, fsdd, commands")
    epochs: int = option(15, "epochs of texturenet in the inner folds", least=1)


def two_models(options: TwoModelsOptions) -> None:
    """Measure every row, and keep the table."""
    for name in options.sounds.split():
        begun, used = time.perf_counter(), spent()
        with tempfile.TemporaryDirectory() as scratch:
            row = procedure_row(name, Path(scratch), options)
        row["minutes"] = round((time.perf_counter() - begun) / 60, 1)
        usages = map(
            resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        row["megabytes"] = max(usage.ru_maxrss for usage in usages) // 1024
        table = pd.DataFrame([row])
        print(table.iloc[0].to_string(), flush=True)
        command = f"python -m bench.two_models SOUNDS={name} EPOCHS={options.epochs}"
        record(ROWS, table, command, spent() - used)


def procedure_row(
    name: str, scratch: Path, options: TwoModelsOptions
) -> dict[str, object]:
    """The row of a dataset: each fold is tested by the candidate chosen without it."""
    dataset = write_table(name, scratch, options.folder)
    data, runs = scratch / "data", scratch / "runs"
    words = [f"DATASET={dataset}", f"NAME={name}", f"DATA={data}", "FEATURES=all"]
    command = [sys.executable, "-m", "featurestack", "features", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    cache = cache_of(dataset, data, name)
    names = [each for each in cache.features if each != "waveform"]
    given: dict[str, Any] = {
        "dataset": dataset,
        "name": name,
        "data": data,
        "runs": runs,
    }
    features = "+".join(rankable(cache, names))
    fits = fits_of(make_plan(RunOptions(**given, features=features, model="ridge")))
    scores = SetScores(fits)
    networks = {
        maps: RunOptions(**given, features=maps, model="texturenet", threads=1)
        for maps in MAPS
    }
    answers, chosen = [], []
    inner: dict[tuple[str, bytes], Numbers] = {}  # answers of texturenet, by fit
    for fold, outer in zip(fits.plan.config.folds, fits.parts):
        by_ridge = {
            each: scores.of(each, fold) for each in candidate_sets(scores, fold)
        }
        by_network = {}
        for maps, run in networks.items():
            of_fits = []
            for part, tested in scores.choosing[fold]:
                key = maps, part.train.tobytes()
                if key not in inner:
                    inner[key] = trained(run, fits, part, epochs=options.epochs)
                of_fits.append(inner[key][np.searchsorted(part.tested, tested)])
            clips = np.concatenate([tested for _, tested in scores.choosing[fold]])
            by_network[maps] = score(fits, of_fits, clips)
        best, network = max_of(by_ridge), max_of(by_network)
        if by_network[network] > by_ridge[best]:
            chosen.append(f"{network} with texturenet")
            answers.append(trained(networks[network], fits, outer))
        else:
            chosen.append(best)
            answers.append(fits.logits(best, [outer])[0])
    print(chosen)
    predictions = fits.predictions(np.concatenate(answers), tested_by(fits.parts))
    return {
        "answer": f"{name}, no network, ridge or texturenet",
        "sounds": described(fits),
        **percentages(predictions.score),
        MEL_MFCC: 100 * fits.predicted(MEL_MFCC, fits.parts).score.value,
    }


def max_of(scores: dict[str, float]) -> str:
    return max(scores, key=lambda name: round(scores[name], 12))


def score(fits: Fits, answers: Sequence[Numbers], clips: np.ndarray) -> float:
    predictions = fits.predictions(np.concatenate(answers), clips)
    return float(predictions.metric.score(predictions))


def trained(run: RunOptions, fits: Fits, part: Part, epochs: int = 0) -> Numbers:
    """(n, K) logarithms of texturenet's probabilities for the clips of a part."""
    plan = make_plan(replace(run, epochs=epochs) if epochs else run)
    moments, _ = measure_clips(plan)
    ids = fits.plan.cache.clips["clip_id"].to_numpy()
    train, test, none = (ids[own] for own in (part.train, part.tested, part.train[:0]))
    fold = int(part.tested[0]) + 1  # of the seed
    split = Split(train, test, none, train, none)
    network = draw_network(plan, fold)
    data = load_data(plan, network, fold, split, moments, "cpu")
    compute = Trainer.choose_compute(network, data, "cpu")
    prepare(compute)
    place(network, compute)
    trainer = Trainer(data, network, compute)
    with tqdm(disable=True) as bar:
        while not trainer.finished:
            trainer.train_epoch(bar)
            trainer.epoch += 1
    return np.log(np.maximum(trainer.predict(part.tested, exact=True), 1e-30))


if __name__ == "__main__":
    bench(two_models)
