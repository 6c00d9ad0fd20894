"""`make demo`: the whole way from nothing to a report, on a small synthetic dataset.

Every step is a command that a user could type, printed before it runs; a second demo
finds everything done. The last command prints the findings, the report's path and the
next command.
"""

import os
import subprocess
import sys
from pathlib import Path

import featurestack
from featurestack.commandline import spelling
from featurestack.commandline.commands import HANDED_ON
from featurestack.commandline.options import (
    DataOptions,
    ReportsOptions,
    RunsOptions,
    option,
)

# A linear model on row statistics finds rhythm in the tempogram but not in mel.
FEATURE_SETS = "mel mel+chroma+tempogram"
COMPARED = "mel mfcc chroma tempogram"
# `-P`: a module in the current folder, such as a user's own numpy.py, hides nothing
CONSOLE = [sys.executable, "-P", "-m", "featurestack"]


class DemoOptions(DataOptions, RunsOptions, ReportsOptions):
    """The demo's folders and processes."""

    jobs: int | None = option(
        None, "processes for extraction; by default one a core", least=1, most=10000
    )


def demo(options: DemoOptions) -> int:
    """Synthesise a dataset, extract every feature, train two feature sets, measure
    importance, analyse.
    """
    data = f"DATA={options.data}"
    runs = f"RUNS={options.runs}"
    reports = f"REPORTS={options.reports}"
    jobs = [f"JOBS={options.jobs}"] if options.jobs else []
    steps = [
        ["data", "DATASET=synth", data],
        ["features", "DATASET=synth", data, *jobs],
        [
            "sweep",
            "DATASET=synth",
            f"FEATURES={FEATURE_SETS}",
            "MODEL=linear",
            data,
            runs,
        ],
        ["importance", "DATASET=synth", f"FEATURES={COMPARED}", data, runs],
        ["analysis", "DATASET=synth", data, runs, reports],
    ]
    above = str(Path(featurestack.__file__).parents[1])
    folders = [above]
    own = os.environ.get("PYTHONPATH")
    if own:
        folders.append(own)
    environment = os.environ | {
        HANDED_ON: spelling.caller(),
        "PYTHONPATH": os.pathsep.join(folders),
    }
    for step in steps:
        print(f"\n$ {spelling.make_command(*step)}", flush=True)
        done = subprocess.run([*CONSOLE, *step], check=False, env=environment)
        status = done.returncode
        if status:
            return status
    return 0
