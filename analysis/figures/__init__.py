"""Figures for papers and for the report: their registry, sizes, colours, fonts and
panels, and their files.

A figure is a function of arrays, names and an `ax` of any size. It draws into the `ax`
and returns it, and neither reads nor writes files. `@figure` enters it in FIGURES,
where the tests find it, with its caption, the section of the report that shows it, and
the function that takes its data from the page. Probabilities and rates are given from 0
to 1.

A report draws the figures of its sections. The page shows SVG; papers also get PDF, and
PNG at 300 dpi, 85 and 175 mm wide.

Six of the eight series colours are Okabe and Ito's (2008), distinct with the common
kinds of colour blindness.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import figure as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from featurestack.base import extras
from featurestack.base.errors import RequestError
from featurestack.base.own_files import OwnFiles
from featurestack.base.registry import Registry

Draw = Callable[..., Axes]
# the report's page -> stem of the files -> arguments of the drawing function
Data = Callable[[Any], Mapping[str, Mapping[str, Any]]]

# Inches: the column of a paper with two columns (85 mm), and its text (175 mm). Figures
# are drawn at one of these widths, so that a paper scales none and no text is smaller
# than FONT_SIZE points.
COLUMN_WIDTH = 85 / 25.4
TEXT_WIDTH = 175 / 25.4
NARROW_INCHES = 5.0  # between the two widths; a narrower figure is for a column
FONT_SIZE = 8.0
LITTLE_ROOM = 0.25  # share of an axis
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
    # text stays text, so that a browser shows any script and can search it
    "svg.fonttype": "none",
}
# Fonts in the order in which they are tried; only those that are installed are given to
# matplotlib.
FACES = [
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
]
DOTS_PER_INCH = 110


@dataclass(frozen=True)
class _Figure:
    """A drawing function, its caption, its height in inches and its place."""

    caption: str
    draw: Draw
    height: Callable[..., float]
    section: str  # of the report that shows it; '' if none does
    data: Data
    print_only: bool  # for papers; the page has the same as a chart or table


FIGURES: Registry[_Figure] = Registry(
    "figure",
    others=["featurestack.analysis.figures.drawn", *extras.FIGURE_MODULES],
)


def figure(
    caption: str,
    height: Callable[..., float],
    *,
    section: str = "",
    data: Data = lambda page: {},
    print_only: bool = False,
) -> Callable[[Draw], Draw]:
    """Enter `draw_<name>(ax, **data) -> ax` in FIGURES as <name>.

    height   computes the height in inches from the data
    section  of the report, whose template shows the figure
    data     takes from a page what is drawn: stem of the files -> arguments
    """

    def enter(draw: Draw) -> Draw:
        FIGURES[draw.__name__.removeprefix("draw_")] = _Figure(
            caption, draw, height, section, data, print_only
        )
        return draw

    return enter


def is_narrow(ax: Axes) -> bool:
    """Whether the figure is drawn for a column of a paper."""
    return ax.figure.bbox.width / ax.figure.dpi < NARROW_INCHES


def is_far(chance: float, low: float, high: float) -> bool:
    """Whether values would fill only a small part of an axis that begins at chance."""
    return 0 < high - low < LITTLE_ROOM * (high - chance)


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


def shortened_labels(texts: Iterable[str], longest: int = 28) -> list[str]:
    """The texts, each shortened unless two would then be equal."""
    every = [*texts]
    short = [shorten(text, longest) for text in every]
    pairs = zip(every, short)
    return [text if short.count(brief) > 1 else brief for text, brief in pairs]


def in_lines(text: str, longest: int) -> str:
    """A name of feature sets in lines, which break before a word or after a +."""
    lines = [""]
    for part in re.split(r"(?<=\+)|(?= )", text):
        if lines[-1] and len(lines[-1] + part) > longest:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return "\n".join(lines)


@contextmanager
def drawing() -> Iterator[None]:
    """Use the project's style, without warnings about characters that browsers have."""
    present = {"DejaVu Sans", *(e.name for e in font_manager.fontManager.ttflist)}
    chosen: Any = {**STYLE, "font.family": [face for face in FACES if face in present]}
    with matplotlib.rc_context(chosen), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


class _NotebookFigure(mpl.Figure):
    """A figure that a notebook shows if it is a cell's last value."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        with drawing():
            FigureCanvasAgg(self).print_png(content)
        return content.getvalue()


def draw(name: str, **data: Any) -> _NotebookFigure:
    """Draw a figure of the report by its name, from its function's arguments."""
    entry = FIGURES[name]
    known = inspect.signature(entry.draw)
    try:
        known.bind(None, **data)
    except TypeError as error:
        _, *taken = known.parameters
        raise RequestError(f"{name}: {error}; it takes {', '.join(taken)}") from None
    with drawing():
        size = TEXT_WIDTH, entry.height(**data)
        shown = _NotebookFigure(figsize=size, layout="constrained", dpi=DOTS_PER_INCH)
        entry.draw(shown.add_subplot(), **data)
    return shown


# ---- files

SCREEN_DPI, PAPER_DPI = 150, 300
CSS_PER_INCH = 96
# Widths in inches: on the page, where a wide screen shows two side by side; on a phone;
# and of the images for papers. No figure is scaled, so that text stays readable.
PAGE_WIDTH = 580 / CSS_PER_INCH
PHONE = "phone"
WIDTHS = {PHONE: 350 / CSS_PER_INCH, "85mm": COLUMN_WIDTH, "175mm": TEXT_WIDTH}
# without dates and versions, so that equal figures are equal files
SAVED_WITH: dict[str, dict[str, Any]] = {
    ".svg": {"metadata": dict.fromkeys(("Creator", "Date", "Format", "Type"))},
    ".pdf": {"metadata": {"CreationDate": None}},
    ".png": {"metadata": {"Software": None}},
}
# The parts of a whole SVG file: view box, width in points, content.
SVG = re.compile(
    r'<svg [^>]*?(viewBox="0 0 ([\d.]+) [\d.]+")[^>]*>(.*</svg>\s*)\Z', re.DOTALL
)
PAGE_COLOURS = {INK: "var(--ink)", RULE: "var(--rule)", PAPER: "var(--paper)"}
# values of rcParams['pdf.fonttype'], the embedding of fonts in a PDF
TRUETYPE, TYPE3 = 42, 3
# Fonts for characters from this one on may have PostScript outlines, which cannot be
# embedded as TrueType.
IDEOGRAPHS = "\u2e80"


@dataclass(frozen=True)
class SavedFigure:
    """A figure of a report; `stem` names its files."""

    of: _Figure
    caption: str  # with the report's words
    stem: str
    html: str  # two elements, of which the page shows one by its width


def element(svg: str, shown: str, caption: str) -> str:
    """The content of an SVG file as an element of the page, of the class `shown`."""
    view, points, body = SVG.search(svg).groups()  # type: ignore[union-attr]
    # Ids of groups would clash, because every figure has an axes_1; nothing uses them.
    body = re.sub(r'<g id="[^"]+"', "<g", body)
    for colour, variable in PAGE_COLOURS.items():
        body = body.replace(colour, variable)
    natural = float(points) * CSS_PER_INCH / 72
    return (
        f'<svg class="{shown}" xmlns="http://www.w3.org/2000/svg"'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" role="img" {view}'
        f' style="--natural:{natural:.0f}px" aria-label="{escape(caption)}">{body}'
    )


def write_figure(
    own_files: OwnFiles,
    name: str,
    stem: str,
    data: Mapping[str, Any],
    *,
    for_print: bool = False,
    unit: str = "source recording",
    score: str = "Accuracy",
) -> SavedFigure:
    """Draw the figure `name` into the folder `figures`, as files called `stem`.

    `for_print` adds PDF and PNG; `unit` and `score` replace "source recording" and
    "Accuracy" in the caption, to which the data may add a `note`.
    """
    arguments = {key: value for key, value in data.items() if key != "note"}
    names = [f"{stem}.svg", f"{stem}-{PHONE}.svg"]
    if for_print:
        names += [f"{stem}.pdf", f"{stem}-85mm.pdf"]
        names += [f"{stem}-85mm.png", f"{stem}-175mm.png"]
    contents = [figure_content(name, Path(file), arguments) for file in names]
    written = {f"figures/{file}": text for file, text in zip(names, contents)}
    own_files.write(written, durable=False)
    caption = FIGURES[name].caption.replace("source recording", unit)
    caption = caption.replace("Accuracy", score) + data.get("note", "")
    html = "".join(
        element(svg.decode(), shown, caption)
        for svg, shown in zip(contents, ("page", PHONE))
    )
    return SavedFigure(FIGURES[name], caption, stem, html)


def figure_content(name: str, file: Path, data: Mapping[str, Any]) -> bytes:
    """The content of one file of a figure: SVG, PDF or PNG."""
    figure = FIGURES[name]
    otherwise = PAGE_WIDTH if file.suffix == ".svg" else TEXT_WIDTH
    width = WIDTHS.get(file.stem.rpartition("-")[2], otherwise)
    height = figure.height(**data)
    if width < NARROW_INCHES and height < TEXT_WIDTH:
        height *= 1.6  # room for panels, which a narrow figure stacks
    dpi = PAPER_DPI if file.suffix in (".png", ".pdf") else SCREEN_DPI
    content = BytesIO()
    with drawing():
        canvas = Canvas(figsize=(width, height), dpi=dpi)
        ax = figure.draw(canvas.add_subplot(), **data)
        if ax.get_aspect() == 1 and width < height:  # square cells
            canvas.set_figheight(width)
        ConstrainedLayoutEngine().execute(canvas)
        letters = {
            letter for text in canvas.findobj(Text) for letter in text.get_text()
        }
        beyond = max(letters, default="") >= IDEOGRAPHS
        # journals refuse Type 3
        matplotlib.rcParams["pdf.fonttype"] = TYPE3 if beyond else TRUETYPE
        # ids unique to the figure, and reproducible
        matplotlib.rcParams["svg.hashsalt"] = file.stem
        canvas.savefig(content, format=file.suffix[1:], **SAVED_WITH[file.suffix])
    return content.getvalue()
