"""A run's printed summary. No torch."""

import statistics

from featurestack.commandline.quantities import mean_percent, percent
from featurestack.results.run_folder import RunFolder


def run_summary(run: RunFolder) -> str:
    """Mean ± sd over folds of loss, score and F1, the worst errors, the protocol."""
    folds = run.finished
    lines = [
        (
            f"{run.path}: {len(folds)} of {len(run.folds)} folds; mean ± sd, n ="
            f" {len(folds)}"
        ),
        *score_lines(run, folds),
        *run.task.error_lines(run),
        f"protocol: {run.config.protocol}",
    ]
    if run.config.synthetic:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def score_lines(run: RunFolder, folds: list[int]) -> list[str]:
    """Scores of these folds at the last epoch and, if validation chose one, at the best
    epoch; of an ensemble those of each member too.
    """
    split = run.scored_split
    lines = []
    epochs = {"last": "last epoch"}
    if run.selection() == "best":
        epochs["best"] = f"best epoch by {run.training.options.select}"
    for selection, epoch in epochs.items():
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
        score = run.task.score
        *alone, together = [
            percent(run.scores(split, member=name)[score].loc[folds].mean())
            for name in (*run.members, "")
        ]
        each = ", ".join(
            f"{name} alone {value}" for name, value in zip(run.members, alone)
        )
        lines.append(f"{score}: {each}, together {together} %")
    return lines
