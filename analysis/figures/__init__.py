"""Figures for papers and for the report: each is one function that draws into `ax` and returns it.

`@figure` enters it in FIGURES, where the report and the tests find it. A FigureWriter writes them as files.

Conventions: classes keep the order in which they are given; probabilities and rates run from 0 to 1. Colours
come from `figures.drawing` and never carry a meaning alone: line styles, markers or numbers say the same.
"""

from analysis.figures import comparison, data, importance, run  # noqa: F401 - importing enters their figures
from analysis.figures.drawing import FIGURES, Figure, figure
from analysis.figures.saving import FigureWriter, SavedFigure

__all__ = ["FIGURES", "Figure", "FigureWriter", "SavedFigure", "figure"]
