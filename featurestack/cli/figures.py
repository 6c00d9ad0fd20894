"""Figures of the report in `import featurestack as fs`, for notebooks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestack.base.errors import RequestError
from featurestack.cli.commands import command
from featurestack.cli.data import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from featurestack.results.run_folder import RunFolder


@command
def draw(name: str, **data: Any) -> "Figure":
    """A figure of the report by its name.

    Parameters
    ----------
    name : str
        One of `list(fs.FIGURES)`.
    **data
        Arguments of its drawing function: `help(fs.FIGURES[name].draw)`.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[9, 1], [2, 8]])
    >>> classes = ["dog", "rain"]
    >>> figure = fs.draw("confusion_matrix", counts=counts, classes=classes)
    """
    from featurestack.analysis.figures import draw

    return draw(str(name), **data)


@command
def curves(trained: "RunFolder | Path | str") -> "Figure":
    """Learning curves of a run: mean accuracy and loss over the folds by epoch.

    Parameters
    ----------
    trained : RunFolder, Answer, path or str
        From `fs.fit`, `fs.run` or `fs.answer`, or a run's name or path.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> fs.curves("last").savefig("curves.png")
    """
    opened = run(trained)
    history = {fold: opened.history(fold) for fold in opened.finished}
    return draw("learning_curves", history=history)


@command
def confusion(trained: "RunFolder | Path | str") -> "Figure":
    """Confusion matrix of a run's test predictions on all finished folds.

    Parameters
    ----------
    trained : RunFolder, Answer, path or str
        From `fs.fit`, `fs.run` or `fs.answer`, or a run's name or path.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> fs.confusion("last").savefig("confusion.png")
    """
    from featurestack.analysis.report_tables import confusion_counts
    from featurestack.analysis.run_arrays import load_runs

    runs, problems = load_runs([run(trained)])
    if not runs:
        raise RequestError("; ".join(problem.text for problem in problems))
    (loaded,) = runs
    return draw(
        "confusion_matrix",
        counts=confusion_counts(loaded),
        classes=loaded.classes,
        categories=loaded.categories,
    )
