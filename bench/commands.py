"""Time, memory and disk of each command on one dataset: `python -m bench.commands
DATASET=esc50`.

The commands run one after the other, each in a process of its own, and what one leaves
serves the next, as for a user. Where a command finds its work done, its time is that of
finding out: for the whole table give empty DATA, RUNS and REPORTS.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from featurestack.commandline.commands import main
from featurestack.commandline.errors import Failed
from featurestack.commandline.options import (
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)
from featurestack.commandline.registry import Registry
from featurestack.features_cache.location import dataset_name

FEATURES = "mel+mfcc+chroma+contrast+modulation"
RUN = f"{FEATURES}-linear"
ROW = "| {:<38} | {:>11} | {:>6} | {:>9} | {:>7} |"
# name -> words after `python -m`; {dataset}, {places}, {audio} and {out} are filled in
COMMANDS = Registry(
    "command",
    {
        "features": "pipeline features {dataset} {places} FEATURES=all",
        "check": "pipeline check {dataset} {places}",
        "singles": "train sweep {dataset} {places} FEATURES=small MODEL=linear",
        "linear": f"train run {{dataset}} {{places}} FEATURES={FEATURES} MODEL=linear",
        "texture": (
            f"train run {{dataset}} {{places}} FEATURES={FEATURES} MODEL=texture"
            " THREADS=1 PRECISION=fp32 CURVE=0"
        ),
        "importance": (
            "train importance {dataset} {places}"
            f" FEATURES='{FEATURES.replace('+', ' ')}'"
        ),
        "analysis": "analysis {dataset} {places} OVERWRITE=1",
        "paper": "analysis {dataset} {places} PAPER=1 OVERWRITE=1",
        "predict": f"train predict {{places}} RUN={RUN} AUDIO={{audio}}",
        "bundle": f"train bundle {{places}} RUN={RUN} OUT={{out}}/model.pt",
    },
)


class CommandsOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """The dataset, and the folders that the commands read and write."""

    only: tuple[str, ...] = option((), "names of commands; all by default")
    audio: Path = option(Path("audio"), "folder of audio files for predict")


def megabytes(*folders: Path) -> float:
    """The size of all files in these folders, as the disk holds them."""
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return sum(path.stat().st_blocks for path in files) * 512 / 1e6


def measure(command: list[str]) -> tuple[float, float, float]:
    """Processor seconds, seconds and peak megabytes of a command; Failed if it cannot
    run.
    """
    start = time.perf_counter()
    # the peak is that of the largest of its processes
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # 1: the work ran, and something in it is worth a look
    if process.returncode not in (0, 1) or "Traceback" in output:
        raise Failed(f"{shlex.join(command)} failed:\n{output}")
    seconds = time.perf_counter() - start
    return usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss * 1024 / 1e6


def commands(options: CommandsOptions) -> None:
    """Time, memory and disk of each command on one dataset."""
    dataset = dataset_name(options.dataset, options.name)
    folders = [
        place / dataset for place in (options.data, options.runs, options.reports)
    ]
    data, runs, reports = options.data, options.runs, options.reports
    print(ROW.format("command", "processor s", "s", "peak MB", "disk MB"), flush=True)
    with tempfile.TemporaryDirectory() as out:
        for name in options.only or COMMANDS:
            words = COMMANDS[name].format(
                dataset=f"DATASET={shlex.quote(options.dataset)}",
                places=shlex.join(
                    [f"DATA={data}", f"RUNS={runs}", f"REPORTS={reports}"]
                ),
                audio=shlex.quote(str(options.audio)),
                out=out,
            )
            before = megabytes(*folders)
            processor, seconds, peak = measure(
                [sys.executable, "-m", *shlex.split(words)]
            )
            written = megabytes(*folders, Path(out)) - before
            numbers = (f"{value:,.0f}" for value in (processor, seconds, peak, written))
            print(ROW.format(name, *numbers), flush=True)


if __name__ == "__main__":
    main([commands])
