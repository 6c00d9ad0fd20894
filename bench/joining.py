"""The effect of joining rules: `python -m bench.joining RUN=… HOP=…`.

The folds' models predict every part of their test recordings with this hop. Four ways
make detections, each chosen on the other folds: thresholds alone and rules from the
dataset's windows, the rules of training, and rules chosen on all windows of this hop.
"""

import numpy as np
import pandas as pd

from featurestack.commandline.commands import main
from featurestack.commandline.errors import RequestError
from featurestack.features_cache import Cache, cache_folder
from featurestack.features_cache.table import label_indicator
from featurestack.results.calibration import fit_thresholds
from featurestack.results.config import JoiningRule
from featurestack.results.detections import ALL, compare, event_scores
from featurestack.results.joining import LEAST_THRESHOLD
from featurestack.results.tested_windows import (
    FoldWindows,
    Rules,
    annotated_recordings,
    windows_of_dataset,
    windows_of_run,
)
from featurestack.results.windows import middles
from featurestack.train.audio_model import AudioModel
from featurestack.train.choose_joining import predict_tested, tested_clips
from featurestack.train.detect import Windowing
from featurestack.train.options import PredictOptions
from featurestack.train.timeline import TimelineFolder

COLUMNS = ["f1_iou", "event_recall", "false_alarms"]


def thresholds_without(trained: FoldWindows, fold: int) -> Rules:
    """Rules of a threshold alone: the highest F1 on the windows of the other folds."""
    others = (trained.windows["fold"] != fold).to_numpy()
    names = list(trained.probabilities)
    target = label_indicator(trained.windows["label"][others], names)
    values = trained.probabilities.to_numpy()[others]
    fitted = np.maximum(fit_thresholds(target, values), LEAST_THRESHOLD)
    return {name: JoiningRule(threshold=float(t)) for name, t in zip(names, fitted)}


def joining(options: PredictOptions) -> int:
    """Print the table of docs/howto/detections.md; returns 0."""
    model = AudioModel.open(options)
    run = model.run
    if run is None:
        raise RequestError("give RUN=a run: a bundle has no tested clips")
    cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
    annotated = annotated_recordings(cache)
    if annotated is None:
        raise RequestError(f"{run.name}: expected a run on windows of `make windows`")
    known = run, cache, annotated, run.selection(), model.temperature
    of_dataset = windows_of_dataset(*known)
    of_training = windows_of_run(*known)
    windowing = Windowing.of(model, options.window, options.hop)
    folder = options.out or options.reports / run.dataset / "tested" / run.name
    store = TimelineFolder(folder / "timelines")
    clips = tested_clips(run, cache)
    table = predict_tested(model, clips, annotated.block, windowing, store)
    values = table[run.classes].to_numpy()
    table[run.classes] = run.task.scaled(values, model.temperature)
    fine = FoldWindows.everywhere(table, annotated, cache)
    middle = middles(fine.windows, fine.hop)
    ways = {
        "thresholds alone": lambda fold: thresholds_without(of_dataset, fold),
        "rules of the dataset's windows": of_dataset.rules_without,
        f"rules of training, every {of_training.hop:g} s": of_training.rules_without,
        f"rules of every {fine.hop:g} s": fine.rules_without,
    }
    rows = {}
    for label, rules_without in ways.items():
        rules = {fold: rules_without(fold) for fold in run.finished}
        detections = fine.decided(rules).detections
        scores = event_scores(compare(fine.events, detections), middle)
        rows[label] = scores.loc[ALL, COLUMNS]
    print(pd.DataFrame(rows).T.round(3).to_string())
    return 0


if __name__ == "__main__":
    main([joining])
