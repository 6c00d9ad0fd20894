"""What run.json holds: each key's check, how it read before, the hash and the folder's name. No torch.

Whoever reads gets sound content or a RequestError that names the file and what to do: run.json of a folder
and of a bundle is judged in `checked_config` alone.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, NoReturn

from commandline.registry import RequestError

AUGMENT_ALIASES = {"mix": "mixup", "splice": "cutmix"}  # former names, in AUGMENT= and in run.json
FORMER_DEFAULTS = {  # where run.json of before has null, by optimiser
    "lr": {"adamw": 0.002, "sgd": 0.05},
    "decay": {"adamw": 0.05, "sgd": 0.0005},
}

FORMER_WEIGHT = "weight=0.75"  # of texture in an ensemble, by default
FORMER_OPTIONS = {"blind": "skip_test"}

# Leaves room for suffixes below the 255 bytes a file name may have, encrypted folders' 143 included.
LABEL_BYTES = 120
HASH_DIGITS = 12
TRAIN_AGAIN = "train this run again"

MOST_SAMPLES = 2**31  # of a clip: 13 hours at 44,100 Hz
GRID = re.compile(r"([1-9]\d{0,9})x([1-9]\d{0,9})")  # of a waveform 1x220500

Check = Callable[[Any], bool]


class Config(dict[str, Any]):
    """run.json, from its folder or from a bundle; a key that it lacks is a RequestError, as all else."""

    def __init__(self, content: Mapping[str, Any], origin: str) -> None:
        super().__init__(content)
        self.origin = origin

    def __missing__(self, key: str) -> NoReturn:
        raise RequestError(f"{self.origin} lacks {key}: {TRAIN_AGAIN}")


def _is(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _list_of(check: Check, least: int = 0) -> Check:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def _distinct(values: list[Any]) -> bool:
    return len(set(values)) == len(values)


def _is_class(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(key, ""), str) for key in ("name", "category")
    )


def _is_channel(value: Any) -> bool:
    if not (isinstance(value, dict) and _list_of(_is(int))(value.get("rows")) and len(value["rows"]) == 2):
        return False
    first, last = value["rows"]
    return (
        value.get("dtype") in ("float16", "float32")
        and _is(str)(value.get("stored"))
        and _is(dict)(value.get("parameters", {}))
        and 0 <= first <= last
    )


def _is_grid(value: Any) -> bool:
    sides = GRID.fullmatch(value) if isinstance(value, str) else None
    return sides is not None and int(sides[1]) * int(sides[2]) <= MOST_SAMPLES


def _is_finite(value: Any) -> bool:
    return _is(int, float)(value) and abs(value) < inf  # not of NaN


def _is_calibration(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())


def _are_strides(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    pairs = [one for one in value.values() if isinstance(one, list) and len(one) == 2]
    return len(pairs) == len(value) and all(_is(int)(side) and side > 0 for one in pairs for side in one)


def _is_change(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key, {}), dict) for key in ("from", "to"))


def _up_to(most: float) -> Check:
    return lambda value: _is(int, float)(value) and 0 <= value <= most


# What a key of run.json holds, where it is there.
CONFIG: dict[str, Check] = {
    **dict.fromkeys(("dataset", "features", "model", "task", "augment", "val", "select"), _is(str)),
    **dict.fromkeys(("tag", "recipe", "note", "protocol", "hash", "family"), _is(str)),
    **dict.fromkeys(("options", "extraction", "machine", "member_weights"), _is(dict)),
    **dict.fromkeys(("parameters", "seconds", "fold_seconds"), _is_finite),
    **dict.fromkeys(("command", "members"), _list_of(_is(str), 1)),
    "synthetic": _is(bool),
    "seed": lambda value: _is(int)(value) and value >= 0,
    "epochs": _is(int),
    "folds": lambda value: _list_of(_is(int), 1)(value) and _distinct(value),
    "classes": lambda value: (
        _list_of(_is_class, 1)(value)
        and all("name" in one for one in value)
        and _distinct([one["name"] for one in value])
    ),
    "channels": _list_of(_is_channel, 1),
    "changes": _list_of(_is_change),
    "grid": _is_grid,
    "calibration": _is_calibration,
    "temperature": lambda value: _is(int, float)(value) and 0 < value < inf,
    "rejection": lambda value: isinstance(value, dict) and _is(int, float)(value.get("threshold")),
    "changed_strides": _are_strides,
    "sample_rate": _up_to(MOST_SAMPLES),
    "duration": _up_to(MOST_SAMPLES),
}
OPTIONS: dict[str, Check] = {
    "model": _is(str),
    "augment": _is(str),
    "optimizer": lambda value: value in ("adamw", "sgd"),
    "skip_test": _is(bool),
    "seed": CONFIG["seed"],
    "tta": lambda value: _is(int)(value) and 0 < value < 10_000,
}


def checked_config(content: Any, origin: str) -> Config:
    """run.json as it would be written today. RequestError names the first key that holds what it cannot."""
    if not isinstance(content, dict):
        raise RequestError(f"{origin} holds no configuration: {TRAIN_AGAIN}")
    options = content.get("options", {})
    wrong = [key for key, check in CONFIG.items() if key in content and not check(content[key])]
    if not wrong:
        wrong = [
            f"options: {key}" for key, check in OPTIONS.items() if key in options and not check(options[key])
        ]
    if not wrong and content.get("duration", 0) * content.get("sample_rate", 0) > MOST_SAMPLES:
        wrong = ["duration"]
    if wrong:
        raise RequestError(f"{origin} has malformed {', '.join(wrong)}: {TRAIN_AGAIN}")
    upgraded_ = upgraded(content)
    if "options" in upgraded_:
        upgraded_ = upgraded_ | {"options": Config(upgraded_["options"], f"{origin}, options,")}
    return Config(upgraded_, origin)


def rename_augments(text: str, names: Mapping[str, str]) -> str:
    """`shift=1,mix=0.4` with the augmentations in `names` called by their other name."""
    parts = [part.partition("=") for part in text.split(",")]
    return ",".join(names.get(name, name) + equals + strength for name, equals, strength in parts)


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """run.json as it would be written today, where it is of before; itself where there is nothing to change.

    Before, `texture: on` stood for an ensemble whose second member had a weight of 0.75, lr and decay were
    null where they were not given, two augmentations and an option had other names. The hash follows where it
    can be computed anew. A weight of 0.75, once the default of texture, is part of the name as any other is.
    """
    options = config.get("options")
    if not isinstance(options, dict):
        return config
    new = {name: value for name, value in options.items() if name != "texture"}
    for former, name in FORMER_OPTIONS.items():
        if former in new:
            new[name] = new.pop(former)
    linear = str(options.get("model")).partition("@")[0] == "linear"
    if options.get("texture") == "on":
        new["model"] = f"{options['model']}+texture@{FORMER_WEIGHT}"
    for name, values in FORMER_DEFAULTS.items():
        if name in new and new[name] is None and not linear:
            new[name] = values[options["optimizer"]]
    if "augment" in new:
        new["augment"] = rename_augments(new["augment"], AUGMENT_ALIASES)
    name = str(config.get("model"))
    unnamed = FORMER_WEIGHT in str(new.get("model")) and "weight=" not in name
    if new == options and not unnamed:
        return config
    changed: dict[str, Any] = {"options": new}
    if "augment" in config:
        changed["augment"] = rename_augments(config["augment"], AUGMENT_ALIASES)
    if unnamed:
        changed["model"] = new["model"]
    if config.get("hash") == _hash(config, options):  # no weights from a file, hashed by content
        changed |= {"hash": _hash(config, new), "family": _family(config, new)}
    if "command" in config:
        kept = [word for word in config["command"] if not word.startswith(("MODEL=", "TEXTURE="))]
        changed["command"] = [kept[0], f"MODEL={changed.get('model', config['model'])}", *kept[1:]]
    return config | changed


def _hash(config: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return digest({"options": options, **{key: config.get(key) for key in ("cache", "clips")}})


def _family(config: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return digest([{**options, "seed": None}, config["cache"], config["clips"], config["tag"]])


def digest(content: object) -> str:
    """A short hash of anything JSON can hold, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:HASH_DIGITS]


def label(features: str, model: str, differences: Iterable[str], hash_: str) -> str:
    """A folder's name: features, model, and what differs from the defaults.

    What a file system dislikes becomes `.` (`mfcc:1-19` is `mfcc.1-19`). A long name ends in the hash.
    """
    text = re.sub(r'[<>:"/\\|?*\s\x00-\x1f]', ".", "-".join([features, model, *differences]))
    return text if len(text.encode("utf-8")) <= LABEL_BYTES else _shortened(text, hash_)


def _shortened(text: str, hash_: str) -> str:
    prefix = text.encode("utf-8")[: LABEL_BYTES - 1 - HASH_DIGITS].decode("utf-8", errors="ignore")
    return f"{prefix}-{hash_}"
