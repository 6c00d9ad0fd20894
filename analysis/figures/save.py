"""One figure to SVG, PNG and PDF files, and to a piece of HTML for the page."""

import base64
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.figures import fonts, style
from analysis.figures.registry import FIGURES

FORMATS = ("svg", "png", "pdf")
DOTS_PER_INCH = 150
CSS_PER_INCH = 96
PAGE_COLOURS = {style.INK: "var(--ink)", style.RULE: "var(--rule)", style.PAPER: "var(--paper)"}


@dataclass(frozen=True)
class Saved:
    """A drawn figure: files relative to the report, and HTML that shows it ('' if not asked for)."""

    name: str
    caption: str
    html: str
    files: dict[str, str]


def save(name: str, folder: Path, *, stem: str | None = None, inline: bool = True, **data: Any) -> Saved:
    """Draw the figure `name` of `data` and write `folder/figures/<stem>.svg`, `.png` and `.pdf`.

    Canvases are asked directly: `savefig` would draw everything once more for each format.
    """
    figure = FIGURES[name]
    stem = stem or name
    files = {kind: f"figures/{stem}.{kind}" for kind in FORMATS}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    with drawing():
        canvas = Canvas(figsize=figure.size(**data), dpi=DOTS_PER_INCH)
        figure.draw(canvas.add_subplot(), **data)
        ConstrainedLayoutEngine().execute(canvas)  # once for all formats
        pixels = _pixels(canvas)
        vector = StringIO()
        matplotlib.rcParams["pdf.fonttype"] = fonts.font_type(
            text.get_text() for text in canvas.findobj(Text)
        )
        FigureCanvasPdf(canvas).print_pdf(folder / files["pdf"], metadata={"CreationDate": None})
        FigureCanvasSVG(canvas).print_svg(vector, metadata={"Date": None})
    (folder / files["png"]).write_bytes(_encoded(pixels, "png"))
    (folder / files["svg"]).write_text(vector.getvalue(), encoding="utf-8")
    html = ""
    if inline:
        html = (
            _image(pixels, figure.caption) if figure.pixels else _svg(vector.getvalue(), stem, figure.caption)
        )
    return Saved(stem, figure.caption, html, files)


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


@contextmanager
def drawing() -> Iterator[None]:
    """The project's style, without matplotlib's warning for each character that no font here has.

    The report says once which class names that concerns; the page itself shows them in the reader's fonts.
    """
    chosen: Any = {**style.STYLE, "font.family": fonts.installed_faces()}
    with matplotlib.rc_context(chosen), fonts.shared_cuts(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def _image(pixels: NDArray[np.uint8], caption: str) -> str:
    """A figure full of pictures as one compressed image, smaller than SVG with the pictures in it."""
    height, width = pixels.shape[:2]
    text = base64.b64encode(_encoded(pixels, "webp", quality=82, method=2)).decode()
    return (
        f'<img class="pixels" width="{width}" height="{height}" alt="{escape(caption)}" '
        f'style="--natural:{CSS_PER_INCH * width / DOTS_PER_INCH:.0f}px" src="data:image/webp;base64,{text}">'
    )


def _svg(text: str, stem: str, caption: str) -> str:
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
