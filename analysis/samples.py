"""Clips that a run got right, wrong, and was least sure of, for the grid of sample predictions."""

import numpy as np

from analysis import cached
from analysis.figures.samples import Sample
from analysis.pictures import COLUMNS, ROWS, pooled
from analysis.results import Run
from features_cache import Cache

OF_EACH_KIND = 4
TOP = 3


def samples(run: Run, cache: Cache, feature: str, rng: np.random.Generator) -> list[Sample]:
    """Up to four clips of each kind, drawn by `rng`; the unsure are those of the smallest lead."""
    probabilities = run.probabilities.mean(axis=0)
    right = probabilities.argmax(axis=1) == run.target
    ordered = np.sort(probabilities, axis=1)
    lead = ordered[:, -1] - ordered[:, -2] if ordered.shape[1] > 1 else ordered[:, -1]
    chosen = {
        "right": _drawn(np.flatnonzero(right), rng),
        "wrong": _drawn(np.flatnonzero(~right), rng),
        "unsure": np.argsort(lead, kind="stable")[:OF_EACH_KIND],
    }
    return [
        sample
        for kind, rows in chosen.items()
        for row in rows
        if (sample := _sample(run, cache, feature, kind, int(row), probabilities[row])) is not None
    ]


def _drawn(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(rows)[:OF_EACH_KIND]


def _sample(
    run: Run, cache: Cache, feature: str, kind: str, row: int, probabilities: np.ndarray
) -> Sample | None:
    clip = str(run.clip_ids[row])
    if clip not in set(cache.clips["clip_id"]):
        return None
    values = cached.one(cache, feature, clip)
    if values is None:
        return None
    small = pooled(pooled(values, 2 * ROWS, axis=0), 2 * COLUMNS, axis=1)
    likeliest = np.argsort(-probabilities, kind="stable")[:TOP]
    top = tuple((run.classes[place], float(probabilities[place])) for place in likeliest)
    return Sample(kind, clip, small, cache.duration or 1.0, run.classes[run.target[row]], top)
