"""How extraction grows, as a table and a figure, bench/out/scaling.png: `python -m bench.scaling`.

Left, clips a second against processes: with real features, up to this machine's cores, and with a feature
that only waits 4 ms, beyond them, which shows what handing out and writing leave of each further process.
Right, seconds against the number of clips, with a feature that costs nothing: the first run, which makes the
files and writes every clip, and a second one, which finds all done. The clips share a few small audio files.
"""

import os
import random
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from bench.stub import made_command, made_dataset, made_request
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import text_table
from pipeline import extract
from pipeline.job import Job
from pipeline.options import FeaturesCommand
from pipeline.plan import batch_lengths, cost, find_remaining, make_batches
from pipeline.pool import Backend, open_backend
from pipeline.request import Request, request
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset

OUT = Path(__file__).resolve().parent / "out"
WAIT = "stub@ms=4"
FAMILIES = {"mel+mfcc+chroma": "real features", WAIT: "a feature that waits 4 ms"}
Curve = dict[int, float]


@dataclass(frozen=True, kw_only=True)
class ScalingOptions(Options):
    """How far the curves go."""

    processes: tuple[int, ...] = option(
        (1, 2, 4, 8),
        "of the feature that waits; real features stop at this machine's cores",
    )
    clips: tuple[int, ...] = option((100, 1000, 10000, 100000), "in the table")
    seconds: float = option(3.0, "of each point of the left curve, about")
    rounds: int = option(3, "of the left curve; medians")


def scaling(options: ScalingOptions) -> None:
    """Measure both curves, print them, draw them."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as scratch:
        folder = Path(scratch)
        speeds = {name: speed_curve(folder, name, options) for name in FAMILIES}
        costs = cost_curves(folder, options.clips)
    for name, curve in speeds.items():
        one = curve[min(curve)] / min(curve)
        reached = [(count, f"{speed:.0f}", f"{speed / (one * count):.0%}") for count, speed in curve.items()]
        print(text_table(reached, (f"processes, {FAMILIES[name]}", "clips/s", "efficiency")))
    rows = [(f"{clips:,}", *(f"{curve[clips]:.2f}" for curve in costs.values())) for clips in options.clips]
    print(text_table(rows, ("clips", *(f"{name}, s" for name in costs))))
    power = slope(costs["first run"])
    print(f"first run: seconds grow with clips to the power {power:.2f} from 1,000 clips on")
    OUT.mkdir(exist_ok=True)
    draw(speeds, costs, OUT / "scaling.png")
    print(OUT / "scaling.png")


def speed_curve(folder: Path, features: str, options: ScalingOptions) -> Curve:
    """Clips a second by processes, medians of rounds in which every number of processes has its turn."""
    counts = [one for one in options.processes if features == WAIT or one <= (os.cpu_count() or 1)]
    found: dict[int, list[float]] = {count: [] for count in counts}
    asked = _asked(folder, features)
    with ExitStack() as opened:
        each = [opened.enter_context(open_backend("processes", count, None)) for count in counts]
        for _ in range(options.rounds):
            for backend in each:
                found[backend.processes].append(speed(asked, backend, options.seconds))
    return {count: median(speeds) for count, speeds in found.items()}


def _asked(folder: Path, features: str) -> Request:
    if features == WAIT:
        command = made_command(folder / "waiting", features, 1)
        return made_request(made_dataset(folder / "audio", 20_000), command)
    sounds = folder / "sounds"
    if not sounds.exists():
        ChangingDataset(sounds, random.Random(0), clips=1000)
    csv = sounds / "sounds.csv"
    return request(
        FeaturesCommand(
            dataset=str(csv),
            data=folder,
            features=features,
            sample_rate=SAMPLE_RATE,
            duration=1.0,
            skip_checksums=True,
        )
    )


def speed(asked: Request, backend: Backend, seconds: float) -> float:
    """Clips a second of warm processes, over as many clips as take these seconds."""
    job = Job(tuple(asked.wanted.variants.values()), asked.dataset.sample_rate, asked.dataset.samples)
    found = find_remaining(asked)
    expected = cost(asked, found, backend)  # also warms every process up
    clips = int(seconds * backend.processes / expected.seconds_a_clip)
    rows = np.resize(found.clips, max(clips, 100))
    begun = time.perf_counter()
    for _ in backend(job, make_batches(asked, found.todo, rows, batch_lengths(len(rows), expected))):
        pass
    return len(rows) / (time.perf_counter() - begun)


def cost_curves(folder: Path, counts: tuple[int, ...]) -> dict[str, Curve]:
    """Seconds of a first and of a second run by the number of clips."""
    curves: dict[str, Curve] = {"first run": {}, "nothing to do": {}}
    for clips in counts:
        command = made_command(folder / str(clips), "stub", 1)
        dataset = made_dataset(folder / "audio", clips)
        for curve in curves.values():
            begun = time.perf_counter()
            extract.extract(made_request(dataset, command), command)
            curve[clips] = time.perf_counter() - begun
    return curves


def slope(curve: Curve) -> float:
    """Of the straight line through log seconds against log clips: 1 is proportional."""
    points = [(clips, seconds) for clips, seconds in curve.items() if clips >= 1000]
    clips, seconds = np.log(np.array(points, float)).T
    return float(np.polyfit(clips, seconds, 1)[0])


def draw(speeds: dict[str, Curve], costs: dict[str, Curve], path: Path) -> None:
    """Both curves beside each other, logarithmic, each with the straight line from its first point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for name, curve in speeds.items():
        line = left.plot(list(curve), list(curve.values()), marker="o", label=FAMILIES[name])
        first = min(curve)
        straight = [curve[first] * count / first for count in curve]
        left.plot(list(curve), straight, "--", color=line[0].get_color(), alpha=0.5)
    counts = list(speeds[WAIT])
    left.axvline(os.cpu_count() or 1, color="0.7", zorder=0)
    left.set(xscale="log", yscale="log", xlabel="processes", ylabel="clips a second")
    left.set_xticks(counts, map(str, counts))
    left.minorticks_off()
    left.set_title(f"dashed: proportional; grey: this machine's {os.cpu_count()} cores", fontsize=9)
    for name, curve in costs.items():
        right.plot(list(curve), list(curve.values()), marker="o", label=name)
    right.set(xscale="log", yscale="log", xlabel="clips in the table", ylabel="seconds, one process")
    right.set_title("a feature that costs nothing", fontsize=9)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main([scaling])
