"""The names that a user gives, read by one rule in every stage: features such as
`mel@n_mels=64`, `mfcc:1-19` and `mel+mfcc:1-19`, and a DATASET and its cache's folder.

The pipeline defines the features, their parameters and defaults.
"""

import importlib
import re
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from featurestack.base import DATA
from featurestack.base import NAMED as NAMED
from featurestack.base import SYNTHETIC as SYNTHETIC
from featurestack.base.errors import (
    RequestError,
    closest,
    make_command,
    nearest,
    quoted,
    unquoted,
)

Value = str | int | float | bool

# reserved: index.h5, the table in it, words of feature lists, locks of the whole cache
NO_FEATURE_NAMES = ("index", "clips", "all", "small", "runs", "preparing")
# `small` leaves them out
LARGE = ("stft", "waveform", "tempogram", "fourier_tempogram")
CHANNEL = re.compile(
    r"(?P<name>[A-Za-z_]\w*)"
    r"(?:@(?P<parameters>[^:+\s]+))?"
    r"(?::(?P<first>\d{1,9})-(?P<last>\d{1,9}))?",
    re.ASCII,
)
PARAMETER = re.compile(r"([A-Za-z_]\w*)=([\w.\-]+)", re.ASCII)
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)(e-?\d+)?", re.ASCII | re.IGNORECASE)
JOINED = (
    "features of one set are joined by + without blanks, as in mel+mfcc, and sets are"
    " separated by blanks"
)
# parameters of frames: milliseconds, or samples
FRAMING = {"frame", "n_fft", "frame_length", "win_length", "hop_length"}

PATH_CUTOFF = 0.7  # least similarity, 0 to 1, of a path that is proposed
INDEX = "index.h5"
EXTERNAL = "brought"  # the recorded source of a cache without audio
DATASET_TABLES = (".csv", ".tsv", ".txt")
LISTED_TABLES = 8  # that a message lists, at most
EVENTS = "events.csv"  # next to the table of a dataset whose models label frames
EVENT_COLUMNS = ("file", "start", "end", "label")


@dataclass(frozen=True)
class Channel:
    """One channel of a feature set: a feature, parameters, a range of rows."""

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()  # sorted by name
    rows: tuple[int, int] | None = None  # first and last, from 0; None for all

    @cached_property
    def stored(self) -> str:
        """The name under which the feature is stored: `mel@n_mels=64`."""
        texts = []
        for key, value in self.parameters:
            if isinstance(value, bool):
                value = str(value).lower()
            elif isinstance(value, float) and value.is_integer():
                value = int(value)
            texts.append(f"{key}={value}")
        return f"{self.name}@{','.join(texts)}" if texts else self.name

    def kept_rows(self, count: int) -> slice:
        """The selected rows of a feature with `count` rows, or RequestError."""
        if self.rows is None:
            return slice(count)
        first, last = self.rows
        if last >= count:
            raise RequestError(f"{self}: it has rows 0 to {count - 1}")
        return slice(first, last + 1)

    def __str__(self) -> str:
        return self.stored + (f":{self.rows[0]}-{self.rows[1]}" if self.rows else "")


@lru_cache(maxsize=1024)
def parse_channel(text: str) -> Channel:
    """`mel@n_mels=64:0-31` as a Channel; RequestError if it is malformed."""
    match = CHANNEL.fullmatch(text)
    if text.startswith("-"):
        raise RequestError(
            f"{text!r}: no word leaves a feature out; name those that are wanted, or"
            f" small, which is all but {', '.join(LARGE)}"
        )
    if match is None:
        raise RequestError(
            f"{text!r} is not the name of a feature: expected name,"
            " name@key=value,key=value or name:first-last, as in mel, mel@n_mels=64,"
            f" mfcc:1-19; {JOINED}"
        )
    rows = None
    if match["first"] is not None:
        rows = int(match["first"]), int(match["last"])
        if rows[0] > rows[1]:
            raise RequestError(
                f"{text!r}: the first row, {rows[0]}, comes after the last, {rows[1]}"
            )
    parameters = {}
    for part in match["parameters"].split(",") if match["parameters"] else ():
        given = PARAMETER.fullmatch(part)
        if given is None or given[1] in parameters:
            raise RequestError(
                f"{text!r}: expected key=value once for each key, got {part!r};"
                f" {JOINED}"
            )
        parameters[given[1]] = _value(given[2])
    return Channel(match["name"], tuple(sorted(parameters.items())), rows)


def parse_set(text: str) -> tuple[Channel, ...]:
    """`mel+mfcc:1-19` as its channels, in order; a name may come twice."""
    return tuple(parse_channel(part) for part in text.strip().split("+"))


def parse_list(text: str, singles: Sequence[str] = ()) -> list[tuple[Channel, ...]]:
    """The feature sets of a list, each once; `all` and `small` stand for `singles`."""
    small = [name for name in singles if parse_channel(name).name not in LARGE]
    words = {"all": singles, "small": small}
    sets = [
        parse_set(name) for word in unquoted(text) for name in words.get(word, [word])
    ]
    if not sets:
        raise RequestError(
            "no features given: expected a list such as FEATURES='mel mfcc mel+chroma',"
            " or all"
        )
    return list(dict.fromkeys(sets))


def _value(text: str) -> Value:
    """An int, float or bool if the text is one, else the text.

    >>> [_value(text) for text in ("64", "0.5", "true", "hann")]
    [64, 0.5, True, 'hann']
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not NUMBER.fullmatch(text):
        return text
    return int(text) if text.removeprefix("-").isdecimal() else float(text)


def is_cache(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def has_events(source: str) -> bool:
    """Whether the dataset's table has a table of events next to it, so that models
    label frames; False for a folder of clips.
    """
    if not source.endswith(".csv"):
        return False
    try:
        with Path(source).with_name(EVENTS).open(errors="replace") as lines:
            return lines.readline().startswith(",".join(EVENT_COLUMNS))
    except (OSError, ValueError):  # a dataset's name, which is not a file
        return False


def dataset_name(dataset: str, name: str = "") -> str:
    """`name` if given, else that of a NAMED dataset, a folder, a file or a cache."""
    if name:
        if Path(name).name != name or name.startswith("."):
            raise RequestError(
                f"NAME={name!r} becomes a folder's name: expected a word without"
                " slashes or a leading dot"
            )
        return name
    if dataset in (*NAMED, ""):  # '' means all datasets
        return dataset
    path = Path.cwd() / dataset
    if path.name in ("", ".."):
        path = path.resolve()  # a link keeps its own name, `.` and `..` are resolved
    if path.name == "features" and is_cache(path):
        return path.parent.name
    return path.name if path.is_dir() else path.stem


def cache_folder(dataset: str, data: Path, name: str = "") -> Path:
    """The folder of the features: data/<name>/features, or the dataset if it is one."""
    if dataset not in NAMED and is_cache(Path(dataset)):
        return Path(dataset)
    return data / dataset_name(dataset, name) / "features"


def extraction(dataset: str, data: Path, name: str, features: str) -> str:
    values = {
        "DATASET": dataset,
        "FEATURES": features,
        "NAME": name,
        "DATA": "" if data == DATA else data,
    }
    given = [f"{word}={value}" for word, value in values.items() if value]
    return make_command("features", *given)


def refuse_unknown(features: str, stored: Sequence[str] = ()) -> None:
    """RequestError for the first name that is not a feature, after loading them all."""
    known = importlib.import_module("featurestack.pipeline.features")
    known.refuse_unknown(features, stored)


def own_code(feature: str) -> str:
    """The code version of a feature that the user defined in this process, or ''."""
    pipeline = sys.modules.get("featurestack.pipeline.features")
    own = pipeline.FEATURES.get(feature) if pipeline else None
    return str(own.code_version) if own and own.code else ""


def no_features(folder: Path, data: Path, command: str) -> RequestError:
    """The error for a folder without features, which this command computes."""
    known = ", ".join(quoted(f"DATASET={name}") for name in sorted(cached_in(data)))
    others = f"; there are features of {known}" if known else ""
    return RequestError(f"there are no features in {folder} yet: run {command}{others}")


def beside_hint(path: Path, endings: Collection[str] = ()) -> str:
    """`; did you mean …?` with the folder, or file with one of these endings, that is
    most similar to a missing path and next to it; '' if none is similar.
    """
    beside = []
    for entry in path.parent.glob("[!.]*"):
        if entry.is_dir() or entry.suffix.lower() in endings:
            beside.append(entry.name)
    meant = closest(path.name, beside, PATH_CUTOFF)
    return f"; did you mean {str(path.with_name(meant))!r}?" if meant else ""


def unknown_dataset(dataset: str, data: Path) -> RequestError:
    """The error for a dataset that is not there, with similar names and paths."""
    path = Path(dataset)
    beside = []
    for entry in path.parent.glob("[!.]*"):
        if entry.is_dir() or entry.suffix in DATASET_TABLES:
            beside.append(entry.name)
    blanks = [name for name in beside if name.startswith(f"{path.name} ")]
    if blanks:
        there = str(path.with_name(min(blanks)))
        return RequestError(
            f"there is no {dataset!r}, there is {there!r}: a name with blanks needs"
            f" quotes, {quoted(f'DATASET={there}')}"
        )
    tables = sorted(name for name in beside if Path(name).suffix in DATASET_TABLES)
    if tables and path.suffix in DATASET_TABLES:  # a file was meant, not a name
        listed = ", ".join(tables[:LISTED_TABLES])
        folder = path.parent if path.name != dataset else "this folder"
        hint = beside_hint(path, DATASET_TABLES)
        return RequestError(f"there is no file {dataset}; {folder} has {listed}{hint}")
    with suppress(RequestError):
        refuse_unknown("+".join(map(str, parse_set("+".join(dataset.split())))))
        given = quoted(f"FEATURES={dataset}")
        return RequestError(f"{dataset!r} is a feature set: give it as {given}")
    message = nearest("dataset", dataset, {*NAMED, *known_in(data)})
    meant = closest(path.name, beside, PATH_CUTOFF)
    there = f"; there is {str(path.with_name(meant))!r}" if meant else ""
    return RequestError(f"{message}{there}")


def events_table(name: str, data: Path) -> Path | None:
    """The table of the dataset of events that has this name, if there is one."""
    table = data / name / f"{name}.csv"
    return table if table.is_file() and has_events(str(table)) else None


def known_in(data: Path) -> set[str]:
    """The names of datasets with features, or of events, which need none yet."""
    names = {path.parent.name for path in data.glob(f"*/{EVENTS}")}
    return cached_in(data) | {name for name in names if events_table(name, data)}


def cached_in(data: Path) -> set[str]:
    return {path.parent.name for path in data.glob("*/features") if is_cache(path)}
