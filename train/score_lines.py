"""The lines in which a finished fold or run tells its scores."""

import statistics
from collections.abc import Sequence

from featurestack.commandline.quantities import mean_percent
from featurestack.results.run_folder import RunFolder


def score_lines(run: RunFolder, folds: Sequence[int]) -> list[str]:
    """Scores of these folds of a run at the last epoch and, if validation
    chose one, at the best epoch.
    """
    lines = []
    epochs = {"last": "last epoch"}
    if run.selection() == "best":
        epochs["best"] = f"best epoch by {run.training.options.select}"
    for selection, epoch in epochs.items():
        table = run.scores("test", selection).loc[folds]
        texts = []
        for name in ("loss", run.task.score, "f1"):
            if name not in run.task.history:
                continue
            # with tags, a fold may have no label to test
            values = table[name].dropna().tolist()
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            text = f"{statistics.fmean(values):.3f}{spread}" if values else "unknown"
            if name == "accuracy":
                text = mean_percent(values)
            texts.append(f"{name} {text}")
        lines.append(f"{epoch}: test {', '.join(texts)}")
    return lines
