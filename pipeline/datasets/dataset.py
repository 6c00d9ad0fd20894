"""What every source of clips ends in: the table, the rate and the duration."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Dataset:
    """Clips of one rate and duration.

    `table` has the columns of `features_cache.table.CLIP_COLUMNS`, one row a clip: originals in the
    order of their source, then altered copies where they were asked for. `source` tells apart two
    datasets of one name: a known name, or the absolute path that was given.
    """

    name: str
    table: pd.DataFrame
    sample_rate: int  # Hz
    duration: float  # seconds
    source: str
    synthetic: bool = False
    notes: tuple[str, ...] = ()  # what a user should know: ignored files, folds that were drawn

    @property
    def samples(self) -> int:
        """Length of every clip after padding or cutting."""
        return round(self.duration * self.sample_rate)


@dataclass(frozen=True)
class Source:
    """Originals as their source tells them; what it does not tell is still to be found or drawn.

    In `table` a `fold` of 0 and a `group` of '' are not known yet; a rate or duration of None is to be
    found in the files. `columns` is the file behind the table, row by row, where there is one.
    """

    table: pd.DataFrame
    sample_rate: int | None = None
    duration: float | None = None
    columns: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
