"""What the commands of this package can be asked, each default written once.

What else is true of an option stands at its field: in_hash (it can change predictions, as most can), machine
(how a machine computes), in_sweep (a sweep takes a list), unused_by (kinds of models that ignore it).
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from commandline.options import (
    SEED,
    DatasetOptions,
    Options,
    ReportsOptions,
    RunsOptions,
    fields,
    option,
    words,
)
from train.recipes import recipe_words


@dataclass(frozen=True, kw_only=True)
class RunOptions(DatasetOptions, RunsOptions):
    """One run: every fold of one feature set with one model."""

    features: str = option(
        "mel+mfcc+chroma",
        "one feature set: names joined by +, each a channel; name@key=value is a variant, name:a-b some rows",
        in_sweep=False,
    )
    model: str = option(
        "resnet18+texture",
        "`python -m train list` shows them; name@key=value,key=value sets a model's own options; a+b is "
        "the ensemble of two that take images, b@weight=0.6 the weight of the second in its answer; "
        "where every channel is a vector, such as an embedding, the default is mlp",
    )
    task: Literal["classes", "categories"] = option(
        "classes",
        "what is predicted: classes, or their categories",
    )
    folds: tuple[int, ...] = option(
        (), "test folds to train, all by default; others join the same run later", in_hash=False
    )
    recipe: str = option(
        "",
        "a named setting, or a .txt file of your own: its values stand in for the defaults below",
        in_hash=False,
        expands=recipe_words,
    )
    seed: int = option(
        0,
        "of weights, order and augmentation; another seed is another run of the same configuration",
        **SEED,
    )

    epochs: int = option(40, "how long to train, fixed unless PATIENCE ends it", least=1, unused_by="linear")
    passes: int = option(
        1, "an epoch goes so many times over the training clips", least=1, unused_by="linear"
    )
    batch: int = option(32, "clips a step; batch norm needs two", least=2, unused_by="linear")
    grid: str = option(
        "64x216",
        "rows x frames to which every channel is resized; native keeps the largest channel's own",
        unused_by="linear wave vector",
    )
    padding: Literal["auto", "keep", "drop"] = option(
        "auto",
        "behind the end of short clips: drop resizes each clip's own frames to the grid, keep leaves it "
        "in; auto drops it for convolutional networks and their ensembles where it is more than a fifth "
        "of the time",
        unused_by="wave",
    )
    norm: Literal["feature", "row", "clip", "none"] = option(
        "row",
        "standardise each feature as a whole, each of its rows, each clip by itself, or not at all",
        unused_by="linear",
    )
    augment: str = option(
        "auto",
        "changes drawn anew for each batch, name=strength; auto is shift,gain, of a waveform "
        "shift,gain,polarity,mixup=0.4, none for texture alone; none for no change",
        unused_by="linear",
    )
    smoothing: float = option(
        0.1,
        "label smoothing: the share of a target that all classes divide among them",
        least=0,
        most=0.99,
        unused_by="linear",
    )
    copies: int = option(
        0,
        "how many of the cached altered copies of each clip to train on besides it",
        least=0,
    )
    balance: Literal["none", "loss", "sample"] = option(
        "none", "rare classes count more in the loss, or are drawn more often", unused_by="linear"
    )

    optimizer: Literal["adamw", "sgd"] = option(
        "adamw", "sgd has Nesterov momentum; weight decay spares norms and biases in both", unused_by="linear"
    )
    lr: float | None = option(
        None,
        "highest learning rate; 0.002 for adamw, 0.05 for sgd by default",
        least=1e-12,
        unused_by="linear",
    )
    decay: float | None = option(
        None, "weight decay; 0.05 for adamw, 0.0005 for sgd by default", least=0, unused_by="linear"
    )
    momentum: float = option(0.9, "of sgd", least=0, most=0.9999, unused_by="linear")
    schedule: Literal["onecycle", "cosine", "step", "plateau", "constant"] = option(
        "onecycle",
        "of the learning rate, step by step; plateau divides it by ten while SELECT stays, needs VAL",
        unused_by="linear",
    )
    warmup: float = option(
        0.0,
        "epochs of linear rise before cosine, step, plateau or constant; onecycle rises by itself",
        least=0,
        unused_by="linear",
    )
    ema: float = option(
        0.0,
        "moving average of the weights: the share of the old average kept at each step (0.999), 0 for none",
        least=0,
        most=0.99999,
        unused_by="linear",
    )
    clip: float = option(
        0.0, "largest norm of a step's gradient, 0 for no limit", least=0, unused_by="linear"
    )

    val: Literal["none", "next", "group"] = option(
        "none",
        "clips set aside to choose by: the next fold, or 15 % of the training groups",
    )
    select: Literal["val_loss", "val_accuracy", "val_f1"] = option(
        "val_loss",
        "which validation score picks the best epoch",
    )
    patience: int = option(
        0,
        "end after so many epochs without a better SELECT, 0 never; plateau lowers the rate in a third of it",
        least=0,
        unused_by="linear",
    )
    curve: int = option(
        20,
        "how often the test fold is scored for the curve, used for no choice; 0 for at the end only",
        least=0,
        unused_by="linear",
        in_hash=False,
    )
    skip_test: bool = option(
        False, "never score the test fold: for runs that only serve a choice; needs VAL", in_sweep=False
    )
    tta: int = option(
        1,
        "views of a clip averaged in testing: circular shifts, or crops where AUGMENT crops",
        least=1,
        unused_by="linear vector",
    )

    weights: str = option(
        "", "a file of weights to start from, or imagenet to fetch the published ones", unused_by="linear"
    )
    device: str = option(
        "auto",
        "cpu, cuda, mps; several, `cuda:0 cuda:1`, share the folds",
        unused_by="linear",
        in_sweep=False,
        machine=True,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto",
        "number format of the network's arithmetic; auto measures which is faster",
        unused_by="linear",
        machine=True,
    )
    threads: str = option(
        "auto",
        "threads of the network's arithmetic on a CPU; auto measures",
        unused_by="linear",
        machine=True,
    )
    compile: Literal["auto", "on", "off"] = option(
        "auto",
        "torch.compile; auto uses it on a GPU where the run is long enough to repay it",
        unused_by="linear",
        machine=True,
    )
    resident: Literal["auto", "gpu", "ram", "stream"] = option(
        "auto",
        "where the features are kept while training; the same results everywhere",
        unused_by="linear",
        in_hash=False,
    )

    tag: str = option(
        "", "an ending for the folder's name, to keep runs apart that would share it", in_hash=False
    )
    note: str = option("", "a sentence that stands in run.json, the tracker and the report", in_hash=False)
    tracker: str = option(
        "", "tensorboard, wandb, or both, besides the CSV files", unused_by="linear", in_hash=False
    )
    tracker_dir: str = option(
        "",
        "folder of the tracker's files; inside the run folder by default",
        unused_by="linear",
        in_hash=False,
    )

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


def _named(trait: str, absent: object = None) -> tuple[str, ...]:
    """The options of a run with this trait, in the order of their definition."""
    return tuple(name for name, field in fields(RunOptions).items() if field.metadata.get(trait, absent))


IDENTITY = _named("in_hash", True)  # what can change predictions
MACHINE = _named("machine")  # how a machine computes
PLACED = ("features", "model")  # they begin the folder's name anyway
# What a sweep takes as lists, beside FEATURES: recipes first, seeds of one configuration last.
SWEPT = tuple(
    sorted(
        (name for name in (*IDENTITY, "recipe") if fields(RunOptions)[name].metadata.get("in_sweep", True)),
        key=lambda name: (name == "seed") - (name == "recipe"),
    )
)


def defaults() -> dict[str, Any]:
    return {name: field.default for name, field in fields(RunOptions).items()}


@dataclass(frozen=True, kw_only=True)
class SweepOptions(RunOptions):
    """Several runs: every combination of the values given. All but FOLDS and places take lists.

    make sweep FEATURES="mel mel+mfcc" MODEL="resnet18 texture" SEED="0 1 2" LR="0.001 0.002"
    """

    max: int = option(
        1,
        "sets of up to so many of the named features: 2 adds every pair; the most that SEARCH may join",
        least=1,
        most=10,
    )
    search: Literal["", "greedy"] = option(
        "",
        "greedy adds one feature at a time, for each fold by itself, ranked on validation groups among its "
        "training clips, and tests what it chose on that fold",
    )
    yes: bool = option(False, "start more than 100 runs without asking back")
    given: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """the texts of all options by field; the values of the fields above are those of the first run"""

    @classmethod
    def build(cls, given: Mapping[str, str]) -> Self:
        first = {name: (text.split() or [""])[0] if name in SWEPT else text for name, text in given.items()}
        return dataclasses.replace(super().build(first), given=given)

    def runs_of_product(self) -> Iterator[RunOptions]:
        """Every combination of the lists, parsed as a run with its recipe; FEATURES as they are given."""
        given = {name: text for name, text in self.given.items() if name in fields(RunOptions)}
        lists = [dict.fromkeys(given[name].split() or [""]) for name in SWEPT if name in given]
        names = [name for name in SWEPT if name in given]
        for values in itertools.product(*lists):
            yield RunOptions.build(given | dict(zip(names, values)))


def unused_by(kind: str) -> list[str]:
    """The options that a model of this kind ignores."""
    return [
        name
        for name, field in fields(RunOptions).items()
        if kind in field.metadata.get("unused_by", "").split()
    ]


def without_unused(options: RunOptions, kind: str) -> RunOptions:
    """The options with what a model of this kind ignores at its default."""
    standard = defaults()
    return dataclasses.replace(options, **{name: standard[name] for name in unused_by(kind)})


def unused(options: RunOptions, kind: str) -> list[str]:
    """The names of the options that were given and that a model of this kind ignores."""
    return [name for name in sorted(unused_by(kind)) if getattr(options, name) != defaults()[name]]


def identity(options: RunOptions) -> dict[str, Any]:
    """The options that can change predictions. PADDING=auto is none: what it came to counts, in the plan."""
    found = {name: getattr(options, name) for name in IDENTITY}
    return {name: value for name, value in found.items() if (name, value) != ("padding", "auto")}


def configuration(options: RunOptions) -> list[str]:
    """The NAME=value words that train this configuration again, to which a seed is to be added."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    others = [name for name in (*identity(options), "tag") if name not in (*PLACED, "seed")]
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
class ImportanceOptions(DatasetOptions, RunsOptions):
    """What each feature is worth, alone and beside the others, by small fits to subsets of them.

    make importance FEATURES="mel mfcc chroma contrast"
    """

    features: str = option("mel mfcc chroma", "features, or sets joined by + that count as one; all, small")
    model: str = option("linear", "linear or texture, perhaps with options of its own: linear@C=1")
    task: Literal["classes", "categories"] = option(
        "classes", "what is predicted: classes, or their categories"
    )
    classes: str = option("", "some classes alone, separated by blanks or commas; all by default")
    epochs: int = option(40, "how long texture trains", least=1)
    permutations: int = option(20, "of more than eight features: pairs of an order and its reverse", least=2)
    seed: int = option(0, "of the permutations, the parts of the recordings and texture's weights", **SEED)


@dataclass(frozen=True, kw_only=True)
class TrainedOptions(RunsOptions):
    """Which trained model, and where it computes."""

    run: str = option(
        "last",
        "a run's name, path or unique prefix, last, or a bundle's file",
        positional=True,
    )
    dataset: str = option("", "whose runs RUN chooses from; all by default")
    selection: Literal["auto", "last", "best"] = option(
        "auto",
        "weights of the last epoch, or of the best by validation; auto is the best where VAL chose one",
    )
    device: str = option("cpu", "cpu, cuda, mps, or auto for the best there is")
    threads: str = option("auto", "threads of the network's arithmetic on a CPU")
    window: float = option(
        0.0,
        "seconds of audio that are predicted at once, followed by silence as a short clip is; 0 as long "
        "as a clip of the training",
        least=0,
    )
    gate: float | None = option(
        None,
        "dB of full scale: no answer for a window that never gets louder, as -50",
        least=-200,
        most=0,
    )
    reject: str = option(
        "",
        "no answer below this probability, as 0.7; auto for the one chosen on the run's validation clips",
    )


@dataclass(frozen=True, kw_only=True)
class PredictOptions(TrainedOptions, ReportsOptions):
    """Classes of new audio, or of the dataset's own test clips.

    make predict RUN=last AUDIO=recording.wav
    """

    audio: Path | None = option(None, "an audio file, or a folder of them, searched to its depths")
    test_clips: bool = option(
        False,
        "instead of AUDIO: the dataset's clips, each by the model of the fold that tested it, and how "
        "far that agrees with predictions.csv",
    )
    data: Path = option(Path("data"), "folder of datasets, for TEST_CLIPS")
    top: int = option(5, "classes shown a file", least=1)
    json: bool = option(False, "every probability, as JSON on standard output")
    csv: bool = option(False, "every probability, as CSV on standard output")
    hop: float = option(
        0.0,
        "seconds from one window to the next through a long recording; 0 predicts its beginning alone",
        least=0,
    )


@dataclass(frozen=True, kw_only=True)
class ListenOptions(TrainedOptions):
    """Classes of live audio: raw PCM, mono, little-endian, on standard input.

    arecord -f S16_LE -r 44100 -c 1 -t raw | python -m train listen last HOP=0.25
    """

    rate: int = option(
        0,
        "samples a second of what comes in; the model's own rate by default",
        least=0,
        most=1000000,
    )
    format: Literal["s16", "s32", "f32"] = option("s16", "of a sample: 16 or 32 bit integers, or floats")
    hop: float = option(0.5, "seconds from one prediction to the next", least=0.001, most=3600)
    top: int = option(3, "classes shown", least=1)
    json: bool = option(False, "a JSON object a line instead of the live line")


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(RunsOptions):
    """What each channel is worth to a trained run: its test clips with that channel of other clips.

    python -m train explain last REPEATS=10
    """

    run: str = option(
        "last",
        "a run's name, path or unique prefix, or last; several explain each",
        positional=True,
    )
    data: Path = option(Path("data"), "folder of datasets")
    repeats: int = option(5, "permutations of a channel among the test clips", least=1)
    seed: int = option(0, "of the permutations", **SEED)
    device: str = option("auto", "cpu, cuda, mps")


@dataclass(frozen=True, kw_only=True)
class BundleOptions(RunsOptions):
    """One file with all that predicting needs.

    python -m train bundle last OUT=model.pt DTYPE=float16
    """

    run: str = option("last", "a run's name, path or unique prefix, or last", positional=True)
    selection: Literal["auto", "last", "best"] = option(
        "auto",
        "weights of the last epoch, or of the best by validation; auto is the best where VAL chose one",
    )
    dtype: Literal["float32", "float16"] = option("float32", "of the weights in the file: float16 halves it")
    out: Path | None = option(None, "the file to write; <run>.bundle.pt by default")


@dataclass(frozen=True, kw_only=True)
class ExportOptions(RunsOptions):
    """The networks of a run as one file for other programs, checked against the run's own predictions.

    python -m train export last OUT=model.onnx
    """

    run: str = option("last", "a run's name, path or unique prefix, or last", positional=True)
    format: Literal["onnx"] = option("onnx", "of the file")
    selection: Literal["auto", "last", "best"] = option(
        "auto",
        "weights of the last epoch, or of the best by validation; auto is the best where VAL chose one",
    )
    data: Path = option(
        Path("data"),
        "folder of datasets: with the run's cache the file is checked on its test clips",
    )
    out: Path | None = option(None, "the file to write; <run>.onnx by default")


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(RunsOptions):
    """Delete runs, after saying what goes.

    python -m train remove RUN="mel-cnn4 mfcc-cnn4"
    """

    run: str = option("", "a run's name, path or unique prefix; several remove each", positional=True)
    dataset: str = option("", "whose runs RUN chooses from; all by default")
    yes: bool = option(False, "remove them without asking")


@dataclass(frozen=True, kw_only=True)
class ListOptions(Options):
    """Models, augmentations and recipes; one model's stages.

    python -m train list resnet18 GRID=128x431
    """

    name: str = option(
        "",
        "a model whose stages are shown, with its options: aclnet@width=0.5",
        positional=True,
    )
    grid: str = option("64x216", "rows x frames of an image model's input")
    channels: int = option(3, "features stacked", least=1, most=1000)
    classes: int = option(50, "of the last layer", least=2, most=100000)
    samples: int = option(220500, "of a wave model's input: 5 s at 44,100 a second", least=1, most=10000000)
