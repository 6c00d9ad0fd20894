"""`python -m train export` and its options."""

from pathlib import Path
from typing import Literal

from featurestack.commandline import rooms
from featurestack.commandline.options import DataOptions, option
from featurestack.features_cache.location import cache_folder
from featurestack.train.options import EpochOptions


class ExportOptions(EpochOptions, DataOptions):
    """The networks of a run as one file for other programs, checked on test clips if
    their cache is there.
    """

    example = "last OUT=model.onnx"

    format: Literal["onnx"] = option("onnx", "format of the file")
    out: Path | None = option(None, "file to write; by default <run>.onnx")
    dataset: str = option(
        "", "the run's dataset or cache folder; by default the one of its name in DATA"
    )

    def cache_of(self, name: str) -> Path:
        """The cache folder of a run whose dataset has this name."""
        return cache_folder(
            self.dataset or name, self.data, "" if self.dataset else name
        )


def export(options: ExportOptions) -> int:
    """Write the networks as one ONNX file, for programs without torch."""
    status: int = rooms.load("capabilities", "export").export_run(options)
    return status
