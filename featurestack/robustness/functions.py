"""`fs.stress(...)`."""

from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.functions import command, options_from
from featurestack.predict.options import StressOptions

if TYPE_CHECKING:
    import pandas as pd


@command
def stress(
    run: str = "last",
    *,
    data: Path | str = "data",
    dataset: str = "",
    runs: Path | str = "runs",
    device: str = "cpu",
    threads: str = "auto",
    quiet: bool = False,
) -> "pd.DataFrame":
    """`make stress`: the accuracy of a run on its own test clips after each of ten
    changes of their audio.

    Parameters
    ----------
    run : str
        A run's name, path or unique prefix, or `last`.

    Other Parameters
    ----------------
    The options of `make stress`, explained by `featurestack help stress`.

    Returns
    -------
    DataFrame
        A row for each change: `accuracy` with its interval, `claimed`, the mean highest
        probability, the points `lost` with interval and p, and whether that is `clear`.

    Examples
    --------
    ::

        fs.stress("last").query("clear")["change"]
    """
    from featurestack.robustness.section import stress_table
    from featurestack.robustness.stress import measure_stress

    return stress_table(*measure_stress(options_from(StressOptions, locals())))
