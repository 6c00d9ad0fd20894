"""`fs.compare(...)`: verdicts on several models' predictions, arrays in, tables out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from featurestack.analysis.findings import findings
from featurestack.analysis.runs import load_runs
from featurestack.analysis.sentences import printed
from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import SEPARATOR
from featurestack.predictions.read import predictions_in
from featurestack.results.folders import find
from featurestack.results.imported import write_imported

COLUMNS = ["run", "accuracy", "accuracy_low", "accuracy_high", "difference"]
COLUMNS += ["difference_low", "difference_high", "p", "verdict"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Models on the same clips, the best first."""

    # model, score, low, high, difference (to the best), difference_low, …_high, p,
    # verdict: best, tied, clearly worse, not compared
    table: pd.DataFrame
    headline: str  # the finding in one sentence

    def __repr__(self) -> str:
        return f"{self.headline}\n{self.table.to_string(index=False)}"


def compare(
    predictions: Mapping[str, ArrayLike],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
) -> Comparison:

    clips, names = clips_of_arrays(labels, groups, folds, classes)
    with TemporaryDirectory() as folder:
        models = {}
        for model, given in predictions.items():
            frame = pd.concat(
                [clips, columns_of(model, given, names, len(clips))], axis=1
            )
            frame.index = pd.Index([f"{model}, row {row}" for row in frame.index])
            own = predictions_in(frame)
            run = write_imported(own, Path(folder, "compared", model), source=model)
            models[run.name] = model
        found = findings(load_runs(find(folder)))
    table = pd.DataFrame([*found.rows, *found.others])[COLUMNS].replace({"run": models})
    table.columns = table.columns.str.replace("accuracy_", "")
    return Comparison(
        table=table.rename(columns={"run": "model", "accuracy": "score"}),
        headline=printed(found),
    )


def clips_of_arrays(
    labels: Any, groups: Any, folds: Any, classes: Sequence[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """clip, label, and group and fold if they are given; and the names of classes."""
    values = np.asarray(labels)
    if values.ndim not in (1, 2) or not len(values):
        raise RequestError(f"labels of shape {values.shape}: expected (clips,)")
    if values.ndim == 2:
        columns = getattr(labels, "columns", range(values.shape[1]))
        names = [*map(str, classes or columns)]
        every = np.array(names)
        values = np.array([SEPARATOR.join(every[row]) for row in values > 0])
    else:
        names = [*map(str, classes or np.unique(values))]
    clips = pd.DataFrame({"clip": [f"{row:08d}" for row in range(len(values))]})
    for name, given in (("label", values), ("group", groups), ("fold", folds)):
        if given is None:
            continue
        if np.shape(given) != (len(clips),):
            raise RequestError(
                f"{name}: {len(given)} values for {len(clips)} clips; expected one for"
                " each"
            )
        clips[name] = np.asarray(given).astype(str)
    return clips, names


def columns_of(
    model: str, given: Any, classes: Sequence[str], clips: int
) -> pd.DataFrame:
    """A model's columns of a table; RequestError for another shape."""
    values = np.asarray(given)
    if values.shape == (clips,):
        return pd.DataFrame({"predicted": values.astype(str)})
    names = [*map(str, getattr(given, "columns", classes))]
    if values.shape != (clips, len(names)):
        raise RequestError(
            f"predictions of {model} have the shape {values.shape}: expected ({clips},"
            f" {len(names)}), or ({clips},)"
        )
    return pd.DataFrame(values, columns=names)
