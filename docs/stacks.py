"""Do stacked channels help ResNet-18? Seven feature sets on ESC-50, and on spoken
digits by speaker.

    python -m docs.stacks ESC50=../esc50_16k FSDD=../fsdd/fsdd.csv OUT=out RECIPE=short

Every set is trained with the same recipe on all folds. docs/tables/stacks.csv gets a
row for each: the accuracy by fold in percent, the mean, the mean of folds 4 and 5 (on
ESC-50 no recipe was chosen on these), the gain over mel in points with its 95 %
interval and p, and where the row comes from. A repeated command trains only what the
table lacks, and a fold that was killed goes on.

What would flatter the numbers: a gain that is picked because it is the largest. The
sets are those of this file and stay; p and intervals are those of a sign-flip test by
recording, corrected for the six sets of a dataset together. mel+mel+mel is the control:
three channels without anything new.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from docs.measured import TABLES, Table, commit, joined, run_command
from docs.tables import SOURCE, processor
from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.results.run_folder import RunFolder
from featurestack.results.scores import Floats
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan

BASE = "mel"
SETS = (
    BASE,
    "mfcc",
    "chroma",
    "mel+mfcc",
    "mel+mfcc+chroma",
    "mel+mel+mel",
    "mel+mfcc+contrast+modulation+gammatone",
)
HELD_OUT = (4, 5)  # folds of ESC-50 that no choice has read
COLUMNS = (
    *("row", "dataset", "features"),
    *("fold1", "fold2", "fold3", "fold4", "fold5", "fold6"),
    *("mean", "held_out", "gain", "gain_from", "gain_to", "p"),
    *SOURCE,
)


class StacksOptions(Options):
    """Datasets, recipe, and the places that are read and written.

    python -m docs.stacks ESC50=../esc50_16k FSDD=../fsdd/fsdd.csv OUT=out RECIPE=short
    """

    esc50: str = option("esc50", "ESC-50: a folder, or esc50")
    fsdd: str = option("", "fsdd.csv of spoken digits; empty for none")
    out: Path = option(Path("out"), "folder of caches and runs")
    recipe: str = option("short", "recipe of ResNet-18")
    frame: str = option("23", "milliseconds of a frame")
    sets: tuple[str, ...] = option(SETS, "feature sets")
    threads: str = option("auto", "threads of the network's arithmetic")
    table: Path = option(TABLES / "stacks.csv", "CSV of the results")


class Stacks:
    """One dataset's feature sets."""

    def __init__(self, name: str, source: dict[str, str], options: StacksOptions):
        """`source` has DATASET, and FOLDS_BY if it needs one."""
        self.name = name
        self.source = source
        self.sets = options.sets
        if name == "fsdd":  # at 8 kHz the bands of contrast end above half the rate
            self.sets = tuple(stack.replace("+contrast", "") for stack in options.sets)
        self.options = options
        self.table = Table(options.table, COLUMNS)
        self.places = {"NAME": f"{name}-{options.frame}", "DATA": f"{options.out}/data"}
        self.command = f"python -m docs.stacks RECIPE={options.recipe}"

    def measure(self) -> None:
        features = dict.fromkeys("+".join(self.sets).split("+"))
        wanted = self.source | self.places | {"FEATURES": " ".join(features)}
        wanted["FRAME"] = self.options.frame
        run_command("pipeline", ["features", *joined(wanted)])
        for stack in self.sets:
            if not self.table.get(self.key(stack), "mean"):
                self.train(stack)
        self.compare()

    def key(self, features: str) -> tuple[str, str]:
        """The first two cells of a set's row."""
        return f"{self.name} {features}", self.name

    def words(self, features: str) -> dict[str, str]:
        own = {
            "DATASET": self.source["DATASET"],
            "FEATURES": features,
            "RECIPE": self.options.recipe,
            "THREADS": self.options.threads,
            "CURVE": "0",
            "RUNS": f"{self.options.out}/runs",
        }
        return own | self.places

    def run(self, features: str) -> RunFolder:
        texts = self.words(features).items()
        options = RunOptions.build({name.lower(): value for name, value in texts})
        return RunFolder(make_plan(options).path)

    def train(self, features: str) -> None:
        """Train every fold of a set, and write its row."""
        seconds = run_command("train", ["run", *joined(self.words(features))])
        accuracies = 100 * self.run(features).scores()["accuracy"]
        values = {f"fold{fold}": f"{accuracies[fold]:.2f}" for fold in accuracies.index}
        values["mean"] = f"{accuracies.mean():.2f}"
        if self.name == "esc50":
            values["held_out"] = f"{accuracies[[*HELD_OUT]].mean():.2f}"
        values |= {
            "features": features,
            "command": self.command,
            "commit": commit(),
            "processor": processor(),
            "seconds": f"{seconds:.0f}",
        }
        self.table.update(self.key(features), values)

    def compare(self) -> None:
        """Write the gain of every set over BASE, tested together."""
        others = [features for features in self.sets if features != BASE]
        if BASE not in self.sets or not others:
            return
        right = {features: self.right(features) for features in self.sets}
        base = right[BASE]
        differences = [recordings(right[other] - base) for other in others]
        clips = recordings(base * 0 + 1)
        unit = clips.sum()
        tests = sign_flip_tests(
            np.stack(differences, axis=1), clips / unit, LEVEL, unit=unit
        )
        for features, numbers in zip(others, tests.numbers(unit)):
            *points, p = numbers
            gain, low, high = (f"{100 * number:.2f}" for number in points)
            values = {"gain": gain, "gain_from": low, "gain_to": high, "p": f"{p:.4f}"}
            self.table.update(self.key(features), values)

    def right(self, features: str) -> "pd.Series[float]":
        """1 for each clip that a run predicted rightly, else 0, by recording and
        clip.
        """
        run = self.run(features)
        rows = run.scored()
        predicted = rows[run.classes].idxmax(axis=1)
        right = (predicted == rows["target"]).astype(float)
        right.index = pd.MultiIndex.from_frame(rows[["group", "clip_id"]])
        return right.sort_index()


def recordings(of_clips: "pd.Series[float]") -> Floats:
    """Sums over the clips of each source recording."""
    return of_clips.groupby(level="group").sum().to_numpy()


def stacks(options: StacksOptions) -> None:
    """Train and compare feature sets with one recipe of ResNet-18."""
    datasets = {"esc50": {"DATASET": options.esc50}}
    if options.fsdd:
        datasets["fsdd"] = {"DATASET": options.fsdd, "FOLDS_BY": "group"}
    for name, source in datasets.items():
        Stacks(name, source, options).measure()


if __name__ == "__main__":
    main([stacks])
