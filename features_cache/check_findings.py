"""check.json: the findings of `python -m pipeline check`."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import pandas as pd

from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.table import originals
from featurestack.storage.files import content_hash, replace_file

CHECKED = "check.json"


def write_check(
    folder: Path, clips: pd.DataFrame, findings: Sequence[Attributes]
) -> None:
    """Keep what `python -m pipeline check` found in these clips."""
    content = {
        "format_version": 3,
        "clips": _labels_digest(clips),
        "states": _audio_digest(clips, audio_state),
        "audio": _audio_digest(clips, content_hash),
        "findings": findings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / CHECKED, f"{json.dumps(content, indent=1)}\n")


def read_check(folder: Path, clips: pd.DataFrame) -> list[Attributes] | None:
    """The findings of `python -m pipeline check`, leaks first; None without any.

    None too if clips or audio files have changed since, or if the file is damaged.
    Audio files that do not exist count as unchanged: see `source_changes`.
    """
    try:
        content = json.loads((folder / CHECKED).read_text("utf-8"))
        known_format = content["format_version"] == 3
        if not known_format or content["clips"] != _labels_digest(clips):
            return None
        same = (
            not any(Path(path).is_file() for path in clips["path"])
            or content["states"] == _audio_digest(clips, audio_state)
            or content["audio"] == _audio_digest(clips, content_hash)
        )
        return list(content["findings"]) if same else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def audio_state(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _audio_digest(clips: pd.DataFrame, describe: Callable[[Path], str]) -> str:
    """Digest of what describes each clip's audio file, '' if it cannot be read."""
    table = originals(clips).sort_values("clip_id")
    described = {}
    for path in table["path"].unique():
        described[path] = ""
        with suppress(OSError):
            described[path] = describe(Path(path))
    text = json.dumps(table["path"].map(described).tolist())
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _labels_digest(clips: pd.DataFrame) -> str:
    columns = ["clip_id", "label", "fold", "group"]
    rows = originals(clips)[columns].values.tolist()
    text = json.dumps(sorted(rows))
    return blake2b(text.encode(), digest_size=16).hexdigest()
