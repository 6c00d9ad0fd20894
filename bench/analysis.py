"""How long a large report takes and how much memory: thirty runs x five folds x 2,000 clips of 50 classes.

    python -m bench.analysis
    python -m bench.analysis RUNS=runs/esc10 COUNT=73 DATASET=esc10 DATA=data ROUNDS=3

The second repeats your own run folders until there are COUNT of them, each copy with a twentieth of its
predictions changed, and has the cache's half of the report too; each round makes that report anew.

Run folders are made up (see bench.made_runs); each step runs in a process of its own, on one core, as it
would from the command line. Processor seconds are what counts: on a machine that does nothing else the
wall clock shows the same. Beside the statistics stands the usual way, on the same runs: a bootstrap of each
pair, replicate by replicate, as tutorials write it (timed on a few, and scaled up).
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings import findings
from analysis.results import Results, Run, load_runs
from bench.made_runs import made_up_runs
from commandline.commands import main
from commandline.options import Options, option
from commandline.registry import RequestError
from commandline.terminal import duration, size, text_table
from features_cache.cache import dataset_name
from results.bootstrap import REPLICATES
from results.run_folder import PREDICTION_COLUMNS, find, write_config
from tests.analysis.made_runs import made_clips, make_run

ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SHOWN_REPLICATES = 200  # of the usual way; the rest follows by proportion
TARGETS = {"statistics": 5.0, "report": 30.0, "report again": 3.0}  # seconds
MOST_MEMORY = 1e9
MOST_PAGE = 6e6


@dataclass(frozen=True, kw_only=True)
class AnalysisBenchOptions(Options):
    """How large a report."""

    count: int = option(30, "runs")
    clips: int = option(2000, "test clips over five folds")
    classes: int = option(50, "classes")
    step: str = option("", "one step alone, in this process: statistics, usual")
    runs: Path = option(
        Path(),
        "with step: where the run folders are; without: run folders of one dataset to repeat",
    )
    dataset: str = option("", "with runs: the dataset of the cache")
    data: Path = option(Path("data"), "with runs: where the cache is")
    rounds: int = option(1, "with runs: how often; the medians are printed", least=1)


def analysis(options: AnalysisBenchOptions) -> int:
    """Time the statistics, the whole report, and the report again with nothing changed."""
    if options.step:
        return _step(options)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.runs != Path():
            repeat_runs(options.runs, folder / "runs" / dataset_name(options.dataset), options.count)
            return _real(options, folder)
        clips = made_clips(options.clips, options.classes)
        for made in made_up_runs(options.count):
            make_run(folder / "runs", clips, made)
        return _compare(folder)


def repeat_runs(real: Path, folder: Path, count: int) -> None:
    """`count` run folders: the real ones, then copies under tags of their own."""
    found = sorted(file.parent for file in real.glob("*/run.json"))
    for number in range(count):
        run, copy = found[number % len(found)], number // len(found)
        target = folder / (f"{run.name}-copy{copy}" if copy else run.name)
        shutil.copytree(run, target, ignore=shutil.ignore_patterns("*.pt"))
        if copy:
            _make_own(target, copy)


def _make_own(run: Path, copy: int) -> None:
    """Another tag, and other predictions for a twentieth of the clips: those of the row before."""
    config = json.loads((run / "run.json").read_text())
    config |= {"name": run.name, "tag": f"copy{copy}", "family": f"{config['family']}-copy{copy}"}
    write_config(run, config)
    rng = np.random.default_rng(copy)
    for file in run.glob("fold*/predictions.csv"):
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        changed = rng.random(len(rows)) < 0.05
        columns = rows.columns[len(PREDICTION_COLUMNS) :]
        rows.loc[changed, columns] = np.roll(rows[columns].to_numpy(), 1, axis=0)[changed]
        rows.to_csv(file, index=False)


def _real(options: AnalysisBenchOptions, folder: Path) -> int:
    """Medians of the report of real runs with their cache, made anew each time."""
    report = [sys.executable, "-m", "analysis", "--dataset", options.dataset, "--data", str(options.data)]
    report += ["--runs", str(folder / "runs"), "--reports"]
    taken = [_seconds([*report, str(folder / f"reports{number}")]) for number in range(options.rounds)]
    wall, cpu = np.median(taken, axis=0)
    page = next(folder.glob("reports0/*/index.html")).stat().st_size
    rows = [
        ("report", f"{wall:.1f} s", f"{cpu:.1f} s", f"{TARGETS['report']:.0f} s"),
        ("page", "", size(page), size(MOST_PAGE)),
    ]
    print(text_table(rows, (f"{options.count} runs", "wall", "processor", "at most")))
    return 0 if wall <= TARGETS["report"] and page <= MOST_PAGE else 1


def _step(options: AnalysisBenchOptions) -> int:
    if options.step not in STEPS:
        raise RequestError(f"step {options.step!r}: expected one of {', '.join(STEPS)}")
    results = load_runs(find(options.runs))
    begun, worked = time.perf_counter(), time.process_time()
    STEPS[options.step](results.runs)
    print(time.perf_counter() - begun, time.process_time() - worked)
    return 0


def _statistics(runs: list[Run]) -> None:
    findings(Results(runs, []), np.random.default_rng(0))


def _usual(runs: list[Run]) -> None:
    """Resample clips by recording and score each replicate anew, for one pair of runs."""
    rng = np.random.default_rng(0)
    first, second = runs[:2]
    recordings, place = np.unique(first.groups, return_inverse=True)
    members = [np.flatnonzero(place == number) for number in range(len(recordings))]
    for _ in range(SHOWN_REPLICATES):
        drawn = np.concatenate([members[one] for one in rng.integers(0, len(recordings), len(recordings))])
        _ = first.correct[drawn].mean() - second.correct[drawn].mean()


STEPS = {"statistics": _statistics, "usual": _usual}


def _compare(folder: Path) -> int:
    own = [sys.executable, "-m", "bench.analysis", "--runs", str(folder / "runs"), "--step"]
    report = [sys.executable, "-m", "analysis", "--dataset", "made", "--data", str(folder / "data")]
    report += ["--runs", str(folder / "runs"), "--reports", str(folder / "reports")]
    taken = {"statistics": _step_seconds([*own, "statistics"]), "report": _seconds(report)}
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    taken["report again"] = _seconds(report)
    page = (folder / "reports" / "made" / "index.html").stat().st_size
    rows = [
        (name, f"{wall:.1f} s", f"{cpu:.1f} s", f"{TARGETS[name]:.0f} s")
        for name, (wall, cpu) in taken.items()
    ]
    rows += [("memory", "", size(memory), size(MOST_MEMORY)), ("page", "", size(page), size(MOST_PAGE))]
    print(text_table(rows, ("", "wall", "processor", "at most")))
    _tell_usual(_step_seconds([*own, "usual"])[1], folder)
    kept = all(cpu <= TARGETS[name] for name, (_, cpu) in taken.items())
    return 0 if kept and memory <= MOST_MEMORY and page <= MOST_PAGE else 1


def _tell_usual(seconds: float, folder: Path) -> None:
    runs = len(find(folder / "runs"))
    pairs = runs * (runs - 1) // 2
    whole = duration(seconds * REPLICATES / SHOWN_REPLICATES * pairs)
    print(f"the usual bootstrap, {REPLICATES:,} replicates of each of {pairs} pairs: about {whole}")


def _step_seconds(command: list[str]) -> tuple[float, float]:
    """(wall, processor) seconds that a step says it took, imports and loading apart."""
    wall, cpu = _run(command)[-1].split()
    return float(wall), float(cpu)


def _seconds(command: list[str]) -> tuple[float, float]:
    """(wall, processor) seconds of a whole process."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - begun, cpu


def _run(command: list[str]) -> list[str]:
    ended = subprocess.run(command, env=os.environ | ONE_CORE, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RequestError(f"{' '.join(command)} failed:\n{ended.stderr[-2000:]}")
    return ended.stdout.splitlines()


if __name__ == "__main__":
    main([analysis])
