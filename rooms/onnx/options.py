"""`python -m train export` and its options."""

from pathlib import Path

from featurestack.commandline import rooms
from featurestack.commandline.options import option
from featurestack.train.options import ChosenRun


class ExportOptions(ChosenRun):
    """The networks of a run as one file for other programs."""

    example = "last OUT=model.onnx"

    out: Path | None = option(None, "file to write; by default <run>.onnx")


def export(options: ExportOptions) -> int:
    """Write the networks as one ONNX file, for programs without torch."""
    return int(rooms.load("capabilities", "export").export_run(options))
