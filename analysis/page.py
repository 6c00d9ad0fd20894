"""From a report's content to one self-contained HTML page. Numbers are rounded here and nowhere earlier."""

import math
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

import commandline

TEMPLATES = Path(__file__).parent / "templates"
UNKNOWN = "–"


def render(**content: Any) -> str:
    """The page; every name that the templates use must be given, and every text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "decimals": decimals,
        "count": count,
        "seconds": seconds,
        "slug": slug,
        "breakable": breakable,
        "asides": asides,
    }
    environment.globals["source"] = source
    return environment.get_template("page.html").render(**content)


def source(name: str) -> Markup:
    """A style sheet or script of the templates' folder, as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def percent(value: float, digits: int = 1) -> str:
    """0.8765 -> 87.7"""
    return UNKNOWN if _unknown(value) else f"{100 * value:.{digits}f}"


def decimals(value: float, digits: int = 3) -> str:
    return UNKNOWN if _unknown(value) else f"{value:.{digits}f}"


def count(value: float) -> str:
    return UNKNOWN if _unknown(value) else commandline.count(value)


def seconds(value: float) -> str:
    return UNKNOWN if _unknown(value) else commandline.duration(value)


def slug(text: str) -> str:
    """A name as an id of an element: what is no letter or digit becomes its code point, so ids differ."""
    return "run-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}", text)


def breakable(text: str) -> Markup:
    """A feature set that may wrap after each +."""
    return Markup("+<wbr>").join(text.split("+"))


def asides(text: str) -> Markup:
    """A sentence whose parentheses stand back."""
    return Markup(
        re.sub(r"\([^()]*\)", lambda found: f'<span class="aside">{found[0]}</span>', str(escape(text)))
    )


def _unknown(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
