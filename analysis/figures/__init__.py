"""Figures for papers and for the report: each is one function that draws into `ax` and returns it.

`@figure` enters it in FIGURES, where the report and the tests find it. A FigureWriter writes figure files.

Conventions: probabilities and rates run from 0 to 1. Colours come from `figures.drawing`; in most figures
line styles, markers or numbers repeat their meaning.
"""

from analysis.figures import comparison, data, importance, run  # noqa: F401 - importing enters their figures
from analysis.figures.drawing import FIGURES, Figure, figure
from analysis.figures.saving import FigureWriter, SavedFigure

__all__ = ["FIGURES", "Figure", "FigureWriter", "SavedFigure", "figure"]
