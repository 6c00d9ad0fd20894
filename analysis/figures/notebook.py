"""The report's figures for notebooks."""

from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from featurestack.analysis.figures import FIGURES
from featurestack.analysis.figures.drawing import drawing

DOTS_PER_INCH = 110


class NotebookFigure(Figure):
    """A matplotlib figure that a notebook shows if it is a cell's last value; `savefig`
    writes it.
    """

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        with drawing():
            FigureCanvasAgg(self).print_png(content)
        return content.getvalue()


def draw(name: str, **data: Any) -> NotebookFigure:
    """Draw a figure of the report by its name; `data` are the arguments of its drawing
    function.
    """
    entry = FIGURES[name]
    with drawing():
        shown = NotebookFigure(
            figsize=entry.size(**data),
            layout="constrained",
            dpi=DOTS_PER_INCH,
        )
        entry.draw(shown.add_subplot(), **data)
    return shown
