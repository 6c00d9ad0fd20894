"""The option PREDICTIONS of `make analysis`."""

from dataclasses import replace
from pathlib import Path

from featurestack.analysis.options import AnalysisAddition, AnalysisOptions
from featurestack.commandline.options import option


class PredictionsOptions(AnalysisAddition):
    """Predictions of other programs, each table a run."""

    predictions: tuple[Path, ...] = option(
        (),
        "make a run of each of these tables of predictions, then report: CSV files, or"
        " folders of one model's; DATASET has the true labels, or their column `label`",
    )

    def prepared(self, options: AnalysisOptions) -> AnalysisOptions:
        from featurestack.predictions.read import write_runs

        if not self.predictions:
            return options
        dataset = write_runs(self.predictions, options)
        others = [added for added in options.of_rooms if added is not self]
        return replace(options, dataset=dataset, of_rooms=tuple(others))
