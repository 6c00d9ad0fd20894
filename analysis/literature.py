"""Published figures of a dataset with the protocol of each, human listeners included, and ours beside them.

literature.csv is the table; `confirmed` is yes where the figure was looked up in the paper, its authors'
repository or the dataset's own list, else it says where the figure is from. Accuracies are from 0 to 1.
"""

from pathlib import Path

import pandas as pd

from analysis.ranking import Ranking

TABLE = Path(__file__).with_suffix(".csv")
CLASSES = {"esc10": 10, "esc50": 50}  # a run on fewer of them, or on the categories, is another task
OURS = "this project"


def published(dataset: str) -> pd.DataFrame:
    """The rows about one dataset, lowest accuracy first; none where nothing is known about it."""
    table = pd.read_csv(TABLE)
    known = table[table["dataset"] == dataset.lower().replace("-", "")]
    return known.drop(columns="dataset").sort_values("accuracy", kind="stable", ignore_index=True)


def beside(ranking: Ranking) -> pd.DataFrame:
    """Published figures and the ranked runs in one table, lowest first; empty where they do not compare."""
    dataset = Path(str(ranking.best.config["dataset"])).name
    known = published(dataset)
    comparable = ranking.best.task == "classes" and len(ranking.best.classes) == CLASSES.get(dataset)
    if known.empty or not comparable:
        return known.iloc[:0]
    ours = pd.DataFrame(
        {
            "method": [run.name for run in ranking.runs],
            "weights": [str(run.config.get("weights") or "from scratch") for run in ranking.runs],
            "accuracy": ranking.accuracy,
            "protocol": [f"{len(ranking.folds)} folds, {run.protocol}" for run in ranking.runs],
            "source": OURS,
            "confirmed": "yes",
        }
    )
    return pd.concat([known, ours]).sort_values("accuracy", kind="stable", ignore_index=True)
