"""The figure of a report in README: the first screen of a page, 1280 pixels wide.

    python -m docs.report_figure reports/synth/index.html docs/report.png

It needs chromium. The page of docs/report.png is that of `make demo`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1280, 860
COLOURS = 64  # enough for figures and text, a third of the file


def main(page: str, out: str) -> None:
    """Write the first screen of `page`, an HTML file, to `out`, a PNG file."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "page.png"
        words = ["--headless", "--no-sandbox", "--hide-scrollbars"]
        words += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={drawn}"]
        address = Path(page).resolve().as_uri()
        subprocess.run(["chromium", *words, address], check=True, capture_output=True)
        figure = Image.open(drawn).convert("RGB").quantize(COLOURS)
        figure.save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
