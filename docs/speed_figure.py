"""The figure of extraction times, docs/speed.svg, which `python -m docs.tables pages`
draws from docs/tables/speed.csv.

A bar is the time of the alternative, in multiples of this project's on the same machine
in the same run. Text and bars take the reader's light or dark colours.
"""

from html import escape
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from docs import tables

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "docs" / "speed.svg"
# px: left end, largest width and distance of the bars; the first heading
LEFT, WIDTH, LINE, TOP = 330, 400, 26, 62
NOTE = "Shorter is faster. Features alone, one core, all in one run."
TITLE = "Time to compute features, in multiples of featurestack’s"
STYLE = """text { fill: #1b2430;
      font: 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
    .title { font-weight: 600; font-size: 15px }
    .soft { fill: #4a5666; font-size: 13px }
    .paper { fill: #ffffff } .other { fill: #7f93a8 } .own { fill: #0b5c9e }
    @media (prefers-color-scheme: dark) {
      text { fill: #e7ebf0 } .soft { fill: #bcc5cf } .paper { fill: #13171c }
      .other { fill: #65788c } .own { fill: #78b9f2 }
    }"""


def drawn() -> str:
    """The figure of docs/tables/speed.csv."""
    rows = tables.read("speed").values()
    return draw_speed(
        [(str(row["what"]), str(row["against"]), float(row["times"])) for row in rows]
    )


def draw_speed(rows: list[tuple[str, str, float]]) -> str:
    """The SVG: a heading for each subject, a bar for this project and one for each
    alternative.
    """
    scale = WIDTH / max(times for *_, times in rows)
    parts, y = [], TOP
    for what, alternatives in groupby(rows, itemgetter(0)):
        parts.append(f'<text x="20" y="{y + 14}" class="title">{escape(what)}</text>')
        parts.append(_bar(y + 22, "featurestack", 1, scale, "own"))
        y += 22 + LINE
        for _, against, times in alternatives:
            parts.append(_bar(y, against, times, scale, "other"))
            y += LINE
        y += 10
    told = ", ".join(
        f"{what}: {against} takes {times:.1f} times as long"
        for what, against, times in rows
    )
    body = "\n  ".join(parts)
    head = f'viewBox="0 0 820 {y + 10}" role="img" aria-label="{escape(told)}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {head}>
  <style>
    {STYLE}
  </style>
  <rect class="paper" width="820" height="{y + 10}"/>
  <text x="20" y="28" class="title">{TITLE}</text>
  <text x="20" y="48" class="soft">{NOTE}</text>
  {body}
</svg>
"""


def _bar(y: int, name: str, times: float, scale: float, kind: str) -> str:
    width = times * scale
    return (
        f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end"'
        f' class="soft">{escape(name)}</text><rect class="{kind}" x="{LEFT}"'
        f' y="{y + 2}" width="{width:.1f}" height="{LINE - 8}" rx="2"/><text'
        f' x="{LEFT + width + 8:.1f}" y="{y + 15}">{times:.1f}</text>'
    )
