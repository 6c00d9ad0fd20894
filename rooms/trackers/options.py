"""The options of trackers."""

from typing import Any

from featurestack.train.options import Execution, of_networks


class TrackerOptions(Execution):
    """The trackers that follow a run."""

    tracker: str = of_networks(
        "", "tensorboard, wandb, mlflow, or several, besides the CSV files"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tracker:
            from featurestack.rooms.trackers.trackers import check_trackers

            check_trackers(self.tracker)

    def trackers(self, run: Any, fold: int, epoch: int) -> list[Any]:
        if not self.tracker:
            return []
        from featurestack.rooms.trackers.trackers import TRACKERS, Fold

        followed, folder = Fold(run, fold, epoch), run.path / "trackers"
        return [TRACKERS[name](followed, folder) for name in self.tracker.split()]
