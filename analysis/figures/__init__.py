"""Figures for papers and for the report: functions that draw into an `ax`
and return it.

`@figure` enters a function in FIGURES, where the report and the tests find it. Those
that every report has are loaded with this package. A FigureWriter writes files.
Probabilities and rates are given from 0 to 1. In most figures line styles, markers or
numbers repeat the meaning of the colours.
"""

# importing enters its figures
from featurestack.analysis.figures import run  # noqa: F401
from featurestack.analysis.figures.drawing import FIGURES, Figure, figure
from featurestack.analysis.figures.saving import FigureWriter, SavedFigure

__all__ = ["FIGURES", "Figure", "FigureWriter", "SavedFigure", "figure"]
