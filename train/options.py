"""What the commands of this package can be asked, each default written once.

A field is the flag `--field` and the variable `FIELD=`. `identity` picks those that can change predictions:
they make a run's hash.
"""

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional

from commandline.options import (
    Aliases,
    Bounds,
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    annotations,
    words,
)


@dataclass(frozen=True, kw_only=True)
class RunOptions(DatasetOptions, RunsOptions):
    """One run: every fold of one feature set with one model."""

    features: str = "mel+mfcc+chroma"
    """one feature set: names joined by +, each a channel; name@key=value is a variant, name:a-b some rows"""
    model: str = "resnet18+texture"
    """`python -m train list` shows them; name@key=value,key=value sets a model's own options; a+b is the
    ensemble of two that take images, b@weight=0.6 the weight of the second in its answer; where every
    channel is a vector, such as an embedding, the default is mlp"""
    task: Literal["classes", "categories"] = "classes"
    """what is predicted: classes, or their categories"""
    folds: tuple[int, ...] = ()
    """test folds to train, all by default; others join the same run later"""
    recipe: str = ""
    """a named setting, or a .txt file of your own: its values stand in for the defaults below"""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    """of weights, order and augmentation; another seed is another run of the same configuration"""

    epochs: Annotated[int, Bounds(least=1)] = 40
    """how long to train, fixed unless PATIENCE ends it"""
    passes: Annotated[int, Bounds(least=1)] = 1
    """an epoch goes so many times over the training clips"""
    batch: Annotated[int, Bounds(least=2)] = 32
    """clips a step; batch norm needs two"""
    grid: str = "64x216"
    """rows x frames to which every channel is resized; native keeps the largest channel's own"""
    padding: Literal["auto", "keep", "drop"] = "auto"
    """behind the end of short clips: drop resizes each clip's own frames to the grid, keep leaves it in; auto
    drops it for convolutional networks and their ensembles where it is more than a fifth of the time"""
    norm: Literal["feature", "row", "clip", "none"] = "row"
    """standardise each feature as a whole, each of its rows, each clip by itself, or not at all"""
    augment: str = "auto"
    """changes drawn anew for each batch, name=strength; auto is shift,gain, of a waveform
    shift,gain,polarity,mixup=0.4, none for texture alone; none for no change"""
    smoothing: Annotated[float, Bounds(0, 0.99)] = 0.1
    """label smoothing: the share of a target that all classes divide among them"""
    copies: Annotated[int, Bounds(least=0)] = 0
    """how many of the cached altered copies of each clip to train on besides it"""
    balance: Literal["none", "loss", "sample"] = "none"
    """rare classes count more in the loss, or are drawn more often"""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd has Nesterov momentum; weight decay spares norms and biases in both"""
    lr: Annotated[float | None, Bounds(least=1e-12)] = None
    """highest learning rate; 0.002 for adamw, 0.05 for sgd by default"""
    decay: Annotated[float | None, Bounds(least=0)] = None
    """weight decay; 0.05 for adamw, 0.0005 for sgd by default"""
    momentum: Annotated[float, Bounds(0, 0.9999)] = 0.9
    """of sgd"""
    schedule: Literal["onecycle", "cosine", "step", "plateau", "constant"] = "onecycle"
    """of the learning rate, step by step; plateau divides it by ten while SELECT stays, needs VAL"""
    warmup: Annotated[float, Bounds(least=0)] = 0.0
    """epochs of linear rise before cosine, step, plateau or constant; onecycle rises by itself"""
    ema: Annotated[float, Bounds(0, 0.99999)] = 0.0
    """moving average of the weights: the share of the old average kept at each step (0.999), 0 for none"""
    clip: Annotated[float, Bounds(least=0)] = 0.0
    """largest norm of a step's gradient, 0 for no limit"""

    val: Literal["none", "next", "group"] = "none"
    """clips set aside to choose by: the next fold, or 15 % of the training groups"""
    select: Literal["val_loss", "val_accuracy", "val_f1"] = "val_loss"
    """which validation score picks the best epoch"""
    patience: Annotated[int, Bounds(least=0)] = 0
    """end after so many epochs without a better SELECT, 0 never; plateau lowers the rate in a third of it"""
    curve: Annotated[int, Bounds(least=0)] = 20
    """how often the test fold is scored for the curve, used for no choice; 0 for at the end only"""
    skip_test: Annotated[bool, Aliases("blind")] = False
    """never score the test fold: for runs that only serve a choice; needs VAL"""
    tta: Annotated[int, Bounds(least=1)] = 1
    """views of a clip averaged in testing: circular shifts, or crops where AUGMENT crops"""

    weights: str = ""
    """a file of weights to start from, or imagenet to fetch the published ones"""
    device: str = "auto"
    """cpu, cuda, mps; several, `cuda:0 cuda:1`, share the folds"""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """number format of the network's arithmetic; auto measures which is faster"""
    threads: str = "auto"
    """threads of the network's arithmetic on a CPU; auto measures"""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile; auto uses it on a GPU where the run is long enough to repay it"""
    resident: Literal["auto", "gpu", "ram", "stream"] = "auto"
    """where the features are kept while training; the same results everywhere"""

    tag: str = ""
    """an ending for the folder's name, to keep runs apart that would share it"""
    note: str = ""
    """a sentence that stands in run.json, the tracker and the report"""
    tracker: str = ""
    """tensorboard, wandb, or both, besides the CSV files"""
    tracker_dir: str = ""
    """folder of the tracker's files; inside the run folder by default"""

    @property
    def resolved_lr(self) -> float:
        """LR, where it is not given what Loshchilov and Hutter (2019) and He et al. (2016) use."""
        return {"adamw": 2e-3, "sgd": 5e-2}[self.optimizer] if self.lr is None else self.lr

    @property
    def resolved_decay(self) -> float:
        """DECAY, likewise."""
        return {"adamw": 5e-2, "sgd": 5e-4}[self.optimizer] if self.decay is None else self.decay


# AUGMENT=auto, by kind of model.
AUTO_AUGMENT = {
    "image": "shift,gain",
    "wave": "shift,gain,polarity,mixup=0.4",
    "linear": "none",
    "vector": "none",
}

# What cannot change predictions: where things lie, what is told of them, which folds are done now.
PLACES = frozenset({"dataset", "name", "data", "runs", "resident", "tracker", "tracker_dir"})
NO_IDENTITY = PLACES | {"folds", "recipe", "curve", "tag", "note"}
# How a machine computes: in a folder's name only where the same run, computed otherwise, has the name.
MACHINE = frozenset({"device", "precision", "threads", "compile"})
PLACED = frozenset({"features", "model"})  # they begin the folder's name anyway
IDENTITY = tuple(field.name for field in dataclasses.fields(RunOptions) if field.name not in NO_IDENTITY)

# What a kind of model ignores.
LINEAR_USES = PLACED | {"task", "seed", "copies", "padding", "val", "select", "skip_test"}
EVERY = frozenset(field.name for field in dataclasses.fields(RunOptions))
UNUSED: dict[str, frozenset[str]] = {
    "image": frozenset(),
    "wave": frozenset({"grid", "padding"}),
    "vector": frozenset({"grid", "tta"}),
    "linear": (EVERY - NO_IDENTITY - LINEAR_USES) | {"resident", "curve", "tracker", "tracker_dir"},
}


def defaults() -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(RunOptions)}


# What a sweep takes as lists, beside FEATURES; some had a name of their own for that.
SWEPT = tuple(
    field.name
    for field in dataclasses.fields(RunOptions)
    if field.name not in (NO_IDENTITY - {"recipe"}) | {"features", "device", "skip_test"}
)
FORMER_LISTS = {
    "model": "models",
    "augment": "augments",
    "recipe": "recipes",
    "seed": "seeds",
}  # former names


def with_lists(options: type) -> type:
    """A class decorator: each option in SWEPT becomes a tuple of what it is in RunOptions."""
    kinds = annotations(RunOptions)
    for name in SWEPT:
        kind, *extras = (
            typing.get_args(kinds[name]) if hasattr(kinds[name], "__metadata__") else [kinds[name]]
        )
        if name in FORMER_LISTS:
            extras.append(Aliases(FORMER_LISTS[name]))
        listed = tuple[kind, ...]  # type: ignore[valid-type]
        options.__annotations__[name] = Annotated[(listed, *extras)] if extras else listed
        setattr(options, name, (defaults()[name],))
    return options


@dataclass(frozen=True, kw_only=True)
@with_lists
class SweepOptions(RunOptions):
    """Several runs: every combination of the values given. All but FOLDS and places take lists.

    make sweep FEATURES="mel mel+mfcc" MODEL="resnet18 texture" SEED="0 1 2" LR="0.001 0.002"
    """

    max: Annotated[int, Bounds(1, 10)] = 1
    """sets of up to so many of the named features: 2 adds every pair; the most that SEARCH may join"""
    search: Literal["", "greedy"] = ""
    """greedy adds one feature at a time, for each fold by itself, ranked on validation groups among its
    training clips, and tests what it chose on that fold"""
    yes: bool = False
    """start more than 100 runs without asking back"""


def without_unused(options: RunOptions, kind: str) -> RunOptions:
    """The options with what a model of this kind ignores at its default."""
    standard = defaults()
    return dataclasses.replace(options, **{name: standard[name] for name in UNUSED[kind]})


def unused(options: RunOptions, kind: str) -> list[str]:
    """The names of the options that were given and that a model of this kind ignores."""
    return [name for name in sorted(UNUSED[kind]) if getattr(options, name) != defaults()[name]]


def identity(options: RunOptions) -> dict[str, Any]:
    """The options that can change predictions. PADDING=auto is none: what it came to counts, in the plan."""
    found = {name: getattr(options, name) for name in IDENTITY}
    return {name: value for name, value in found.items() if (name, value) != ("padding", "auto")}


def configuration(options: RunOptions) -> list[str]:
    """The NAME=value words that train this configuration again, to which a seed is to be added."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    others = [name for name in (*identity(options), "tag") if name not in PLACED | {"seed"}]
    return [*named, *words(options, others)]


def protocol(options: RunOptions, kind: str, published_test: bool = False) -> str:
    """In words: who trains, what chooses, which epoch counts (none of a linear model's exact solution).

    `published_test` says that the one fold is tested which the dataset sets aside for that.
    """
    if options.val == "none":
        others, chosen = "the others", "last epoch"
    else:
        aside = "the next fold" if options.val == "next" else "15 % of the training groups"
        others = f"the others without {aside}, which validate"
        chosen = f"last epoch, and best epoch by {options.select}"
    task = "the dataset's test fold tested" if published_test else "each fold tested"
    task = "the fold's test clips never scored" if options.skip_test else task
    fitted = "exact solution" if kind == "linear" else f"epochs {options.epochs}, {chosen}"
    return f"{task}, trained on {others}; {fitted}"


@dataclass(frozen=True, kw_only=True)
class TrainedOptions(RunsOptions):
    """Which trained model, and where it computes."""

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, last, or a bundle's file"""
    dataset: str = ""
    """whose runs RUN chooses from; all by default"""
    selection: Literal["auto", "last", "best"] = "auto"
    """weights of the last epoch, or of the best by validation; auto is the best where VAL chose one"""
    device: str = "cpu"
    """cpu, cuda, mps, or auto for the best there is"""
    threads: str = "auto"
    """threads of the network's arithmetic on a CPU"""
    window: Annotated[float, Bounds(least=0)] = 0.0
    """seconds of audio that are predicted at once, followed by silence as a short clip is; 0 as long as a
    clip of the training"""
    gate: Annotated[float | None, Bounds(-200, 0)] = None
    """dB of full scale: no answer for a window that never gets louder, as -50"""
    reject: str = ""
    """no answer below this probability, as 0.7; auto for the one chosen on the run's validation clips"""


@dataclass(frozen=True, kw_only=True)
class PredictOptions(TrainedOptions, ReportsOptions):
    """Classes of new audio, or of the dataset's own test clips.

    make predict RUN=last AUDIO=recording.wav
    """

    audio: Path | None = None
    """an audio file, or a folder of them, searched to its depths"""
    test_clips: Annotated[bool, Aliases("own")] = False
    """instead of AUDIO: the dataset's clips, each by the model of the fold that tested it, and how far that
    agrees with predictions.csv"""
    data: Path = Path("data")
    """folder of datasets, for TEST_CLIPS"""
    top: Annotated[int, Bounds(least=1)] = 5
    """classes shown a file"""
    json: bool = False
    """every probability, as JSON on standard output"""
    csv: bool = False
    """every probability, as CSV on standard output"""
    hop: Annotated[float, Bounds(least=0)] = 0.0
    """seconds from one window to the next through a long recording; 0 predicts its beginning alone"""


@dataclass(frozen=True, kw_only=True)
class ListenOptions(TrainedOptions):
    """Classes of live audio: raw PCM, mono, little-endian, on standard input.

    arecord -f S16_LE -r 44100 -c 1 -t raw | python -m train listen last HOP=0.25
    """

    rate: Annotated[int, Bounds(0, 1_000_000)] = 0
    """samples a second of what comes in; the model's own rate by default"""
    format: Literal["s16", "s32", "f32"] = "s16"
    """of a sample: 16 or 32 bit integers, or floats"""
    hop: Annotated[float, Bounds(0.001, 3600)] = 0.5
    """seconds from one prediction to the next"""
    top: Annotated[int, Bounds(least=1)] = 3
    """classes shown"""
    json: bool = False
    """a JSON object a line instead of the live line"""


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(RunsOptions):
    """What each channel is worth to a trained run: its test clips with that channel of other clips.

    python -m train explain last REPEATS=10
    """

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, or last; several explain each"""
    data: Path = Path("data")
    """folder of datasets"""
    repeats: Annotated[int, Bounds(least=1)] = 5
    """permutations of a channel among the test clips"""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    """of the permutations"""
    device: str = "auto"
    """cpu, cuda, mps"""


@dataclass(frozen=True, kw_only=True)
class BundleOptions(RunsOptions):
    """One file with all that predicting needs.

    python -m train bundle last OUT=model.pt DTYPE=float16
    """

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, or last"""
    selection: Literal["auto", "last", "best"] = "auto"
    """weights of the last epoch, or of the best by validation; auto is the best where VAL chose one"""
    dtype: Literal["float32", "float16"] = "float32"
    """of the weights in the file: float16 halves it"""
    out: Path | None = None
    """the file to write; <run>.bundle.pt by default"""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(RunsOptions):
    """The networks of a run as one file for other programs, checked against the run's own predictions.

    python -m train export last OUT=model.onnx
    """

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, or last"""
    format: Literal["onnx"] = "onnx"
    """of the file"""
    selection: Literal["auto", "last", "best"] = "auto"
    """weights of the last epoch, or of the best by validation; auto is the best where VAL chose one"""
    data: Path = Path("data")
    """folder of datasets: with the run's cache the file is checked on its test clips"""
    out: Path | None = None
    """the file to write; <run>.onnx by default"""


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Models, augmentations and recipes; one model's stages.

    python -m train list resnet18 GRID=128x431
    """

    name: Annotated[str, Positional] = ""
    """a model whose stages are shown, with its options: aclnet@width=0.5"""
    grid: str = "64x216"
    """rows x frames of an image model's input"""
    channels: Annotated[int, Bounds(1, 1000)] = 3
    """features stacked"""
    classes: Annotated[int, Bounds(2, 100_000)] = 50
    """of the last layer"""
    samples: Annotated[int, Bounds(1, 10_000_000)] = 220_500
    """of a wave model's input: 5 s at 44,100 a second"""
