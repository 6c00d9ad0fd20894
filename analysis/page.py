"""Renders a report's content as one HTML page, and its findings as sentences.

Sections are HTML templates, which place the sentences of `analysis.sentences`. The
tables and findings given here are not rounded; templates round them.
"""

import platform
import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from featurestack import __path__
from featurestack.analysis.sentences import (
    SENTENCES,
    leads_of,
    unsigned,
)
from featurestack.analysis.tables import format_p
from featurestack.commandline import quantities
from featurestack.commandline.errors import make_command

UNKNOWN = "–"
# a sign that a line may end with: figures as 0.5 and 1-19 stay whole
IN_A_NAME = re.compile(r"(?<=\S)(?:_(?=[^\W_])|[+./@=-](?=[^\W\d_]))")
FIRST_ROWS = 12  # rows of a long table that the page shows before it is asked


def render(template: str = "page.html", /, **content: object) -> str:
    """The text of a template; HTML templates escape values."""
    return environment().get_template(template).render(**content)


def imprint() -> str:
    """A page's last line."""
    return (
        f"featurestack · {datetime.now():%-d %B %Y, %H:%M} · Python"
        f" {platform.python_version()}, {platform.system()} {platform.machine()}"
    )


def say(name: str, *given: object) -> str:
    """A sentence by its name, as plain text; empty if there is nothing to say."""
    return SENTENCES[name](*given)


class Templates(jinja2.Environment):
    """A dict's key comes before its method: `row.clear` is the column."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


@cache
def environment() -> Templates:
    made = Templates(
        loader=jinja2.FileSystemLoader(
            [place for home in __path__ for place in Path(home).glob("*/templates")]
        ),
        autoescape=lambda name: str(name).endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        comment_start_string="{##",
        comment_end_string="##}",
    )
    made.filters |= {
        **CELLS,
        "zip": zip,
        "cell": lambda value, kind: CELLS[kind](value),
        # The sort key of a number: '' if it is unknown, which stays last.
        "value": lambda number: "" if pd.isna(number) else repr(float(number)),
        "plural": quantities.counted,
        "several": quantities.plural,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "listed": quantities.listed,
        "slug": slug,
        "command": make_command,
        "breakable": breakable,
    }
    made.tests["known"] = pd.notna
    made.globals |= {
        "say": say,
        "known": pd.notna,
        "imprint": imprint,
        "leads_of": leads_of,
        "FIRST_ROWS": FIRST_ROWS,
    }
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    made.policies["json.dumps_kwargs"] = compact
    return made


def _of_known(text: Callable[..., str]) -> Callable[..., str]:
    return lambda value, *digits: text(value, *digits) if pd.notna(value) else UNKNOWN


def breakable(text: object) -> Markup:
    """The text with possible line breaks inside names, none before a percent sign."""
    escaped = str(escape(text)).replace(" %", "\u00a0%")
    return Markup(IN_A_NAME.sub(r"\g<0><wbr>", escaped))


CELLS: dict[str, Callable[..., str]] = {  # kind of a table cell -> its text
    "text": breakable,
    "percent": _of_known(quantities.percent),
    "points": _of_known(quantities.points),
    "unsigned": _of_known(unsigned),
    "decimals": _of_known(lambda *given: quantities.rounded(*given).replace("-", "−")),
    "count": _of_known(quantities.count),
    "number": _of_known(
        lambda value: quantities.rounded(value, 1).removesuffix(".0").replace("-", "−")
    ),
    "seconds": _of_known(quantities.duration),
    "p": _of_known(format_p),
}


def slug(text: str) -> str:
    """An element's id: characters but A-Z, a-z, 0-9, . and - by code point."""
    return "run-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}", text)
