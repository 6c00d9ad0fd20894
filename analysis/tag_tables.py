"""The tables of runs with several labels a clip, as unrounded data frames."""

import numpy as np
import pandas as pd

from featurestack.analysis.runs import Run
from featurestack.analysis.tables import CONFUSED_PAIRS
from featurestack.features_cache.table import SEPARATOR

TAG_ERRORS = 10  # most errors listed for each class and kind


def labels_together(run: Run) -> pd.DataFrame:
    """The pairs of labels that most clips have together: first, second, clips, both,
    one, none.

    The last three are means over the seeds: on how many of the clips both, one or none
    is predicted.
    """
    labels = run.labels.astype(float)
    first, second = np.triu_indices(len(run.classes), 1)
    together = labels.T @ labels  # (K, K) clips that have both labels
    clips = together[first, second]
    most = np.argsort(-clips, kind="stable")[:CONFUSED_PAIRS]
    columns = ["first", "second", "clips", "both", "one", "none"]
    rows = []
    for place in most[clips[most] > 0]:
        pair = [first[place], second[place]]
        has_both = run.labels[:, pair].all(axis=1)
        decisions = run.decisions[:, has_both][:, :, pair]
        predicted = decisions.sum(axis=2)  # (S, clips) 0, 1 or 2 labels
        by_number = [(predicted == number).sum(axis=1).mean() for number in (2, 1, 0)]
        names = [run.classes[label] for label in pair]
        rows.append((*names, int(has_both.sum()), *by_number))
    return pd.DataFrame(rows, columns=columns)


def tag_errors(run: Run) -> pd.DataFrame:
    """The surest errors of each class: class, kind (missed | false positive), clip_id,
    labels, probability.

    Probabilities are means over the seeds. A class is predicted if more than half of
    the seeds predict it.
    """
    probabilities = run.probabilities.mean(axis=0)
    predicted = run.decisions.mean(axis=0) > 0.5
    names = np.array(run.classes)
    texts = [SEPARATOR.join(names[row]) or "(none)" for row in run.labels]
    rows = []
    for k, name in enumerate(run.classes):
        probability = probabilities[:, k]
        missed = run.labels[:, k] & ~predicted[:, k]
        false_positive = predicted[:, k] & ~run.labels[:, k]
        # the surest first: the least probable label, the most probable other class
        for kind, wrong, surest in (
            ("missed", missed, probability),
            ("false positive", false_positive, -probability),
        ):
            clips = np.flatnonzero(wrong)
            order = np.argsort(surest[clips], kind="stable")
            for clip in clips[order][:TAG_ERRORS]:
                row = (
                    name,
                    kind,
                    run.clip_ids[clip],
                    texts[clip],
                    probability[clip],
                )
                rows.append(row)
    return pd.DataFrame(
        rows, columns=["class", "kind", "clip_id", "labels", "probability"]
    )
