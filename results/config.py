"""What run.json holds: each key's check, the hash and the folder's name. No torch.

Whoever reads gets sound content or a RequestError that names the file and what to do: run.json of a folder
and of a bundle is judged in `checked_config` alone.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import inf
from operator import itemgetter
from typing import Any, NoReturn, TypeAlias

from commandline.errors import RequestError

# Leaves room for suffixes below the 255 bytes a file name may have, encrypted folders' 143 included.
LABEL_BYTES = 120
HASH_DIGITS = 12
TRAIN_AGAIN = "train this run again"

Pattern: TypeAlias = "type | list[Pattern] | dict[str, Pattern] | Callable[[Any], bool]"


class Config(dict[str, Any]):
    """run.json, from its folder or from a bundle; a key that it lacks is a RequestError."""

    def __init__(self, content: Mapping[str, Any], origin: str) -> None:
        super().__init__(content)
        self.origin = origin

    def __missing__(self, key: str) -> NoReturn:
        raise RequestError(f"{self.origin} lacks {key}: {TRAIN_AGAIN}")


def fits(value: object, pattern: Pattern) -> bool:
    """Whether a value of JSON is what the pattern says.

    A type: of that type, and no bool is an int; a list: one item or more, each of its pattern; a dictionary:
    an object with these keys, those with `?` if they are there; a function: True.
    """
    if isinstance(pattern, type):
        return type(value) is pattern
    if isinstance(pattern, list):
        return type(value) is list and value != [] and all(fits(item, pattern[0]) for item in value)
    if isinstance(pattern, dict):
        return type(value) is dict and all(
            fits(value[name], part) if (name := key.rstrip("?")) in value else name != key
            for key, part in pattern.items()
        )
    return pattern(value)


def number(least: float = -inf, most: float = inf) -> Pattern:
    """A finite number within bounds."""
    return lambda value: type(value) in (int, float) and least <= value <= most and abs(value) < inf


def distinct(pattern: Pattern, key: Callable[[Any], object] = lambda item: item) -> Pattern:
    """A list of which no two items are the same, or have the same key."""
    return lambda value: fits(value, [pattern]) and len(set(map(key, value))) == len(value)


CHANNEL: Pattern = {
    "stored": str,
    "frame_unit": str,
    "parameters?": dict,
    "dtype": lambda dtype: dtype in ("float16", "float32"),
    "rows": lambda rows: fits(rows, [int]) and len(rows) == 2 and 0 <= rows[0] <= rows[1],
}
CALIBRATED: Pattern = {"temperature?": number(least=1e-9)}

# What a key of run.json holds, if it is there.
CONFIG: dict[str, Pattern] = {
    **dict.fromkeys(("dataset", "features", "model", "task", "augment", "val", "select"), str),
    **dict.fromkeys(("tag", "recipe", "note", "protocol", "hash", "family"), str),
    **dict.fromkeys(("machine", "cache"), dict),
    **dict.fromkeys(("parameters", "seconds", "threads"), number()),
    "extraction": {"seconds?": number(), "megabytes?": number()},
    **{key: [str] for key in ("command", "members", "member_models")},
    "synthetic": bool,
    "seed": number(least=0),
    "options": {
        "model?": str,
        "augment?": str,
        "optimizer?": str,
        "skip_test?": bool,
        "seed?": number(least=0),
        "tta?": lambda value: type(value) is int and 0 < value < 10_000,
    },
    "epochs": int,
    "folds": distinct(int),
    "classes": distinct({"name": str, "category?": str}, key=itemgetter("name")),
    "channels": [CHANNEL],
    "changes": list,
    "grid": str,
    "calibration": {"last?": CALIBRATED, "best?": CALIBRATED},
    "temperature": number(least=1e-9),
    "rejection": {"threshold": number()},
    "sample_rate": number(0, 1e6),
    "duration": number(0, 1e5),
}


def checked_config(content: Any, origin: str) -> Config:
    """run.json, checked. RequestError names the keys that hold what they cannot."""
    if not isinstance(content, dict):
        raise RequestError(f"{origin} holds no configuration: {TRAIN_AGAIN}")
    wrong = [key for key, pattern in CONFIG.items() if key in content and not fits(content[key], pattern)]
    if wrong:
        raise RequestError(f"{origin} has malformed {', '.join(wrong)}: {TRAIN_AGAIN}")
    if "options" in content:
        content = content | {"options": Config(content["options"], f"{origin}, options,")}
    return Config(content, origin)


def digest(content: object) -> str:
    """A short hash of anything JSON can hold, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]


def label(features: str, model: str, differences: Iterable[str], hash_: str) -> str:
    """A folder's name: features, model, and what differs from the defaults.

    What a file system dislikes becomes `.` (`mfcc:1-19` is `mfcc.1-19`). A long name ends in the hash.
    """
    text = re.sub(r'[<>:"/\\|?*\s\x00-\x1f]', ".", "-".join([features, model, *differences]))
    if len(text.encode()) <= LABEL_BYTES:
        return text
    prefix = text.encode()[: LABEL_BYTES - 1 - HASH_DIGITS].decode(errors="ignore")
    return f"{prefix}-{hash_}"
