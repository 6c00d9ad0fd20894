"""Clips before and after each augmentation, as training left them in fold*/augmented.npz."""

import zipfile
from pathlib import Path

import numpy as np

from analysis.figures import Saved, save
from analysis.results import Problem, Run

Pairs = list[tuple[str, np.ndarray, np.ndarray]]


def read(file: Path) -> Pairs:
    """(augmentation, before, after) of one clip each, both (rows, columns) of the first channel."""
    with np.load(file, allow_pickle=False) as held:
        before = held["before"].astype(np.float32)
        return [
            (
                str(name),
                before[place % len(before), 0],
                held[f"after_{place}"][place % len(before), 0].astype(np.float32),
            )
            for place, name in enumerate(held["augment"])
        ]


def drawn(run: Run, folder: Path) -> tuple[list[Saved], list[Problem]]:
    """The figure of a run's first fold that has one; nothing where training left none."""
    for file in sorted(run.folders[0].path.glob("fold*/augmented.npz")):
        try:
            pairs = read(file)
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            return [], [Problem(run.name, f"{file} is left out, it cannot be read ({error})")]
        if pairs:
            return [save("augmentations", folder, stem=f"{run.name}.augmented", pairs=pairs)], []
    return [], []
