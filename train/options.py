"""What the commands of this package can be asked, each default written once.

A field is the flag `--field` and the variable `FIELD=`. `identity` picks those that can change predictions:
they make a run's hash; `differences` names in short what stands in the folder's name.
"""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional

from commandline import DatasetOptions, ReportsOptions, RequestError, RunsOptions, words
from commandline.options import Aliases, Bounds


@dataclass(frozen=True, kw_only=True)
class RunOptions(DatasetOptions, RunsOptions):
    """One run: every fold of one feature set with one model."""

    features: str = "mel+mfcc+chroma"
    """one feature set: names joined by +, each a channel; name@key=value is a variant, name:a-b some rows"""
    model: str = "resnet18+texture"
    """`python -m train list` shows them; name@key=value,key=value sets a model's own options; a+b is the
    ensemble of two that take images, b@weight=0.6 the weight of the second in its answer"""
    task: Literal["classes", "categories"] = "classes"
    """what is told apart"""
    folds: tuple[int, ...] = ()
    """test folds to train, all by default; others join the same run later"""
    recipe: str = ""
    """a named setting: its values stand in for the defaults below"""
    seed: int = 0
    """of weights, order and augmentation; another seed is another run of the same configuration"""

    epochs: int = 40
    """how long to train, fixed unless PATIENCE ends it"""
    passes: int = 1
    """an epoch goes so many times over the training clips"""
    batch: int = 32
    """clips a step"""
    grid: str = "64x216"
    """rows x frames to which every channel is resized; native keeps the largest channel's own"""
    norm: Literal["feature", "row", "clip", "none"] = "row"
    """standardise each feature as a whole, each of its rows, each clip by itself, or not at all"""
    augment: str = "auto"
    """changes drawn anew for each batch, name=strength; auto is shift,gain, of a waveform
    shift,gain,polarity,mixup=0.4; none for no change"""
    smoothing: float = 0.1
    """label smoothing: the share of a target that all classes divide among them"""
    copies: int = 0
    """how many of the cached altered copies of each clip to train on besides it"""
    balance: Literal["none", "loss", "sample"] = "none"
    """rare classes count more in the loss, or are drawn more often"""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd has Nesterov momentum; weight decay spares norms and biases in both"""
    lr: float | None = None
    """highest learning rate; 0.002 for adamw, 0.05 for sgd by default"""
    decay: float | None = None
    """weight decay; 0.05 for adamw, 0.0005 for sgd by default"""
    momentum: float = 0.9
    """of sgd"""
    schedule: Literal["onecycle", "cosine", "step", "plateau", "constant"] = "onecycle"
    """of the learning rate, step by step; plateau divides it by ten while SELECT stays, needs VAL"""
    warmup: float = 0.0
    """epochs of linear rise before cosine, step, plateau or constant; onecycle rises by itself"""
    ema: float = 0.0
    """moving average of the weights: the share of the old average kept at each step (0.999), 0 for none"""
    clip: float = 0.0
    """largest norm of a step's gradient, 0 for no limit"""

    val: Literal["none", "next", "group"] = "none"
    """clips set aside to choose by: the next fold, or 15 % of the training groups"""
    select: Literal["val_loss", "val_accuracy", "val_f1"] = "val_loss"
    """which validation score picks the best epoch"""
    patience: int = 0
    """end after so many epochs without a better SELECT, 0 never; plateau lowers the rate in a third of it"""
    curve: int = 20
    """how often the test fold is scored for the curve, used for no choice; 0 for at the end only"""
    blind: bool = False
    """never score the test fold: for runs that only serve a choice; needs VAL"""
    tta: int = 1
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


@dataclass(frozen=True, kw_only=True)
class SweepOptions(RunOptions):
    """Several runs: the product of the lists given. FEATURES is a list of feature sets here."""

    models: tuple[str, ...] = ()
    """models, instead of MODEL"""
    augments: tuple[str, ...] = ()
    """augmentations, instead of AUGMENT"""
    recipes: tuple[str, ...] = ()
    """recipes, instead of RECIPE"""
    seeds: tuple[int, ...] = ()
    """seeds, instead of SEED"""
    max: int = 1
    """sets of up to so many of the named features: 2 adds every pair; the most that SEARCH may join"""
    search: Literal["", "greedy"] = ""
    """greedy adds one feature at a time, ranked on validation groups alone, and tests the winner once"""
    yes: bool = False
    """start more than 100 runs without asking back"""


# AUGMENT=auto, by kind of model.
AUTO_AUGMENT = {"image": "shift,gain", "wave": "shift,gain,polarity,mixup=0.4", "linear": "none"}

# LR and DECAY where they are not given: what Loshchilov and Hutter (2019) and He et al. (2016) use.
DEFAULT_LR = {"adamw": 2e-3, "sgd": 5e-2}
DEFAULT_DECAY = {"adamw": 5e-2, "sgd": 5e-4}

# What cannot change predictions: where things lie, what is told of them, which folds are done now.
PLACES = frozenset({"dataset", "name", "data", "runs", "resident", "tracker", "tracker_dir"})
NO_IDENTITY = PLACES | {"folds", "recipe", "curve", "tag", "note"}
PLACED = frozenset({"features", "model"})  # they begin the folder's name anyway
# Fields whose value alone, or after one letter, says what it is; others are written field=value.
SHORT = {"task": "", "seed": "s", "epochs": "e", "batch": "b", "grid": "", "precision": "", "device": ""}

# Smallest and largest sensible value, both allowed.
BOUNDS = {
    "epochs": (1, math.inf),
    "passes": (1, math.inf),
    "copies": (0, math.inf),
    "batch": (2, math.inf),  # batch norm needs two
    "smoothing": (0, 0.99),
    "lr": (1e-12, math.inf),
    "decay": (0, math.inf),
    "momentum": (0, 0.9999),
    "warmup": (0, math.inf),
    "ema": (0, 0.99999),
    "clip": (0, math.inf),
    "patience": (0, math.inf),
    "curve": (0, math.inf),
    "tta": (1, math.inf),
    "seed": (0, 2**32 - 1),
}

# What a kind of model has no use for.
LINEAR_USES = PLACED | {"task", "seed", "copies", "val", "select", "blind"}
EVERY = frozenset(field.name for field in dataclasses.fields(RunOptions))
UNUSED: dict[str, frozenset[str]] = {
    "image": frozenset(),
    "wave": frozenset({"grid"}),
    "linear": (EVERY - NO_IDENTITY - LINEAR_USES) | {"resident", "curve", "tracker", "tracker_dir"},
}


def defaults() -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(RunOptions)}


def check_bounds(options: RunOptions) -> None:
    """RequestError names the first number that makes no sense."""
    for name, (least, most) in BOUNDS.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            wanted = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
            raise RequestError(f"{name.upper()}={value}: expected {wanted}")


def without_unused(options: RunOptions, kind: str) -> tuple[RunOptions, list[str]]:
    """The options with what a model of this kind ignores at its default, and the names of those given."""
    standard, unused = defaults(), UNUSED[kind]
    given = [name for name in sorted(unused) if getattr(options, name) != standard[name]]
    return dataclasses.replace(options, **{name: standard[name] for name in given}), given


def with_optimiser_defaults(options: RunOptions) -> RunOptions:
    """The options with LR and DECAY as numbers."""
    lr, decay = options.lr, options.decay
    return dataclasses.replace(
        options,
        lr=DEFAULT_LR[options.optimizer] if lr is None else lr,
        decay=DEFAULT_DECAY[options.optimizer] if decay is None else decay,
    )


def identity(options: RunOptions) -> dict[str, Any]:
    """The options that can change predictions."""
    return {
        name: value
        for name, value in dataclasses.asdict(options).items()
        if name in defaults().keys() - NO_IDENTITY
    }


def configuration(options: RunOptions) -> list[str]:
    """The NAME=value words that train this configuration again, to which a seed is to be added."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    others = [name for name in (*identity(options), "tag") if name not in PLACED | {"seed"}]
    if options.lr == DEFAULT_LR[options.optimizer]:
        others.remove("lr")
    if options.decay == DEFAULT_DECAY[options.optimizer]:
        others.remove("decay")
    return [*named, *words(options, others)]


def differences(options: RunOptions, standard: dict[str, Any]) -> list[str]:
    """For a folder's name: what differs from `standard`, the defaults or a recipe's, in the fields' order."""
    parts = [options.recipe] if options.recipe else []
    for name, value in identity(options).items():
        if name not in PLACED and value != standard[name]:
            parts.append(f"{SHORT[name]}{value}" if name in SHORT else f"{name}={value}")
    return [*parts, *([options.tag] if options.tag else [])]


@dataclass(frozen=True, kw_only=True)
class TrainedOptions(RunsOptions):
    """Which trained model, and where it computes."""

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, last, or a bundle's file"""
    selection: Literal["last", "best"] = "last"
    """weights of the last epoch, or of the best by validation"""
    device: str = "cpu"
    """cpu, cuda, mps, or auto for the best there is"""
    threads: str = "auto"
    """threads of the network's arithmetic on a CPU"""


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
    top: int = 5
    """classes shown a file"""
    json: bool = False
    """every probability, as JSON on standard output"""
    csv: bool = False
    """every probability, as CSV on standard output"""
    hop: float = 0.0
    """seconds from one window to the next through a long recording; 0 predicts its beginning alone"""


@dataclass(frozen=True, kw_only=True)
class ListenOptions(TrainedOptions):
    """Classes of live audio: raw PCM, mono, little-endian, on standard input.

    arecord -f S16_LE -r 44100 -c 1 -t raw | python -m train listen last HOP=0.25
    """

    rate: int = 0
    """samples a second of what comes in; the model's own rate by default"""
    format: Literal["s16", "s32", "f32"] = "s16"
    """of a sample: 16 or 32 bit integers, or floats"""
    hop: float = 0.5
    """seconds from one prediction to the next"""
    top: int = 3
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
    seed: int = 0
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
    selection: Literal["last", "best"] = "last"
    """weights of the last epoch, or of the best by validation"""
    dtype: Literal["float32", "float16"] = "float32"
    """of the weights in the file: float16 halves it"""
    out: Path | None = None
    """the file to write; <run>.bundle.pt by default"""


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Models, augmentations and recipes; one model's stages.

    python -m train list resnet18 GRID=128x431
    """

    name: Annotated[str, Positional] = ""
    """a model whose stages are shown, with its options: aclnet@width=0.5"""
    grid: str = "64x216"
    """rows x frames of an image model's input"""
    channels: int = 3
    """features stacked"""
    classes: int = 50
    """of the last layer"""
    samples: int = 220_500
    """of a wave model's input: 5 s at 44,100 a second"""
