"""The tasks, what is predicted for a clip: classes and targets of a table of clips.

One label a clip (CLASSES; CATEGORIES, the label's category instead), or several labels
or none (TAGS).

Conventions: N clips, K classes. `targets` are as `Task.targets` gives them: class
numbers (N,), or with several labels 0 and 1 (N, K).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.registry import Registry
from featurestack.comparison.metrics import Ints, Labels
from featurestack.comparison.scores import ACCURACY, Metric
from featurestack.features_cache import clip_table
from featurestack.results.training_options import TaskName


@dataclass(frozen=True)
class Task:
    """One label a clip: softmax, accuracy; targets (N,), -1 for no class."""

    name: TaskName  # the value of TASK
    column: str  # the clip table's column from which targets are made

    @property
    def metric(self) -> Metric:
        """The scores, and how runs are ranked."""
        return ACCURACY

    @property
    def multilabel(self) -> bool:
        """Whether a clip has any number of classes, each predicted above a threshold;
        else it has one, and a temperature calibrates the probabilities.
        """
        return self.metric.multilabel

    def refuse(self, table: pd.DataFrame) -> None:
        """RequestError for clips that nothing can be learned from."""
        names = table[self.column]
        if (names == "").any():
            clip = table["clip_id"][names == ""].iloc[0]
            raise RequestError(
                f"TASK={self.name}: clip {clip} has no category, the column of the"
                " dataset's CSV; give TASK=classes"
            )
        if names.nunique() < 2:
            raise RequestError(
                f"one class only ({names.iloc[0]}): training needs two or more"
            )
        clip_table.refuse_class_names(names)

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        """Name and category of each class of these clips, sorted by name."""
        pairs = pd.DataFrame(
            {"name": table[self.column], "category": table["category"]}
        )
        return pairs.drop_duplicates("name").sort_values("name").to_dict("records")

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        """The targets in the table's column; -1 for a clip of other classes."""
        return pd.Index(classes).get_indexer(text)

    def activation(self, logits: Any) -> Any:
        """Probabilities (…, K) of a tensor of logits (…, K)."""
        return logits.sigmoid() if self.multilabel else logits.softmax(-1)


class Tags(Task):
    """Several labels a clip, or none: sigmoids, mAP; targets (N, K) are 0 or 1."""

    @property
    def metric(self) -> Metric:
        from featurestack.comparison.average_precision import MEAN_AVERAGE_PRECISION

        return MEAN_AVERAGE_PRECISION

    def refuse(self, table: pd.DataFrame) -> None:
        if table["label"].nunique() < 2:
            raise RequestError(
                f"all clips have the same labels ({table['label'].iloc[0] or 'none'}):"
                " nothing to learn"
            )
        clip_table.refuse_class_names(clip_table.classes_in(table))

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        return [{"name": name, "category": ""} for name in clip_table.classes_in(table)]

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        targets = clip_table.label_indicator(text, classes).astype(np.intp)
        each = clip_table.by_label(pd.DataFrame({"label": text.to_numpy()}))["label"]
        recognised = each.isin([*classes, ""]).groupby(level=0).all()
        targets[~recognised.to_numpy()] = -1
        return targets


CLASSES = Task("classes", "label")
CATEGORIES = Task("categories", "category")
TAGS = Tags("tags", "label")
TASKS = Registry[Task](
    "task", {"classes": CLASSES, "categories": CATEGORIES, "tags": TAGS}
)


def names_of(decided: Labels, classes: Sequence[str]) -> list[str]:
    """The classes predicted for each clip as text: `dog;rain`."""
    names = np.array(classes, object)
    return [clip_table.SEPARATOR.join(names[chosen]) for chosen in decided]
