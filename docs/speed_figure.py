"""The figure of extraction times: `python -m docs.speed_figure` writes docs/speed.svg
from the README.

A bar is the time of the alternative, in multiples of this project's on the same machine
in the same run. Text and bars take the reader's light or dark colours.
"""

import re
from html import escape
from itertools import groupby
from operator import itemgetter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "docs" / "speed.svg"
COMMAND = "bench.features"
# px: left end, largest width and distance of the bars; the first heading
LEFT, WIDTH, LINE, TOP = 330, 400, 26, 62
NOTE = (
    "Shorter is faster. Two cores, one machine, each comparison in one run: the table"
    " has the commands."
)
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


def speed_rows(readme: str) -> list[tuple[str, str, float]]:
    """(what, against, times) for each row of the README's table that COMMAND measured.

    An empty cell repeats the cell above it.
    """
    rows, what, command = [], "", ""
    for line in readme.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4:
            what, command = cells[0] or what, cells[3] or command
            times = re.match(r"([\d.]+) times faster", cells[2])
            if times and COMMAND in command:
                rows.append((what, cells[1], float(times[1])))
    return rows


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
        f"{what}: {against} takes {times:g} times as long"
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
        f' x="{LEFT + width + 8:.1f}" y="{y + 15}">{times:g}</text>'
    )


if __name__ == "__main__":
    README = (ROOT / "README.md").read_text(encoding="utf-8")
    FIGURE.write_text(draw_speed(speed_rows(README)), encoding="utf-8")
