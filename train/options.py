"""What the commands of this package can be asked, each default written once.

What else is true of an option stands at its field: in_hash (it can change predictions, as most can), in_sweep
(a sweep takes a list), unused_by (kinds of models that ignore it).
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from commandline.errors import RequestError
from commandline.options import (
    SEED,
    DataOptions,
    DatasetOptions,
    Options,
    ReportsOptions,
    RunsOptions,
    fields,
    option,
    words,
)
from train.recipes import recipe_words

LARGEST_GRID = 2**24  # values; 64 MB a channel and clip
of_networks = functools.partial(option, unused_by="linear")  # of what is trained step by step


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

    epochs: int = of_networks(
        40,
        "how long to train, fixed unless PATIENCE ends it",
        least=1,
    )
    passes: int = of_networks(
        1,
        "an epoch goes so many times over the training clips",
        least=1,
    )
    batch: int = of_networks(
        32,
        "clips a step; batch norm needs two",
        least=2,
    )
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
    norm: Literal["feature", "row", "clip", "none"] = of_networks(
        "row",
        "standardise each feature as a whole, each of its rows, each clip by itself, or not at all",
    )
    augment: str = of_networks(
        "auto",
        "changes drawn anew for each batch, name=strength; auto is shift,gain, of a waveform "
        "shift,gain,polarity,mixup=0.4, none for texture alone; none for no change",
    )
    smoothing: float = of_networks(
        0.1,
        "label smoothing: the share of a target that all classes divide among them",
        least=0,
        most=0.99,
    )
    copies: int = option(
        0,
        "how many of the cached altered copies of each clip to train on besides it",
        least=0,
    )
    balance: Literal["none", "loss", "sample"] = of_networks(
        "none",
        "rare classes count more in the loss, or are drawn more often",
    )

    optimizer: Literal["adamw", "sgd"] = of_networks(
        "adamw",
        "sgd has Nesterov momentum; weight decay spares norms and biases in both",
    )
    lr: float | None = of_networks(
        None,
        "highest learning rate; 0.002 for adamw, 0.05 for sgd by default",
        least=1e-12,
    )
    decay: float | None = of_networks(
        None,
        "weight decay; 0.05 for adamw, 0.0005 for sgd by default",
        least=0,
    )
    momentum: float = of_networks(
        0.9,
        "of sgd",
        least=0,
        most=0.9999,
    )
    schedule: Literal["onecycle", "cosine", "step", "plateau", "constant"] = of_networks(
        "onecycle",
        "of the learning rate, step by step; plateau divides it by ten while SELECT stays, needs VAL",
    )
    warmup: float = of_networks(
        0.0,
        "epochs of linear rise before cosine, step, plateau or constant; onecycle rises by itself",
        least=0,
    )
    ema: float = of_networks(
        0.0,
        "moving average of the weights: the share of the old average kept at each step (0.999), 0 for none",
        least=0,
        most=0.99999,
    )
    clip: float = of_networks(
        0.0,
        "largest norm of a step's gradient, 0 for no limit",
        least=0,
    )

    val: Literal["none", "next", "group"] = option(
        "none",
        "clips set aside to choose by: the next fold, or 15 % of the training groups",
    )
    select: Literal["val_loss", "val_accuracy", "val_f1"] = option(
        "val_loss",
        "which validation score picks the best epoch",
    )
    patience: int = of_networks(
        0,
        "end after so many epochs without a better SELECT, 0 never; plateau lowers the rate in a third of it",
        least=0,
    )
    curve: int = of_networks(
        20,
        "how often the test fold is scored for the curve, used for no choice; 0 for at the end only",
        least=0,
        in_hash=False,
    )
    skip_test: bool = option(
        False, "never score the test fold: for runs that only serve a choice; needs VAL", in_sweep=False
    )
    tta: int = option(
        1,
        "views of a clip averaged in testing: circular shifts, or crops where AUGMENT crops",
        least=1,
        most=9999,  # run.json's check refuses more
        unused_by="linear vector",
    )

    weights: str = of_networks(
        "",
        "a file of weights to start from, or imagenet to fetch the published ones",
    )
    device: str = of_networks(
        "auto",
        "cpu, cuda, mps; several, `cuda:0 cuda:1`, share the folds",
        in_sweep=False,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = of_networks(
        "auto",
        "number format of the network's arithmetic; auto measures which is faster",
    )
    threads: str = of_networks(
        "auto",
        "threads of the network's arithmetic on a CPU; auto measures",
    )
    compile: Literal["auto", "on", "off"] = of_networks(
        "auto",
        "torch.compile; auto uses it on a GPU where the run is long enough to repay it",
    )
    resident: Literal["auto", "gpu", "ram", "stream"] = of_networks(
        "auto",
        "where the features are kept while training; the same results everywhere",
        in_hash=False,
    )

    tag: str = option(
        "", "an ending for the folder's name, to keep runs apart that would share it", in_hash=False
    )
    note: str = option("", "a sentence that stands in run.json, the tracker and the report", in_hash=False)
    tracker: str = of_networks("", "tensorboard, wandb, or both, besides the CSV files", in_hash=False)
    tracker_dir: str = of_networks(
        "",
        "folder of the tracker's files; inside the run folder by default",
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
}
FIELDS = fields(RunOptions)
IDENTITY = tuple(name for name, field in FIELDS.items() if field.metadata.get("in_hash", True))
"""the options that can change predictions"""
PLACED = ("features", "model")  # they begin the folder's name anyway
# What a sweep takes as lists, beside FEATURES: recipes first, seeds of one configuration last.
SWEPT = (
    "recipe",
    *(name for name in IDENTITY if FIELDS[name].metadata.get("in_sweep", True) and name != "seed"),
    "seed",
)


def parse_grid(text: str, name: str = "GRID") -> tuple[int, int]:
    """`128x216` as rows and frames; RequestError, of the option `name`, for anything else."""
    rows, _, frames = text.partition("x")
    if not (rows.isdecimal() and frames.isdecimal() and 0 < int(rows) * int(frames) <= LARGEST_GRID):
        expected = f"rows x frames, as in 128x216, at most {LARGEST_GRID:,} values"
        raise RequestError(f"{name}={text}: expected {expected}")
    return int(rows), int(frames)


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
        given = {name: text for name, text in self.given.items() if name in FIELDS}
        lists = {name: dict.fromkeys(given[name].split() or [""]) for name in SWEPT if name in given}
        for values in itertools.product(*lists.values()):
            yield RunOptions.build(given | dict(zip(lists, values)))


def unused(options: RunOptions, kind: str) -> dict[str, Any]:
    """The options that were given and that a model of this kind ignores, with their defaults."""
    return {
        name: field.default
        for name, field in FIELDS.items()
        if kind in field.metadata.get("unused_by", "").split() and getattr(options, name) != field.default
    }


def identity(options: RunOptions) -> dict[str, Any]:
    """The options that can change predictions. PADDING=auto is none: what it came to counts, in the plan."""
    values = {name: getattr(options, name) for name in IDENTITY}
    return {name: value for name, value in values.items() if (name, value) != ("padding", "auto")}


def configuration(options: RunOptions) -> list[str]:
    """The NAME=value words that train this configuration again, to which a seed is to be added."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    others = [name for name in (*identity(options), "tag") if name not in (*PLACED, "seed")]
    return [*named, *words(options, others)]


def protocol(options: RunOptions, kind: str, published_test: bool) -> str:
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


class EpochOptions(RunsOptions):
    """Which run, and the weights of which epoch."""

    run: str = option("last", "a run's name, path or unique prefix, or last", positional=True)
    selection: Literal["auto", "last", "best"] = option(
        "auto",
        "weights of the last epoch, or of the best by validation; auto is the best where VAL chose one",
    )


class TrainedOptions(EpochOptions):
    """Which trained model, and where it computes."""

    run: str = option(
        "last", "a run's name, path or unique prefix, last, or a bundle's file", positional=True
    )
    dataset: str = option("", "whose runs RUN chooses from; all by default")
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


class PredictOptions(TrainedOptions, DataOptions, ReportsOptions):
    """Classes of new audio, or of the dataset's own test clips.

    make predict RUN=last AUDIO=recording.wav
    """

    audio: Path | None = option(None, "an audio file, or a folder of them, searched to its depths")
    test_clips: bool = option(
        False,
        "instead of AUDIO: the dataset's clips, each by the model of the fold that tested it, and how "
        "far that agrees with predictions.csv",
    )
    top: int = option(5, "classes shown a file", least=1)
    json: bool = option(False, "every probability, as JSON on standard output")
    csv: bool = option(False, "every probability, as CSV on standard output")
    hop: float = option(
        0.0,
        "seconds from one window to the next through a long recording; 0 predicts its beginning alone",
        least=0,
    )


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
    json: bool = option(False, "a JSON object a line instead of words")


class ExplainOptions(RunsOptions, DataOptions):
    """What each channel is worth to a trained run: its test clips with that channel of other clips.

    python -m train explain last REPEATS=10
    """

    run: str = option(
        "last",
        "a run's name, path or unique prefix, or last; several explain each",
        positional=True,
    )
    repeats: int = option(5, "permutations of a channel among the test clips", least=1)
    seed: int = option(0, "of the permutations", **SEED)
    device: str = option("auto", "cpu, cuda, mps")


class BundleOptions(EpochOptions):
    """One file with all that predicting needs.

    python -m train bundle last OUT=model.pt DTYPE=float16
    """

    dtype: Literal["float32", "float16"] = option("float32", "of the weights in the file: float16 halves it")
    out: Path | None = option(None, "the file to write; <run>.bundle.pt by default")


class ExportOptions(EpochOptions, DataOptions):
    """The networks of a run as one file for other programs, checked on the test clips in the run's cache.

    python -m train export last OUT=model.onnx
    """

    format: Literal["onnx"] = option("onnx", "of the file")
    out: Path | None = option(None, "the file to write; <run>.onnx by default")


class RemoveOptions(RunsOptions):
    """Delete runs, after saying what goes.

    python -m train remove RUN="mel-cnn4 mfcc-cnn4"
    """

    run: str = option("", "a run's name, path or unique prefix; several remove each", positional=True)
    dataset: str = option("", "whose runs RUN chooses from; all by default")
    yes: bool = option(False, "remove them without asking")


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
