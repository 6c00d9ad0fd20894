"""Figures as files and as HTML of a page.

A report submits its figures to one FigureWriter, whose `close` draws those that changed
or lack a file. A digest of name, data and versions shows whether a figure changed.
The page shows SVG, or WebP of feature maps; papers also get PDF, and PNG at 300 dpi, 85
and 175 mm wide.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import matplotlib
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from featurestack.analysis.figures.drawing import (
    COLUMN_WIDTH,
    FIGURES,
    INK,
    PAPER,
    RULE,
    TEXT_WIDTH,
    drawing,
)
from featurestack.commandline.terminal import progress
from featurestack.storage.files import is_file
from featurestack.storage.own_files import OwnFiles

SCREEN_DPI, PAPER_DPI = 150, 300
CSS_PER_INCH = 96
# Inches: of a figure on the page, of which two are side by side on a wide screen; on a
# phone's; and of the images for papers. None is scaled, so that type stays readable.
PAGE_WIDTH = 580 / CSS_PER_INCH
PHONE = "phone"
WIDTHS = {PHONE: 350 / CSS_PER_INCH, "85mm": COLUMN_WIDTH, "175mm": TEXT_WIDTH}
# without dates and versions, so that equal figures are equal files
SAVED_WITH: dict[str, dict[str, Any]] = {
    ".svg": {"metadata": dict.fromkeys(("Creator", "Date", "Format", "Type"))},
    ".pdf": {"metadata": {"CreationDate": None}},
    ".png": {"metadata": {"Software": None}},
    ".webp": {"pil_kwargs": {"quality": 70, "method": 4}},
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
# a figure is drawn again by other ones
VERSIONS = [version(name) for name in ("featurestack", "matplotlib")]
FOLDER = "figures"


@dataclass(frozen=True)
class SavedFigure:
    """A figure of a report; `stem` names its files, the page shows the first two."""

    name: str
    caption: str
    stem: str
    digest: str
    files: tuple[Path, ...]
    data: dict[str, Any]

    @property
    def html(self) -> str:
        """The figure as two elements, of which the page shows one, by its width; the
        writer must have been closed.
        """
        page, phone, *_ = self.files
        return self._element(page, "page") + self._element(phone, PHONE)

    def _element(self, file: Path, shown: str) -> str:
        if file.suffix == ".webp":
            width = WIDTHS[PHONE] if shown == PHONE else PAGE_WIDTH
            content = base64.b64encode(file.read_bytes()).decode()
            return (
                f'<img class="pixels {shown}" alt="{escape(self.caption)}"'
                f' style="--natural:{CSS_PER_INCH * width:.0f}px"'
                f' src="data:image/webp;base64,{content}">'
            )
        whole = SVG.search(file.read_text(encoding="utf-8", errors="replace"))
        if not whole:  # a file that the user has made or changed
            source = f"{FOLDER}/{file.name}"
            return f'<img class="{shown}" alt="{escape(self.caption)}" src="{source}">'
        view, points, body = whole.groups()
        # Ids of groups would clash, because every figure has an axes_1; nothing uses
        # them.
        body = re.sub(r'<g id="[^"]+"', "<g", body)
        for colour, variable in PAGE_COLOURS.items():
            body = body.replace(colour, variable)
        natural = float(points) * CSS_PER_INCH / 72
        return (
            f'<svg class="{shown}" xmlns="http://www.w3.org/2000/svg"'
            f' xmlns:xlink="http://www.w3.org/1999/xlink" role="img" {view}'
            f' style="--natural:{natural:.0f}px"'
            f' aria-label="{escape(self.caption)}">{body}'
        )


class FigureWriter:
    """Writes the files of submitted figures to the folder `figures` among `own` files,
    unless they are there and their digest is in `kept` (name -> digest).

    `for_print` adds PDF and PNG; `unit` replaces "source recording" in captions.
    """

    def __init__(
        self,
        own: OwnFiles,
        kept: Mapping[str, str] | None = None,
        *,
        for_print: bool = False,
        unit: str = "source recording",
    ) -> None:
        self.own = own
        self.folder = own.folder / FOLDER
        self.kept = dict(kept or {})
        self.for_print = for_print
        self.unit = unit
        self.saved: dict[str, SavedFigure] = {}  # stem -> figure

    def submit(self, name: str, stem: str = "", /, **data: Any) -> None:
        """Enter the figure `name`; `stem` names its files, else its name does."""
        stem = stem or name
        digest = joblib.hash((name, VERSIONS, PAGE_WIDTH, WIDTHS, data))
        ending = "webp" if FIGURES[name].pixels else "svg"
        names = [f"{stem}.{ending}", f"{stem}-{PHONE}.{ending}"]
        if self.for_print:
            names += [f"{stem}.pdf", f"{stem}-85mm.png", f"{stem}-175mm.png"]
        files = tuple(self.folder / file for file in names)
        caption = FIGURES[name].caption.replace("source recording", self.unit)
        score = data.get("score", "accuracy")
        if score != "accuracy":
            caption = re.sub("accuracy", score, caption, flags=re.IGNORECASE)
        self.saved[stem] = SavedFigure(name, caption, stem, digest, files, data)

    @property
    def digests(self) -> dict[str, str]:
        """Name -> digest of each file, also of those that are kept for papers."""
        kept = {n: d for n, d in self.kept.items() if is_file(self.folder / n)}
        return kept | {
            file.name: figure.digest
            for figure in self.saved.values()
            for file in figure.files
        }

    def close(self) -> None:
        """Draw and write every file that changed or is missing."""
        for figure in progress(
            list(self.saved.values()), label="drawing", unit="figure"
        ):
            for file in figure.files:
                name = f"{FOLDER}/{file.name}"
                if self.kept.get(file.name) == figure.digest and is_file(file):
                    self.own.keep([name])
                else:
                    drawn = draw(figure.name, file, figure.data)
                    self.own.write({name: drawn}, durable=False)


def draw(name: str, file: Path, data: Mapping[str, Any]) -> bytes:
    """The content of one file of a figure: SVG, PDF, WebP or PNG."""
    figure = FIGURES[name]
    width, height = figure.size(**data)
    size = file.stem.rpartition("-")[2]
    if file.suffix in (".svg", ".webp") and size != PHONE:
        width = min(width, PAGE_WIDTH)
    elif size in WIDTHS and file.suffix != ".pdf":
        wanted = WIDTHS[size]
        # room for panels, which a narrow figure stacks
        if height < width and wanted < width:
            height *= 1.6
        width = wanted
    dpi = PAPER_DPI if file.suffix in (".png", ".pdf") else SCREEN_DPI
    content = BytesIO()
    with drawing():
        canvas = Canvas(figsize=(width, height), dpi=dpi)
        figure.draw(canvas.add_subplot(), **data)
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
