"""The accuracy of `make answer` on several datasets, its minutes and its memory, with
pretrained networks and without:

    python -m bench.answers                         every dataset of ../
    python -m bench.answers SOUNDS="fsdd commands"  NETWORK=none

Each answer is one command. The first of a dataset begins in an empty folder, so that
its minutes include the check and the extraction; the second finds the features. Its
accuracy is that of the whole procedure: each fold is tested with the set that was
chosen without it. Folds are those of the dataset, or by recording or speaker. Networks
are those in models/ below the current folder. Memory is that of the largest process.
The estimated minutes are those of the first line. The column `mel+mfcc` has the
accuracy of ridge on these two features in the same folds. The rows are stored in
docs/tables/answer_sets.csv.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import featurestack as fs
from bench.record import bench, percentages, record
from featurestack.answers.chosen import read_choice
from featurestack.base.options import Options, option
from featurestack.base.quantities import counted
from featurestack.base.registry import Registry
from featurestack.results.run_folder import RunFolder, tested_run
from featurestack.train.fits import Fits, read_features
from featurestack.train.options import FitOptions

ROWS = "answer_sets"  # the table in docs/tables
MEL_MFCC = "mel+mfcc"
# of ESC-50, eight classes each
CLASSES = """
clock_alarm train footsteps vacuum_cleaner door_wood_knock coughing rooster airplane
helicopter chainsaw engine car_horn rain washing_machine water_drops hand_saw
laughing glass_breaking door_wood_creaks clapping siren crackling_fire sheep can_opening
pouring_water wind breathing cow crying_baby dog crow toilet_flush
""".strip().splitlines()
TAKES = 2  # of a speaker and a digit
SOUNDS: Registry[Callable[[Path], pd.DataFrame]] = Registry("dataset of the bench")


class AnswersOptions(Options):
    """The datasets, and whether pretrained networks are used."""

    sounds: str = option("all", "datasets, separated by spaces")
    network: str = option("auto none", "auto for networks in models/, none without")
    folder: Path = option(Path(".."), "the folder of esc10, esc50_16k, fsdd, commands")


# ---- the datasets, as tables


@SOUNDS.register("synth")
def synth(folder: Path) -> pd.DataFrame:
    """Ten synthetic clips of each of ten classes, in the dataset's folds."""
    table = fs.clips("synth", folder)
    columns = {"filename": table["path"].map(os.path.abspath)}
    columns |= {name: table[name] for name in ("label", "fold", "group")}
    return drawn(pd.DataFrame(columns), 2)


@SOUNDS.register("esc10")
def esc10(folder: Path) -> pd.DataFrame:
    """Ten clips of each of ten classes at 44.1 kHz, in the dataset's folds."""
    return drawn(of_esc(folder / "esc10", "esc10.csv"), 2)


@SOUNDS.register("fsdd")
def fsdd(folder: Path) -> pd.DataFrame:
    """Two takes of ten digits by six speakers."""
    table = spoken(folder / "fsdd", "fsdd.csv")
    return table.groupby(["label", "group"]).head(TAKES)


@SOUNDS.register("commands")
def commands(folder: Path) -> pd.DataFrame:
    """Ten clips of thirty words by 41 speakers."""
    return spoken(folder / "commands", "commands.csv")


def eight_classes(number: int) -> Callable[[Path], pd.DataFrame]:
    def eight(folder: Path) -> pd.DataFrame:
        """Ten clips of eight classes at 16 kHz, two in each of the dataset's folds."""
        table = of_esc(folder / "esc50_16k", "esc50.csv")
        return drawn(table[table["label"].isin(CLASSES[number].split())], 2)

    return eight


for number in range(len(CLASSES)):
    SOUNDS.register(f"esc50-{number + 1}")(eight_classes(number))


def of_esc(folder: Path, name: str) -> pd.DataFrame:
    """A dataset in ESC-50's layout, with its source recordings as groups."""
    table = pd.read_csv(folder / "meta" / name)
    files = [str((folder / "audio" / file).resolve()) for file in table["filename"]]
    columns = {"label": table["category"], "fold": table["fold"]}
    return pd.DataFrame({"filename": files, **columns, "group": table["src_file"]})


def spoken(folder: Path, name: str) -> pd.DataFrame:
    """A table of clips with their speakers as groups."""
    table = pd.read_csv(folder / name, dtype=str)
    files = [str((folder / file).resolve()) for file in table["filename"]]
    return table.assign(filename=files)


def drawn(table: pd.DataFrame, clips: int) -> pd.DataFrame:
    """So many clips of each class and fold."""
    mixed = table.iloc[np.random.default_rng(0).permutation(len(table))]
    return mixed.groupby(["label", "fold"]).head(clips).sort_index()


# ---- a row


def answers(options: AnswersOptions) -> None:
    """Measure every row, and keep the table."""
    names = [*SOUNDS] if options.sounds == "all" else options.sounds.split()
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            dataset = write_table(name, Path(scratch), options.folder)
            for network in options.network.split():
                row, seconds = answer_row(name, dataset, network, Path(scratch))
                table = pd.DataFrame([row])
                print(table.iloc[0].to_string(), flush=True)
                record(ROWS, table, f"python -m bench.answers SOUNDS={name}", seconds)


def described(fits: Fits) -> str:
    """The number of clips, classes and folds."""
    clips = counted(sum(len(part.tested) for part in fits.parts), "clip")
    classes = counted(len(fits.plan.names), "class")
    return f"{clips} of {classes}, {counted(len(fits.parts), 'fold')}"


def write_table(name: str, scratch: Path, folder: Path) -> str:
    """The DATASET= of a dataset, whose table lies in `scratch`."""
    table = SOUNDS[name](scratch if name == "synth" else folder)
    table.to_csv(scratch / f"{name}.csv", index=False)
    return str(scratch / f"{name}.csv")


def answer_row(
    name: str, dataset: str, network: str, scratch: Path
) -> tuple[dict[str, object], float]:
    """The row of one answer, and its processor seconds."""
    places: dict[str, Any] = {"data": scratch / "data", "runs": scratch / network}
    words = [f"DATASET={dataset}", f"NAME={name}", f"NETWORK={network}"]
    words += [f"{key.upper()}={place}" for key, place in places.items()]
    words += [f"REPORTS={scratch / 'reports'}"]
    begun = time.perf_counter()
    command = [sys.executable, "-m", "featurestack", "answer", *words]
    with (scratch / "stderr").open("w") as told:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
    text = (scratch / "stderr").read_text()
    minutes = (time.perf_counter() - begun) / 60
    if status:
        print(text)
        raise subprocess.CalledProcessError(status, command)
    run = RunFolder(places["runs"] / name / "answer")
    choice = read_choice(run.path)
    score = tested_run([run]).score
    given = FitOptions(dataset=dataset, name=name, features=MEL_MFCC, **places)
    _, fits = read_features(given, least=1)
    row = {
        "answer": f"{name}, {'networks' if network == 'auto' else 'no network'}",
        "sounds": described(fits),
        **percentages(score),
        MEL_MFCC: 100 * fits.predicted(MEL_MFCC, fits.parts).score.value,
        "recommended": choice.recommended,
        "estimate": 100 * choice.estimates[choice.recommended],
        "agreeing folds": choice.agreeing,
        "minutes": round(minutes, 1),
        "estimated minutes": re.findall(r"roughly (\d+) minute", text)[0],
        "megabytes": usage.ru_maxrss // 1024,
    }
    return row, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    bench(answers)
