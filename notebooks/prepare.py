"""For the first cell of every notebook: install libraries that Colab lacks, and choose
the folders.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
# Colab's own disk, because a memory map on Google Drive is slow
IN_COLAB = Path("/content/data")
MODULES = {"scikit-learn": "sklearn"}  # packages whose module has another name
SLIDERS = {"anywidget", "ipywidgets"}  # for sliders and the microphone
SKIPPED = {"torch"}  # Colab has its own


def folders(home: Path = HOME) -> tuple[Path, Path]:
    """(DATA, RUNS): the datasets with their caches, and the trained runs.

    Both lie in the project's folder. In Colab, missing libraries are installed first,
    and the datasets lie on Colab's disk, which lasts as long as the session.

        DATA, RUNS = prepare.folders()
    """
    if "google.colab" not in sys.modules:
        return home / "data", home / "runs"
    install_missing(home)
    return IN_COLAB, home / "runs"


def install_missing(home: Path) -> None:
    """Install, in the pinned versions, what the project needs and Python does not
    find.
    """
    core, extras = (
        re.findall(
            r"^([\w-]+)(==.+)$", (home / file).read_text(encoding="utf-8"), re.MULTILINE
        )
        for file in ("requirements.txt", "constraints.txt")
    )
    missing = [
        f"{name}{release}"
        for name, release in [*core, *(pin for pin in extras if pin[0] in SLIDERS)]
        if name not in SKIPPED
        and importlib.util.find_spec(MODULES.get(name, name)) is None
    ]
    if missing:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", *missing], check=True
        )
