"""Which installed fonts the figures are set in, and how PDF files hold them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import font_manager
from matplotlib.backends import _backend_pdf_ps

# Faces with wide coverage, tried in order; only those that are installed are named to matplotlib.
FACES = (
    *("Noto Sans", "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Arabic"),
    *("Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "PingFang SC", "Hiragino Sans"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS", "Nirmala UI", "Noto Emoji"),
)


def installed_faces() -> list[str]:
    """Those of FACES that this machine has, DejaVu Sans (matplotlib's own) always among them."""
    present = {entry.name for entry in font_manager.fontManager.ttflist}
    return [face for face in FACES if face in present or face == "DejaVu Sans"]


def uncovered(texts: Iterable[str]) -> set[str]:
    """The characters that no installed face has; PNG and PDF show boxes in their place."""
    characters = _characters(texts)
    for face in installed_faces():
        characters -= _letters(face)
    return characters


TRUETYPE, DRAWN = 42, 3  # kinds of fonts in a PDF


def font_type(texts: Iterable[str]) -> int:
    """How a PDF with these texts embeds its fonts: as TrueType, since journals refuse the other kind.

    Faces of PostScript outlines (Noto's Chinese) are drawn instead where a text needs one: matplotlib would
    call them TrueType too, and no reader could open them.
    """
    characters = _characters(texts)
    for face in installed_faces():
        if characters & _letters(face) and _is_postscript(face):
            return DRAWN
        characters -= _letters(face)
    return TRUETYPE


def _characters(texts: Iterable[str]) -> set[str]:
    return {character for text in texts for character in text if not character.isspace()}


@cache
def _letters(face: str) -> frozenset[str]:
    """The characters that a face has."""
    return frozenset(chr(code) for code in font_manager.get_font(_file(face)).get_charmap())


@cache
def _is_postscript(face: str) -> bool:
    """Whether the outlines are PostScript's, by the tag of the font file or of the first in a collection."""
    with Path(_file(face)).open("rb") as content:
        tag = content.read(16)
        if tag.startswith(b"ttcf"):
            content.seek(int.from_bytes(tag[12:16], "big"))
            tag = content.read(4)
    return tag.startswith(b"OTTO")


def _file(face: str) -> font_manager.FontPath:
    return font_manager.findfont(face, fallback_to_default=True)


_own_cut = _backend_pdf_ps.get_glyphs_subset


@dataclass(frozen=True)
class Cut:
    """A font of some glyphs only, in the form that matplotlib takes: a `font` that can be saved."""

    content: bytes
    glyph_index_map: dict[int, int]

    @property
    def font(self) -> "Cut":
        return self

    def save(self, file: BytesIO, **_: Any) -> None:
        file.write(self.content)


@contextmanager
def shared_cuts() -> Iterator[None]:
    """Let PDF files share the fonts that are cut down for them.

    matplotlib cuts each file's fonts anew, 0.1 s a file and a tenth of a report. Here a cut has all of ASCII
    besides what its figure needs, some 10 kB more, and most figures then need the same one.
    """

    @contextmanager
    def shared(file: font_manager.FontPath, glyphs: Iterable[int]) -> Iterator[Cut]:
        usual = font_manager.get_font(file).get_charmap()
        wanted = frozenset(glyphs) | {usual[code] for code in range(32, 127) if code in usual}
        yield _cut(file, wanted)

    _backend_pdf_ps.get_glyphs_subset = shared  # type: ignore[assignment]
    try:
        yield
    finally:
        _backend_pdf_ps.get_glyphs_subset = _own_cut


@cache
def _cut(file: font_manager.FontPath, glyphs: frozenset[int]) -> Cut:
    with _own_cut(file, set(glyphs)) as cut:
        content = _backend_pdf_ps.font_as_file(cut.font).getvalue()
        return Cut(content, dict(cut.glyph_index_map))
