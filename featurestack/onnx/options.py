"""`make export` and its options."""

from pathlib import Path

from featurestack.commandline.options import option
from featurestack.predict.options import ChosenRun


class ExportOptions(ChosenRun):
    """The networks of a run as one file for other programs."""

    example = "RUN=last OUT=model.onnx"

    out: Path | None = option(None, "file to write; by default <run>.onnx")
