"""The feature sets of the course's sessions 3 and 4 on several datasets, with the
sessions' settings:

    python -m bench.course DATASET="synth ../esc10"
    python -m bench.course DATASET="synth ../esc10" MODEL=resnet18@fusion=streams

docs/tables/course.csv has a row for each dataset, feature set and model; the sessions
show this table. Fold 1 is the fold that a notebook trains; `accuracy` is over the folds
of FOLDS.
"""

from typing import Any

import pandas as pd

import featurestack as fs
from bench.record import bench, percentages, record, spent
from featurestack.base.options import DataOptions, RunsOptions, option
from featurestack.results.run_folder import RunFolder, tested_run

SETS = ("mel", "mel+mel+mel", "mel+mfcc+chroma")
SETTINGS: dict[str, Any] = {  # those of notebooks/4_stacks_of_three.ipynb
    "grid": "32x54",
    "epochs": 6,
    "batch": 16,
    "curve": 0,
    "weights": "none",
    "precision": "fp32",
    "threads": 1,
}


class CourseOptions(DataOptions, RunsOptions):
    """Accuracy of the course's feature sets on real and synthetic sounds."""

    dataset: tuple[str, ...] = option(("synth", "esc10"), "names or folders")
    model: str = option("resnet18", "the network")
    folds: tuple[int, ...] = option((), "folds that are trained; all by default")


def course(options: CourseOptions) -> None:
    """Train every set on every dataset, and keep the table."""
    words = f"MODEL={options.model}"
    if options.folds:
        words += f" FOLDS='{' '.join(map(str, options.folds))}'"
    settings = {"model": options.model, "folds": options.folds, **SETTINGS}
    for dataset in options.dataset:
        where: dict[str, Any] = {
            "dataset": dataset,
            "data": options.data,
            "quiet": True,
        }
        fs.extract(features="mel mfcc chroma", **where)
        for features in SETS:
            begun = spent()
            run = fs.fit(**where, runs=options.runs, features=features, **settings)
            assert isinstance(run, RunFolder)  # of one set
            row: dict[str, Any] = {"row": f"{run.dataset} {features} {options.model}"}
            row |= {"dataset": run.dataset, "features": features}
            row |= {"model": options.model, **scores(run)}
            print(*row.values())
            command = f"python -m bench.course DATASET={run.dataset} {words}"
            record("course", pd.DataFrame([row]), command, spent() - begun)


def scores(run: RunFolder) -> dict[str, float]:
    """Accuracy in percent on each fold and on all clips, with its interval."""
    rows = run.predictions()
    right = rows[run.classes].idxmax(axis=1) == rows["target"]
    folds = 100 * right.groupby(rows["fold"]).mean()
    of_folds = {f"fold{fold}": value for fold, value in folds.items()}
    return of_folds | percentages(tested_run([run]).score)


if __name__ == "__main__":
    bench(course)
