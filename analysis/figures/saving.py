"""Figures as files and as HTML of a page.

A report submits its figures to one FigureWriter, which draws at `close` those that changed: each once, as SVG
for the page (feature maps as WebP), and for papers as PDF and as PNG of 300 dpi, 85 and 175 mm wide. A digest
of name, data and drawing code tells whether a figure changed.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import joblib
import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from analysis.figures.drawing import COLUMN_WIDTH, FIGURES, INK, PAPER, RULE, TEXT_WIDTH, drawing
from commandline.files import replace_file

SCREEN_DPI, PAPER_DPI = 150, 300
WIDTHS = {"85mm": COLUMN_WIDTH, "175mm": TEXT_WIDTH}
CSS_PER_INCH = 96
PAGE_COLOURS = {INK: "var(--ink)", RULE: "var(--rule)", PAPER: "var(--paper)"}
TRUETYPE, TYPE3 = 42, 3  # how a PDF embeds its fonts, as rcParams['pdf.fonttype'] counts
IDEOGRAPHS = (
    "\u2e80"  # from here on faces have PostScript outlines, which matplotlib cannot embed as TrueType
)


@dataclass(frozen=True)
class SavedFigure:
    """A figure of a report: its name among the files, its caption, and the file that the page shows."""

    stem: str
    caption: str
    file: Path

    @property
    def html(self) -> str:
        """What stands inside the page, once the writer is closed."""
        if self.file.suffix == ".svg":
            return page_svg(self.file.read_text(encoding="utf-8"), self.stem, self.caption)
        content = base64.b64encode(self.file.read_bytes()).decode()
        return (
            f'<img class="pixels" alt="{escape(self.caption)}" '
            f'style="--natural:{CSS_PER_INCH * TEXT_WIDTH:.0f}px" src="data:image/webp;base64,{content}">'
        )


class FigureWriter:
    """Draws what was submitted into `folder/figures`; `kept` are the digests of the figures that are there.

    >>> writer = FigureWriter(folder)
    >>> saved = writer.submit("confusion_matrix", "mel.confusion", counts=counts, classes=classes)
    >>> writer.close()
    >>> saved.html
    """

    def __init__(self, folder: Path, kept: Mapping[str, str] | None = None, *, paper: bool = False) -> None:
        self.folder, self.kept, self.paper = folder / "figures", kept or {}, paper
        self.names: dict[str, str] = {}  # stem -> figure
        self.digests: dict[str, str] = {}
        self.saved: dict[str, SavedFigure] = {}
        self._data: dict[str, dict[str, Any]] = {}

    @property
    def files(self) -> set[str]:
        """Every file of the figures, by its path in the report's folder."""
        return {f"figures/{file}" for stem in self.names for file in self._files(stem)}

    def submit(self, name: str, stem: str = "", /, **data: Any) -> SavedFigure:
        """Enter the figure `name` of `data`; `stem` names its files, the figure's name if it is empty."""
        stem = stem or name
        self._data[stem] = data
        return self._enter(name, stem, joblib.hash((name, drawing_code(), data)))

    def keep(self, name: str, stem: str) -> SavedFigure:
        """Enter a figure that was drawn for the report before, and whose data did not change."""
        return self._enter(name, stem, self.kept[stem])

    def _enter(self, name: str, stem: str, digest: str) -> SavedFigure:
        self.names[stem], self.digests[stem] = name, digest
        self.saved[stem] = SavedFigure(stem, FIGURES[name].caption, self.folder / self._files(stem)[0])
        return self.saved[stem]

    def close(self) -> None:
        """Draw and write every figure that changed or lacks a file. An exception names the figure."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stem, data in self._data.items():
            files = [self.folder / file for file in self._files(stem)]
            if self.kept.get(stem) == self.digests[stem] and all(file.is_file() for file in files):
                continue
            try:
                for file in files:
                    replace_file(file, draw(self.names[stem], file, data), durable=False)
            except Exception as error:
                error.add_note(f"in the figure {stem} ({self.names[stem]})")
                raise

    def _files(self, stem: str) -> list[str]:
        """The file that the page shows, then those for papers."""
        page = f"{stem}.{'webp' if FIGURES[self.names[stem]].pixels else 'svg'}"
        return [page, f"{stem}.pdf", *(f"{stem}-{width}.png" for width in WIDTHS)] if self.paper else [page]


@cache
def drawing_code() -> str:
    """What a figure depends on besides its data: the modules that draw, and matplotlib."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return joblib.hash([matplotlib.__version__, *(file.read_bytes() for file in files)])


def draw(name: str, file: Path, data: Mapping[str, Any]) -> bytes:
    """The content of one file of a figure: SVG, PDF, WebP for the screen, PNG as wide as the name says.

    Equal figures are equal files.
    """
    figure = FIGURES[name]
    width, height = figure.size(**data)
    if file.suffix == ".png":
        narrowed = width / WIDTHS[file.stem.rpartition("-")[2]]
        height *= 1.6 if narrowed > 1 and height < width else 1.0  # what stood side by side stands below
        width /= narrowed
    dpi = PAPER_DPI if file.suffix in (".png", ".pdf") else SCREEN_DPI
    content = BytesIO()
    with drawing():
        canvas = Canvas(figsize=(width, height), dpi=dpi)
        figure.draw(canvas.add_subplot(), **data)
        ConstrainedLayoutEngine().execute(canvas)
        if file.suffix == ".svg":
            text = StringIO()
            FigureCanvasSVG(canvas).print_svg(text, metadata={"Date": None})
            return text.getvalue().encode()
        if file.suffix == ".pdf":
            from matplotlib.backends.backend_pdf import FigureCanvasPdf  # loads fontTools, for papers alone

            letters = {letter for text in canvas.findobj(Text) for letter in text.get_text()}
            beyond = max(letters, default="") >= IDEOGRAPHS
            matplotlib.rcParams["pdf.fonttype"] = TYPE3 if beyond else TRUETYPE  # journals refuse Type 3
            FigureCanvasPdf(canvas).print_pdf(content, metadata={"CreationDate": None})
            return content.getvalue()
        agg = FigureCanvasAgg(canvas)
        agg.draw()
        if file.suffix == ".png":
            unsigned: Any = {"Software": None}
            imsave(content, agg.buffer_rgba(), format="png", dpi=dpi, metadata=unsigned)
        else:
            quality = {"quality": 70, "method": 4}
            imsave(content, agg.buffer_rgba(), format="webp", pil_kwargs=quality)
    return content.getvalue()


def page_svg(text: str, stem: str, caption: str) -> str:
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
