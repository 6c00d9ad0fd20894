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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from analysis.figures import style
from analysis.figures.registry import FIGURES, Figure

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
        canvas = Canvas(figsize=figure.size(**data), dpi=DOTS_PER_INCH, layout="constrained")
        figure.draw(canvas.add_subplot(), **data)
        canvas.draw_without_rendering()
        canvas.set_layout_engine("none")  # laid out once for all formats
        vector, pixels = StringIO(), BytesIO()
        FigureCanvasPdf(canvas).print_pdf(folder / files["pdf"], metadata={"CreationDate": None})
        FigureCanvasAgg(canvas).print_png(pixels, metadata={"Software": None})
        FigureCanvasSVG(canvas).print_svg(vector, metadata={"Date": None})
        html = _html(canvas, figure, vector.getvalue(), stem) if inline else ""
    (folder / files["png"]).write_bytes(pixels.getvalue())
    (folder / files["svg"]).write_text(vector.getvalue(), encoding="utf-8")
    return Saved(stem, figure.caption, html, files)


def _html(canvas: Canvas, figure: Figure, vector: str, stem: str) -> str:
    return _image(canvas, figure.caption) if figure.pixels else _svg(vector, stem, figure.caption)


@contextmanager
def drawing() -> Iterator[None]:
    """The project's style, without matplotlib's warning for each character that no font here has.

    The report says once which class names that concerns; the page itself shows them in the reader's fonts.
    """
    chosen: Any = {**style.STYLE, "font.family": style.installed_faces()}
    with matplotlib.rc_context(chosen), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def _image(canvas: Canvas, caption: str) -> str:
    """A figure full of pictures as one compressed image, smaller than SVG with the pictures in it."""
    content = BytesIO()
    canvas.set_dpi(DOTS_PER_INCH)  # SVG left it at 72
    agg = FigureCanvasAgg(canvas)
    agg.print_webp(content, pil_kwargs={"quality": 82, "method": 2})
    width, height = agg.get_width_height()
    natural = CSS_PER_INCH * canvas.get_figwidth()
    text = base64.b64encode(content.getvalue()).decode()
    return (
        f'<img class="pixels" width="{width}" height="{height}" alt="{escape(caption)}" '
        f'style="--natural:{natural:.0f}px" src="data:image/webp;base64,{text}">'
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
