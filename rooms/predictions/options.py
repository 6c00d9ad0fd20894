"""The option PREDICTIONS of `make analysis`."""

from pathlib import Path

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline.options import Options, option


class PredictionsOptions(Options):
    """Predictions of other programs, each table a run."""

    predictions: tuple[Path, ...] = option(
        (),
        "make a run of each of these tables of predictions, then report: CSV files, or"
        " folders of one model's; DATASET has the true labels, or their column `label`",
    )

    def prepared(self) -> "AnalysisOptions | PredictionsOptions":
        if not self.predictions:
            return self
        from featurestack.rooms.predictions.runs import write_runs

        return write_runs(self)
