"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

Every step is a command that a user could type, printed before it runs; a second demo finds all of it done.
"""

import csv
import subprocess
import sys

from commandline.commands import Command, main
from commandline.options import DataOptions, ReportsOptions, RunsOptions, option
from commandline.terminal import percent

# Logistic regression on the mean and deviation of each row reads no rhythm from mel, but from a tempogram: a
# second feature shows what it is for, in seconds.
FEATURE_SETS = ("mel", "mel+chroma+tempogram")
COMPARED = ("mel", "mfcc", "chroma", "tempogram")


class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """Where the demo keeps its things."""

    jobs: int | None = option(None, "processes for extraction; all cores by default", least=1, most=10000)


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract every feature, train two feature sets, ask which matter, analyse."""
    data = f"DATA={options.data}"
    runs = f"RUNS={options.runs}"
    reports = f"REPORTS={options.reports}"
    jobs = [f"JOBS={options.jobs}"] if options.jobs else []
    steps = [
        ["pipeline", "data", "DATASET=synth", data],
        ["pipeline", "features", "DATASET=synth", data, *jobs],
        ["train", "sweep", "DATASET=synth", f"FEATURES={' '.join(FEATURE_SETS)}", "MODEL=linear", data, runs],
        ["train", "importance", "DATASET=synth", f"FEATURES={' '.join(COMPARED)}", data, runs],
        ["analysis", "DATASET=synth", data, runs, reports],
    ]
    for step in steps:
        shown = " ".join(f'"{word}"' if " " in word else word for word in step)
        print(f"\n$ python -m {shown}", flush=True)
        status = subprocess.run([sys.executable, "-m", *step], check=False).returncode
        if status:
            return status
    report = options.reports / "synth"
    with (report / "tables" / "comparison.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["accuracy"]))
    sets = [
        f"{row['features']} {percent(float(row['accuracy']))} ± {percent(float(row['accuracy_sd']))} %"
        for row in rows
    ]
    print(
        f"\nfound:  on synthetic sounds, accuracy over {rows[0]['n']} test folds (mean ± sd): "
        f"{', '.join(sets)}; make sweep DATASET=synth FEATURES=all MODEL=linear compares all features"
    )
    print(f"report: {(report / 'index.html').resolve()}")
    print("next:   make features DATASET=esc50   (or a folder of your own sounds: one sub-folder a class)")
    return 0


COMMANDS: list[Command] = [demo]

if __name__ == "__main__":
    main(COMMANDS)
