"""The project from Python: what the notebooks use, each a few lines over the functions behind the commands.

    import lab

    table = lab.clips("synth")                      # a dataset, one row a clip
    clip = lab.read(table.path[0])                  # a sound
    lab.feature(clip, "mel@n_mels=64").values       # (64, frames)
    lab.extract("mel mfcc", "synth")                # make features
    run = lab.train(dataset="synth", features="mel+mfcc", epochs=20)
    lab.confusion(run)                              # a matplotlib figure

docs/python.md shows each of them. Folders are `data`, `runs` below the current one unless given.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import results, tables
from analysis.figures import FIGURES
from analysis.figures.features import Shown
from analysis.figures.save import drawing
from analysis.samples import samples
from commandline import RequestError, nearest
from features_cache import Cache, cache_folder
from features_cache.names import parse_channel
from pipeline import alter as alterations
from pipeline import audio, datasets
from pipeline.clip import Clip
from pipeline.extract import run as run_extraction
from pipeline.features import resolve
from pipeline.options import FeaturesCommand
from train import runs
from train.runs import RunFolder

DATA, RUNS = Path("data"), Path("runs")
RATE = 44_100  # samples a second, ESC-50's
DOTS_PER_INCH = 110


def clips(dataset: str = "esc50", data: Path = DATA) -> pd.DataFrame:
    """The dataset's table, one row a clip: clip_id, path, label, category, fold, group and the rest.

    `synth` is made where it is not there yet, `esc50` and `esc10` are downloaded.
    """
    return datasets.load(dataset, data).table


def read(path: Path | str, sample_rate: int = RATE, seconds: float | None = None) -> Clip:
    """A sound file, whole or padded and cut to `seconds`, mono: `.y` (samples,) float32, `.sample_rate`."""
    if seconds is None:
        return Clip(audio.decode(path, sample_rate), sample_rate)
    return Clip(audio.load(path, sample_rate, round(seconds * sample_rate)), sample_rate)


def tone(hertz: float, seconds: float = 1.0, sample_rate: int = RATE, amplitude: float = 0.5) -> Clip:
    """A sine, the sound whose features are known beforehand."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Clip((amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32), sample_rate)


def alter(clip: Clip, how: str) -> Clip:
    """An altered copy as long as the clip: `pitch(semitones=2)`, `stretch(rate=1.2)`, `gain(db=-6)`, ..."""
    return Clip(alterations.apply(clip.y, clip.sample_rate, how), clip.sample_rate)


def play(clip: Clip) -> Any:
    """A player, in a notebook."""
    from IPython.display import Audio

    return Audio(clip.y, rate=clip.sample_rate, normalize=False)


def feature(clip: Clip, name: str) -> Shown:
    """One feature of one clip, named as in FEATURES: `.values` (rows, frames), `.rows`, `.seconds`, units."""
    channel = parse_channel(name)
    variant = resolve(channel)
    values, rows = variant.compute(clip), variant.row_axis(clip.sample_rate)
    if channel.rows:
        chosen = slice(channel.rows[0], channel.rows[1] + 1)
        values, rows = values[chosen], rows[chosen]
    seconds = variant.frame_axis(clip.sample_rate, len(clip.y))
    return Shown(str(channel), values, rows, variant.row_unit, seconds, variant.units)


def extract(features: str, dataset: str = "esc50", data: Path = DATA, **options: Any) -> Cache:
    """`make features`: the named features of every clip, into the cache; what is there already stays."""
    command = FeaturesCommand(features=features, dataset=dataset, data=Path(data), **options)
    if run_extraction(command):
        raise RequestError(
            f"some clips could not be done: {cache_folder(dataset, data)}/failures.csv says why"
        )
    return cache(dataset, data)


def cache(dataset: str = "esc50", data: Path = DATA) -> Cache:
    """The feature cache: `.clips`, `.features`, `.read(feature, clip_ids)` -> (B, rows, frames)."""
    return Cache(cache_folder(dataset, Path(data)))


def train(**options: Any) -> RunFolder:
    """`make train`, every option of `python -m train run --help` by its name; what is done is found again."""
    from train.options import RunOptions
    from train.run import execute

    folder = execute(RunOptions(**options))
    assert folder is not None, "one process alone trains here"
    return folder


def run(name: str = "last", folder: Path = RUNS) -> RunFolder:
    """A run by its name, path or prefix: `.config`, `.history(fold)`, `.predictions()` as pandas frames."""
    return runs.select_one(folder, name)


def predict(trained: RunFolder, files: Sequence[Path | str]) -> pd.DataFrame:
    """`make predict`: one row a file that can be heard, its class and one probability column a class."""
    from train import bundle
    from train.answers import complain, table_of
    from train.predict import Heard, hear
    from train.trained import Trained

    heard, network = Heard(), Trained(bundle.of_run(trained))
    probabilities = hear(network, [Path(file) for file in files], heard)
    complain(heard.failures, len(files))
    return table_of(network.classes, probabilities, {"file": [str(file) for file in heard.files]})


class Picture(Figure):
    """A matplotlib figure that a notebook shows by itself; `savefig` writes it."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        with drawing():
            FigureCanvasAgg(self).print_png(content)
        return content.getvalue()


def draw(name: str, **data: Any) -> Picture:
    """Any figure of the report by its name; `help(lab.FIGURES[name].draw)` says what it takes."""
    if name not in FIGURES:
        raise RequestError(nearest("figure", name, FIGURES))
    entry = FIGURES[name]
    with drawing():
        picture = Picture(figsize=entry.size(**data), layout="constrained", dpi=DOTS_PER_INCH)
        entry.draw(picture.add_subplot(), **data)
    return picture


def curves(trained: RunFolder) -> Picture:
    """Loss, accuracy and F1 by epoch, the mean over the finished folds."""
    return draw("learning_curves", history={fold: trained.history(fold) for fold in trained.finished})


def confusion(trained: RunFolder) -> Picture:
    """What was taken for what, over the finished folds."""
    read = _read(trained)
    return draw("confusion", counts=tables.confusion(read), classes=read.classes, categories=read.categories)


def sample_predictions(trained: RunFolder, stored: Cache, seed: int = 0) -> Picture:
    """Clips that the run got right, wrong, and was unsure of, with their first channel."""
    first = trained.config["channels"][0]["stored"]
    drawn = samples(_read(trained), stored, first, np.random.default_rng(seed))
    return draw("sample_predictions", samples=drawn)


def _read(trained: RunFolder) -> results.Run:
    """The run as analysis reads it."""
    found = results.load([trained])
    if not found.runs:
        raise RequestError("; ".join(problem.text for problem in found.problems))
    return found.runs[0]
