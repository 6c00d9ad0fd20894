"""Calibration of a run for new audio, fitted to its test clips. No torch."""

import numpy as np
import pandas as pd

from featurestack.features_cache.table import label_indicator
from featurestack.results.calibration import fit_temperature, scaled
from featurestack.results.config import Calibration, Epoch
from featurestack.results.run_folder import RunFolder

UNFITTED = 0.5  # threshold of a class without a clip to fit it to


def calibrate(run: RunFolder) -> dict[Epoch, Calibration]:
    """Selection -> calibration for new audio, fitted to all clips tested so far.

    The rejection threshold is fitted to the validation clips; a task without a
    temperature has none, and the temperature 1. Tags have thresholds.
    """
    task = run.task
    fitted: dict[Epoch, Calibration] = {}
    for selection in run.predictions()["selection"].unique():
        tested = run.scored(selection=selection)
        labels = task.labels(tested["target"], run.classes)
        probabilities = tested[run.classes].to_numpy(np.float32)
        temperature = 1.0
        rejection = None
        if task.by_temperature:
            temperature = fit_temperature(labels.argmax(axis=1), probabilities)
        if task.by_temperature and run.validated:
            from featurestack.results.calibration import rejection_threshold

            rows = run.scored(split="val", selection=selection)
            known = task.labels(rows["target"], run.classes).argmax(axis=1)
            answers = rows[run.classes].to_numpy(np.float32)
            rejection = rejection_threshold(known, scaled(answers, temperature))
        thresholds = None
        if task.multilabel:
            thresholds = thresholds_of_run(run, selection)
        fitted[selection] = Calibration(
            temperature=temperature,
            clips=len(tested),
            thresholds=thresholds,
            rejection=rejection,
        )
    return fitted


def thresholds_of_run(run: RunFolder, selection: str) -> dict[str, float]:
    """Each class's threshold with the highest F1 on all tested clips.

    A clip counts for the classes that its fold's model was trained on: those tested in
    the other folds. It counts for all classes if some fold is unfinished, or one fold
    alone is tested. A class that none of its clips has gets UNFITTED.
    """
    from featurestack.results.calibration import fit_thresholds

    tested = run.scored(selection=selection)
    labels = label_indicator(tested["target"], run.classes)
    by_fold = [labels[tested["fold"] == fold].any(axis=0) for fold in run.finished]
    present = np.stack(by_fold)
    other_folds = present.sum(axis=0) - present
    elsewhere = other_folds > 0
    # not all other folds are known
    if len(run.finished) == 1 or run.finished != run.folds:
        elsewhere[:] = True

    probabilities = tested[run.classes].to_numpy(np.float32)
    place = pd.Index(run.finished).get_indexer(tested["fold"])
    trained = elsewhere[place]
    target = labels & trained
    thresholds = fit_thresholds(target, probabilities * trained)
    known = np.where(target.any(axis=0), thresholds, UNFITTED)
    return dict(zip(run.classes, known.tolist()))
