"""The grammar of feature names, read by one rule in every stage: `mel@n_mels=64`,
`mfcc:1-19`, sets such as `mel+mfcc:1-19`, and lists of sets.

The pipeline defines the features, their parameters and defaults.
"""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from featurestack.base.errors import RequestError
from featurestack.base.shell import unquoted

ParameterValue = str | int | float | bool
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
    " separated by spaces"
)
# parameters of frames: milliseconds, or samples
FRAMING = {"frame", "n_fft", "frame_length", "win_length", "hop_length"}


@dataclass(frozen=True)
class FeatureName:
    """One channel of a feature set: a feature, parameters, a range of rows."""

    name: str
    parameters: tuple[tuple[str, ParameterValue], ...] = ()  # sorted by name
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
def parse_feature_name(text: str) -> FeatureName:
    """`mel@n_mels=64:0-31` as a Channel; RequestError if it is malformed."""
    match = CHANNEL.fullmatch(text)
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
        pair = PARAMETER.fullmatch(part)
        if pair is None or pair[1] in parameters:
            raise RequestError(
                f"{text!r}: expected key=value once for each key, got {part!r};"
                f" {JOINED}"
            )
        parameters[pair[1]] = _value(pair[2])
    return FeatureName(match["name"], tuple(sorted(parameters.items())), rows)


def parse_set(text: str) -> tuple[FeatureName, ...]:
    """`mel+mfcc:1-19` as its channels, in order; a name may come twice."""
    return tuple(parse_feature_name(part) for part in text.strip().split("+"))


def parse_list(text: str, singles: Sequence[str] = ()) -> list[tuple[FeatureName, ...]]:
    """The feature sets of a list, each once; `all` and `small` stand for `singles`."""
    small = [name for name in singles if parse_feature_name(name).name not in LARGE]
    words = {"all": singles, "small": small}
    sets = [
        parse_set(name) for word in unquoted(text) for name in words.get(word, [word])
    ]
    if not sets:
        raise RequestError(
            "no features given: expected a list such as 'mel mfcc mel+chroma', or all"
        )
    return list(dict.fromkeys(sets))


def _value(text: str) -> ParameterValue:
    """An int, float or bool if the text is one, else the text.

    >>> [_value(text) for text in ("64", "0.5", "true", "hann")]
    [64, 0.5, True, 'hann']
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not NUMBER.fullmatch(text):
        return text
    return int(text) if text.removeprefix("-").isdecimal() else float(text)


def refuse_unknown(features: str, stored: Sequence[str] = ()) -> None:
    """RequestError for the first name that is not a feature, after loading them all."""
    features_here().refuse_unknown(features, stored)


def features_here() -> Any:
    """The features that this program computes; few commands on a cache need them."""
    return importlib.import_module("featurestack.pipeline.features")
