"""The configuration of a bundle: run.json of its run, with keys for new audio."""

from collections.abc import Mapping
from dataclasses import dataclass

from featurestack.results.config import Epoch, RunConfig


@dataclass(frozen=True, kw_only=True)
class BundleConfig(RunConfig):
    """A bundle's configuration: the run's, the epoch of the bundle's weights, and
    whether they are those of one model that was trained on the clips of all folds.
    """

    selection: Epoch
    refit: bool = False

    @property
    def temperature(self) -> float:
        """The temperature for these weights; 1 before it is fitted."""
        fitted = self.calibration.get(self.selection)
        return fitted.temperature if fitted else 1.0

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Each class's threshold for these weights; empty if there are none."""
        fitted = self.calibration.get(self.selection)
        return (fitted.thresholds or {}) if fitted else {}

    @property
    def rejection(self) -> float | None:
        """The probability below which answers of these weights are withheld; None
        before it is fitted.
        """
        fitted = self.calibration.get(self.selection)
        return fitted.rejection if fitted else None
