"""`fs.importance(...)` and `fs.curve(...)`."""

from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.functions import command, options_from
from featurestack.feature_importance.options import CurveOptions, ImportanceOptions

if TYPE_CHECKING:
    import pandas as pd


@command
def importance(
    features: str = "mel mfcc chroma",
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    dataset: str = "esc50",
    name: str = "",
    task: str = "auto",
    quiet: bool = False,
) -> "dict[str, pd.DataFrame]":
    """`make importance`: the worth of each feature, only by itself and with the others,
    from exact fits with and without it.

    Parameters
    ----------
    features : str
        Features, or sets joined by + that count as one, separated by blanks.

    Other Parameters
    ----------------
    The options of `make importance`, explained by `featurestack help importance`.

    Returns
    -------
    dict of DataFrame
        `features`: what each feature gives by itself, what is lost without it and what
        it adds, with intervals; `classes`: the same by class; `smaller`: the best
        smaller sets and whether they are as good.

    Examples
    --------
    >>> cache = fs.extract("rms zcr", "synth", jobs=1, quiet=True)
    >>> tables = fs.importance("rms zcr", dataset="synth", quiet=True)
    >>> sorted(tables)
    ['classes', 'features', 'smaller']
    """
    from featurestack.feature_importance.importance import measure_importance

    return measure_importance(options_from(ImportanceOptions, locals())).tables


@command
def curve(
    features: str = "mel",
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    dataset: str = "esc50",
    name: str = "",
    task: str = "auto",
    seed: int = 0,
    quiet: bool = False,
) -> "pd.DataFrame":
    """`make curve`: the score of feature sets by the number of training recordings.

    Parameters
    ----------
    features : str
        Feature sets separated by blanks.

    Other Parameters
    ----------------
    The options of `make curve`, explained by `featurestack help curve`.

    Returns
    -------
    DataFrame
        A row for each set and part of the recordings.

    Examples
    --------
    ::

        fs.curve("mel mel+mfcc", dataset="synth")
    """
    from featurestack.feature_importance.curve import measure_curve

    return measure_curve(options_from(CurveOptions, locals()))
