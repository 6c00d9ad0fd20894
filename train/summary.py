"""A run's printed summary. No torch."""

import statistics

import numpy as np

from featurestack.commandline.quantities import mean_percent, percent
from featurestack.results import tags
from featurestack.results.run_folder import RunFolder
from featurestack.results.scores import (
    confusion_matrix,
    most_confused,
)

# number of classes that are named, from the least average precision up
LEAST_PRECISE = 3


def summary(run: RunFolder) -> str:
    """Loss, accuracy and F1 as mean ± sd over folds, the most frequent errors, the
    protocol.

    With tags, mAP stands instead of accuracy, and the least precise classes instead of
    the errors.
    """
    folds = run.finished
    lines = [
        (
            f"{run.path}: {len(folds)} of {len(run.folds)} folds; mean ± sd, n ="
            f" {len(folds)}"
        ),
        *score_lines(run, folds),
        *error_lines(run),
        f"protocol: {run.config.protocol}",
    ]
    if run.config.synthetic:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def error_lines(run: RunFolder) -> list[str]:
    """What the run errs in; a task of frames prints it when training ends."""
    if run.task.framed:
        return []
    return precision_lines(run) if run.task.multilabel else [error_line(run)]


def error_line(run: RunFolder) -> str:
    """One line with the most frequent errors."""
    probabilities, targets = run.answers(split=run.scored_split)
    counts = confusion_matrix(targets, probabilities.argmax(1), len(run.classes))
    errors = [
        f"{run.classes[true]} predicted as {run.classes[predicted]} "
        f"({counts[true, predicted]} of {counts[true].sum()})"
        for true, predicted in most_confused(counts)
    ]
    return f"most confused: {'; '.join(errors) or 'none'}"


def precision_lines(run: RunFolder) -> list[str]:
    """mAP of all folds with the prevalence, and the classes with the least average
    precision.
    """
    probabilities, numbers = run.answers(split=run.scored_split)
    target = numbers > 0
    folds = run.scored(split=run.scored_split)["fold"].to_numpy()
    precision = tags.average_precision(target, tags.fold_ranks(probabilities, folds))
    prevalence = target.mean(axis=0)
    tested = target.any(axis=0)
    named = np.argsort(np.where(tested, precision, np.inf))[
        : min(LEAST_PRECISE, tested.sum())
    ]
    least = [
        f"{run.classes[k]} {precision[k]:.2f} ({prevalence[k]:.2f})" for k in named
    ]
    left_out = (
        f"; {(~tested).sum()} classes without a clip left out"
        if not tested.all()
        else ""
    )
    score = f"{tags.macro(precision):.3f} (prevalence {prevalence[tested].mean():.3f})"
    return [
        f"macro average precision of all folds, ranks within each: {score}{left_out}",
        f"least average precision (prevalence): {', '.join(least)}",
    ]


def score_lines(run: RunFolder, folds: list[int]) -> list[str]:
    """Scores of these folds at the last epoch and, if validation chose one, at the best
    epoch.

    An ensemble has one more line: `accuracy: resnet18 alone 85.1, texture alone 91.6,
    together 93.0 %`.
    """
    split = run.scored_split
    lines = []
    best = (
        {"best": f"best epoch by {run.training.options.select}"}
        if run.selection() == "best"
        else {}
    )
    for selection, epoch in {"last": "last epoch", **best}.items():
        table = run.scores(split, selection).loc[folds]
        texts = []
        for name in run.task.printed_scores:
            # with tags, a fold may have no label to test
            values = table[name].dropna().tolist()
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            mean = f"{statistics.fmean(values):.3f}{spread}" if values else "unknown"
            texts.append(
                f"{name} {mean_percent(values) if name == 'accuracy' else mean}"
            )
        lines.append(f"{epoch}: {split} {', '.join(texts)}")
    if run.members:
        score = run.task.metric.column
        *alone, together = [
            percent(run.scores(split, member=name)[score].loc[folds].mean())
            for name in (*run.members, "")
        ]
        each = ", ".join(
            f"{name} alone {value}" for name, value in zip(run.members, alone)
        )
        lines.append(f"{score}: {each}, together {together} %")
    return lines
