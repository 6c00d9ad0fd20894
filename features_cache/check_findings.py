"""check.json: the findings of `python -m pipeline check`."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import pandas as pd

from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.table import originals
from featurestack.storage.files import replace_file

CHECKED = "check.json"


def write_check(
    folder: Path,
    clips: pd.DataFrame,
    findings: Sequence[Attributes],
) -> None:
    """Keep what `python -m pipeline check` found in these clips."""
    content = {
        "format_version": 2,
        "clips": _labels_digest(clips),
        "findings": findings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / CHECKED, f"{json.dumps(content, indent=1)}\n")


def read_check(folder: Path, clips: pd.DataFrame) -> list[Attributes] | None:
    """The findings of `python -m pipeline check`, leaks first.

    None if it has not been run, if clips, labels, folds or recordings have changed
    since, or if the file is damaged.
    """
    try:
        content = json.loads((folder / CHECKED).read_text("utf-8"))
        known_format = content["format_version"] == 2
        if known_format and content["clips"] == _labels_digest(clips):
            return list(content["findings"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _labels_digest(clips: pd.DataFrame) -> str:
    columns = ["clip_id", "label", "fold", "group"]
    rows = originals(clips)[columns].values.tolist()
    text = json.dumps(sorted(rows))
    return blake2b(text.encode(), digest_size=16).hexdigest()
