"""The options of extraction on a Dask cluster."""

from contextlib import AbstractContextManager
from typing import Any, Literal

from featurestack.commandline import rooms
from featurestack.commandline.options import option
from featurestack.commandline.terminal import tell
from featurestack.pipeline.options import FeaturesAddition


class ClusterOptions(FeaturesAddition):
    """The place of the extraction."""

    backend: Literal["processes", "dask"] = option(
        "processes", "worker processes of this machine, or a Dask cluster"
    )
    scheduler: str = option("", "address of the Dask scheduler, tcp://host:port")

    def cluster(self) -> AbstractContextManager[Any] | None:
        if self.backend == "dask":
            connected: AbstractContextManager[Any]
            connected = rooms.load("capabilities", "dask").connected(self.scheduler)
            return connected
        if self.scheduler:
            tell("SCHEDULER applies only with BACKEND=dask")
        return None
