"""The parts that figures share: the registry, sizes, colours, fonts and panels.

A figure is a function of arrays, names and an `ax` of any size. It draws into the `ax`
and returns it, and neither reads nor writes files.

Six of the eight series colours are Okabe and Ito's (2008), distinct with the common
kinds of colour blindness.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib import figure as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from featurestack.commandline.registry import Registry

Draw = Callable[..., Axes]

# Inches: the column of a paper with two columns (85 mm), and its text (175 mm). Figures
# are drawn at one of these widths, so that a paper scales none and no text is smaller
# than FONT_SIZE points.
COLUMN_WIDTH = 85 / 25.4
TEXT_WIDTH = 175 / 25.4
NARROW = 5.0  # inches, between the two widths; a narrower figure is drawn for a column
FONT_SIZE = 8.0
# The page turns these three into its own text, rule and background colours (dark mode),
# so they are values that no data colour takes.
INK, RULE, PAPER = "#1b2430", "#c9d0d9", "#fefefe"
MUTED = "#687486"
SERIES = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#5b4b8a",
    "#7a7a7a",
    "#56b4e9",
    "#d55e00",
)
SPECTRUM = "magma"
# Percentiles at the ends of a feature map's colour scale; in the full range, row 0 of
# mfcc hides the others.
VISIBLE = (4, 99.5)
STYLE: dict[str, Any] = {
    "font.size": FONT_SIZE,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    # fixed: moving titles clear of the ticks takes a third of a drawing's time
    "axes.titley": 1.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x$
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    # text stays text: any script shows in a browser, and can be searched
    "svg.fonttype": "none",
}
# Fonts in the order in which they are tried; only those that are installed are given to
# matplotlib.
FACES = (
    "Noto Sans",
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Nirmala UI",
    "Noto Emoji",
)
DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Figure:
    """A drawing function, its caption and its size in inches."""

    caption: str
    draw: Draw
    height: Callable[..., float]
    width: float
    pixels: bool  # consists of feature maps: the page shows one compressed image

    def size(self, **data: Any) -> tuple[float, float]:
        return self.width, self.height(**data)


FIGURES: Registry[Figure] = Registry(
    "figure",
    others=[
        "featurestack.analysis.figures.comparison",
        "featurestack.analysis.figures.feature_maps",
        "featurestack.feature_importance.section",
    ],
)


def figure(
    caption: str,
    height: Callable[..., float],
    width: float = TEXT_WIDTH,
    *,
    pixels: bool = False,
) -> Callable[[Draw], Draw]:
    """Enter `draw_<name>(ax, **data) -> ax` in FIGURES as <name>.

    `height` computes the height in inches from the data.
    """

    def enter(draw: Draw) -> Draw:
        FIGURES[draw.__name__.removeprefix("draw_")] = Figure(
            caption, draw, height, width, pixels
        )
        return draw

    return enter


def row_height(
    of: str, base: float, step: float, columns: int = 1
) -> Callable[..., float]:
    """A `height`: `base`, plus `step` for each row of `columns` items of `of`."""
    return lambda **data: base + step * -(-len(data[of]) // columns)


def is_narrow(ax: Axes) -> bool:
    """Whether the figure is drawn for a column of a paper."""
    return ax.figure.bbox.width / ax.figure.dpi < NARROW


def grid_lines(ax: Axes, axis: str = "y") -> None:
    """Add thin grid lines across an axis, and remove the tick marks."""
    ax.grid(True, axis=axis)  # type: ignore[arg-type]
    ax.tick_params(length=0)


def panels(
    ax: Axes, count: int, columns: int, *, wide: float, high: float
) -> list[Axes]:
    """Divide `ax` into panels; the gaps are fractions of a panel's size."""
    ax.set_axis_off()
    rows = -(-count // columns)
    width = 1 / (columns + wide * (columns - 1))
    height = 1 / (rows + high * (rows - 1))
    panels = []
    for number in range(count):
        row, column = divmod(number, columns)
        left = column * width * (1 + wide)
        bottom = 1 - height - row * height * (1 + high)
        panels.append(ax.inset_axes((left, bottom, width, height)))
    return panels


def shorten(text: str, longest: int = 28) -> str:
    """Replace the middle of a `text` longer than `longest` by `…`."""
    if len(text) <= longest:
        return text
    at_end = longest // 2
    at_beginning = longest - at_end - 1
    return f"{text[:at_beginning]}…{text[-at_end:]}"


@contextmanager
def drawing() -> Iterator[None]:
    """Use the project's style, silent if fonts lack characters: browsers have them."""
    present = {"DejaVu Sans", *(e.name for e in font_manager.fontManager.ttflist)}
    chosen: Any = {**STYLE, "font.family": [face for face in FACES if face in present]}
    with matplotlib.rc_context(chosen), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


class NotebookFigure(mpl.Figure):
    """A figure that a notebook shows if it is a cell's last value."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        with drawing():
            FigureCanvasAgg(self).print_png(content)
        return content.getvalue()


def draw(name: str, **data: Any) -> NotebookFigure:
    """Draw a figure of the report by its name, from its function's arguments."""
    entry = FIGURES[name]
    with drawing():
        shown = NotebookFigure(
            figsize=entry.size(**data), layout="constrained", dpi=DOTS_PER_INCH
        )
        entry.draw(shown.add_subplot(), **data)
    return shown
