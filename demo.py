"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

Every step is a command that a user could type, printed before it runs; a second demo finds all of it done.
The last one says what was found, where the report is and what to type next.
"""

import shlex
import subprocess
import sys

from commandline.commands import Command, main
from commandline.options import DataOptions, ReportsOptions, RunsOptions, option

# Logistic regression on the mean and deviation of each row reads no rhythm from mel, but from a tempogram: a
# second feature shows what it is for, in seconds.
FEATURE_SETS = "mel mel+chroma+tempogram"
COMPARED = "mel mfcc chroma tempogram"


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
        ["train", "sweep", "DATASET=synth", f"FEATURES={FEATURE_SETS}", "MODEL=linear", data, runs],
        ["train", "importance", "DATASET=synth", f"FEATURES={COMPARED}", data, runs],
        ["analysis", "DATASET=synth", data, runs, reports],
    ]
    for step in steps:
        print(f"\n$ python -m {shlex.join(step)}", flush=True)
        status = subprocess.run([sys.executable, "-m", *step], check=False).returncode
        if status:
            return status
    return 0


COMMANDS: list[Command] = [demo]

if __name__ == "__main__":
    main(COMMANDS)
