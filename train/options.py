"""The options of this package's commands, each default written once.

Options that can change predictions stand in `results/training_options.py`, because run.json keeps them.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

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
)
from features_cache.location import cache_folder
from results.training_options import Task, TrainingOptions, of_networks
from train.recipes import recipe_words

LARGEST_GRID = 2**24  # values; 64 MB a channel and clip


class RunOptions(TrainingOptions, DatasetOptions, RunsOptions):
    """One run: every fold of one feature set with one model."""

    folds: tuple[int, ...] = option((), "test folds to train, all by default; others join the same run later")
    recipe: str = option(
        "",
        "a named setting, or a .txt file of your own: its values stand in for the defaults of other options",
        expands=recipe_words,
    )
    curve: int = of_networks(
        20,
        "how often the test fold is scored for the curve, used for no choice, within a tenth of the "
        "training's cost; 0 for at the end only",
        least=0,
    )
    resident: Literal["auto", "gpu", "ram", "stream"] = of_networks(
        "auto", "where the features are kept while training; the same results everywhere"
    )
    retrain: bool = option(
        False,
        "train again in the place of a run of other clips or feature values, which stays until the new one "
        "is finished",
        in_sweep=False,
    )
    tag: str = option("", "an ending for the folder's name, to keep runs apart that would share it")
    note: str = option("", "a sentence that stands in run.json, the tracker and the report")
    tracker: str = of_networks("", "tensorboard, wandb, or both, besides the CSV files")
    tracker_dir: str = of_networks("", "folder of the tracker's files; inside the run folder by default")

    @property
    def resolved_lr(self) -> float:
        """LR, where it is not given what Loshchilov and Hutter (2019) and He et al. (2016) use."""
        return {"adamw": 2e-3, "sgd": 5e-2}[self.optimizer] if self.lr is None else self.lr

    @property
    def resolved_decay(self) -> float:
        """DECAY, likewise."""
        return {"adamw": 5e-2, "sgd": 5e-4}[self.optimizer] if self.decay is None else self.decay


FIELDS = fields(RunOptions)
IDENTITY = tuple(fields(TrainingOptions))
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


class SweepOptions(Options):
    """Several runs: every combination of the values given. All but FOLDS and places take lists.

    make sweep FEATURES="mel mel+mfcc" MODEL="resnet18 texture" SEED="0 1 2" LR="0.001 0.002"
    """

    shared = RunOptions
    max: int = option(1, "sets of up to so many of the named features: 2 adds every pair", least=1, most=10)
    yes: bool = option(False, "start more than 100 runs without asking back")
    given: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """the texts of the runs' options by field, lists where there are several"""

    @classmethod
    def build(cls, given: Mapping[str, str]) -> Self:
        of_runs = {name: text for name, text in given.items() if name in FIELDS}
        own = {name: text for name, text in given.items() if name not in FIELDS}
        return dataclasses.replace(super().build(own), given=of_runs)

    def runs(self) -> list[RunOptions]:
        """Every combination of the lists, parsed as a run with its recipe; FEATURES as they are given."""
        lists = {
            name: dict.fromkeys(self.given[name].split() or [""]) for name in SWEPT if name in self.given
        }
        combinations = itertools.product(*lists.values())
        return [RunOptions.build({**self.given, **dict(zip(lists, values))}) for values in combinations]


class ImportanceOptions(DatasetOptions, RunsOptions):
    """What each feature is worth, alone and beside the others, by small fits to subsets of them.

    make importance FEATURES="mel mfcc chroma contrast"
    """

    features: str = option("mel mfcc chroma", "features, or sets joined by + that count as one; all, small")
    model: str = option("linear", "linear or texture, perhaps with options of its own: linear@C=1")
    task: Task = option("classes", "what is predicted: classes, or their categories")
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
    threshold: str = option(
        "",
        "detections of HOP: probability above which a window has a class, as 0.5 or dog=0.3,rain=0.6; by "
        "default the run's own, if there are none the most probable class",
    )
    tables: Path | None = option(
        None, "annotation tables that detections are scored against: a folder, or one table of all recordings"
    )
    column: str = option("", "the tables' column of labels; by default one of the names in use")
    label: str = option("", "the label of events that have none")


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


class CacheOptions(DataOptions):
    """Where the features of a run's clips lie."""

    dataset: str = option("", "the run's dataset or cache folder; by default the one of its name in DATA")

    def cache_of(self, name: str) -> Path:
        """The cache folder of a run whose dataset has this name."""
        return cache_folder(self.dataset or name, self.data, "" if self.dataset else name)


class ExplainOptions(RunsOptions, CacheOptions):
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


class ExportOptions(EpochOptions, CacheOptions):
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


class ListOptions(RunsOptions):
    """Models, augmentations, recipes and importance folders; one model's stages.

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
