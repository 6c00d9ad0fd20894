"""What run.json holds: each key's check, the hash and the folder's name. No torch.

Whoever reads gets sound content or a RequestError that names the file and what to do: run.json of a folder
and of a bundle is judged in `checked_config` alone.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf, prod
from typing import Any, NoReturn

from commandline.registry import RequestError

# Leaves room for suffixes below the 255 bytes a file name may have, encrypted folders' 143 included.
LABEL_BYTES = 120
HASH_DIGITS = 12
TRAIN_AGAIN = "train this run again"

MOST_SAMPLES = 2**31  # of a clip: 13 hours at 44,100 Hz
GRID = re.compile(r"([1-9]\d{0,9})x([1-9]\d{0,9})")  # of a waveform 1x220500

Check = Callable[[Any], bool]


class Config(dict[str, Any]):
    """run.json, from its folder or from a bundle; a key that it lacks is a RequestError."""

    def __init__(self, content: Mapping[str, Any], origin: str) -> None:
        super().__init__(content)
        self.origin = origin

    def __missing__(self, key: str) -> NoReturn:
        raise RequestError(f"{self.origin} lacks {key}: {TRAIN_AGAIN}")


def _a(*kinds: type, test: Check = lambda value: True) -> Check:
    """A value of one of these types of JSON (no bool counts as int) that passes the test."""
    return lambda value: type(value) in kinds and test(value)


def _number(least: float = -inf, most: float = inf) -> Check:
    return _a(
        int, float, test=lambda value: least <= value <= most and abs(value) < inf
    )  # NaN is in no range


def _list(check: Check, least: int = 1) -> Check:
    return _a(list, test=lambda values: len(values) >= least and all(map(check, values)))


def _record(optional: Collection[str] = (), **checks: Check) -> Check:
    """An object with these keys; only the `optional` ones may be missing."""
    return _a(
        dict,
        test=lambda value: all(
            check(value[key]) if key in value else key in optional for key, check in checks.items()
        ),
    )


def _distinct(values: list[Any]) -> bool:
    return len(set(values)) == len(values)


TEXT, OBJECT, WHOLE = _a(str), _a(dict), _a(int)
SEED = _a(int, test=lambda value: value >= 0)
POSITIVE = _number(least=1e-9)
CALIBRATED = _record(["temperature"], temperature=POSITIVE)
CLASSES = _list(_record(["category"], name=TEXT, category=TEXT))
CHANNEL = _record(
    ["parameters"],
    stored=TEXT,
    parameters=OBJECT,
    dtype=lambda value: value in ("float16", "float32"),
    rows=_a(list, test=lambda rows: [*map(type, rows)] == [int, int] and 0 <= rows[0] <= rows[1]),
)

# What a key of run.json holds, if it is there.
CONFIG: dict[str, Check] = {
    **dict.fromkeys(("dataset", "features", "model", "task", "augment", "val", "select"), TEXT),
    **dict.fromkeys(("tag", "recipe", "note", "protocol", "hash", "family"), TEXT),
    **dict.fromkeys(("options", "extraction", "machine", "member_weights"), OBJECT),
    **dict.fromkeys(("parameters", "seconds", "fold_seconds"), _number()),
    **dict.fromkeys(("command", "members", "member_models"), _list(TEXT)),
    "synthetic": _a(bool),
    "seed": SEED,
    "epochs": WHOLE,
    "folds": lambda value: _list(WHOLE)(value) and _distinct(value),
    "classes": lambda value: CLASSES(value) and _distinct([name["name"] for name in value]),
    "channels": _list(CHANNEL),
    "changes": _list(_record(["from", "to"], **{"from": OBJECT, "to": OBJECT}), least=0),
    "grid": _a(
        str,
        test=lambda value: bool(GRID.fullmatch(value)) and prod(map(int, value.split("x"))) <= MOST_SAMPLES,
    ),
    "calibration": _a(dict, test=lambda value: all(map(CALIBRATED, value.values()))),
    "temperature": POSITIVE,
    "rejection": _record(threshold=_number()),
    "sample_rate": _number(0, MOST_SAMPLES),
    "duration": _number(0, MOST_SAMPLES),
}
OPTIONS: dict[str, Check] = {
    "model": TEXT,
    "augment": TEXT,
    "optimizer": lambda value: value in ("adamw", "sgd"),
    "skip_test": _a(bool),
    "seed": SEED,
    "tta": _a(int, test=lambda value: 0 < value < 10_000),
}


def checked_config(content: Any, origin: str) -> Config:
    """run.json, checked. RequestError names the first key that holds what it cannot."""
    if not isinstance(content, dict):
        raise RequestError(f"{origin} holds no configuration: {TRAIN_AGAIN}")
    wrong = [key for key, check in CONFIG.items() if key in content and not check(content[key])]
    if not wrong:
        options = content.get("options", {})
        bad = [key for key, check in OPTIONS.items() if key in options and not check(options[key])]
        wrong = [f"options: {key}" for key in bad]
    if not wrong and content.get("duration", 0) * content.get("sample_rate", 0) > MOST_SAMPLES:
        wrong = ["duration"]
    if wrong:
        raise RequestError(f"{origin} has malformed {', '.join(wrong)}: {TRAIN_AGAIN}")
    if "options" in content:
        content = content | {"options": Config(content["options"], f"{origin}, options,")}
    return Config(content, origin)


def digest(content: object) -> str:
    """A short hash of anything JSON can hold, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:HASH_DIGITS]


def label(features: str, model: str, differences: Iterable[str], hash_: str) -> str:
    """A folder's name: features, model, and what differs from the defaults.

    What a file system dislikes becomes `.` (`mfcc:1-19` is `mfcc.1-19`). A long name ends in the hash.
    """
    text = re.sub(r'[<>:"/\\|?*\s\x00-\x1f]', ".", "-".join([features, model, *differences]))
    if len(text.encode("utf-8")) <= LABEL_BYTES:
        return text
    prefix = text.encode("utf-8")[: LABEL_BYTES - 1 - HASH_DIGITS].decode("utf-8", errors="ignore")
    return f"{prefix}-{hash_}"
