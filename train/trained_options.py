"""What `predict`, `listen`, `explain`, `bundle` and `list` can be asked, each default written once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from commandline import ReportsOptions, RunsOptions


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
    """Classes of new sounds, or of a training dataset's own."""

    audio: Path | None = None
    """a sound file, or a folder of them, searched to its depths"""
    own: bool = False
    """instead of AUDIO: the dataset's own clips, each by the model that never saw it"""
    data: Path = Path("data")
    """folder of datasets, for OWN"""
    top: int = 5
    """classes shown a file"""
    json: bool = False
    """every probability, as JSON on standard output"""
    csv: bool = False
    """every probability, as CSV on standard output"""
    hop: float = 0.0
    """seconds from one window to the next through a long recording; 0 hears the beginning alone"""


@dataclass(frozen=True, kw_only=True)
class ListenOptions(TrainedOptions):
    """Classes of a live sound: raw PCM, mono, little-endian, on standard input."""

    rate: int = 0
    """samples a second of what comes in; the model's own rate by default"""
    format: Literal["s16", "s32", "f32"] = "s16"
    """of a sample: 16 or 32 bit integers, or floats"""
    hop: float = 0.5
    """seconds from one answer to the next"""
    top: int = 3
    """classes shown"""
    json: bool = False
    """a JSON object a line instead of the live line"""


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(RunsOptions):
    """What each channel is worth to a trained run: its test clips with that channel removed or permuted."""

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, or last; several explain each"""
    data: Path = Path("data")
    """folder of datasets"""
    repeats: int = 5
    """permutations of a channel among the test clips"""
    seed: int = 0
    """of the permutations"""
    device: str = "auto"
    """cpu, cuda, mps"""


@dataclass(frozen=True, kw_only=True)
class BundleOptions(RunsOptions):
    """One file with all that predicting needs."""

    run: Annotated[str, Positional] = "last"
    """a run's name, path or unique prefix, or last"""
    selection: Literal["last", "best"] = "last"
    """weights of the last epoch, or of the best by validation"""
    out: Path | None = None
    """the file to write; <run>.bundle.pt by default"""


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Models, augmentations and recipes; one model's stages."""

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
