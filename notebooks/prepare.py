"""What the first cell of every notebook calls: libraries that Colab lacks, and the folders to work in."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
DRIVE = Path("/content/drive")  # where Colab puts the Google Drive
RUNS_ON_DRIVE = DRIVE / "MyDrive" / "featurestack-runs"
# Where the name to import differs from the name to install.
MODULES = {"scikit-learn": "sklearn"}


def folders(keep_runs_on_drive: bool = False, home: Path = HOME) -> tuple[Path, Path]:
    """(DATA, RUNS): the datasets with their caches, and the trained runs.

    Outside Colab both lie in the project's folder. In Colab missing libraries are installed first, and with
    `keep_runs_on_drive` trained runs are written to your Google Drive, where they outlast the session.

        DATA, RUNS = prepare.folders()
    """
    if "google.colab" not in sys.modules:
        return home / "data", home / "runs"
    install_missing(home)
    if not keep_runs_on_drive:
        return home / "data", home / "runs"
    from google.colab import drive

    drive.mount(str(DRIVE))
    return home / "data", RUNS_ON_DRIVE


def install_missing(home: Path) -> None:
    """Install, in the pinned versions, what the project needs and Python does not find; torch stays."""
    pinned: list[str] = []
    for file in ("requirements.txt", "requirements-notebooks.txt"):
        pinned += re.findall(r"^[\w-]+==\S+", (home / file).read_text(encoding="utf-8"), re.MULTILINE)
    names = {line.split("==")[0]: line for line in pinned}
    skipped = {"torch", "jupyterlab"}
    missing = [
        line
        for name, line in names.items()
        if name not in skipped and importlib.util.find_spec(MODULES.get(name, name)) is None
    ]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *missing], check=True)
