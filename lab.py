"""The project from Python: what the notebooks use, each a few lines over the functions behind the commands.

    import lab

    table = lab.clips("synth")                      # a dataset, one row a clip
    clip = lab.read(table.path[0])                  # an audio file, decoded
    lab.feature(clip, "mel@n_mels=64").values       # (64, frames)
    lab.extract("mel mfcc", "synth")                # make features
    run = lab.train(dataset="synth", features="mel+mfcc", epochs=20)
    lab.confusion(run)                              # a matplotlib figure

docs/reference/python.md shows each of them. Folders are `data`, `runs` and `reports` below the
current one unless given.
"""

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import soundfile
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import tables
from analysis.figures import FIGURES
from analysis.figures.data import FeatureMap
from analysis.figures.drawing import drawing
from analysis.jobs import Built, jobs, unchanged
from analysis.run_section import choose_samples
from analysis.runs import Run, load_runs
from commandline.errors import RequestError, nearest
from commandline.options import DatasetOptions, Options, fields, kind_of
from features_cache import Cache
from features_cache.cache import open_cache
from features_cache.index import FAILURES, read_failures
from features_cache.names import parse_channel
from pipeline import alter as alterations
from pipeline import audio
from pipeline.clip import Clip
from pipeline.datasets.load import load
from pipeline.extract import run as run_extraction
from pipeline.features import resolve_feature
from pipeline.options import FeaturesCommand, SourceOptions
from pipeline.show import draw as draw_features
from results import run_folder
from results.run_folder import RunFolder

if TYPE_CHECKING:
    from IPython.display import Audio

    from train.own_loop import OwnRun

T = TypeVar("T", bound=Options)
DATA = Path("data")
RUNS = Path("runs")
REPORTS = Path("reports")
RATE = 44_100  # samples a second, ESC-50's
DOTS_PER_INCH = 110


def clips(dataset: str = "esc50", data: Path = DATA) -> pd.DataFrame:
    """The dataset's table, one row a clip: clip_id, path, label, category, fold, group and the rest.

    `dataset` is what DATASET= takes: `synth` (made where it is not there yet), `esc50` and `esc10`
    (downloaded), a folder of audio files, a CSV. `data` is the folder of datasets.

        lab.clips("synth").groupby("label").size()
    """
    return load(_options(SourceOptions, {"dataset": dataset, "data": data})).table


def read(path: Path | str, sample_rate: int = RATE, seconds: float | None = None) -> Clip:
    """An audio file, mono, resampled to `sample_rate` in Hz: `.y` (samples,) float32, `.sample_rate`.

    With `seconds` it is padded with zeros or cut to that duration, without it is read whole.

        lab.read("dog.wav", seconds=5.0).y.shape    # (220500,)
    """
    if seconds is None:
        return Clip(audio.decode(path, sample_rate), sample_rate)
    return Clip(audio.load_clip(path, sample_rate, round(seconds * sample_rate)), sample_rate)


def tone(hertz: float, seconds: float = 1.0, sample_rate: int = RATE, amplitude: float = 0.5) -> Clip:
    """A sine of `hertz`, its peak at `amplitude`: the clip whose features are known beforehand.

    lab.feature(lab.tone(1000), "centroid").values.mean()    # about 1000
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Clip((amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32), sample_rate)


def alter(clip: Clip, how: str) -> Clip:
    """An altered copy, as long as the clip. `how` is an alteration with its parameters:
    `pitch(semitones=2)`, `stretch(rate=1.2)`, `noise(snr_db=20,seed=0)`, `gain(db=-6)`, `shift(share=0.25)`.

        lab.alter(clip, "stretch(rate=1.2)")
    """
    return Clip(alterations.apply_alteration(clip.y, clip.sample_rate, how), clip.sample_rate)


def write(clip: Clip, path: Path | str) -> None:
    """Write a clip as an audio file: .wav with float samples, .flac with 24 bits.

    lab.write(lab.tone(440), "tone.wav")
    """
    subtype = "PCM_24" if Path(path).suffix.lower() == ".flac" else "FLOAT"
    soundfile.write(path, clip.y, clip.sample_rate, subtype=subtype)


def play(clip: Clip) -> "Audio":
    """A player of the clip, for the last line of a notebook's cell: `lab.play(clip)`."""
    from IPython.display import Audio

    return Audio(clip.y, rate=clip.sample_rate, normalize=False)


def feature(clip: Clip, name: str) -> FeatureMap:
    """One feature of one clip: `.values` (rows, frames), `.rows` and `.seconds` of its axes, `.units`.

    `name` is one feature as in FEATURES=, with parameters and a range of rows if wanted.

        lab.feature(clip, "mel@n_mels=64").values.shape      # (64, 431) for 5 s
        lab.feature(clip, "mfcc:1-19").values.shape          # (19, 431)
    """
    channel = parse_channel(name)
    variant = resolve_feature(channel)
    values = variant.compute(clip)
    kept = channel.kept_rows(len(values))
    described = variant.feature
    return FeatureMap(
        name=str(channel),
        values=values[kept],
        rows=variant.row_axis(clip.sample_rate)[kept],
        row_unit=described.row_unit,
        seconds=variant.frame_axis(clip.sample_rate, len(clip.y)),
        units=described.units,
        frame_unit=described.frame_unit,
    )


def show(clip: Clip, features: str = "mel mfcc chroma") -> "NotebookFigure":
    """Features of a clip, one drawn below the other; `python -m pipeline show FILE` makes a PNG of them.

    lab.show(lab.read("dog.wav"), "mel modulation")
    """
    return draw_features(NotebookFigure(layout="constrained"), clip, features)


def extract(features: str, dataset: str = "esc50", data: Path = DATA, **options: object) -> Cache:
    """`make features`: the named features of every clip, into the cache; what is there already stays.

    `features` is a list separated by blanks, or `all` or `small`; `options` are those of
    `python -m pipeline features --help`. A warning names how many clips could not be done.

        lab.extract("mel mfcc", "synth", jobs=2).features
    """
    given = _options(FeaturesCommand, {"features": features, "dataset": dataset, "data": data, **options})
    failed = run_extraction(given)
    stored = open_cache(given)
    if failed:
        clips = {clip for clip, *_ in read_failures(stored.folder)}
        warnings.warn(
            f"{len(clips)} clips could not be done, {stored.folder / FAILURES} says why", stacklevel=2
        )
    return stored


def cache(dataset: str = "esc50", data: Path = DATA) -> Cache:
    """The feature cache of a dataset: `.clips`, `.features`, `.read(feature, clip_ids)` -> (B, rows, frames).

    stored = lab.cache("synth")
    stored.read("mel", stored.clips.clip_id[:8]).shape      # (8, 128, 431)
    """
    return open_cache(_options(DatasetOptions, {"dataset": dataset, "data": data}))


def train(**options: object) -> RunFolder:
    """`make train`: all folds of one feature set. A run that is finished is opened, not trained again.

    `options` are those of `python -m train run --help`, each with its default.

        run = lab.train(dataset="synth", features="mel+mfcc", model="cnn4", epochs=5, folds=(1, 2))
    """
    from train.options import RunOptions
    from train.run import execute

    return execute(_options(RunOptions, options))


def importance(features: str = "mel mfcc chroma", **options: object) -> dict[str, pd.DataFrame]:
    """`make importance`: what each feature is worth, alone and beside the others, from many small fits.

    `options` are those of `python -m train importance --help`. Tables: `features`, four numbers of each with
    interval and p; `classes`, the Shapley value by class; `pairs`, CKA and interaction of two (negative: they
    say the same); `sets`, the best of each size with its cost; `recordings`, the accuracy by how many are
    trained on.

        lab.importance("mel mfcc chroma", dataset="synth")["features"]
    """
    from analysis.importance import importance_tables
    from train.importance import measure_importance
    from train.options import ImportanceOptions

    return importance_tables(
        measure_importance(_options(ImportanceOptions, {"features": features, **options}))
    )


def own_run(name: str, **options: object) -> "OwnRun":
    """For a training loop of your own: a `train.own_loop.OwnRun`, the trainer's clips as torch datasets.

    `name` is your network's, `options` are those of `python -m train run --help`. `.clips(fold, side)` is a
    dataset for a DataLoader, whose `.augment` changes a batch as the trainer does; `.write` makes a run.

        own = lab.own_run("mine", dataset="synth", features="mel+mfcc")
        x, y = own.clips(1, "train")[0]    # (2, 64, 216), class number
    """
    from train.options import RunOptions
    from train.own_loop import OwnRun

    return OwnRun(name, _options(RunOptions, options))


def run(name: str = "last", folder: Path = RUNS) -> RunFolder:
    """A run in `folder` by its name, its path, a unique prefix, or `last`.

    `.config` is run.json as a dictionary; `.history(fold)` and `.predictions()` are pandas frames.

        lab.run("last").predictions().groupby("fold").size()
    """
    return run_folder.select_one(folder, name)


def predict(trained: RunFolder, files: Sequence[Path | str]) -> pd.DataFrame:
    """`make predict`: a row for each readable audio file, its class and the probability of each class.

    `trained` is a run of `lab.train` or `lab.run`; its folds' models answer together.

        lab.predict(run, ["dog.wav", "rain.flac"])
    """
    from train.bundle import bundle_of_run
    from train.predict import AudioModel, predict_files

    model = AudioModel(bundle_of_run(trained))
    return predict_files(model, {str(file): Path(file) for file in files}).reset_index(names="file")


def report(dataset: str, data: Path = DATA, runs: Path = RUNS, reports: Path = REPORTS) -> Built:
    """`make analysis`: the report of a dataset, from its runs and its cache. Nothing is trained.

    `.page` is the HTML file, `.headline` what was found; the tables are in `tables` beside the page.

        lab.report("synth").headline
    """
    from analysis.options import AnalysisOptions
    from analysis.report import build_report

    given = {"dataset": dataset, "data": data, "runs": runs, "reports": reports}
    options = _options(AnalysisOptions, given)
    (job,) = jobs(options)
    return unchanged(job, options) or build_report(job, options)


class NotebookFigure(Figure):
    """A matplotlib figure that a notebook shows by itself; `savefig` writes it."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        with drawing():
            FigureCanvasAgg(self).print_png(content)
        return content.getvalue()


def draw(name: str, **data: Any) -> NotebookFigure:
    """A figure of the report by its name, with what its drawing function takes.

    `list(lab.FIGURES)` are the names; `help(lab.FIGURES["confusion_matrix"].draw)` says what `data` holds.

        lab.draw("confusion_matrix", counts=counts, classes=["dog", "rain"])
    """
    entry = FIGURES[name]
    with drawing():
        shown = NotebookFigure(figsize=entry.size(**data), layout="constrained", dpi=DOTS_PER_INCH)
        entry.draw(shown.add_subplot(), **data)
    return shown


def curves(trained: RunFolder) -> NotebookFigure:
    """Learning curves of a run: accuracy and loss by epoch, the mean over the finished folds."""
    return draw("learning_curves", history={fold: trained.history(fold) for fold in trained.finished})


def confusion(trained: RunFolder) -> NotebookFigure:
    """Confusion matrix of a run's test predictions over the finished folds.

    lab.confusion(run).savefig("confusion.png")
    """
    read = _read(trained)
    counts = tables.confusion_counts(read)
    return draw("confusion_matrix", counts=counts, classes=read.classes, categories=read.categories)


def sample_predictions(trained: RunFolder, stored: Cache, seed: int = 0) -> NotebookFigure:
    """Clips that the run predicted right, wrong and with little confidence, with the feature map of the first
    channel. `stored` is the cache that it was trained from, `seed` draws the clips.

        lab.sample_predictions(run, lab.cache("synth"))
    """
    first = trained.config["channels"][0]["stored"]
    drawn = choose_samples(_read(trained), stored, first, np.random.default_rng(seed))
    return draw("sample_predictions", samples=drawn)


def _read(trained: RunFolder) -> Run:
    """The run as analysis reads it."""
    read = load_runs([trained])
    if not read.runs:
        raise RequestError("; ".join(problem.text for problem in read.problems))
    return read.runs[0]


def _options(kind: type[T], given: Mapping[str, Any]) -> T:
    """A command's options by keyword, paths also as text; RequestError for a keyword that it lacks."""
    known = fields(kind)
    for name in given:
        if name not in known:
            raise RequestError(nearest("keyword", name, known))
    paths = {
        name: Path(value)
        for name, value in given.items()
        if isinstance(value, str) and kind_of(known[name])[0] is Path
    }
    return kind(**{**given, **paths})
