"""Clips that a run predicted right, wrong and with little confidence, for notebooks."""

import numpy as np

from featurestack.analysis.clips import read_batches, shrink
from featurestack.analysis.error_browser import TOP
from featurestack.analysis.figures.feature_maps import SamplePrediction
from featurestack.analysis.runs import Run
from featurestack.features_cache import Cache

SAMPLES_EACH = 4

SAMPLE_SIZE = 112, 288  # largest height and width in pixels


def choose_samples(
    run: Run,
    cache: Cache,
    feature: str,
    rng: np.random.Generator,
) -> list[SamplePrediction]:
    """Up to SAMPLES_EACH correct, wrong and uncertain clips, if their feature maps can
    be read.

    A clip counts as correct or as wrong if it is so for all seeds; `rng` draws among
    these clips. Uncertain clips have the smallest margins between the two likeliest
    classes. Probabilities are means over the seeds.
    """
    probabilities = run.probabilities.mean(axis=0)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    two_largest = np.sort(probabilities, axis=1)[:, -2:]
    margin = np.diff(two_largest, axis=1).sum(axis=1)
    chosen = {
        "correct": rng.permutation(np.flatnonzero(run.correct == 1)),
        "wrong": rng.permutation(np.flatnonzero(run.correct == 0)),
        "uncertain": np.argsort(margin, kind="stable"),
    }
    samples = []
    for outcome, rows in chosen.items():
        row_of = {str(run.clip_ids[row]): row for row in rows[:SAMPLES_EACH]}
        for ids, values in read_batches(cache, feature, list(row_of)):
            for clip, value in zip(ids, values):
                row = row_of[clip]
                true = run.classes[run.target[row]]
                top = tuple(
                    (run.classes[place], float(probabilities[row, place]))
                    for place in order[row]
                )
                shown = shrink(value, SAMPLE_SIZE)
                samples.append(
                    SamplePrediction(
                        outcome, clip, shown, cache.duration or 1.0, true, top
                    )
                )
    return samples
