"""check.json: the findings of `python -m pipeline check`."""

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import pandas as pd

from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.table import originals
from featurestack.storage.files import replace_file

CHECKED = "check.json"
FORMAT = 4


def write_check(
    folder: Path, clips: pd.DataFrame, findings: Sequence[Attributes]
) -> None:
    """Keep what `python -m pipeline check` found in these clips."""
    content = {
        "format_version": FORMAT,
        "clips": _labels_digest(clips),
        "audio": _audio_digest(clips),
        "findings": findings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / CHECKED, f"{json.dumps(content, indent=1)}\n")


def read_check(folder: Path, clips: pd.DataFrame) -> list[Attributes] | None:
    """The findings of `python -m pipeline check`, leaks first; None without any.

    None too if clips or audio files have changed since, or if the file is damaged. If
    no audio file is there, the cache is used on another machine.
    """
    try:
        content = json.loads((folder / CHECKED).read_text("utf-8"))
        known = content["format_version"] == FORMAT
        if not known or content["clips"] != _labels_digest(clips):
            return None
        here = any(Path(path).is_file() for path in clips["path"])
        if here and content["audio"] != _audio_digest(clips):
            return None
        return list(content["findings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _audio_digest(clips: pd.DataFrame) -> str:
    """Digest of size and time of each audio file, in the order of the clips' ids."""
    states = []
    for path in originals(clips).sort_values("clip_id")["path"].unique():
        states.append([0, 0])
        with suppress(OSError):
            status = Path(path).stat()
            states[-1] = [status.st_size, status.st_mtime_ns]
    return _digest(states)


def _labels_digest(clips: pd.DataFrame) -> str:
    columns = ["clip_id", "label", "fold", "group"]
    return _digest(sorted(originals(clips)[columns].values.tolist()))


def _digest(rows: Sequence[object]) -> str:
    return blake2b(json.dumps(rows).encode(), digest_size=16).hexdigest()
