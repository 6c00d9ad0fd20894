"""The run-folder format: everything that training leaves behind and analysis reads. No torch.

    runs/<dataset>/<label>/run.json      the whole configuration; only this is ever parsed, never the name
        fold1/history.csv                one row an epoch, HISTORY_COLUMNS; an empty field was not computed
        fold1/predictions.csv            PREDICTION_COLUMNS, then one probability column a class
        fold1/last.pt best.pt            weights (see train/checkpoint.py)

predictions.csv is written last and whole: a fold that has one is finished. Files are replaced by rename;
history.csv alone grows by appending, so that a reader, or `tail -f`, may follow it while the fold trains.

Whoever reads gets sound content or a RequestError that names the file and what to do: the only places where
these files are judged are `run_config.checked_config`, `RunFolder.history` and `RunFolder.predictions`.
"""

import csv
import io
import json
import math
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError, nearest
from features_cache.storage import replaced
from results.config import TRAIN_AGAIN, checked_config
from results.scores import EPOCH_SCORES, epoch_scores

HISTORY_COLUMNS = (
    *("epoch", "lr", "seconds", "train_loss", "train_accuracy"),
    *(f"{part}_{metric}" for part in ("val", "test") for metric in EPOCH_SCORES),
)
PREDICTION_COLUMNS = ("clip_id", "group", "split", "selection", "target")

SUM_TOLERANCE = 1e-3  # a truncated number in a row of probabilities shows in their sum


class RunFolder:
    """One run, read: its configuration, and each fold's history and predictions as data frames."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path.resolve() == other.path.resolve()

    def __hash__(self) -> int:
        return hash(self.path.resolve())

    @cached_property
    def config(self) -> dict[str, Any]:
        """run.json. RequestError where it is missing, is no JSON object, or holds what it cannot."""
        file = self.path / "run.json"
        if file.exists() and not file.is_file():
            raise RequestError(f"{file} cannot be read (it is no regular file): {TRAIN_AGAIN}")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RequestError(f"{self.path} is no run folder: it has no run.json") from None
        except (ValueError, RecursionError) as error:
            raise RequestError(
                f"{file} cannot be read ({error}): remove the folder and train again"
            ) from None
        return checked_config(content, str(file))

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def dataset(self) -> str:
        return self.config["dataset"]

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the probability columns."""
        return [one["name"] for one in self.config["classes"]]

    @property
    def folds(self) -> list[int]:
        """Every fold number of the protocol, trained or not."""
        return list(self.config["folds"])

    @property
    def finished(self) -> list[int]:
        """The folds that have their predictions."""
        return [fold for fold in self.folds if (self.fold(fold) / "predictions.csv").is_file()]

    @property
    def complete(self) -> bool:
        return self.finished == self.folds

    @property
    def family(self) -> str:
        """The same for runs that differ in nothing but the seed: they are one row of a table."""
        return self.config["family"]

    def is_of(self, hashes: Collection[str], tag: str) -> bool:
        """Whether it is a run with one of these hashes and this tag; not where its run.json is damaged."""
        try:
            return self.config.get("hash") in hashes and self.config.get("tag", "") == tag
        except RequestError:
            return False

    def selection(self, asked: str = "auto") -> str:
        """The epoch `asked` for, `last` or `best`; by `auto` the one that counts wherever scores are told.

        That is the best where validation chose one, else the last.
        """
        if asked != "auto":
            return asked
        if self.config.get("val", "none") == "none" or not self.finished:
            return "last"
        chosen = self.predictions(self.finished[0])["selection"] == "best"  # a linear model has no best epoch
        return "best" if chosen.any() else "last"

    def temperature(self, selection: str = "auto") -> float:
        """By which the logits for new audio are divided; 1 for a run of before temperatures were fitted."""
        calibration = self.config.get("calibration", {})
        found = calibration.get(self.selection(selection), {}).get("temperature", 1.0)
        if not (isinstance(found, float | int) and 0 < found < math.inf):
            raise RequestError(f"{self.path / 'run.json'}: its temperature is {found!r}: train again")
        return float(found)

    def fold(self, fold: int) -> Path:
        return self.path / f"fold{fold}"

    def history(self, fold: int) -> pd.DataFrame:
        """HISTORY_COLUMNS as numbers, NaN where empty; no rows where the fold has not ended an epoch.

        RequestError where the file is damaged.
        """
        file = self.fold(fold) / "history.csv"
        if not file.is_file():
            return pd.DataFrame({column: pd.Series(dtype=float) for column in HISTORY_COLUMNS})
        remedy = f"remove {file} and repeat the training's command, which writes it anew"
        try:
            text = file.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]  # a writer may be in the middle of a row
            table = pd.read_csv(io.StringIO(whole), index_col=False)
            numbers = table[list(HISTORY_COLUMNS)].astype(float)
        except (ValueError, KeyError) as error:
            raise RequestError(f"{file} is damaged ({_one_line(error)}): {remedy}") from None
        epochs = np.arange(1, len(table) + 1)
        if not np.array_equal(numbers["epoch"], epochs):
            raise RequestError(f"{file} is damaged (its epochs are not 1 to {len(table)}): {remedy}")
        if np.isinf(numbers["seconds"]).any():
            raise RequestError(f"{file} is damaged (an epoch took infinitely long): {remedy}")
        return table

    def predictions(self, fold: int | None = None) -> pd.DataFrame:
        """PREDICTION_COLUMNS as text, then a float column a class, in the order of `classes`.

        All finished folds below each other, with a further first column `fold`, where none is named.
        RequestError where a file is damaged: every row has its class and probabilities that sum to one.
        """
        if fold is None:
            parts = [self.predictions(one).assign(fold=one) for one in self.finished]
            if not parts:
                raise RequestError(f"{self.path} has no finished fold yet: let it train on")
            whole = pd.concat(parts, ignore_index=True)
            return whole[["fold", *PREDICTION_COLUMNS, *self.classes]]
        file = self.fold(fold) / "predictions.csv"
        again = f"remove {file} and train again, the other folds are kept"
        content = file.read_bytes()
        if not content.endswith(b"\n"):
            raise RequestError(f"{file} ends in the middle of a row; {again}")
        try:
            text = dict.fromkeys(PREDICTION_COLUMNS, str)
            table = pd.read_csv(
                io.BytesIO(content), dtype=text, keep_default_na=False, encoding="utf-8", index_col=False
            )
        except ValueError as error:
            raise RequestError(f"{file} cannot be read ({_one_line(error)}); {again}") from None
        # pandas calls the second of two equal columns x.1
        expected = [f"{name}.1" if name in PREDICTION_COLUMNS else name for name in self.classes]
        if list(table.columns) != [*PREDICTION_COLUMNS, *expected]:
            raise RequestError(f"{file}: its columns are not run.json's {len(expected)} classes; {again}")
        if (twice := table.duplicated(["clip_id", "split", "selection"])).any():
            raise RequestError(f"{file}: {table['clip_id'][twice].iloc[0]} is in it twice; {again}")
        numbers = _numbers(table[expected])
        whole_rows = np.isfinite(numbers).all(axis=1) & (np.abs(numbers.sum(axis=1) - 1) <= SUM_TOLERANCE)
        whole_rows &= (numbers >= 0).all(axis=1) & table["target"].isin(self.classes).to_numpy()
        if not whole_rows.all():
            wrong = f"{np.sum(~whole_rows)} of {len(table)} rows are incomplete or no probabilities"
            raise RequestError(f"{file}: {wrong}; {again}")
        return table

    @property
    def scored_split(self) -> str:
        """The side whose scores are printed: test, or val of a run that never scores the test fold."""
        return "val" if self.config["options"]["skip_test"] else "test"

    def answers(
        self, fold: int | None = None, split: str = "test", selection: str = "auto"
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Probabilities (N, K) and class numbers (N,) of the finished folds together, or of one."""
        table = self.predictions(fold)
        table = table[(table["split"] == split) & (table["selection"] == self.selection(selection))]
        numbers = {name: number for number, name in enumerate(self.classes)}
        return table[self.classes].to_numpy(np.float32), table["target"].map(numbers).to_numpy(np.int64)

    def scores(self, split: str = "test", selection: str = "auto") -> pd.DataFrame:
        """Loss, accuracy, macro precision, recall and F1 of each finished fold, a row a fold."""
        by_fold, selection = {}, self.selection(selection)
        for fold in self.finished:
            probabilities, targets = self.answers(fold, split, selection)
            by_fold[fold] = epoch_scores(targets, probabilities)
        return pd.DataFrame.from_dict(by_fold, orient="index")


def _numbers(columns: pd.DataFrame) -> NDArray[np.float64]:
    """The columns as numbers, NaN where a field is empty or no number."""
    try:
        return columns.to_numpy(dtype=float)
    except ValueError:  # a damaged file: slower, column by column
        return columns.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def find(runs: Path | str, dataset: str | None = None) -> list[RunFolder]:
    """Every run folder below `runs`, of one dataset or of all, sorted by path."""
    files = Path(runs).glob(f"{dataset or '*'}/*/run.json")
    return [RunFolder(file.parent) for file in sorted(files)]


def find_same(runs: Path | str, dataset: str, hashes: Collection[str], tag: str) -> RunFolder | None:
    """The run with one of these hashes and this tag, whatever its folder is called."""
    return next((run for run in find(runs, dataset) if run.is_of(hashes, tag)), None)


def select(runs: Path | str, wanted: str, dataset: str | None = None) -> list[RunFolder]:
    """The runs that `wanted` names: words, each a name, a path, a unique prefix of a name, or `last`.

    `dataset/name` tells runs of the same name apart; it and a path may hold blanks. RequestError, with the
    nearest name, where a word fits none or several.
    """
    known = find(runs, dataset)
    if not wanted.split():
        raise RequestError("RUN names no run: give a run's name, its path, a unique prefix, or last")
    chosen = [_select_one(Path(runs, dataset or ""), word, known) for word in _words(wanted, known)]
    return list(dict.fromkeys(chosen))


def _words(wanted: str, known: Sequence[RunFolder]) -> Iterator[str]:
    """`wanted` cut at its blanks, but for those within the path or the whole name of a run."""
    names = {f"{run.path.parent.name}/{run.name}" for run in known}
    words = wanted.split(" ")
    while words:
        heads = [(count, " ".join(words[:count])) for count in range(len(words), 1, -1)]
        whole = (head for head in heads if head[1] in names or _is_run(head[1]))
        count, word = next(whole, (1, words[0]))
        if word:
            yield word
        del words[:count]


def _is_run(path: str) -> bool:
    try:
        return (Path(path) / "run.json").is_file()
    except OSError:  # many names in a row are too long for a file's
        return False


def select_one(runs: Path | str, wanted: str, dataset: str | None = None) -> RunFolder:
    """The one run that `wanted` names; RequestError where it names several."""
    found = select(runs, wanted, dataset)
    if len(found) > 1:
        raise RequestError(f"RUN={wanted} names {len(found)} runs: name one")
    return found[0]


def _select_one(runs: Path, word: str, known: Sequence[RunFolder]) -> RunFolder:
    if word != "last" and _is_run(word):
        return RunFolder(word)
    if not known:
        raise RequestError(f"no run folder in {runs}: train one first (make train)")
    if word == "last":
        return max(known, key=_last_touched)
    names = {run: f"{run.path.parent.name}/{run.name}" for run in known}
    tests: list[Callable[[RunFolder], bool]] = [
        lambda run: word in (run.name, names[run]),
        lambda run: run.name.startswith(word) or names[run].startswith(word),
    ]
    for test in tests:
        hits = [run for run in known if test(run)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            listed = ", ".join(names[run] for run in hits)
            raise RequestError(f"run '{word}' fits {len(hits)} runs: {listed}. Give one name whole")
    raise RequestError(nearest("run", word, [run.name for run in known]))


def _last_touched(run: RunFolder) -> float:
    return max(map(_modified, run.path.glob("**/*.*")), default=0.0)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # the draft of a file that is being replaced
        return 0.0


def replace_file(file: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all: a neighbour that is this process's own, then a rename.

    What a killed process left of this file goes.

    durable  also after a power cut; not for what a report makes again
    """
    own = f".{file.name}.{socket.gethostname()}."
    for other in os.scandir(file.parent):  # a glob among a report's 700 tables took longer than the writing
        if other.name.startswith(own) and not _is_running(other.name.removeprefix(own)):
            file.with_name(other.name).unlink(missing_ok=True)
    with replaced(file, file.with_name(f"{own}{os.getpid()}"), durable=durable) as draft:
        draft.write_bytes(content)


def _is_running(process: str) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(folder / "run.json", (text + "\n").encode("utf-8"))


def history_row(values: Mapping[str, float]) -> str:
    """One line of history.csv, without its end; what is not in `values`, or is NaN, stays empty."""
    unknown = set(values) - set(HISTORY_COLUMNS)
    assert not unknown, f"history.csv has no column {unknown}"
    return ",".join(_number(values.get(column, math.nan)) for column in HISTORY_COLUMNS)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else repr(float(value))


def start_history(fold_folder: Path, rows: Sequence[str] = ()) -> None:
    """Make history.csv hold exactly `rows`; a file that already does is not touched."""
    fold_folder.mkdir(parents=True, exist_ok=True)
    content = "".join(line + "\n" for line in (",".join(HISTORY_COLUMNS), *rows)).encode("utf-8")
    file = fold_folder / "history.csv"
    if not file.is_file() or file.read_bytes() != content:
        replace_file(file, content)


def append_history(fold_folder: Path, row: str) -> None:
    with (fold_folder / "history.csv").open("a", encoding="utf-8", newline="") as handle:
        handle.write(row + "\n")


def write_predictions(
    fold_folder: Path, rows: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]
) -> None:
    """`rows` has PREDICTION_COLUMNS; `probabilities`, (rows, classes) float32, are read back exactly."""
    assert probabilities.shape == (len(rows), len(classes))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*PREDICTION_COLUMNS, *classes])
    for words, numbers in zip(
        rows[list(PREDICTION_COLUMNS)].values.tolist(), probabilities.tolist(), strict=True
    ):
        writer.writerow([*words, *(f"{number:.9g}" for number in numbers)])  # 9 digits hold a float32
    replace_file(fold_folder / "predictions.csv", text.getvalue().encode("utf-8"))
