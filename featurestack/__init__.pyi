# Written by `python -m docs.stub`; a test compares it with the code.
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from IPython.display import Audio
from numpy.typing import ArrayLike

from featurestack.analysis.figures.drawing import NotebookFigure as NotebookFigure
from featurestack.analysis.figures.feature_maps import FeatureMap as FeatureMap
from featurestack.analysis.report_inputs import Built as Built
from featurestack.analysis.runs import Run as Run
from featurestack.commandline.errors import Error as Error
from featurestack.commandline.errors import Failed as Failed
from featurestack.commandline.errors import RequestError as RequestError
from featurestack.features_cache import Cache as Cache
from featurestack.pipeline.clip_spectra import Clip as Clip
from featurestack.pipeline.copies import alter as alter
from featurestack.pipeline.features.registry import feature as feature
from featurestack.predict.service import Model as Model
from featurestack.results.run_folder import RunFolder as RunFolder
from featurestack.rooms.answer.answer import Answer as Answer
from featurestack.rooms.predictions.compare import Comparison as Comparison
from featurestack.train.models.registry import model as model
from featurestack.train.own_loop import OwnRun as OwnRun

RATE: int
__version__: str
__all__: list[str]

def clips(
    dataset: str = 'esc50',
    data: str | Path = 'data',
    *,
    runs: str | Path = 'runs',
    name: str = '',
    archive: str = '',
    audio_dir: str = '',
    labels: str = '',
    group: str = '',
    label: str = '',
    folds_by: Literal['dataset', 'group'] | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> pd.DataFrame:
    """The dataset's table, one row per clip: clip_id, path, label, category, fold,
    group and the rest.

    `dataset` is what DATASET= takes: `synth` (made if it is not there yet), `esc50`
        and
    `esc10` (downloaded), a folder of audio files, a CSV. `data` is the folder of
    datasets.

        fs.clips("synth").groupby("label").size()

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    archive: zip file that is already there, instead of a download
    audio_dir: folder of the audio files, if the table is elsewhere
    labels: separator of labels in a cell of the table, in addition to ; and lists
    group: source recording of a clip: a column of the table, or a pattern with one
        (group) for file names
    label: class of a clip: a column of the table, or a pattern with one (class) for
        file names, if folders are sites or dates; by default as in an earlier
        command
    folds_by: group: one fold for each group, as for speakers or sites; dataset: its
        own folds, or drawn ones; by default as in an earlier command
    sample_rate: sample rate in Hz; by default the cache's, else the commonest
    duration: seconds of a clip; by default the cache's, else 5 in ESC-50's layout,
        else the longest clip's (at most 30), or the shortest that holds 95 % of the
        clips if over a tenth would be padding
    channel: channel of files that have several: 1 for the first, 0 for the mean of
        all; by default the cache's, else the mean
    seed: [0] seed of drawn folds and altered copies
    quiet: print nothing; warnings stay
    """

def read(
    path: str | Path,
    sample_rate: int = 44100,
    seconds: float | None = None,
    channel: int = 0,
) -> Clip:
    """An audio file, mono, resampled to `sample_rate` in Hz: `.y` (samples,) float32,
    `.sample_rate`.

    Without `seconds` the whole file is read; with it the clip is cut or padded with
    zeros to that duration. `channel` is counted from 1; 0 takes the mean of all.

        fs.read("dog.wav", seconds=5.0).y.shape    # (220500,)
    """

def tone(
    hertz: float,
    seconds: float = 1.0,
    sample_rate: int = 44100,
    amplitude: float = 0.5,
) -> Clip:
    """A sine of `hertz` with its peak at `amplitude`.

    fs.compute(fs.tone(1000), "centroid").values.mean()    # about 1000
    """

def write(
    clip: Clip,
    path: str | Path,
) -> None:
    """Write a clip as an audio file: .flac of 24 bits, .wav of float samples.

    fs.write(fs.tone(440), "tone.wav")
    """

def play(
    clip: Clip,
) -> Audio:
    """A player of the clip, for the last line of a notebook's cell: `fs.play(clip)`.
    """

def compute(
    clip: Clip,
    name: str,
) -> FeatureMap:
    """One feature of one clip: `.values` (rows, frames), `.rows` and `.seconds` of its
    axes, `.units`.

    `name` is one feature as in FEATURES=, with parameters and a range of rows if
    wanted.

        fs.compute(clip, "mel@n_mels=64").values.shape      # (64, 431) for 5 s
        fs.compute(clip, "mfcc:1-19").values.shape          # (19, 431)
    """

def show(
    clip: Clip,
    features: str = 'mel mfcc chroma',
) -> NotebookFigure:
    """Features of a clip, one drawn below the other.

    `make show AUDIO=FILE` writes the same figure as a PNG.

        fs.show(fs.read("dog.wav"), "mel modulation")
    """

def extract(
    features: str = 'all',
    dataset: str = 'esc50',
    data: str | Path = 'data',
    *,
    runs: str | Path = 'runs',
    name: str = '',
    archive: str = '',
    audio_dir: str = '',
    labels: str = '',
    group: str = '',
    label: str = '',
    folds_by: Literal['dataset', 'group'] | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    frame: float | None = None,
    jobs: int | None = None,
    part: str = '1/1',
    dtype: Literal['float16', 'float32'] = 'float16',
    copies: int | None = None,
    alter: str = 'pitch,stretch,noise,gain,shift',
    quiet: bool = False,
    backend: Literal['processes', 'dask'] = 'processes',
    scheduler: str = '',
) -> Cache:
    """`make features`: the named features of every clip, into the cache; what is there
    already stays.

    `features` is a list separated by blanks, or `all` or `small`. A warning says
        how
    many clips could not be done.

        fs.extract("mel mfcc", "synth", jobs=2).features

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    archive: zip file that is already there, instead of a download
    audio_dir: folder of the audio files, if the table is elsewhere
    labels: separator of labels in a cell of the table, in addition to ; and lists
    group: source recording of a clip: a column of the table, or a pattern with one
        (group) for file names
    label: class of a clip: a column of the table, or a pattern with one (class) for
        file names, if folders are sites or dates; by default as in an earlier
        command
    folds_by: group: one fold for each group, as for speakers or sites; dataset: its
        own folds, or drawn ones; by default as in an earlier command
    sample_rate: sample rate in Hz; by default the cache's, else the commonest
    duration: seconds of a clip; by default the cache's, else 5 in ESC-50's layout,
        else the longest clip's (at most 30), or the shortest that holds 95 % of the
        clips if over a tenth would be padding
    channel: channel of files that have several: 1 for the first, 0 for the mean of
        all; by default the cache's, else the mean
    seed: [0] seed of drawn folds and altered copies
    features: [all] feature sets separated by blanks; all, small
    frame: milliseconds of a frame, for all features whose names do not state n_fft
        or hop_length; by default librosa's 2048 samples
    jobs: number of processes; by default one per core
    part: [1/1] part of the clips to extract: 3/16 is the third sixteenth
    dtype: [float16] type of the stored values
    copies: altered copies of each clip; 0 removes them; by default as many as there
        are
    alter: [pitch,stretch,noise,gain,shift] alterations of the copies, taken in turn
    quiet: print nothing; warnings stay
    """

def cache(
    dataset: str = 'esc50',
    data: str | Path = 'data',
    *,
    name: str = '',
    quiet: bool = False,
) -> Cache:
    """The feature cache of a dataset.

    It has `.clips`, `.features` and `.read(feature, clip_ids)` -> (B, rows,
        frames).

        stored = fs.cache("synth")
        stored.read("mel", stored.clips.clip_id[:8]).shape      # (8, 128, 431)

    Options, each with its default and meaning:

    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    quiet: print nothing; warnings stay
    """

def fit(
    *,
    runs: str | Path = 'runs',
    data: str | Path = 'data',
    dataset: str = 'esc50',
    name: str = '',
    features: str = 'mel+mfcc+chroma',
    model: str = 'resnet18',
    task: str = 'auto',
    seed: int = 0,
    epochs: int = 0,
    batch: int = 32,
    grid: str = 'auto',
    padding: Literal['auto', 'keep', 'drop'] = 'auto',
    norm: Literal['auto', 'feature', 'row', 'none'] = 'auto',
    augment: str = 'auto',
    smoothing: float = 0.1,
    copies: int = 0,
    balance: Literal['none', 'loss'] = 'none',
    optimizer: Literal['adamw', 'sgd'] = 'adamw',
    lr: float | None = None,
    decay: float | None = None,
    schedule: Literal['onecycle', 'cosine', 'step', 'plateau', 'constant'] = 'onecycle',
    warmup: float = 0.0,
    clip: float = 0.0,
    background_audio: str = '',
    val: Literal['none', 'next', 'group'] = 'none',
    select: Literal['val_loss', 'val_accuracy', 'val_map', 'val_f1'] = 'val_loss',
    patience: int = 0,
    tta: int = 1,
    weights: str = 'auto',
    weights_lr: float = 0.2,
    device: str = 'auto',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto',
    threads: str = 'auto',
    folds: int | Sequence[int] = (),
    curve: int = 20,
    retrain: bool = False,
    tag: str = '',
    note: str = '',
    quiet: bool = False,
    tracker: str = '',
) -> RunFolder:
    """`make train`: one feature set, by default on all folds.

    A run that is finished is opened, not trained again.

        sounds = dict(dataset="synth", features="mel+mfcc")
        run = fs.fit(model="cnn4", epochs=5, folds=(1, 2), **sounds)

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    features: [mel+mfcc+chroma] one feature set: names joined by +, each a channel;
        name@key=value is a variant, name:a-b some rows
    model: [resnet18] the network or linear model, see `models`;
        name@key=value,key=value sets its own options; the default is mlp if every
        channel is a vector, such as an embedding
    task: [auto] labels to predict: classes, their categories, tags (several labels
        per clip, or none); auto is tags if the table has such clips, else classes
    seed: [0] seed of weights, order and augmentation; another seed is another run
        of the same configuration
    epochs: [0] epochs of training; by default 40, and 10 with WEIGHTS; PATIENCE may
        end it earlier
    batch: [32] clips in one training step; batch norm needs two
    grid: [auto] rows x frames to which every channel is resized; auto is 64x216,
        and 128x156 with WEIGHTS; native is the size of the largest channel
    padding: [auto] frames of zeros after the end of short clips: drop resizes each
        clip's own frames to the grid, keep leaves them in; auto drops them for
        convolutional networks if they are more than a fifth of the time
    norm: [auto] standardisation by feature, by row of a feature, or none; auto is
        row, and feature with WEIGHTS
    augment: [auto] random changes of each batch, name=strength; auto is shift,gain,
        for a waveform shift,gain,polarity,mixup=0.4, for texturenet alone none;
        none for no change
    smoothing: [0.1] label smoothing: the share of each target that is divided
        evenly among all classes
    copies: [0] cached altered copies of each clip to train on, besides the clip
        itself
    balance: [none] weight of rare classes: loss counts them more
    optimizer: [adamw] adamw, or sgd with Nesterov momentum 0.9; weight decay spares
        norms and biases in both
    lr: highest learning rate; 0.002 for adamw, 0.05 for sgd by default
    decay: weight decay; 0.05 for adamw, 0.0005 for sgd by default
    schedule: [onecycle] learning-rate schedule, step by step; plateau divides the
        rate by ten if SELECT stops improving, and needs VAL
    warmup: [0] epochs of linear warm-up before cosine, step, plateau or constant;
        onecycle has its own
    clip: [0] largest norm of a step's gradient; 0 for no limit
    background_audio: folder of unannotated recordings of another place, whose
        cached pieces are mixed under annotated events; make events cuts them
    val: [none] validation clips for model selection: the next fold, or 15 % of the
        training groups
    select: [val_loss] validation score that picks the best epoch
    patience: [0] epochs without a better SELECT after which training ends, 0 for no
        early stopping; plateau lowers the rate after a third of them
    tta: [1] views of a clip averaged in testing: circular shifts, or crops if
        AUGMENT crops
    weights: [auto] weights to start from: none, imagenet (the model's file in
        models/, else the published one, which is downloaded), or a file, which may
        hold a part of the layers; auto is imagenet for ResNets and DenseNet, and
        none for others or if it cannot be downloaded
    weights_lr: [0.2] share of LR for the layers that WEIGHTS filled
    device: [auto] cpu, cuda or mps; several devices, `cuda:0 cuda:1`, share the
        folds
    precision: [auto] number format of the network's arithmetic; auto is bf16 if the
        processor has instructions for it
    threads: [auto] threads of the network's arithmetic on a CPU; auto is every core
        for images
    folds: test folds to train, all by default; later calls may add others
    curve: [20] how often the test fold is scored for the learning curve, less often
        if that would cost more than a tenth of the training; no choice uses these
        scores; 0 scores at the end only
    retrain: train a run of other clips or feature values again in its place; the
        old one stays until the new one is finished
    tag: suffix of the folder's name, for runs that would share it
    note: sentence for run.json, the tracker and the report
    quiet: print nothing; warnings stay
    """

def own_run(
    network: str,
    *,
    runs: str | Path = 'runs',
    data: str | Path = 'data',
    dataset: str = 'esc50',
    name: str = '',
    features: str = 'mel+mfcc+chroma',
    model: str = 'resnet18',
    task: str = 'auto',
    seed: int = 0,
    epochs: int = 0,
    batch: int = 32,
    grid: str = 'auto',
    padding: Literal['auto', 'keep', 'drop'] = 'auto',
    norm: Literal['auto', 'feature', 'row', 'none'] = 'auto',
    augment: str = 'auto',
    smoothing: float = 0.1,
    copies: int = 0,
    balance: Literal['none', 'loss'] = 'none',
    optimizer: Literal['adamw', 'sgd'] = 'adamw',
    lr: float | None = None,
    decay: float | None = None,
    schedule: Literal['onecycle', 'cosine', 'step', 'plateau', 'constant'] = 'onecycle',
    warmup: float = 0.0,
    clip: float = 0.0,
    background_audio: str = '',
    val: Literal['none', 'next', 'group'] = 'none',
    select: Literal['val_loss', 'val_accuracy', 'val_map', 'val_f1'] = 'val_loss',
    patience: int = 0,
    tta: int = 1,
    weights: str = 'auto',
    weights_lr: float = 0.2,
    device: str = 'auto',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto',
    threads: str = 'auto',
    folds: int | Sequence[int] = (),
    curve: int = 20,
    retrain: bool = False,
    tag: str = '',
    note: str = '',
    quiet: bool = False,
    tracker: str = '',
) -> OwnRun:
    """The trainer's clips as torch datasets, for a training loop of your own: a
    `featurestack.train.own_loop.OwnRun`.

    `network` is your network's name. `.clips(fold, side)` is a dataset for a
    DataLoader, whose `.augment` changes a batch as the trainer does. `.write`
        writes a
    fold's predictions into a run folder.

        own = fs.own_run("mine", dataset="synth", features="mel+mfcc")
        x, y = own.clips(1, "train")[0]    # (2, 64, 216), class number

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    features: [mel+mfcc+chroma] one feature set: names joined by +, each a channel;
        name@key=value is a variant, name:a-b some rows
    model: [resnet18] the network or linear model, see `models`;
        name@key=value,key=value sets its own options; the default is mlp if every
        channel is a vector, such as an embedding
    task: [auto] labels to predict: classes, their categories, tags (several labels
        per clip, or none); auto is tags if the table has such clips, else classes
    seed: [0] seed of weights, order and augmentation; another seed is another run
        of the same configuration
    epochs: [0] epochs of training; by default 40, and 10 with WEIGHTS; PATIENCE may
        end it earlier
    batch: [32] clips in one training step; batch norm needs two
    grid: [auto] rows x frames to which every channel is resized; auto is 64x216,
        and 128x156 with WEIGHTS; native is the size of the largest channel
    padding: [auto] frames of zeros after the end of short clips: drop resizes each
        clip's own frames to the grid, keep leaves them in; auto drops them for
        convolutional networks if they are more than a fifth of the time
    norm: [auto] standardisation by feature, by row of a feature, or none; auto is
        row, and feature with WEIGHTS
    augment: [auto] random changes of each batch, name=strength; auto is shift,gain,
        for a waveform shift,gain,polarity,mixup=0.4, for texturenet alone none;
        none for no change
    smoothing: [0.1] label smoothing: the share of each target that is divided
        evenly among all classes
    copies: [0] cached altered copies of each clip to train on, besides the clip
        itself
    balance: [none] weight of rare classes: loss counts them more
    optimizer: [adamw] adamw, or sgd with Nesterov momentum 0.9; weight decay spares
        norms and biases in both
    lr: highest learning rate; 0.002 for adamw, 0.05 for sgd by default
    decay: weight decay; 0.05 for adamw, 0.0005 for sgd by default
    schedule: [onecycle] learning-rate schedule, step by step; plateau divides the
        rate by ten if SELECT stops improving, and needs VAL
    warmup: [0] epochs of linear warm-up before cosine, step, plateau or constant;
        onecycle has its own
    clip: [0] largest norm of a step's gradient; 0 for no limit
    background_audio: folder of unannotated recordings of another place, whose
        cached pieces are mixed under annotated events; make events cuts them
    val: [none] validation clips for model selection: the next fold, or 15 % of the
        training groups
    select: [val_loss] validation score that picks the best epoch
    patience: [0] epochs without a better SELECT after which training ends, 0 for no
        early stopping; plateau lowers the rate after a third of them
    tta: [1] views of a clip averaged in testing: circular shifts, or crops if
        AUGMENT crops
    weights: [auto] weights to start from: none, imagenet (the model's file in
        models/, else the published one, which is downloaded), or a file, which may
        hold a part of the layers; auto is imagenet for ResNets and DenseNet, and
        none for others or if it cannot be downloaded
    weights_lr: [0.2] share of LR for the layers that WEIGHTS filled
    device: [auto] cpu, cuda or mps; several devices, `cuda:0 cuda:1`, share the
        folds
    precision: [auto] number format of the network's arithmetic; auto is bf16 if the
        processor has instructions for it
    threads: [auto] threads of the network's arithmetic on a CPU; auto is every core
        for images
    folds: test folds to train, all by default; later calls may add others
    curve: [20] how often the test fold is scored for the learning curve, less often
        if that would cost more than a tenth of the training; no choice uses these
        scores; 0 scores at the end only
    retrain: train a run of other clips or feature values again in its place; the
        old one stays until the new one is finished
    tag: suffix of the folder's name, for runs that would share it
    note: sentence for run.json, the tracker and the report
    quiet: print nothing; warnings stay
    """

def run(
    name: str = 'last',
    folder: str | Path = 'runs',
) -> RunFolder:
    """A run in `folder` by its name, its path, a unique prefix, or `last`.

    `.config` has the keys of run.json as attributes; `.history(fold)` and
    `.predictions()` are pandas frames.

        fs.run("last").predictions().groupby("fold").size()
    """

def predict_audio(
    trained: RunFolder,
    files: Sequence,
) -> pd.DataFrame:
    """`make predict`: a row for each readable audio file, its class and the
        probability
    of each class.

    `trained` is a run of `fs.fit` or `fs.run`; its folds' models answer together.

        fs.predict_audio(run, ["dog.wav", "rain.flac"])
    """

def report(
    dataset: str = '',
    data: str | Path = 'data',
    runs: str | Path = 'runs',
    reports: str | Path = 'reports',
    *,
    name: str = '',
    run: str | Sequence[str] = (),
    ensemble: str | Sequence[str] = (),
    figures: int = 3,
    audio_mb: float = 1,
    overwrite: bool = False,
    quiet: bool = False,
    predictions: str | Path | Sequence[str | Path] = (),
    paper: bool = False,
) -> Built:
    """`make analysis`: the report of a dataset, from its runs and its cache. Nothing
        is
    trained.

    `.page` is the HTML file, `.headline` its finding in one sentence. The folder
    `tables` is beside the page.

        fs.report("synth").headline

    Options, each with its default and meaning:

    reports: [reports] folder of reports
    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: the dataset to report on, or several separated by blanks; without it,
        every dataset that has runs or a cache
    name: another name for the dataset's folders
    run: only these runs, in a report of their own: each a name, a path, a unique
        prefix or last
    ensemble: write the ensemble of these runs, the mean of their probabilities, as
        a run of its own, then report
    figures: [3] show the settings, figures and classes of this many runs, the best
        first; the page's tables have all
    audio_mb: [1] most MB of clips' audio in the page; other clips are linked
    overwrite: make the report and its figures anew, even if nothing changed
    quiet: print nothing; warnings stay
    """

def draw(
    name: str,
    **data: Any,
) -> NotebookFigure:
    """A figure of the report by its name; `data` are the arguments of its drawing
    function.

    `list(fs.FIGURES)` are the names; `help(fs.FIGURES["confusion_matrix"].draw)`
        says
    what `data` holds.

        fs.draw("confusion_matrix", counts=counts, classes=["dog", "rain"])
    """

def curves(
    trained: RunFolder,
) -> NotebookFigure:
    """Learning curves of a run: accuracy and loss by epoch, means over folds.
    """

def confusion(
    trained: RunFolder,
) -> NotebookFigure:
    """Confusion matrix of a run's test predictions, of all finished folds.

    fs.confusion(run).savefig("confusion.png")
    """

def sample_predictions(
    trained: RunFolder,
    stored: Cache,
    seed: int = 0,
) -> NotebookFigure:
    """Clips that the run predicted right, wrong and with little confidence, with the
    feature map of the first channel. `stored` is the cache that it was trained
        from,
    `seed` draws the clips.

        fs.sample_predictions(run, fs.cache("synth"))
    """

def sweep(
    dataset: str = 'esc50',
    *,
    runs: str | Path = 'runs',
    data: str | Path = 'data',
    name: str = '',
    features: str | Sequence[str] = 'mel+mfcc+chroma',
    model: str | Sequence[str] = 'resnet18',
    task: str | Sequence[str] = 'auto',
    seed: int | Sequence[int] = 0,
    epochs: int | Sequence[int] = 0,
    batch: int | Sequence[int] = 32,
    grid: str | Sequence[str] = 'auto',
    padding: Literal['auto', 'keep', 'drop'] | Sequence[Literal['auto', 'keep', 'drop']] = 'auto',
    norm: Literal['auto', 'feature', 'row', 'none'] | Sequence[Literal['auto', 'feature', 'row', 'none']] = 'auto',
    augment: str | Sequence[str] = 'auto',
    smoothing: float | Sequence[float] = 0.1,
    copies: int | Sequence[int] = 0,
    balance: Literal['none', 'loss'] | Sequence[Literal['none', 'loss']] = 'none',
    optimizer: Literal['adamw', 'sgd'] | Sequence[Literal['adamw', 'sgd']] = 'adamw',
    lr: float | None | Sequence[float | None] = None,
    decay: float | None | Sequence[float | None] = None,
    schedule: Literal['onecycle', 'cosine', 'step', 'plateau', 'constant'] | Sequence[Literal['onecycle', 'cosine', 'step', 'plateau', 'constant']] = 'onecycle',
    warmup: float | Sequence[float] = 0.0,
    clip: float | Sequence[float] = 0.0,
    background_audio: str | Sequence[str] = '',
    val: Literal['none', 'next', 'group'] | Sequence[Literal['none', 'next', 'group']] = 'none',
    select: Literal['val_loss', 'val_accuracy', 'val_map', 'val_f1'] | Sequence[Literal['val_loss', 'val_accuracy', 'val_map', 'val_f1']] = 'val_loss',
    patience: int | Sequence[int] = 0,
    tta: int | Sequence[int] = 1,
    weights: str | Sequence[str] = 'auto',
    weights_lr: float | Sequence[float] = 0.2,
    device: str | Sequence[str] = 'auto',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] | Sequence[Literal['auto', 'fp32', 'bf16', 'fp16']] = 'auto',
    threads: str | Sequence[str] = 'auto',
    folds: int | Sequence[int] = (),
    curve: int = 20,
    retrain: bool = False,
    tag: str = '',
    note: str = '',
    tracker: str = '',
    yes: bool = False,
    quiet: bool = False,
) -> bool:
    """Train every combination of feature sets, models and other options; skip finished
        runs.

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    features: [mel+mfcc+chroma] one feature set: names joined by +, each a channel;
        name@key=value is a variant, name:a-b some rows
    model: [resnet18] the network or linear model, see `models`;
        name@key=value,key=value sets its own options; the default is mlp if every
        channel is a vector, such as an embedding
    task: [auto] labels to predict: classes, their categories, tags (several labels
        per clip, or none); auto is tags if the table has such clips, else classes
    seed: [0] seed of weights, order and augmentation; another seed is another run
        of the same configuration
    epochs: [0] epochs of training; by default 40, and 10 with WEIGHTS; PATIENCE may
        end it earlier
    batch: [32] clips in one training step; batch norm needs two
    grid: [auto] rows x frames to which every channel is resized; auto is 64x216,
        and 128x156 with WEIGHTS; native is the size of the largest channel
    padding: [auto] frames of zeros after the end of short clips: drop resizes each
        clip's own frames to the grid, keep leaves them in; auto drops them for
        convolutional networks if they are more than a fifth of the time
    norm: [auto] standardisation by feature, by row of a feature, or none; auto is
        row, and feature with WEIGHTS
    augment: [auto] random changes of each batch, name=strength; auto is shift,gain,
        for a waveform shift,gain,polarity,mixup=0.4, for texturenet alone none;
        none for no change
    smoothing: [0.1] label smoothing: the share of each target that is divided
        evenly among all classes
    copies: [0] cached altered copies of each clip to train on, besides the clip
        itself
    balance: [none] weight of rare classes: loss counts them more
    optimizer: [adamw] adamw, or sgd with Nesterov momentum 0.9; weight decay spares
        norms and biases in both
    lr: highest learning rate; 0.002 for adamw, 0.05 for sgd by default
    decay: weight decay; 0.05 for adamw, 0.0005 for sgd by default
    schedule: [onecycle] learning-rate schedule, step by step; plateau divides the
        rate by ten if SELECT stops improving, and needs VAL
    warmup: [0] epochs of linear warm-up before cosine, step, plateau or constant;
        onecycle has its own
    clip: [0] largest norm of a step's gradient; 0 for no limit
    background_audio: folder of unannotated recordings of another place, whose
        cached pieces are mixed under annotated events; make events cuts them
    val: [none] validation clips for model selection: the next fold, or 15 % of the
        training groups
    select: [val_loss] validation score that picks the best epoch
    patience: [0] epochs without a better SELECT after which training ends, 0 for no
        early stopping; plateau lowers the rate after a third of them
    tta: [1] views of a clip averaged in testing: circular shifts, or crops if
        AUGMENT crops
    weights: [auto] weights to start from: none, imagenet (the model's file in
        models/, else the published one, which is downloaded), or a file, which may
        hold a part of the layers; auto is imagenet for ResNets and DenseNet, and
        none for others or if it cannot be downloaded
    weights_lr: [0.2] share of LR for the layers that WEIGHTS filled
    device: [auto] cpu, cuda or mps; several devices, `cuda:0 cuda:1`, share the
        folds
    precision: [auto] number format of the network's arithmetic; auto is bf16 if the
        processor has instructions for it
    threads: [auto] threads of the network's arithmetic on a CPU; auto is every core
        for images
    folds: test folds to train, all by default; later calls may add others
    curve: [20] how often the test fold is scored for the learning curve, less often
        if that would cost more than a tenth of the training; no choice uses these
        scores; 0 scores at the end only
    retrain: train a run of other clips or feature values again in its place; the
        old one stays until the new one is finished
    tag: suffix of the folder's name, for runs that would share it
    note: sentence for run.json, the tracker and the report
    tracker: tensorboard or wandb, besides the CSV files
    yes: start more than 100 runs without asking
    quiet: print nothing; warnings stay
    """

def bundle(
    run: str = 'last',
    *,
    data: str | Path = 'data',
    runs: str | Path = 'runs',
    refit: bool = False,
    out: str | Path | None = None,
    quiet: bool = False,
) -> bool:
    """Write one file with the weights and configuration that prediction needs.

    Options, each with its default and meaning:

    data: [data] folder of datasets and their feature caches
    runs: [runs] folder of run folders
    run: [last] a run's name, path or unique prefix, or last
    refit: train one model on the clips of all folds instead of packing each fold's:
        a fifth of the work for five folds, and no score of its own
    out: file to write; by default <run>.bundle.pt
    quiet: print nothing; warnings stay
    """

def verify(
    run: str = '',
    *,
    data: str | Path = 'data',
    dataset: str = '',
    name: str = '',
    features: str = 'all',
    recompute: int = 0,
    seed: int = 0,
    runs: str | Path = 'runs',
    device: str = 'cpu',
    threads: str = 'auto',
    quiet: bool = False,
) -> bool:
    """Check a cache for damage; RUN= compares a run's predictions with its weights.

    Options, each with its default and meaning:

    data: [data] folder of datasets and their feature caches
    dataset: dataset whose cache is verified, esc50 by default; with RUN, the cache
        folder if it is not the one of the run's dataset in DATA
    name: another name for the dataset's folders
    features: [all] feature sets separated by blanks; all: those in the cache
    recompute: [0] also recompute this many random clips by plain librosa and
        compare
    seed: [0] seed of the drawn clips
    runs: [runs] folder of run folders
    run: a run's name, path or unique prefix, or last; by default the cache alone
    device: [cpu] cpu, cuda, mps, or auto for the best available
    threads: [auto] threads of the network's arithmetic on a CPU
    quiet: print nothing; warnings stay
    """

def check(
    dataset: str = 'esc50',
    *,
    runs: str | Path = 'runs',
    data: str | Path = 'data',
    name: str = '',
    archive: str = '',
    audio_dir: str = '',
    labels: str = '',
    group: str = '',
    label: str = '',
    folds_by: Literal['dataset', 'group'] | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> bool:
    """Find faults of a dataset: leaks, silent or clipped clips, artefacts.

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    archive: zip file that is already there, instead of a download
    audio_dir: folder of the audio files, if the table is elsewhere
    labels: separator of labels in a cell of the table, in addition to ; and lists
    group: source recording of a clip: a column of the table, or a pattern with one
        (group) for file names
    label: class of a clip: a column of the table, or a pattern with one (class) for
        file names, if folders are sites or dates; by default as in an earlier
        command
    folds_by: group: one fold for each group, as for speakers or sites; dataset: its
        own folds, or drawn ones; by default as in an earlier command
    sample_rate: sample rate in Hz; by default the cache's, else the commonest
    duration: seconds of a clip; by default the cache's, else 5 in ESC-50's layout,
        else the longest clip's (at most 30), or the shortest that holds 95 % of the
        clips if over a tenth would be padding
    channel: channel of files that have several: 1 for the first, 0 for the mean of
        all; by default the cache's, else the mean
    seed: [0] seed of drawn folds and altered copies
    quiet: print nothing; warnings stay
    """

def answer(
    dataset: str = '',
    data: str | Path = 'data',
    *,
    reports: str | Path = 'reports',
    runs: str | Path = 'runs',
    name: str = '',
    archive: str = '',
    audio_dir: str = '',
    labels: str = '',
    group: str = '',
    label: str = '',
    folds_by: Literal['dataset', 'group'] | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    features: str = 'all',
    frame: float | None = None,
    jobs: int | None = None,
    task: str = 'auto',
    retrain: bool = False,
    quiet: bool = False,
) -> Answer:
    """`make answer`: from a folder of sounds to the report. Everything that is
        finished
    is kept: a repeated call goes on.

    `.score` is that of the procedure: each fold tested by the set in `.chosen`,
        which
    was chosen without this fold. `.recommended` is the set for later use and `.run`
        its
    run, `.alone` each feature's own score, `.page` the HTML file, `.headline` its
    finding in one sentence.

        found = fs.answer("my sounds")
        found.score.mean, found.recommended

    Options, each with its default and meaning:

    reports: [reports] folder of reports
    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: a folder of sounds, a table, or a cache folder
    name: another name for the dataset's folders
    archive: zip file that is already there, instead of a download
    audio_dir: folder of the audio files, if the table is elsewhere
    labels: separator of labels in a cell of the table, in addition to ; and lists
    group: source recording of a clip: a column of the table, or a pattern with one
        (group) for file names
    label: class of a clip: a column of the table, or a pattern with one (class) for
        file names, if folders are sites or dates; by default as in an earlier
        command
    folds_by: group: one fold for each group, as for speakers or sites; dataset: its
        own folds, or drawn ones; by default as in an earlier command
    sample_rate: sample rate in Hz; by default the cache's, else the commonest
    duration: seconds of a clip; by default the cache's, else 5 in ESC-50's layout,
        else the longest clip's (at most 30), or the shortest that holds 95 % of the
        clips if over a tenth would be padding
    channel: channel of files that have several: 1 for the first, 0 for the mean of
        all; by default the cache's, else the mean
    seed: [0] seed of drawn folds and altered copies
    features: [all] feature sets separated by blanks; all, small
    frame: milliseconds of a frame, for all features whose names do not state n_fft
        or hop_length; by default librosa's 2048 samples
    jobs: number of processes; by default one per core
    task: [auto] labels to predict: classes, categories or tags; auto: by the labels
    retrain: train the runs of other clips or folds again in their place
    quiet: print nothing; warnings stay
    """

def events(
    audio: str | Path,
    tables: str | Path | None = None,
    *,
    data: str | Path = 'data',
    column: str = '',
    label: str = '',
    block: float | None = None,
    empty: bool = False,
    ignore: str = '',
    name: str = '',
    quiet: bool = False,
) -> str | Path:
    """`make events`: a dataset of recordings with annotated events.

    It returns the path of the dataset's CSV.

        fs.clips(fs.events("recordings", "labels"))

    Options, each with its default and meaning:

    data: [data] folder of datasets and their feature caches
    tables: annotation tables of Raven or Audacity, or CSV: a folder, or one table
        of all recordings; predict scores its detections against them; events
        without them makes backgrounds, for BACKGROUND_AUDIO of train
    column: column of labels in the tables; by default one of the names in use
    label: label of events that have none
    audio: recordings: a folder, or one file
    block: seconds: each so long part of a recording is a group of its own, for a
        single long recording; by default a recording is a group
    empty: use recordings without a table, as free of events; by default left out
    ignore: labels separated by commas; frames of such events are neither trained on
        nor scored
    name: name of the dataset; by default that of AUDIO
    quiet: print nothing; warnings stay
    """

def detections(
    audio: str | Path | None = None,
    *,
    reports: str | Path = 'reports',
    data: str | Path = 'data',
    runs: str | Path = 'runs',
    run: str = 'last',
    device: str = 'cpu',
    threads: str = 'auto',
    dataset: str = '',
    window: float = 0.0,
    gate: float | None = None,
    reject: float = 0.0,
    channel: int | None = None,
    hop: float = 0.0,
    threshold: str = '',
    out: str | Path | None = None,
    tables: str | Path | None = None,
    column: str = '',
    label: str = '',
    check: int = 0,
    checked: str | Path | None = None,
    promise: float = 0.9,
    quiet: bool = False,
) -> pd.DataFrame:
    """`make predict` by a run of events: a row for each detection in the recordings.

    Columns: file, start, end, label, score. The command's files are written too; if
    `tables` is given, scores.csv is among them.

        fs.detections("recordings", run="last", tables="labels")

    Options, each with its default and meaning:

    reports: [reports] folder of reports
    data: [data] folder of datasets and their feature caches
    runs: [runs] folder of run folders
    run: [last] a run's name, path or unique prefix, last, or a bundle's or an ONNX
        file
    device: [cpu] cpu, cuda, mps, or auto for the best available
    threads: [auto] threads of the network's arithmetic on a CPU
    dataset: dataset of the runs that RUN chooses from; all by default
    window: [0] seconds of audio in one prediction, padded like a short clip; 0 for
        the length of a training clip, the median if many were padded
    gate: level in dB of full scale, such as -50; a window that is never louder gets
        no answer
    reject: [0] probability below which there is no answer, such as 0.7
    audio: audio file, or a folder of them with its sub-folders
    channel: channel of files that have several: 1 for the first, 0 for the mean of
        all; by default that of the run's dataset
    hop: [0] seconds from one window to the next in a long recording; 0 predicts
        only its beginning
    threshold: probability above which a class is predicted, for several labels and
        events: 0.5, or by class dog=0.3,rain=0.6; by default the run's own, or else
        0.5
    out: file of every probability, .csv or .json; of a run of events the folder of
        detections and scores, by default that of the dataset in REPORTS
    tables: annotation tables of Raven or Audacity, or CSV: a folder, or one table
        of all recordings; predict scores its detections against them; events
        without them makes backgrounds, for BACKGROUND_AUDIO of train
    column: column of labels in the tables; by default one of the names in use
    label: label of events that have none
    check: [0] detections to listen to, drawn by score: so many, as a table for yes
        and no and short sounds
    checked: the table of CHECK with answers, instead of AUDIO: precision by score,
        the number of right detections, and the threshold that keeps PROMISE
    promise: [0.9] precision that CHECKED finds a threshold for
    quiet: print nothing; warnings stay
    """

def importance(
    features: str = 'mel mfcc chroma',
    *,
    runs: str | Path = 'runs',
    data: str | Path = 'data',
    dataset: str = 'esc50',
    name: str = '',
    model: str = 'linear',
    task: str = 'auto',
    quiet: bool = False,
) -> dict[str, pd.DataFrame]:
    """`make importance`: the worth of each feature, alone and beside the others, from
    fits of an exact model with and without it.

    It returns three tables: `features`, what each feature gives alone, what is lost
    without it and what it adds to the base, each with interval and p; `classes`,
        the
    same by class; `smaller`, the best smaller sets and whether they are as good.

        fs.importance("mel mfcc chroma", dataset="synth")["features"]

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    features: [mel mfcc chroma] features, or sets joined by + that count as one;
        all, small
    model: [linear] an exact model, perhaps with its own options: linear@C=1
    task: [auto] labels to predict: classes, categories or tags; auto: by the labels
    quiet: print nothing; warnings stay
    """

def curve(
    features: str = 'mel',
    *,
    runs: str | Path = 'runs',
    data: str | Path = 'data',
    dataset: str = 'esc50',
    name: str = '',
    model: str = 'linear',
    task: str = 'auto',
    seed: int = 0,
    out: str | Path | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """`make curve`: the score of feature sets by the number of training recordings, a
    row for each set and part of the recordings.

        fs.curve("mel mel+mfcc", dataset="synth")

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    data: [data] folder of datasets and their feature caches
    dataset: [esc50] esc50, esc10, synth, a folder of clips, a CSV, or a cache
        folder
    name: another name for the dataset's folders
    features: [mel] feature sets separated by blanks
    model: [linear] an exact model, perhaps with its own options: linear@C=1
    task: [auto] labels to predict: classes, categories or tags; auto: by the labels
    seed: [0] seed of the parts of the recordings
    out: CSV file of the curves; a figure is put beside it
    quiet: print nothing; warnings stay
    """

def export(
    run: str = 'last',
    *,
    runs: str | Path = 'runs',
    out: str | Path | None = None,
    quiet: bool = False,
) -> bool:
    """Write the networks as one ONNX file, for programs without torch.

    Options, each with its default and meaning:

    runs: [runs] folder of run folders
    run: [last] a run's name, path or unique prefix, or last
    out: file to write; by default <run>.onnx
    quiet: print nothing; warnings stay
    """

def compare(
    predictions: Mapping[str, ArrayLike],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
) -> Comparison:
    """Verdicts on models that predicted the same clips, with intervals, ties and
        power.

    predictions  model -> probabilities (N, K), an array or a data frame whose
        columns
                 are the classes, or predicted classes (N,)
    labels       (N,) true classes; several labels per clip: (N, K) of 0 and 1
    groups       (N,) source recordings, speakers or sites, which are drawn
        together; by
                 default each clip is its own
    folds        (N,) the fold that tested each clip; by default one
    classes      (K,) of the columns of arrays; by default the labels, sorted

        fs.compare({"a": p, "b": q}, labels, groups=recordings).table
    """
