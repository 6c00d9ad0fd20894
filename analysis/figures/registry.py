"""The registry of figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

Draw = Callable[..., Axes]
Size = Callable[..., tuple[float, float]]


@dataclass(frozen=True)
class Figure:
    """A drawing function, its caption, and the size in inches that its data asks for."""

    name: str
    caption: str
    draw: Draw
    size: Size
    pixels: bool  # full of pictures: the page takes one compressed image of it


FIGURES: dict[str, Figure] = {}


def figure(
    caption: str, size: Size | tuple[float, float] = (7.0, 4.0), *, pixels: bool = False
) -> Callable[[Draw], Draw]:
    """Enter `draw(ax, **data) -> ax` under its own name; `size` may be computed from the same data."""

    def enter(draw: Draw) -> Draw:
        name = draw.__name__
        if name in FIGURES:
            raise ValueError(f"two figures are called {name!r}")
        measure = size if callable(size) else _always(size)
        FIGURES[name] = Figure(name, caption, draw, measure, pixels)
        return draw

    return enter


def _always(inches: tuple[float, float]) -> Size:
    def measure(**_: Any) -> tuple[float, float]:
        return inches

    return measure
