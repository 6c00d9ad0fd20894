"""The runs behind docs/explanation/across.md: `python -m docs.across SOUNDS OUT`.

SOUNDS holds the datasets esc50_16k, fsdd, commands and finch, and any further one as
NAME/NAME.csv with the columns filename, label and group, here cries and emotions; OUT
takes caches, runs and reports. A repeated command goes on where the last one stopped.
`texture` takes some four hours of one core. The page's figure is copied from the
report into docs/.
"""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
FIGURE = "across_gains.svg"
BASE = "mel"
# speakers apart; every digit whole, where the default cuts the longest twentieth
FSDD = ("FOLDS_BY=group", "DURATION=2.3")
SETTINGS = {"linear": (), "texture": ("THREADS=1", "PRECISION=fp32", "CURVE=0")}


def syllables(sounds: Path, out: Path) -> Path:
    """A table with one clip for each marked syllable of the finch, as a dataset."""
    table = out / "finch.csv"
    with (sounds / "finch" / "events.csv").open(encoding="utf-8") as file:
        events = list(csv.DictReader(file))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "label", "start", "end", "group"])
        for event in events:
            recording = Path(event["file"]).stem
            times = event["start"], event["end"]
            writer.writerow([event["file"], event["label"], *times, recording])
    return table


def feature_sets(added: list[str]) -> str:
    """BASE alone and with each of the features, as FEATURES=."""
    return f"FEATURES={' '.join([BASE, *(f'{BASE}+{feature}' for feature in added)])}"


def main(sounds: Path, out: Path) -> None:
    """Extract every feature, train BASE alone and with each other one, and report."""
    out.mkdir(parents=True, exist_ok=True)
    datasets = {
        "esc50_16k": [f"DATASET={sounds / 'esc50_16k'}"],
        "fsdd": [f"DATASET={sounds / 'fsdd' / 'fsdd.csv'}", *FSDD],
        "commands": [f"DATASET={sounds / 'commands' / 'commands.csv'}"],
        "finch": [f"DATASET={syllables(sounds, out)}", f"AUDIO_DIR={sounds / 'finch'}"],
    }
    for table in sorted(sounds.glob("*/*.csv")):
        if table.stem == table.parent.name:
            datasets.setdefault(table.stem, [f"DATASET={table}"])

    def command(*words: str) -> None:
        folders = (f"DATA={out / 'data'}", f"RUNS={out / 'runs'}")
        subprocess.run([sys.executable, "-m", *words, *folders], check=True)

    for name, given in datasets.items():
        command("featurestack.pipeline", "features", *given, "FEATURES=small")
        files = (out / "data" / name / "features").glob("*.h5")
        added = sorted({file.stem for file in files} - {"index", BASE})
        sweep = ("featurestack.train", "sweep", f"DATASET={name}")
        for model, settings in SETTINGS.items():
            command(*sweep, f"MODEL={model}", feature_sets(added), *settings)
    for model in SETTINGS:
        words = f"DATASET={' '.join(datasets)}", f"MODEL={model}"
        command("featurestack.analysis", *words, f"REPORTS={out / model}")
    shutil.copy(out / "linear" / "figures" / FIGURE, DOCS / FIGURE)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3])) if sys.argv[2:] else print(__doc__)
