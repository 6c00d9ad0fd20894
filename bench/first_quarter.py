"""The commands of README.md in an empty HOME, from the clone to an answer on 60 sounds:

    python -m bench.first_quarter DATASET=../esc10                  make sets .venv up
    python -m bench.first_quarter DATASET=../esc10 PYTHON=python    in this environment

The sounds are twenty clips of three classes of ESC-10, named after their recordings.
Pretrained networks in models/ below the current folder are copied into the clone.
docs/tables/answer.csv stores the lines that `make answer` prints, for the page on your
own sounds.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

import featurestack as fs
from bench.record import ROOT, bench, record, spent
from featurestack.base.options import DatasetOptions, option

CLASSES, CLIPS = ("dog", "rain", "rooster"), 20
ANSWER = "make answer DATASET='my sounds' GROUP='(.*)-[A-Z]'"


class FirstQuarterOptions(DatasetOptions):
    """The commands of README.md on 60 sounds, from an empty HOME."""

    dataset: str = option("esc10", "ESC-10, by its name or as a folder")
    python: str = option("", "an environment to use; by default make sets one up")


def typed(words: str, clone: Path, python: str) -> list[str]:
    """The lines that a command prints; CalledProcessError if it fails."""
    given = [f"PYTHON={shutil.which(python)}"] if python else []
    environment = {"HOME": str(clone.parent), "PATH": os.environ["PATH"]}
    command = [*shlex.split(words), *given]
    printed = subprocess.check_output(
        command, cwd=clone, env=environment, stderr=subprocess.STDOUT, text=True
    )
    print(f"$ {words}\n{printed}", flush=True)
    return printed.splitlines()


def first_quarter(options: FirstQuarterOptions) -> None:
    """Type the commands in a clone, and keep what the last one prints."""
    clips = fs.clips(options.dataset, options.data).groupby("label")
    with tempfile.TemporaryDirectory() as home:
        clone = Path(home, "featurestack")
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        if Path("models").is_dir():
            shutil.copytree("models", clone / "models")
        for label in CLASSES:
            folder = clone / "my sounds" / label
            folder.mkdir(parents=True)
            for path in map(Path, clips.get_group(label)["path"][:CLIPS]):
                _, recording, take, _ = path.stem.split("-")
                shutil.copy(path, folder / f"{recording}-{take}{path.suffix}")
        typed("make demo", clone, options.python)
        begun = spent()
        lines = typed(ANSWER, clone, options.python)
    texts = [line.replace(f"{clone}/", "") for line in lines]
    rows = pd.DataFrame({"line": range(1, len(texts) + 1), "text": texts})
    record("answer", rows, ANSWER, spent() - begun)


if __name__ == "__main__":
    bench(first_quarter)
