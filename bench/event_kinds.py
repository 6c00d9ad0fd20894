"""Events of three kinds, found by each model: `python -m bench.event_kinds`.

Each kind is RECORDINGS recordings of made sounds in noise, of other levels in each:

    overlapping   four labels, 0.3 to 2 s, each at its own times
    points        two kinds of clicks, annotated as points
    long_short    a hum of 4 to 8 s, and calls of 0.1 s, also during the hum

Sounds that no table names lie between them. The folds divide the recordings. Nothing
was chosen on these sounds: the options are the defaults.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.pipeline.extract import run as extract
from featurestack.pipeline.options import FeaturesCommand
from featurestack.results.run_folder import RunFolder
from featurestack.rooms.events.dataset import run as make_events
from featurestack.rooms.events.options import EventsCommand
from featurestack.rooms.events.scores import ALL
from featurestack.rooms.events.tested import read_tested
from featurestack.storage.files import replace_file
from featurestack.train import run
from featurestack.train.options import RunOptions

RATE = 16_000
NOISE = 0.02  # deviation of the noise
MODELS = ("frames", "linear_frames")
# columns of the printed table -> those of `event_scores`
COLUMNS = {
    "f1_at_0_3": "f1_iou_0.3",
    "f1": "f1",
    "f1_at_0_7": "f1_iou_0.7",
    "false_alarms": "false_alarms",
    "onset_ms": "onset_ms",
}
Sound = tuple[str, float, float]  # label, start and end in seconds
Random = np.random.Generator


class KindsOptions(Options):
    """Made recordings, and where their files go."""

    recordings: int = option(15, "recordings of each kind", least=5)
    seconds: float = option(30.0, "of a recording", least=10)
    folder: Path | None = option(None, "of recordings and runs; by default not kept")


def tone(pitch: float, seconds: float, chance: Random) -> np.ndarray:
    """A tone of three harmonics whose pitch moves by a few percent."""
    t = np.arange(round(seconds * RATE)) / RATE
    bend = 1 + 0.03 * np.sin(2 * np.pi * chance.uniform(1, 4) * t)
    phase = 2 * np.pi * np.cumsum(pitch * bend) / RATE
    return np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)


def hiss(low: float, high: float, seconds: float, chance: Random) -> np.ndarray:
    """Noise between two frequencies."""
    number = round(seconds * RATE)
    spectrum = np.fft.rfft(chance.normal(size=number))
    frequency = np.fft.rfftfreq(number, 1 / RATE)
    spectrum[(frequency < low) | (frequency > high)] = 0
    y = np.fft.irfft(spectrum, number)
    return y / max(y.std(), 1e-9)


def sweep(seconds: float, chance: Random) -> np.ndarray:
    """A tone that rises an octave."""
    start = chance.uniform(900, 1_100)
    t = np.arange(round(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * start * (t + t**2 / (2 * seconds)))


VOICES: dict[str, Callable[[float, Random], np.ndarray]] = {
    "flute": lambda seconds, chance: tone(chance.uniform(600, 750), seconds, chance),
    "rise": sweep,
    "rush": lambda seconds, chance: hiss(2_000, 3_000, seconds, chance),
    "hiss": lambda seconds, chance: hiss(4_500, 7_000, seconds, chance),
    "hum": lambda seconds, chance: tone(chance.uniform(100, 140), seconds, chance),
    "call": lambda seconds, chance: tone(chance.uniform(2_200, 2_600), seconds, chance),
    "dull": lambda seconds, chance: hiss(300, 1_200, seconds, chance),
    "bright": lambda seconds, chance: hiss(3_000, 7_500, seconds, chance),
    "unnamed": lambda seconds, chance: tone(
        chance.uniform(1_300, 1_800), seconds, chance
    ),
}


def spread(
    seconds: float,
    shortest: float,
    longest: float,
    gap: float,
    chance: Random,
) -> list[tuple[float, float]]:
    """Starts and ends of sounds one after the other, `gap` seconds apart on average."""
    spans = []
    start = chance.exponential(gap)
    while (end := start + chance.uniform(shortest, longest)) < seconds:
        spans.append((start, end))
        start = end + 0.05 + chance.exponential(gap)
    return spans


def overlapping(seconds: float, chance: Random) -> list[Sound]:
    return [
        (label, *span)
        for label in ("flute", "rise", "rush", "hiss")
        for span in spread(seconds, 0.3, 2.0, 2.5, chance)
    ]


def points(seconds: float, chance: Random) -> list[Sound]:
    return [
        (str(chance.choice(["dull", "bright"])), start, end)
        for start, end in spread(seconds, 0.01, 0.03, 0.5, chance)
    ]


def long_short(seconds: float, chance: Random) -> list[Sound]:
    hums = [("hum", *span) for span in spread(seconds, 4, 8, 3, chance)]
    calls = [("call", *span) for span in spread(seconds, 0.08, 0.12, 0.8, chance)]
    return hums + calls


KINDS: dict[str, Callable[[float, Random], list[Sound]]] = {
    "overlapping": overlapping,
    "points": points,
    "long_short": long_short,
}


def write_recordings(kind: str, folder: Path, options: KindsOptions) -> None:
    """Write audio/00.flac, … and tables.csv."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(options.recordings):
        chance = np.random.default_rng([number, *kind.encode()])
        y = NOISE * chance.normal(size=round(options.seconds * RATE))
        sounds = KINDS[kind](options.seconds, chance)
        others = spread(options.seconds, 0.1, 0.5, 3, chance)
        name = f"{number:02}.flac"
        for label, start, end in [*sounds, *(("unnamed", *span) for span in others)]:
            voice = VOICES[label](end - start, chance)
            level = NOISE * 10 ** (chance.uniform(0, 12) / 20)
            edge = min(len(voice) // 4, RATE // 200)  # 5 ms
            voice[:edge] *= np.linspace(0, 1, edge)
            voice[len(voice) - edge :] *= np.linspace(1, 0, edge)
            first = round(start * RATE)
            y[first : first + len(voice)] += level * voice
            if label != "unnamed":
                last = start if kind == "points" else end
                rows.append((name, round(start, 4), round(last, 4), label))
        soundfile.write(folder / "audio" / name, y / 2, RATE)
    table = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    replace_file(folder / "tables.csv", table.to_csv(index=False))


def train(folder: Path, model: str) -> RunFolder:
    """A run on the recordings of a folder."""
    dataset = folder / "data" / "kind" / "kind.csv"
    if not dataset.is_file():
        command = EventsCommand(
            audio=folder / "audio",
            tables=folder / "tables.csv",
            name="kind",
            data=folder / "data",
        )
        make_events(command)
        extract(
            FeaturesCommand(
                dataset=str(dataset), features="mel", data=folder / "data", jobs=1
            )
        )
    return run.execute(
        RunOptions(
            dataset=str(dataset),
            features="mel",
            model=model,
            device="cpu",
            threads="1",
            data=folder / "data",
            runs=folder / "runs",
        )
    )


def measure(
    options: KindsOptions, folder: Path, models: tuple[str, ...] = MODELS
) -> pd.DataFrame:
    """A row for each kind and model: COLUMNS, and processor seconds a fold."""
    rows = {}
    for kind in KINDS:
        write_recordings(kind, folder / kind, options)
        for model in models:
            start = time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                finished = train(folder / kind, model)
            seconds = (time.process_time() - start) / len(finished.finished)
            scores = read_tested(finished).scores().loc[ALL]
            rows[f"{kind}, {model}"] = {
                **{name: float(scores[column]) for name, column in COLUMNS.items()},
                "seconds": seconds,
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def event_kinds(options: KindsOptions) -> int:
    """Print the scores of each model on events of each kind; returns 0."""
    with contextlib.ExitStack() as stack:
        folder = options.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        table = measure(options, folder)
    cells = table.map("{:,.3f}".format).reset_index()
    print(text_table(cells.values.tolist(), ["", *table]))
    return 0


if __name__ == "__main__":
    main([event_kinds])
