"""`make export` and `fs.export`: options and function; onnx.py does the work."""

from pathlib import Path
from typing import Any

from featurestack.base.options import option
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.cli.words import function_of
from featurestack.predict.options import ChosenRun


class ExportOptions(ChosenRun):
    """The networks of a run as one file for other programs."""

    example = "RUN=last OUT=model.onnx"

    out: Path | None = option(None, "file to write; by default <run>.onnx")


@command
@documented(ExportOptions)
def export(
    run: str = "last",
    out: Path | str | None = None,
    *,
    dataset: str = "",
    name: str = "",
    data: Path | str = "data",
    runs: Path | str = "runs",
    quiet: bool = False,
) -> Path:
    """Write the networks of a run as one ONNX file, as `make export` does.

    Parameters
    ----------
    run : str
        From `fs.fit`, or its name, path or unique prefix, or `last`.
    out : path, optional
        The file, .onnx; by default the run's name.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> fs.export("last", quiet=True).name
    'rms+zcr-ridge.onnx'
    """
    file: Any = function_of("export")(options_from(ExportOptions, locals()))
    return file
