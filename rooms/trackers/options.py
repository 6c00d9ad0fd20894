"""The option TRACKER of `make train`."""

import importlib.util
from typing import TYPE_CHECKING, Any

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option
from featurestack.train.options import RunAddition

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder


class TrackerOptions(RunAddition):
    """The tracker that follows a run."""

    tracker: str = option("", "tensorboard or wandb, besides the CSV files")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tracker:
            return
        from featurestack.rooms.trackers.trackers import TRACKERS

        package = TRACKERS[self.tracker].package
        if importlib.util.find_spec(package) is None:
            raise RequestError(
                f"TRACKER={self.tracker} needs its package: {rooms.pip_install()}"
                f" {package}"
            )

    def trackers(self, run: "RunFolder", fold: int, epoch: int) -> list[Any]:
        if not self.tracker:
            return []
        from featurestack.rooms.trackers.trackers import TRACKERS

        return [TRACKERS[self.tracker](run, fold, epoch)]
