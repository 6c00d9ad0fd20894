"""Figures as files and as HTML of a page, drawn here or in processes of their own.

`save_figure` writes one as SVG, PNG and PDF. Inside `drawing_processes` it returns at once, and the figure's
HTML waits until it is drawn. The bytes are the same whoever draws.
"""

import base64
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from io import BytesIO, StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from fontTools import subset
from joblib import cpu_count
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.figures.drawing import FIGURES, INK, PAPER, RULE, drawing, font_type
from commandline.files import replace_file
from commandline.system import become_child

FORMATS = ("svg", "png", "pdf")
DOTS_PER_INCH = 150
CSS_PER_INCH = 96
PAGE_COLOURS = {INK: "var(--ink)", RULE: "var(--rule)", PAPER: "var(--paper)"}


@dataclass(frozen=True)
class SavedFigure:
    """A figure: its files relative to the report, and HTML that shows it."""

    name: str
    caption: str
    drawn: Callable[[], str] = field(compare=False)  # its HTML, as soon as it is drawn
    files: dict[str, str]

    @property
    def html(self) -> str:
        return self.drawn()

    def file(self, kind: str, folder: Path) -> Path:
        """Its file of a format in the report's folder, as soon as it is written."""
        self.drawn()
        return folder / self.files[kind]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "caption": self.caption, "html": self.html, "files": self.files}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "SavedFigure":
        return cls(kept["name"], kept["caption"], lambda: str(kept["html"]), kept["files"])


def save_figure(name: str, folder: Path, *, stem: str | None = None, **data: Any) -> SavedFigure:
    """Draw the figure `name` of `data` and write `folder/figures/<stem>.svg`, `.png` and `.pdf`."""
    stem = stem or name
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    drawn = _DRAW[-1](name, folder, stem, data)
    return SavedFigure(stem, FIGURES[name].caption, drawn, _files(stem))


def _files(stem: str) -> dict[str, str]:
    return {kind: f"figures/{stem}.{kind}" for kind in FORMATS}


def draw_and_write(name: str, folder: Path, stem: str, data: dict[str, Any]) -> str:
    """The figure's HTML; its files are written. An exception names the figure.

    Canvases are asked directly: `savefig` would draw everything once more for each format.
    """
    try:
        pixels, document, vector = _draw(name, data)
    except Exception as error:
        error.add_note(f"in the figure {stem} ({name})")
        raise
    contents = {"pdf": document, "png": _encoded(pixels, "png"), "svg": vector.encode("utf-8")}
    for kind, content in contents.items():
        replace_file(folder / _files(stem)[kind], content, durable=False)
    figure = FIGURES[name]
    if figure.pixels:
        return _page_image(pixels, figure.caption)
    return _page_svg(vector, stem, figure.caption)


def _draw(name: str, data: dict[str, Any]) -> tuple[NDArray[np.uint8], bytes, str]:
    """A figure's pixels, PDF and SVG."""
    figure = FIGURES[name]
    with drawing():
        canvas = Canvas(figsize=figure.size(**data), dpi=DOTS_PER_INCH)
        figure.draw(canvas.add_subplot(), **data)
        ConstrainedLayoutEngine().execute(canvas)  # once for all formats
        pixels = _pixels(canvas)
        document, vector = BytesIO(), StringIO()
        matplotlib.rcParams["pdf.fonttype"] = font_type(text.get_text() for text in canvas.findobj(Text))
        with _embedding_outlines_alone():
            FigureCanvasPdf(canvas).print_pdf(document, metadata={"CreationDate": None})
        FigureCanvasSVG(canvas).print_svg(vector, metadata={"Date": None})
    return pixels, document.getvalue(), vector.getvalue()


Drawn = Callable[[], str]


def _draw_here(*figure: Any) -> Drawn:
    html = draw_and_write(*figure)
    return lambda: html


_DRAW: list[Callable[..., Drawn]] = [_draw_here]  # the last one draws
MOST_PROCESSES = 4  # each takes 200 MB


@contextmanager
def drawing_processes() -> Iterator[None]:
    """Inside, other processes draw, where there is more than one core.

    What fails there is raised where the figure's HTML is asked for. A figure whose process was killed is
    drawn in this one.
    """
    count = min(cpu_count(), MOST_PROCESSES)
    if count == 1:
        yield
        return
    pool = ProcessPoolExecutor(count, get_context("spawn"), become_child)

    def draw_there(*figure: Any) -> Drawn:
        try:
            future = pool.submit(draw_and_write, *figure)
        except BrokenProcessPool:
            return _draw_here(*figure)

        def html() -> str:
            try:
                return future.result()
            except BrokenProcessPool:
                return draw_and_write(*figure)

        return html

    _DRAW.append(draw_there)
    try:
        yield
    finally:
        _DRAW.pop()
        pool.shutdown(cancel_futures=True)


LAYOUT_TABLES = ("GSUB", "GPOS", "GDEF", "MATH", "kern")


@contextmanager
def _embedding_outlines_alone() -> Iterator[None]:
    """Leave the tables for laying out text out of the fonts that a PDF embeds: its text is laid out already.

    Reading and cutting them was a sixth of a report's time, and fontTools reads them even where it is told to
    drop them: they go as soon as the font is open.
    """
    load = subset.load_font

    def load_outlines(*given: Any, **options: Any) -> Any:
        font = load(*given, **options)
        for table in LAYOUT_TABLES:
            if table in font:
                del font[table]
        return font

    subset.load_font = load_outlines
    try:
        yield
    finally:
        subset.load_font = load


def _pixels(canvas: Canvas) -> NDArray[np.uint8]:
    """The figure as (height, width, 4), at DOTS_PER_INCH."""
    agg = FigureCanvasAgg(canvas)
    agg.draw()
    return np.asarray(agg.buffer_rgba())


def _encoded(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    """Pixels as the content of an image file."""
    content = BytesIO()
    metadata: Any = {"Software": None} if kind == "png" else None  # equal figures are equal files
    imsave(content, pixels, format=kind, dpi=DOTS_PER_INCH, metadata=metadata, pil_kwargs=options)
    return content.getvalue()


def _page_image(pixels: NDArray[np.uint8], caption: str) -> str:
    """A figure full of feature maps as one compressed image, smaller than SVG with them in it."""
    height, width = pixels.shape[:2]
    text = base64.b64encode(_encoded(pixels, "webp", quality=70, method=4)).decode()
    return (
        f'<img class="pixels" width="{width}" height="{height}" alt="{escape(caption)}" '
        f'style="--natural:{CSS_PER_INCH * width / DOTS_PER_INCH:.0f}px" src="data:image/webp;base64,{text}">'
    )


def _page_svg(text: str, stem: str, caption: str) -> str:
    """SVG to stand inside the page: it scales, takes the page's colours, and its ids are its own."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    prefix = re.sub(r"[^A-Za-z0-9]", "-", stem)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", svg
    )
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    opening, body = svg.split(">", 1)
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', opening)
    assert view is not None, "matplotlib's SVG has a view box"
    natural = float(view[1]) * CSS_PER_INCH / 72
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'{view[0]} style="--natural:{natural:.0f}px" aria-label="{escape(caption)}">{body}'
    )
