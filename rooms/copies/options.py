"""The options of altered copies."""

from typing import TYPE_CHECKING

from featurestack.commandline.options import option
from featurestack.pipeline.options import ExtractOptions

if TYPE_CHECKING:
    import pandas as pd


class CopyOptions(ExtractOptions):
    """The altered copies of the clips."""

    copies: int | None = option(
        None,
        "altered copies of each clip; 0 removes them; by default as many as there are",
        least=0,
        most=1000,
    )
    alter: str = option(
        "pitch,stretch,noise,gain,shift", "alterations of the copies, taken in turn"
    )

    def with_copies(self, table: "pd.DataFrame") -> "pd.DataFrame | None":
        from featurestack.rooms.copies.alter import with_copies

        if self.copies is None:
            return None
        if self.copies == 0:
            return table
        return with_copies(table, self.copies, self.alter, self.seed)
