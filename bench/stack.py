"""What a stack gives a network that is trained: feature sets read as one image or
channel by channel, compared with mel on the same folds and seeds.

    python -m bench.stack DATASET=../esc10 WEIGHTS=none GRID=64x108 EPOCHS=15
    python -m bench.stack DATASET=../esc10 WEIGHTS=none GRID=64x216 EPOCHS=40
    python -m bench.stack DATASET=../esc50_16k WEIGHTS=models/resnet18-stages123.pth \\
        FRAME=64 GRID=128x156 EPOCHS=10 SEED=0

docs/tables/stack.csv has a row for each feature set and model. `fold1` to `fold3` and
`mean` are means of the seeds; `gain` is the difference from mel with its 97.5 %
interval, in points; `fold_seconds` are processor seconds of a fold on one thread.
The same command again resumes: it keeps the rows and runs that are there.
"""

from pathlib import Path
from typing import Any

import pandas as pd

import featurestack as fs
from bench.record import FILES, bench, record, spent
from featurestack.base.options import DataOptions, RunsOptions, option
from featurestack.comparison.ranking import ModelRanking
from featurestack.results.run_folder import RunFolder, tested_run

BASE = "mel"
SETS = BASE, "mel+mfcc+chroma", "mel+gammatone+pcen", "mel+mel+mel"
MODELS = "resnet18", "resnet18@fusion=streams"  # for mel they are the same network
FOLDS = 1, 2, 3  # on which our own choices are made


class StackOptions(DataOptions, RunsOptions):
    """Accuracy and time of trained networks on stacks."""

    dataset: str = option("esc10", "a name or folder")
    frame: float | None = option(None, "length of a frame in ms, as in `features`")
    weights: str = option("none", "none, or a file of weights")
    grid: str = option("64x108", "rows x frames")
    epochs: int = option(15, "epochs", least=1)
    seed: tuple[int, ...] = option((0, 1, 2), "seeds, of which a row has the mean")
    folds: tuple[int, ...] = option(FOLDS, "folds that are trained")
    features: tuple[str, ...] = option(SETS, "feature sets, compared with mel")
    model: tuple[str, ...] = option(MODELS, "networks")


def stack(options: StackOptions) -> None:
    """Train mel, then every set by every model, and keep a row of each."""
    where: dict[str, Any] = {"dataset": options.dataset, "data": options.data}
    where["quiet"] = True
    features = " ".join({name for own in options.features for name in own.split("+")})
    fs.extract(features=f"{BASE} {features}", frame=options.frame, **where)
    begins = "drawn" if options.weights == "none" else "first feature"
    words = f"WEIGHTS={options.weights} GRID={options.grid} EPOCHS={options.epochs}"
    words += f" SEED='{' '.join(map(str, options.seed))}'"
    if options.folds != FOLDS:
        words += f" FOLDS='{' '.join(map(str, options.folds))}'"
    command = f"python -m bench.stack DATASET={options.dataset} {words}"
    known = pd.read_csv(FILES / "stack.csv")["row"].tolist()
    base: list[RunFolder] = []
    for model in options.model:
        for features in dict.fromkeys((BASE, *options.features)):
            network = MODELS[0] if features == BASE else model
            row = f"{Path(options.dataset).name} {features} {network}, {words}"
            if base and (features == BASE or row in known):
                continue
            runs, seconds = [], []
            for seed in options.seed:
                begun = spent()
                run = fs.fit(
                    **where,
                    runs=options.runs,
                    features=features,
                    model=network,
                    weights=options.weights,
                    grid=options.grid,
                    epochs=options.epochs,
                    folds=options.folds,
                    seed=seed,
                    curve=0,
                    threads=1,
                )
                assert isinstance(run, RunFolder)  # of one seed
                runs.append(run)
                seconds.append(spent() - begun)
            base = base or runs
            if row in known:
                continue
            made: dict[str, Any] = {"row": row, "features": features}
            made |= {"begins": begins, "size": options.grid, **compared(base, runs)}
            # a run that was there takes none
            made["fold_seconds"] = max(seconds) / len(options.folds)
            print(*made.values(), flush=True)
            record("stack", pd.DataFrame([made]), command, sum(seconds))


def compared(base: list[RunFolder], runs: list[RunFolder]) -> dict[str, float]:
    """Accuracy in percent by fold and on all clips, and the difference from `base`."""
    models = tested_run(base), tested_run(runs)
    right = pd.Series(models[1].parts_of_seeds.ravel())
    folds = 100 * right.groupby(models[1].folds.ravel()).mean()
    row = {f"fold{fold}": value for fold, value in folds.items()}
    row |= {"mean": 100 * models[1].score.value, "seeds": len(runs)}
    if base is runs:
        return row
    (gain,) = ModelRanking(runs=models, crossed=True).compare([(0, 1)])
    shares = {"gain": gain.value, "gain_from": gain.low, "gain_to": gain.high}
    return row | {name: 100 * share for name, share in shares.items()}


if __name__ == "__main__":
    bench(stack)
