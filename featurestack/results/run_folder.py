"""The run-folder format, written by training and read by analysis. No torch.

docs/reference/formats.md has its files and their columns.

Training writes predictions.csv last and whole: a fold that has one is finished. Files
are replaced by rename; only history.csv grows by appending, so that a reader, or `tail
-f`, may follow it while the fold trains.
"""

import glob
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.base.extras import SECTION_PLACES
from featurestack.base.files import Lock, replace_file, require_readable
from featurestack.base.json_content import (
    HASH_DIGITS,
    damage_named,
    keep_newer,
    read_json,
)
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import tell_once
from featurestack.comparison.metrics import are_probabilities, indicator, within_classes
from featurestack.comparison.scores import Predictions, epoch_scores, suited
from featurestack.comparison.significance import TRAINING_VARIANCE
from featurestack.features_cache.clip_table import WINDOW_COLUMNS
from featurestack.features_cache.identity import Identity
from featurestack.results.config import (
    RUN_FORMAT,
    TRAIN_AGAIN,
    RunConfig,
    content_of,
)
from featurestack.results.tasks import TASKS, Task

# names of the files in a run folder, and in each of its folds
RECORD_LOCK = ".lock"  # held while run.json is read and rewritten
OF_RUN = ("run.json", RECORD_LOCK)
FOREIGN_FILE = "foreign.csv"  # of ridge
OF_FOLD = (".lock", "history.csv", FOREIGN_FILE, "predictions.csv", "last.pt")
VALIDATED = (*OF_FOLD, "best.pt")  # if validation clips choose an epoch
# files that a run's folder may have too
OF_EXTRAS = [
    files[2:] for _, files in SECTION_PLACES.values() if files.startswith("*/")
]
OTHERS = ("choice.json", *OF_EXTRAS)
OTHER_RUN = "move it, or give another RUNS= or TAG="

PREDICTIONS_FILE = "predictions.csv"
PREDICTION_COLUMNS = ("clip_id", "group", "split", "selection", "target")

# A file name may have 255 bytes, in an encrypted folder 143; suffixes need some of
# them.
NAME_BYTES = 120
FITS = "fits"  # the folder of fits, beside the runs of a dataset
SET_BYTES = 100  # of a feature set in a file's name; the names of larger sets are cut


@dataclass(frozen=True)
class RunFolder:
    """One run's configuration, and each fold's history and predictions as data frames.

    run.json and each predictions.csv are read once; a new RunFolder sees changes.
    """

    path: Path
    # fold -> predictions that were read
    _tables: dict[int, pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    def __repr__(self) -> str:
        """The path, what is finished, and the score, for a notebook."""
        try:
            folds = f"{len(self.finished)} of {counted(len(self.folds), 'fold')}"
            score = ""
            if self.finished:
                predictions = tested_run([self])
                score = f"; test {predictions.metric.title} {predictions.score}"
        except RequestError as damage:
            return str(damage)
        return f"{self.path}: {folds}{score}"

    @cached_property
    def config(self) -> RunConfig:
        """run.json; RequestError if it cannot be read."""
        file = self.path / "run.json"
        require_readable(self.path)
        if not file.is_file():  # a named pipe is never read to its end
            raise RequestError(f"{self.path} is not a run folder: it has no run.json")
        return read_json(file, RunConfig, TRAIN_AGAIN)

    @property
    def trained_config(self) -> RunConfig:
        """`config` of a trained run; RequestError for any other."""
        if self.config.members:
            raise RequestError(
                f"{self.name} has no model of its own: give the run that it recommends,"
                f" {self.config.members[0]}"
            )
        return self.config

    @cached_property
    def task(self) -> Task:
        """Classes, categories or tags: how predictions are scored."""
        return TASKS[self.config.task]

    @property
    def name(self) -> str:
        """The name of its folder, such as mel-resnet18."""
        return self.path.name

    @property
    def dataset(self) -> str:
        """The name of its dataset."""
        return self.config.dataset

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the probability columns."""
        return [entry.name for entry in self.config.classes]

    @property
    def folds(self) -> list[int]:
        """Every fold number of the protocol, trained or not."""
        return list(self.config.folds)

    @property
    def finished(self) -> list[int]:
        """The folds that have their predictions."""
        marks = {fold: self.fold(fold) / PREDICTIONS_FILE for fold in self.folds}
        return [fold for fold, mark in marks.items() if mark.is_file()]

    @property
    def validated(self) -> bool:
        """Whether clips were set aside for validation."""
        return self.config.val not in (None, "none")

    @property
    def variance(self) -> float:
        """The variance of its score, over the variance of clips."""
        return TRAINING_VARIANCE if self.config.members else 1.0

    @property
    def exact(self) -> bool:
        """Whether its model has one solution."""
        return self.config.exact

    @property
    def clips(self) -> str:
        """The digest of its clips, of whose folds SEED= may have made a drawing."""
        return self.config.clips

    @property
    def seedless(self) -> bool:
        """Whether every seed gives the same predictions."""
        return not (self.validated or self.config.folds_drawn) and self.config.exact

    def selection(self, epoch: str = "auto") -> str:
        """`epoch`; for auto it is best if validation chose an epoch, else last."""
        if epoch != "auto":
            return epoch
        if not (self.validated and self.finished):
            return "last"
        # a linear model has no best epoch
        selections = set(self.predictions(self.finished[0])["selection"])
        return "best" if "best" in selections else "last"

    def fold(self, fold: int) -> Path:
        """The folder of a fold's files."""
        return self.path / f"fold{fold}"

    def require_fold(self, fold: int) -> None:
        """RequestError for a fold that the protocol does not have."""
        whole = isinstance(fold, Integral) and not isinstance(fold, bool)
        if not whole or fold not in self.folds:
            folds = ", ".join(map(str, self.folds))
            raise RequestError(f"{self.name}: fold {fold!r}: expected one of {folds}")

    def history(self, fold: int) -> pd.DataFrame:
        """The task's history_columns as numbers, NaN if empty, of finished epochs."""
        self.require_fold(fold)
        file = self.fold(fold) / "history.csv"
        if not file.is_file():
            return pd.DataFrame(columns=self.task.metric.history_columns, dtype=float)
        remedy = (
            f"remove {file} and repeat the training's command, which writes it anew"
        )
        with damage_named(file, remedy):
            text = file.read_text(encoding="utf-8")
            # a writer may be in the middle of a row
            whole = text[: text.rfind("\n") + 1]
            columns = list(self.task.metric.history_columns)
            numbers = pd.read_csv(io.StringIO(whole), index_col=False)[columns]
            return numbers.astype({"epoch": int} | dict.fromkeys(columns[1:], float))

    def predictions(self, fold: int | None = None) -> pd.DataFrame:
        """clip_id, group, split, selection and target as text, start and end if clips
        are windows, then a column of floats per class, in the order of `classes`; the
        clips' ids are also the index.

        Without `fold`, all finished folds follow each other, with another first
        column `fold`. RequestError if no fold is finished, or a file is damaged.
        """
        if fold is None:
            parts = {each: self.predictions(each) for each in self.finished}
            if not parts:
                raise RequestError(
                    f"{self.path} has no finished fold yet: continue its training"
                )
            return pd.concat(parts, names=["fold"]).reset_index("fold")
        if fold not in self._tables:
            self.require_fold(fold)
            file = self.fold(fold) / PREDICTIONS_FILE
            remedy = f"remove {file} and train again, the other folds are kept"
            with damage_named(file, remedy):
                self._tables[fold] = _read_predictions(file, self.classes, self.task)
        return self._tables[fold]

    def scored(
        self, fold: int | None = None, split: str = "test", selection: str = "auto"
    ) -> pd.DataFrame:
        """The rows of one split and selection, fold by fold; RequestError if there are
        none.

        split      "test", or "val" for the clips of validation
        selection  "last" or "best" epoch; "auto" is best if validation chose one
        """
        table = self.predictions(fold)
        chosen = self.selection(selection)
        rows = table[(table["split"] == split) & (table["selection"] == chosen)]
        if rows.empty:
            raise RequestError(f"{self.name} has no predictions of its {split} clips")
        return rows

    def probabilities(
        self, fold: int | None = None, split: str = "test", selection: str = "auto"
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Probabilities (N, K) and class numbers (N,) of all finished folds, or of one;
        with tags labels (N, K). `split` and `selection` are as in `scored`.
        """
        table = self.scored(fold, split, selection)
        targets = self.task.targets(table["target"], self.classes)
        return table[self.classes].to_numpy(np.float32), targets

    def foreign(self) -> "pd.DataFrame | None":
        """The training clips of all finished folds, by their class (the index) and the
        class that the model without theirs is sure of, their own if it is not sure;
        None if classes were not left out.
        """
        tables = []
        for file in (self.fold(fold) / FOREIGN_FILE for fold in self.finished):
            if file.is_file():
                with damage_named(file, f"remove {file.parent} and train again"):
                    counts = pd.read_csv(file, index_col=0, dtype=str).to_numpy(int)
                    tables.append(pd.DataFrame(counts, self.classes, self.classes))
        return sum(tables[1:], tables[0]) if tables else None

    def scores(self, split: str = "test", selection: str = "auto") -> pd.DataFrame:
        """A row of scores for each finished fold; the arguments are as in `scored`."""
        by_fold = {
            fold: self.fold_scores(fold, split, selection) for fold in self.finished
        }
        return pd.DataFrame.from_dict(by_fold, orient="index")

    def fold_scores(self, fold: int, split: str, selection: str) -> dict[str, float]:
        """The scores of one fold, as columns of history.csv."""
        probabilities, targets = self.probabilities(fold, split, selection)
        return epoch_scores(self.task.metric, targets, probabilities)


def _read_predictions(file: Path, classes: list[str], task: Task) -> pd.DataFrame:
    """The table in predictions.csv; ValueError says what is wrong with it."""
    content = file.read_bytes()
    if not content.endswith(b"\n"):
        raise ValueError("it ends in the middle of a row")
    text = dict.fromkeys(PREDICTION_COLUMNS, str)
    table = pd.read_csv(
        io.BytesIO(content), dtype=text, keep_default_na=False, index_col=False
    )
    if list(table) not in (
        [*PREDICTION_COLUMNS, *span, *classes] for span in ((), WINDOW_COLUMNS)
    ):
        raise ValueError(f"its columns are not run.json's {len(classes)} classes")
    probabilities = table[classes].to_numpy(dtype=float)
    whole = are_probabilities(probabilities, multilabel=task.multilabel)
    whole &= within_classes(task.targets(table["target"], classes))
    if not whole.all():
        raise ValueError(
            f"{np.sum(~whole)} of {len(table)} rows are incomplete or no probabilities"
        )
    return table.set_index("clip_id", drop=False).rename_axis(index=None)


def tested_fields(folder: RunFolder, rows: pd.DataFrame) -> dict[str, Any]:
    """The fields of `Predictions` that these rows, with `fold`, and their run give."""
    classes = tuple(folder.classes)
    recordings = rows["group"].where(rows["group"] != "", rows["clip_id"])
    targets = folder.task.targets(rows["target"], classes)
    labels = indicator(targets, len(classes))
    return {
        "metric": suited(folder.task.metric, labels),
        "classes": classes,
        "groups": recordings.to_numpy(dtype=str),
        "folds": rows["fold"].to_numpy(dtype=np.intp)[None],
        "labels": labels,
        "variance": folder.variance,
        "exact": folder.exact,
    }


def tested_run(folders: Sequence[RunFolder]) -> Predictions:
    """What the runs of a configuration's seeds predicted, as far as they tested the
    same clips as the fullest one.
    """
    tables = [folder.scored().sort_values("clip_id") for folder in folders]
    most = max(tables, key=len)
    clips = most["clip_id"].tolist()
    kept = [n for n, table in enumerate(tables) if table["clip_id"].tolist() == clips]
    shared = tested_fields(folders[kept[0]], most)
    probabilities = [tables[n][[*shared["classes"]]].to_numpy() for n in kept]
    shared["folds"] = np.stack([tables[n]["fold"].to_numpy(np.intp) for n in kept])
    return Predictions(**shared, probabilities=np.stack(probabilities))


# ---- writing


def write_config(folder: Path, config: RunConfig) -> None:
    text = json.dumps(content_of(config), indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(folder / "run.json", text + "\n", parents=True)


def history_row(values: Mapping[str, float], columns: Sequence[str]) -> str:
    """One line of history.csv, without its end; NaN is an empty field."""
    numbers = [values.get(column, math.nan) for column in columns]
    texts = [
        repr(number if isinstance(number, int) else float(number)) for number in numbers
    ]
    return ",".join("" if text == "nan" else text for text in texts)


def start_history(
    fold_folder: Path, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Write history.csv with exactly `rows`, unless the file already holds them."""
    lines = [",".join(columns), *rows]
    content = "".join(line + "\n" for line in lines).encode()
    file = fold_folder / "history.csv"
    if not file.is_file() or file.read_bytes() != content:
        replace_file(file, content, parents=True)


def append_history(fold_folder: Path, rows: Sequence[str]) -> None:
    file = fold_folder / "history.csv"
    with file.open("a", encoding="utf-8", newline="") as handle:
        handle.write("".join(row + "\n" for row in rows))


def write_predictions(
    fold_folder: Path,
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write `rows` (PREDICTION_COLUMNS, WINDOW_COLUMNS if any) and `probabilities`
    (N, K), exactly; the last file of a fold.
    """
    table = pd.DataFrame(probabilities, rows.index, classes)
    columns = [*PREDICTION_COLUMNS, *(name for name in WINDOW_COLUMNS if name in rows)]
    table = pd.concat([rows[columns], table], axis=1)
    # 9 digits hold a float32
    text = csv_text(table, float_format="%.9g", na_rep="nan")
    replace_file(fold_folder / PREDICTIONS_FILE, text, parents=True)


def write_foreign(
    fold_folder: Path, foreign: NDArray[np.floating], classes: Sequence[str]
) -> None:
    """Write what `RunFolder.foreign` reads, (K, K)."""
    table = pd.DataFrame(foreign.astype(int), pd.Index(classes, name="class"), classes)
    text = csv_text(table.reset_index(allow_duplicates=True))
    replace_file(fold_folder / FOREIGN_FILE, text)


# ---- the folders below RUNS


def folder_name(
    features: str, model: str, differences: Iterable[str], hash_: str
) -> str:
    """Its name: features, model, and the options that differ from the defaults.

    Blanks and characters that a file system refuses become `.` (`mfcc:1-19` is
    `mfcc.1-19`). A long name is cut and ends in the hash.
    """
    text = re.sub(
        r'[<>:"/\\|?*\s\x00-\x1f]', ".", "-".join([features, model, *differences])
    )
    if len(text.encode()) <= NAME_BYTES:
        return text
    prefix = text.encode()[: NAME_BYTES - 1 - HASH_DIGITS].decode(errors="ignore")
    return f"{prefix}-{hash_}"


def find(
    runs: Path | str, dataset: str = "", identity: Identity | None = None
) -> list[RunFolder]:
    """The run folders below `runs`, of all datasets, or of those of one name, of which
    runs of another identity are left out, and counted in a message.
    """
    files = Path(runs).glob(f"{glob.escape(dataset) or '*'}/[!.]*/run.json")
    found = [RunFolder(file.parent) for file in sorted(files)]
    of_dataset = of_identity(found, identity) if identity else found
    if others := [run for run in found if run not in of_dataset]:
        place = others[0].config.dataset_identity.place or "elsewhere"
        tell_once(
            f"{counted(len(others), 'run')} in {Path(runs, dataset)} left out: another"
            f" dataset's of this name, {place}"
        )
    return of_dataset


def chosen_runs(
    runs: Iterable[RunFolder], chosen: Callable[[RunConfig], bool]
) -> list[RunFolder]:
    """The runs whose configuration is `chosen`, and those that cannot be read: whoever
    reads them names the damage.
    """
    kept = []
    for run in runs:
        try:
            keep = chosen(run.config)
        except (RequestError, OSError):
            keep = True
        if keep:
            kept.append(run)
    return kept


def of_identity(runs: Iterable[RunFolder], identity: Identity) -> list[RunFolder]:
    """The runs of a dataset, and those without an identity or that cannot be read."""

    def belongs(config: RunConfig) -> bool:
        return not config.identity or identity.has_made(config.dataset_identity)

    return chosen_runs(runs, belongs)


# The names of these files show which features were scored one by one on the same clips:
# the lead of the best of many features may be luck.


def fits_file(runs: Path, clips: str, task: str, digest: str, features: str) -> Path:
    """The file of a set's fits by ridge, which `answer` and extras share.

    runs    the folder of the dataset's runs
    clips   digest of the clips' table
    digest  of the values and of all that the fits depend on
    """
    name = quote(features, safe="+@=,")[:SET_BYTES]
    return runs / FITS / f"{clips}-{task}-{digest}-{name}.npz"


def scored_features(runs: Path, clips: str, task: str) -> set[str]:
    """The features that were fitted by themselves on these clips for a task."""
    files = (runs / FITS).glob(f"{clips}-{task}-*.npz")
    sets = {unquote(file.stem.split("-", 3)[3]) for file in files}
    return {name for name in sets if name and "+" not in name}


# ---- made and locked


def register_run(
    folder: Path,
    folds: Iterable[int],
    of_fold: Iterable[str] = ("predictions.csv",),
    *others: str,
    identity: str = "",
) -> None:
    """Register the names of the files that are written now, in the run's folder and in
    these folds; RequestError if the user has such a file, Taken if the folder belongs
    to a run of another identity.
    """
    of_folds = [f"fold{fold}/{name}" for fold in folds for name in of_fold]
    keep_newer(folder / "run.json", RUN_FORMAT)
    adopt(folder)
    files = OwnFiles(folder)
    files.register([*OF_RUN, *others, *of_folds], OTHER_RUN, identity=identity)


def adopt(folder: Path) -> None:
    """If the record of a run's files is missing, make it again from run.json."""
    files = OwnFiles(folder)
    if files.hashes or not (folder / "run.json").is_file():
        return
    folds = RunFolder(folder).folds
    of_folds = [f"fold{fold}/{name}" for fold in folds for name in VALIDATED]
    names = [*OF_RUN, *OTHERS, *of_folds]
    present = [name for name in names if (folder / name).is_file()]
    files.register(present, OTHER_RUN, lambda file: True)


@contextmanager
def locked(*folders: Path) -> Iterator[None]:
    """The locks of these folders and of their folds; RequestError if one is in use."""
    with ExitStack() as locks:
        for folder in folders:
            for name in OwnFiles(folder).hashes:
                file = folder / name
                if file.name == ".lock" and file.is_file():
                    message = f"{file.parent} is being trained by another process"
                    locks.enter_context(Lock(file, create=False, busy=message))
        yield
