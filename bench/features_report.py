"""The tables and the figure of `python -m bench.features`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from commandline.terminal import text_table

TARGETS = {  # what -> at least (ratios), at most (MB, seconds)
    "mel+mfcc+chroma against librosa, call by call": 6.0,
    "mel+mfcc+chroma against librosa, one shared spectrogram": 4.0,
    "mel+mfcc+chroma against audioFlux": 1.5,
    "all thirty against librosa, call by call": 12.0,
    "two processes against one, of what pure FFT reaches": 0.93,
    "memory of a worker, MB": 500.0,
    "first clip of a worker, processor s": 4.0,
}
AT_MOST = ("memory of a worker, MB", "first clip of a worker, processor s")


@dataclass
class Measured:
    """Medians in milliseconds."""

    together: dict[str, float]  # ours, all thirty in one clip
    alone: dict[str, float]  # ours, each from the waveform
    librosa: dict[str, float]
    audioflux: dict[str, float]  # both empty where it is not installed
    essentia: dict[str, float]
    triples: dict[str, float]  # mel + mfcc + chroma by each way


def draw(measured: Measured, path: Path) -> None:
    """Milliseconds a clip by each way, a feature a line, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(measured.librosa)[::-1]
    figure, axes = plt.subplots(figsize=(8, 9), layout="constrained")
    ways = {
        "librosa": measured.librosa,
        "audioFlux": measured.audioflux,
        "essentia": measured.essentia,
        "ours alone": measured.alone,
        "ours, together": measured.together,
    }
    for (way, times), marker in zip(ways.items(), "s^voD", strict=True):
        rows = [row for row, name in enumerate(names) if times.get(name)]
        axes.plot([times[names[row]] for row in rows], rows, linestyle="", marker=marker, label=way)
    axes.set(xscale="log", xlabel="ms a clip of 5 s, one core, median")
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(ways))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def report(measured: Measured, found: dict[str, float]) -> str:
    """The tables."""
    ways = measured.librosa, measured.audioflux, measured.essentia, measured.alone, measured.together
    rows = [[name, *(_ms(way.get(name)) for way in ways)] for name in measured.librosa]
    sums = (sum(way.values()) for way in (measured.librosa, measured.alone, measured.together))
    librosa, alone, together = map(_ms, sums)
    rows.append(["all", librosa, "", "", alone, together])
    header = ["ms a clip", "librosa", "audioFlux", "essentia", "ours alone", "ours together"]
    goals = [
        [
            what,
            f"{value:.2f}",
            ("<= " if what in AT_MOST else ">= ") + f"{TARGETS[what]:g}",
            _verdict(what, value),
        ]
        for what, value in found.items()
    ]
    triple = ", ".join(f"{way} {ms:.1f} ms" for way, ms in measured.triples.items())
    tables = (
        text_table(rows, header),
        f"mel + mfcc + chroma: {triple}",
        text_table(goals, ["", "here", "target", ""]),
    )
    absent = [name for name in ("audioflux", "essentia") if not getattr(measured, name)]
    notes = [f"not installed: {', '.join(absent)}; pip install -r requirements-bench.txt"] if absent else []
    return "\n\n".join([*tables, *notes])


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _verdict(what: str, value: float) -> str:
    if np.isnan(value):
        return "not installed"
    met = value <= TARGETS[what] if what in AT_MOST else value >= TARGETS[what]
    return "met" if met else "missed"
