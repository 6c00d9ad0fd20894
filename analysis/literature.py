"""Published figures of a dataset with their protocols, human listeners included, and our best beside them.

literature.csv is the table; `confirmed` is yes where the figure was looked up in the paper, its authors'
repository or the dataset's own list, else it says where the figure is from. Accuracies are from 0 to 1.
"""

from pathlib import Path

import pandas as pd

from analysis.effects import options_of
from analysis.ranking import Ranking
from analysis.results import Run

TABLE = Path(__file__).with_suffix(".csv")
CLASSES = {"esc10": 10, "esc50": 50}  # a run on fewer of them, or on the categories, is another task
OURS = "this project"


def published(dataset: str) -> pd.DataFrame:
    """The rows about one dataset, lowest accuracy first; none where nothing is known about it."""
    table = pd.read_csv(TABLE)
    known = table[table["dataset"] == dataset.lower().replace("-", "")]
    return known.drop(columns="dataset").sort_values("accuracy", kind="stable", ignore_index=True)


def beside(ranking: Ranking) -> pd.DataFrame:
    """Published figures and our best run of each kind of weights, lowest first; empty where none compares."""
    dataset = Path(str(ranking.best.config["dataset"])).name
    known = published(dataset)
    comparable = ranking.best.task == "classes" and len(ranking.best.classes) == CLASSES.get(dataset)
    if known.empty or not comparable:
        return known.iloc[:0]
    best: dict[str, tuple[Run, float]] = {}
    for run, accuracy in zip(ranking.runs, ranking.accuracy, strict=True):
        best.setdefault(str(options_of(run).get("weights") or "from scratch"), (run, float(accuracy)))
    ours = pd.DataFrame(
        {
            "method": [run.name for run, _ in best.values()],
            "weights": list(best),
            "accuracy": [accuracy for _, accuracy in best.values()],
            "protocol": [f"{len(ranking.folds)} folds, {run.protocol}" for run, _ in best.values()],
            "source": OURS,
            "confirmed": "yes",
        }
    )
    return pd.concat([known, ours]).sort_values("accuracy", kind="stable", ignore_index=True)
