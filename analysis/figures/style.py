"""Colours, line styles and type of every figure.

The series colours are Okabe and Ito's (2008), told apart with the common kinds of colour blindness,
ordered so that neighbours also differ in lightness; each comes with a line style and a marker.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

# The page turns these three into its own text, rule and background colours (dark mode), so they are
# values that no data colour takes.
INK, RULE, PAPER = "#1b2430", "#c9d0d9", "#fefefe"
MUTED = "#687486"
ON_LIGHT, ON_DARK = "#14202c", "#ffffff"  # text on a data colour, the same on every page

SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#5b4b8a", "#7a7a7a", "#56b4e9", "#d55e00")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1)))
MARKERS = "osD^vPX*"
HATCHES = ("", "////", "....", "xxxx")

# One hue, growing darker evenly: a rate reads the same on screen, on paper and in grey.
RATES = LinearSegmentedColormap.from_list("rates", ["#f6f8fb", "#b7cfe6", "#5b93c4", "#1c5a96", "#0b2c54"])
SPECTRUM = "magma"
SIGNED = "PuOr"

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # given, so that no title is moved clear of the ticks: a third of a drawing's time
    "axes.labelsize": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",  # text stays text: any script shows in a browser, and can be searched
    "svg.hashsalt": "analysis",  # the same figure is the same file
}


def series(number: int) -> dict[str, Any]:
    """Colour, line style and marker of the n-th line."""
    return {
        "color": SERIES[number % len(SERIES)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
    }


def grid(ax: Axes, axis: str = "y") -> None:
    """Quiet lines across the direction that is read."""
    ax.grid(True, axis=axis)  # type: ignore[arg-type]
    ax.tick_params(length=0)


def panels(ax: Axes, rows: int, columns: int, *, wide: float = 0.12, high: float = 0.3) -> list[Axes]:
    """Divide `ax` into rows x columns panels, gaps as fractions of a panel, row by row from the top."""
    ax.set_axis_off()
    width = 1 / (columns + wide * (columns - 1))
    height = 1 / (rows + high * (rows - 1))
    return [
        ax.inset_axes(
            (
                column * width * (1 + wide),
                1 - height - row * height * (1 + high),
                width,
                height,
            )
        )
        for row in range(rows)
        for column in range(columns)
    ]


def short(text: str, longest: int = 28) -> str:
    """`text`, its middle left out where it is longer than `longest`."""
    if len(text) <= longest:
        return text
    head = (longest - 1) * 2 // 3
    return f"{text[:head]}…{text[-(longest - 1 - head) :]}"


def ticks(ax: Axes, names: Sequence[str], axis: str, *, size: float | None = None, turn: float = 0) -> None:
    """One tick a name, on the x or the y axis."""
    places, texts = range(len(names)), [escape(short(name)) for name in names]
    if axis == "x":
        ax.set_xticks(places, texts, rotation=turn, ha="right" if 0 < turn < 90 else "center")
        if 0 < turn < 90:
            for label in ax.get_xticklabels():
                label.set_rotation_mode("anchor")
    else:
        ax.set_yticks(places, texts)
    if size:
        ax.tick_params(axis=axis, labelsize=size)  # type: ignore[arg-type]


def escape(text: str) -> str:
    """`text` with nothing in it that matplotlib would take for mathematics."""
    return text.replace("$", r"\$")
