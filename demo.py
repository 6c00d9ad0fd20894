"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

Every step is a command that a user could type, printed before it runs; a second demo finds all of it done.
"""

import subprocess
import sys
from dataclasses import dataclass

import pandas as pd

from commandline.commands import Command, main
from commandline.options import DataOptions, ReportsOptions, RunsOptions, option
from commandline.terminal import percent

FEATURE_SETS = ("mel", "mel+mfcc+chroma")
TRAINING = ("MODEL=cnn8+texture", "EPOCHS=20", "GRID=64x108", "CURVE=0")  # a minute, 100 MB


@dataclass(frozen=True, kw_only=True)
class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """Where the demo keeps its things."""

    jobs: int | None = option(None, "processes for extraction; all cores by default", least=1, most=10000)


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract every feature, train two feature sets, analyse."""
    data, runs, reports = f"DATA={options.data}", f"RUNS={options.runs}", f"REPORTS={options.reports}"
    jobs = [f"JOBS={options.jobs}"] if options.jobs else []
    steps = [
        ["pipeline", "data", "DATASET=synth", data],
        ["pipeline", "features", "DATASET=synth", data, *jobs],
        ["train", "sweep", "DATASET=synth", f"FEATURES={' '.join(FEATURE_SETS)}", *TRAINING, data, runs],
        ["analysis", "DATASET=synth", data, runs, reports],
    ]
    for step in steps:
        shown = " ".join(f'"{word}"' if " " in word else word for word in step)
        print(f"\n$ python -m {shown}", flush=True)
        status = subprocess.run([sys.executable, "-m", *step], check=False).returncode
        if status:
            return status
    print(f"\n{_found(options)}")
    print(f"report: {(options.reports / 'synth' / 'index.html').resolve()}")
    print("next:   make features DATASET=esc50   (or a folder of your own sounds: one sub-folder a class)")
    return 0


def _found(options: DemoOptions) -> str:
    """One sentence with the figures of the comparison table."""
    table = pd.read_csv(options.reports / "synth" / "tables" / "comparison.csv")
    table = table.sort_values("accuracy", ascending=False)
    results = ", ".join(
        f"{row.features} {percent(row.accuracy)} ± {percent(row.accuracy_sd)} %" for row in table.itertuples()
    )
    folds = int(table["n"].iloc[0])
    return f"found:  on synthetic sounds, accuracy over {folds} test folds (mean ± sd): {results}"


COMMANDS: list[Command] = [demo]

if __name__ == "__main__":
    main(COMMANDS)
