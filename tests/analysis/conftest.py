"""Run folders for the tests of the analysis: made up with a known skill, or written by hand row by row."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.results import Results, Run, load
from bench.made_runs import MadeRun, made_clips, make_run
from train.runs import RunFolder, digest, find, write_config, write_predictions

Row = tuple[str, str, int, str, Sequence[float]]  # clip_id, group, fold, target, probabilities


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Results]:
    """Write made-up runs over shared clips and load them: made(MadeRun(...), ..., clips=400, classes=10)."""

    def make(*runs: MadeRun, dataset: str = "made", **clips: object) -> Results:
        table = made_clips(**({"clips": 400, "classes": 10} | clips))
        for run in runs:
            make_run(tmp_path, table, run, dataset)
        return load(find(tmp_path))

    return make


@pytest.fixture
def by_hand(tmp_path: Path) -> Callable[..., RunFolder]:
    """Write one run from rows (clip_id, group, fold, target, probabilities), all of them tested."""

    def write(name: str, classes: Sequence[str], rows: Sequence[Row], **config: object) -> RunFolder:
        folder = RunFolder(tmp_path / "hand" / name)
        folds = sorted({row[2] for row in rows})
        standard = {"dataset": "hand", "features": name, "model": "resnet18", "task": "classes", "seed": 0}
        standard |= {"protocol": "last epoch", "folds": folds, "family": digest([name, config])}
        named = [{"name": one, "category": ""} for one in classes]
        write_config(folder.path, standard | {"classes": named} | config)
        for fold in folds:
            here = [row for row in rows if row[2] == fold]
            frame = pd.DataFrame(
                [(clip, group, "test", "last", target) for clip, group, _, target, _ in here],
                columns=["clip_id", "group", "split", "selection", "target"],
            )
            folder.fold(fold).mkdir(parents=True)
            write_predictions(
                folder.fold(fold), frame, np.array([row[4] for row in here], np.float32), classes
            )
        return folder

    return write


@pytest.fixture
def hand_run(by_hand: Callable[..., RunFolder]) -> Callable[..., Run]:
    """The same, loaded."""

    def write(*args: object, **config: object) -> Run:
        results = load([by_hand(*args, **config)])
        assert not results.problems
        return results.runs[0]

    return write
