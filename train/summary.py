"""What came of a run: what is printed of a fold and of a run, and temperatures for run.json. No torch."""

import statistics

from commandline.terminal import mean_percent, percent
from results.config import Calibration, Epoch
from results.run_folder import RunFolder
from results.scores import confusion_matrix, fit_temperature, most_confused

PRINTED_SCORES = ("loss", "accuracy", "f1")


def summary(run: RunFolder) -> str:
    """Loss, accuracy and F1 as mean ± sd over folds, the most frequent errors, the protocol."""
    split = run.scored_split
    folds = run.finished
    probabilities, targets = run.answers(split=split)
    counts = confusion_matrix(targets, probabilities.argmax(1), len(run.classes))
    errors = [
        f"{run.classes[true]} predicted as {run.classes[predicted]} "
        f"({counts[true, predicted]} of {counts[true].sum()})"
        for true, predicted in most_confused(counts)
    ]
    lines = [
        f"{run.path}: {len(folds)} of {len(run.folds)} folds; mean ± sd, n = {len(folds)}",
        *score_lines(run, folds),
        f"most confused: {'; '.join(errors) or 'none'}",
        f"protocol: {run.config.protocol}",
    ]
    if run.config.synthetic:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def score_lines(run: RunFolder, folds: list[int]) -> list[str]:
    """Of these folds the scores at the last epoch and, with validation, at the best, which counts; of an
    ensemble `accuracy: resnet18 alone 85.1, texture alone 91.6, together 93.0 %`."""
    split = run.scored_split
    lines = []
    best = {"best": f"best epoch by {run.training.select}"} if run.selection() == "best" else {}
    for selection, epoch in {"last": "last epoch", **best}.items():
        table = run.scores(split, selection).loc[folds]
        texts = []
        for name in PRINTED_SCORES:
            values = table[name].tolist()
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            mean = f"{statistics.fmean(values):.3f}{spread}"
            texts.append(f"{name} {mean_percent(values) if name == 'accuracy' else mean}")
        lines.append(f"{epoch}: {split} {', '.join(texts)}")
    if run.members:
        *alone, together = [
            percent(run.scores(split, member=name)["accuracy"].loc[folds].mean())
            for name in (*run.members, "")
        ]
        each = ", ".join(f"{name} alone {accuracy}" for name, accuracy in zip(run.members, alone))
        lines.append(f"accuracy: {each}, together {together} %")
    return lines


def calibration(run: RunFolder) -> dict[Epoch, Calibration]:
    """For run.json: each selection's temperature for new audio, fitted to all clips tested so far."""
    fitted: dict[Epoch, Calibration] = {}
    for selection in run.predictions()["selection"].unique():
        probabilities, targets = run.answers(selection=selection)
        temperature = fit_temperature(targets, probabilities)
        fitted[selection] = Calibration(temperature=temperature, clips=len(targets))
    return fitted
