"""What `answer` chose: a file in its run's folder, which the report's section reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from featurestack.base.files import replace_file
from featurestack.base.json_content import read_json
from featurestack.results.config import Plain

FILE = "choice.json"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Features chosen inside the folds: each fold is tested by a run of the set that
    was chosen without this fold.
    """

    protocol: str  # of the rows: `5 drawings of 5 folds`
    # a row for each feature and each set: its score with an interval, the folds that
    # chose it, its difference from the highest
    rows: tuple[Mapping[str, Plain], ...]
    # the set that each fold is tested by, in the order of the run's folds
    sets: tuple[str, ...]
    runs: tuple[str, ...]  # names of the runs of these sets
    recommended: str  # the set with the highest score of all folds
    recommended_run: str  # the name of its run
    words: tuple[str, ...]  # the NAME=value words of the command
    # the score of the `sets`, the score of single features that are chosen for each
    # fold in the same way, and their difference; {} if all sets are single features
    together: Mapping[str, Plain] = field(default_factory=dict)
    # a row for each class: its name, and its recall by each of the best features
    classes: tuple[Mapping[str, Plain], ...] = ()

    @property
    def candidates(self) -> list[str]:
        """The features from which sets were chosen."""
        return [name for name in self.estimates if "+" not in name]

    @property
    def estimates(self) -> dict[str, float]:
        """Each set's own score, first the recommended set's."""
        rows: Any = self.rows
        return {row["features"]: row["estimate"] for row in rows}

    @property
    def agreeing(self) -> int:
        """The number of folds that chose exactly the recommended set."""
        return self.sets.count(self.recommended)


def read_choice(folder: Path) -> Choice:
    """The choice in a run's folder; RequestError if its file is damaged."""
    return read_json(folder / FILE, Choice, "run answer again")


def write_choice(folder: Path, choice: Choice) -> None:
    text = json.dumps(asdict(choice), indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(folder / FILE, text + "\n")
