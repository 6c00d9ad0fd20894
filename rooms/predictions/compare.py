"""`fs.compare(...)`: verdicts on several models' predictions, arrays in, tables out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from featurestack.analysis import page
from featurestack.analysis.findings import Findings, findings
from featurestack.analysis.runs import load_runs
from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import SEPARATOR
from featurestack.rooms.predictions.read import Table, answers_in
from featurestack.rooms.predictions.runs import foreign_runs

COLUMNS = ["run", "accuracy", "accuracy_low", "accuracy_high", "difference"]
COLUMNS += ["difference_low", "difference_high", "p", "verdict"]
ROLES = ("clip", "label", "group", "fold", "predicted")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models on the same clips, the best first."""

    # model, score, low, high, difference (to the best), difference_low, …_high, p,
    # verdict: best, tied, clearly worse, not compared
    table: pd.DataFrame
    score: str  # accuracy, or mAP with several labels per clip
    headline: str  # the finding in one sentence
    tied: tuple[str, ...]  # models that do not differ clearly from the best
    chance: float  # score of a prediction that knows nothing
    chance_p: float  # p of the best model against chance
    detectable: float  # difference to the second that these clips find with 80 %
    groups: int  # number of groups, of which intervals and tests are
    groups_needed: int  # for a verdict; 0 if there are enough, or if unknown

    def __str__(self) -> str:
        return f"{self.headline}\n{self.table.to_string(index=False)}"

    def _repr_html_(self) -> str:
        """The table below the finding, for a notebook."""
        table: str = self.table.to_html(index=False, float_format="{:.3f}".format)
        return f"<p>{page.escape(self.headline)}</p>{table}"


def comparison(
    predictions: Mapping[str, Any],
    labels: ArrayLike,
    parts: Mapping[str, ArrayLike | None],
    classes: Sequence[str] | None,
) -> Comparison:
    """`fs.compare`; `parts` are the group and fold of each clip, if given."""
    several = np.ndim(labels) == 2
    texts, names = text_labels(labels, classes)
    clips = pd.DataFrame({"clip": [f"{row:08d}" for row in range(len(texts))]})
    for name, given in {"label": texts, **parts}.items():
        if given is None:
            continue
        values = np.asarray(given)
        if len(values) != len(clips):
            raise RequestError(
                f"{name}: {len(values)} values for {len(clips)} clips; expected one"
                " for each"
            )
        clips[name] = values.astype(str)
    answers = []
    for model, given in predictions.items():
        frame = pd.concat([clips, columns_of(model, given, names, len(clips))], axis=1)
        roles = {name: name for name in ROLES if name in frame}
        answers += answers_in(Table(model, frame, model), roles, None, tags=several)
    runs = foreign_runs(answers, "compared", "tags" if several else "classes")
    return comparison_of(findings(load_runs(runs), named=True))


def text_labels(
    labels: ArrayLike, classes: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """The label of each clip as text, and the classes of arrays' columns."""
    values = np.asarray(labels)
    if values.ndim == 1:
        texts = values.astype(str).tolist()
        return texts, [*map(str, classes or sorted({*values.tolist()}))]
    if values.ndim != 2 or not len(values):
        raise RequestError(f"labels of shape {values.shape}: expected (clips,)")
    columns: Iterable[Any] = getattr(labels, "columns", [*range(values.shape[1])])
    names = [*map(str, classes or columns)]
    of_clips = [SEPARATOR.join(np.array(names)[row]) for row in values > 0]
    return of_clips, names


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


def comparison_of(found: Findings) -> Comparison:
    """What a report's findings say about its models."""
    rows = pd.DataFrame([*found.rows, *found.others])
    table = rows[COLUMNS].rename(
        columns=lambda name: name.replace("accuracy_", "").replace("accuracy", "score")
    )
    return Comparison(
        table=table.rename(columns={"run": "model"}),
        score=found.score,
        headline=f"{page.say('headline', found)} {page.say('score', found)}",
        tied=tuple(row["run"] for row in found.tied),
        chance=found.chance,
        chance_p=found.chance_p,
        detectable=found.detectable,
        groups=found.recordings,
        groups_needed=found.recordings_needed,
    )
