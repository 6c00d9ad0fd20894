"""The functions of `import featurestack as fs`: what scripts and notebooks call.

A function with the name of a command is a few lines over what that command calls.
Folders are `data`, `runs` and `reports` below the current one unless given. A function
loads its libraries when it is called.
"""

import contextlib
import dataclasses
import functools
import inspect
import io
import itertools
import shlex
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from featurestack.analysis.command import with_predictions
from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline.commands import current_folder
from featurestack.commandline.errors import Error, RequestError, nearest
from featurestack.commandline.exit_status import failed_by
from featurestack.commandline.help import meanings
from featurestack.commandline.options import (
    DatasetOptions,
    Options,
    fields,
    kind_of,
    value_of,
    written,
)
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import silenced
from featurestack.commandline.words import function_of, named, options_of
from featurestack.pipeline.options import FeaturesCommand, ShowOptions, SourceOptions
from featurestack.train.options import RunOptions, TrainOptions

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import Audio

    from featurestack.analysis.figures.drawing import NotebookFigure
    from featurestack.analysis.figures.feature_maps import FeatureMap
    from featurestack.analysis.report_inputs import Built
    from featurestack.features_cache.cache import Cache
    from featurestack.pipeline.clip_spectra import Clip
    from featurestack.results.run_folder import RunFolder
    from featurestack.train.own_loop import OwnRun

RUNS = Path("runs")
RATE = 44_100  # samples a second, ESC-50's
DRAWN = "mel mfcc chroma"  # features in a clip's figure by default

T = TypeVar("T", bound=Options)
Result = TypeVar("Result")


def parameters(known: "Mapping[str, dataclasses.Field[Any]]") -> dict[str, Parameter]:
    """The keywords of a function that takes these options."""
    return {
        name: Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=field.type,
        )
        for name, field in known.items()
    }


def from_values(kind: type[T], values: Mapping[str, object]) -> T:
    """The options from Python values: texts are read as on the command line; items of a
    list stay whole, also with blanks.

    >>> from_values(DatasetOptions, {"dataset": "my sounds", "data": "d"}).dataset
    'my sounds'
    """
    known = fields(kind)
    given: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str) or not isinstance(value, Iterable):
            given[name] = written(value)
            continue
        words = [str(item) for item in value]
        item, several, _ = kind_of(known[name])
        if several:
            given[name] = tuple(value_of(name, word, item) for word in words)
        else:  # a list in a text, as a shell has it
            quoted = [shlex.quote(word) if " " in word else word for word in words]
            given[name] = " ".join(quoted)
    return kind.build(given)


def takes(
    kind: type[T], *first: str
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorator: each option of the class becomes a keyword, from which the function's
    `options` are made; those named in `first` may be given by position.
    """
    shown = fields(kind)
    known = parameters(shown)
    leading = [
        known[name].replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for name in first
    ]
    others = [parameter for name, parameter in known.items() if name not in first]

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        plain = inspect.signature(function)
        own = [
            parameter
            for name, parameter in plain.parameters.items()
            if name != "options"
        ]
        silent = Parameter(
            "quiet", Parameter.KEYWORD_ONLY, default=False, annotation=bool
        )
        signature = plain.replace(parameters=[*own, *leading, *others, silent])

        @functools.wraps(function)
        def call(*positional: object, **keywords: object) -> Result:
            current_folder()
            others = sorted(keywords.keys() - signature.parameters.keys())
            for name in others:
                raise RequestError(nearest("keyword", name, known))
            given = signature.bind(*positional, **keywords).arguments
            values = {name: given.pop(name) for name in known if name in given}
            options = from_values(kind, values)
            quiet = given.pop("quiet", False)
            try:
                with silenced() if quiet else contextlib.nullcontext():
                    return function(**given, options=options)
            except (Error, OSError, MemoryError, Warning):
                raise
            except Exception as error:
                raise failed_by(error) from error

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.options = kind  # type: ignore[attr-defined]
        meaning = meanings(shown)
        listed = [f"{name}: {text}" for name, text in meaning.items()]
        listed.append("quiet: print nothing; warnings stay")
        call.__doc__ = "\n".join([f"{inspect.getdoc(function)}{OPTIONS}", *listed])
        return call

    return decorate


OPTIONS = "\n\nOptions, each with its default and meaning:\n"


@takes(SourceOptions, "dataset", "data")
def clips(options: SourceOptions) -> "pd.DataFrame":
    """The dataset's table, one row per clip: clip_id, path, label, category, fold,
    group and the rest.

    `dataset` is what DATASET= takes: `synth` (made if it is not there yet), `esc50` and
    `esc10` (downloaded), a folder of audio files, a CSV. `data` is the folder of
    datasets.

        fs.clips("synth").groupby("label").size()
    """
    from featurestack.pipeline.datasets.load import load

    return load(options).table


def read(
    path: Path | str,
    sample_rate: int = RATE,
    seconds: float | None = None,
    channel: int = 0,
) -> "Clip":
    """An audio file, mono, resampled to `sample_rate` in Hz: `.y` (samples,) float32,
    `.sample_rate`.

    Without `seconds` the whole file is read; with it the clip is cut or padded with
    zeros to that duration. `channel` is counted from 1; 0 takes the mean of all.

        fs.read("dog.wav", seconds=5.0).y.shape    # (220500,)
    """
    from featurestack.pipeline import audio
    from featurestack.pipeline.clip_spectra import Clip

    if seconds is None:
        return Clip(audio.decode(path, sample_rate, channel=channel), sample_rate)
    samples = round(seconds * sample_rate)
    y = audio.load_clip(path, sample_rate, samples, channel=channel)
    return Clip(y, sample_rate)


def tone(
    hertz: float, seconds: float = 1.0, sample_rate: int = RATE, amplitude: float = 0.5
) -> "Clip":
    """A sine of `hertz` with its peak at `amplitude`.

    fs.compute(fs.tone(1000), "centroid").values.mean()    # about 1000
    """
    import numpy as np

    from featurestack.pipeline.clip_spectra import Clip

    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Clip(
        (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32), sample_rate
    )


def write(clip: "Clip", path: Path | str) -> None:
    """Write a clip as an audio file: .flac of 24 bits, .wav of float samples.

    fs.write(fs.tone(440), "tone.wav")
    """
    import soundfile

    subtype = "PCM_24" if Path(path).suffix.lower() == ".flac" else "FLOAT"
    soundfile.write(path, clip.y, clip.sample_rate, subtype=subtype)


def play(clip: "Clip") -> "Audio":
    """A player of the clip, for the last line of a notebook's cell: `fs.play(clip)`."""
    from IPython.display import Audio

    return Audio(clip.y, rate=clip.sample_rate, normalize=False)


def compute(clip: "Clip", name: str) -> "FeatureMap":
    """One feature of one clip: `.values` (rows, frames), `.rows` and `.seconds` of its
    axes, `.units`.

    `name` is one feature as in FEATURES=, with parameters and a range of rows if
    wanted.

        fs.compute(clip, "mel@n_mels=64").values.shape      # (64, 431) for 5 s
        fs.compute(clip, "mfcc:1-19").values.shape          # (19, 431)
    """
    from featurestack.analysis.figures.feature_maps import FeatureMap
    from featurestack.features_cache.names import parse_channel
    from featurestack.pipeline.features import resolve_feature

    channel = parse_channel(name)
    variant = resolve_feature(channel, clip.sample_rate)
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


def show(clip: "Clip", features: str = DRAWN) -> "NotebookFigure":
    """Features of a clip in one figure.

    `make show AUDIO=FILE` writes the same figure as a PNG.

        fs.show(fs.read("dog.wav"), "mel modulation")
    """
    from featurestack.features_cache.names import parse_list
    from featurestack.pipeline.features import FEATURES

    sets = parse_list(features, list(FEATURES.complete()))
    names = dict.fromkeys(map(str, itertools.chain(*sets)))
    return draw("gallery", features=[compute(clip, name) for name in names])


def show_command(options: ShowOptions) -> int:
    """The command `show`: a file's features go to show/<its name>.png in REPORTS."""
    if options.audio is None:
        from featurestack.pipeline import show_features

        return show_features.show(options)
    from featurestack.pipeline import audio
    from featurestack.storage.own_files import OwnFiles

    path = options.reports / "show" / f"{options.audio.stem}.png"
    own = OwnFiles(path.parent, ".show.json")
    own.require(path.name, "REPORTS")
    try:
        rate = options.sample_rate or audio.file_info(options.audio).sample_rate
        clip = read(options.audio, rate, channel=options.channel)
    except audio.AudioError as error:
        raise RequestError(f"{options.audio}: {error}") from None
    content = io.BytesIO()
    show(clip, options.features or DRAWN).savefig(content, format="png", dpi=150)
    own.write({path.name: content.getvalue()})
    print(path)
    return 0


@takes(FeaturesCommand, "features", "dataset", "data")
def extract(options: FeaturesCommand) -> "Cache":
    """`make features`: the named features of every clip, into the cache; what is there
    already stays.

    `features` is a list separated by blanks, or `all` or `small`. A warning says how
    many clips failed.

        fs.extract("mel mfcc", "synth", jobs=2).features
    """
    from featurestack.features_cache.cache import cache_of
    from featurestack.features_cache.side_files import FAILURES, read_failures
    from featurestack.pipeline.extract import extract_features

    failed = extract_features(options)
    stored = cache_of(options.dataset, options.data, options.name)
    if failed:
        lost = {clip for clip, *_ in read_failures(stored.folder)}
        warnings.warn(
            f"{counted(len(lost), 'clip')} failed, {stored.folder / FAILURES} says why",
            stacklevel=3,
        )
    return stored


@takes(DatasetOptions, "dataset", "data")
def cache(options: DatasetOptions) -> "Cache":
    """The feature cache of a dataset.

    It has `.clips`, `.features` and `.read(feature, clip_ids)` -> (B, rows, frames).

        stored = fs.cache("synth")
        stored.read("mel", stored.clips.clip_id[:8]).shape      # (8, 128, 431)
    """
    from featurestack.features_cache.cache import cache_of

    return cache_of(options.dataset, options.data, options.name)


@takes(TrainOptions)
def fit(options: TrainOptions) -> Any:
    """`make train`: one feature set, by default on all folds; lists of values train
    every combination. Returns the run, or the list of runs if there are several.

    A run that is finished is opened, not trained again.

        sounds = dict(dataset="synth", features="mel+mfcc")
        run = fs.fit(model="cnn4", epochs=5, folds=(1, 2), **sounds)
        runs = fs.fit(model="ridge", dataset="synth", features=["mel", "mel+mfcc"])
    """
    from featurestack.train import command

    return command.fit(options)


@takes(RunOptions)
def own_run(network: str, options: RunOptions) -> "OwnRun":
    """The trainer's clips as torch datasets, for a training loop of your own: a
    `featurestack.train.own_loop.OwnRun`.

    `network` is your network's name. `.clips(fold, side)` is a dataset for a
    DataLoader, whose `.augment` changes a batch as the trainer does. `.write` writes a
    fold's predictions into a run folder.

        own = fs.own_run("mine", dataset="synth", features="mel+mfcc")
        x, y = own.clips(1, "train")[0]    # (2, 64, 216), class number
    """
    from featurestack.train.own_loop import OwnRun

    return OwnRun(network, options)


def run(name: str = "last", folder: Path | str = RUNS) -> "RunFolder":
    """A run in `folder` by its name, its path, a unique prefix, or `last`.

    `.config` has the keys of run.json as attributes; `.history(fold)` and
    `.predictions()` are pandas frames.

        fs.run("last").predictions().groupby("fold").size()
    """
    from featurestack.results.selection import select_one

    return select_one(folder, name, predicting=False)


def predict_audio(trained: "RunFolder", files: Sequence[Path | str]) -> "pd.DataFrame":
    """`make predict`: a row for each readable audio file, its class and the probability
    of each class.

    `trained` is a run of `fs.fit` or `fs.run`; its folds' models answer together.

        fs.predict_audio(run, ["dog.wav", "rain.flac"])
    """
    from featurestack.predict.files import predict_files
    from featurestack.predict.model import Model

    for file in files:
        if not Path(file).is_file():
            raise RequestError(f"{file}: there is no such file")
    answers = predict_files(Model(trained), {str(file): Path(file) for file in files})
    return answers.reset_index(names="file")


@takes(AnalysisOptions, "dataset", "data", "runs", "reports")
def report(options: AnalysisOptions) -> "Built":
    """`make analysis`: the report of a dataset, from its runs and its cache. Nothing is
    trained.

    `.page` is the HTML file, `.headline` its finding in one sentence. The folder
    `tables` is beside the page.

        fs.report("synth").headline
    """
    from featurestack.analysis.report import build_report
    from featurestack.analysis.report_inputs import jobs

    options = with_predictions(options)
    datasets = jobs(options)
    if len(datasets) > 1:
        names = ", ".join(job.dataset for job in datasets)
        raise RequestError(f"a report is of one dataset, and these are {names}")
    (job,) = datasets
    return build_report(job, options)


def draw(name: str, **data: Any) -> "NotebookFigure":
    """A figure of the report by its name; `data` are the arguments of its drawing
    function.

    `list(fs.FIGURES)` are the names; `help(fs.FIGURES["confusion_matrix"].draw)` says
    what `data` holds.

        fs.draw("confusion_matrix", counts=counts, classes=["dog", "rain"])
    """
    from featurestack.analysis.figures.drawing import draw

    return draw(name, **data)


def curves(trained: "RunFolder") -> "NotebookFigure":
    """Learning curves of a run: accuracy and loss by epoch, means over folds."""
    return draw(
        "learning_curves",
        history={fold: trained.history(fold) for fold in trained.finished},
    )


def confusion(trained: "RunFolder") -> "NotebookFigure":
    """Confusion matrix of a run's test predictions, of all finished folds.

    fs.confusion(run).savefig("confusion.png")
    """
    from featurestack.analysis.runs import load_runs
    from featurestack.analysis.tables import confusion_counts

    read = load_runs([trained])
    if not read.runs:
        raise RequestError("; ".join(problem.text for problem in read.problems))
    (run,) = read.runs
    return draw(
        "confusion_matrix",
        counts=confusion_counts(run),
        classes=run.classes,
        categories=run.categories,
    )


def of_command(word: str) -> Callable[..., bool]:
    """A command as a function: options are keywords; True if everything worked."""
    command = named(word)
    kind = options_of(command)
    first = [name for name in ("run", "dataset") if name in fields(kind)][:1]

    def run(options: Options) -> bool:
        return not function_of(command)(options)

    run.__name__ = run.__qualname__ = word
    run.__doc__ = command.meaning
    return takes(kind, *first)(run)


bundle = of_command("bundle")
export = of_command("export")
verify = of_command("verify")
check = of_command("check")
