"""The type of run.json. No torch.

A key of run.json is a field of `RunConfig` or of a class within it; the field gives the
key's type. A field with a default may be absent in the file, so that a run of before an
option was added stays readable.

`made_by` says what made the predictions; `training` is there for a run of `train`,
`members` for an answer, each of whose folds is predicted by one of these runs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from featurestack.base.errors import shortened
from featurestack.base.options import DURATION, RATE_BOUNDS
from featurestack.base.quantities import counted, listed
from featurestack.features_cache import row_statistics
from featurestack.features_cache.clip_table import refuse_class_names
from featurestack.features_cache.datasets import dataset_name
from featurestack.features_cache.feature_names import FeatureName, parse_feature_name
from featurestack.features_cache.identity import Identity, pieces
from featurestack.results.training_options import Training, Validation

RunFormat = Literal[3]
RUN_FORMAT: RunFormat = 3  # raised if an older run.json can no longer be read
TRAIN_AGAIN = "train it again, which makes a new run, or remove its folder"

# options that every run has: keys of run.json itself, and not of `training`
OF_EVERY_RUN = ("features", "model", "task", "seed", "val")

# bounds of what a file of another person may ask for
MOST_ROWS = 1_000_000  # of a feature
TEMPERATURE = {"least": 0.01, "most": 100.0}  # fitted ones are 0.2 to 5

Plain = str | int | float | bool | None
Epoch = Literal["last", "best"]


def require_between(name: str, value: float, least: float, most: float) -> None:
    """ValueError for a number out of bounds, as NaN is."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value:g}, expected {least:g} to {most:g}")


@dataclass(frozen=True, kw_only=True)
class SoundClass:
    """A class of the dataset."""

    name: str  # the name in the table of clips
    category: str  # major category; empty if there is none


@dataclass(frozen=True, kw_only=True)
class InputChannel:
    """One channel of a run: a feature as the cache stores it, and some of its rows."""

    stored: str  # the feature's name in the cache
    parameters: Mapping[str, Plain]  # the feature's parameters
    dtype: Literal["float16", "float32"]  # type of the stored values
    row_range: tuple[int, int]  # first and last row, counted from 0, both included
    frames: int  # frames of a feature map
    frame_unit: str  # seconds, or what its columns are
    code_version: str = ""  # of the feature's code

    def __post_init__(self) -> None:
        if len(self.row_range) != 2:
            raise ValueError(f"row_range is {shortened(repr(self.row_range))}")
        first, last = self.row_range
        require_between("row_range", last, 0, MOST_ROWS)
        require_between("row_range", first, 0, last)
        require_between(
            "frames", self.frames, 1, RATE_BOUNDS["most"] * DURATION["most"]
        )

    @cached_property
    def channel(self) -> FeatureName:
        """The channel as a cache reads it, its rows always given."""
        return replace(parse_feature_name(self.stored), rows=self.row_range)

    @cached_property
    def name(self) -> str:
        """The feature's name, without parameters."""
        return self.channel.name

    @cached_property
    def rows(self) -> int:
        first, last = self.row_range
        return last - first + 1

    @cached_property
    def timed(self) -> bool:
        """Whether its columns are frames of time."""
        return row_statistics.is_time(self.frame_unit)

    @cached_property
    def columns(self) -> int:
        """The number of columns for models that read all values."""
        return row_statistics.kept_columns(self.rows, self.frames)

    @cached_property
    def statistics(self) -> int:
        """The number of values that `over_columns` makes of it."""
        if row_statistics.has_statistics(self.frame_unit, self.frames):
            return 2 * self.rows
        return self.rows * self.columns


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine that began a run."""

    processor: str  # its kind
    cores: int | None  # None if unknown
    gpu: str | None = None  # the name of the graphics card


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration for new audio, fitted to all test clips so far."""

    temperature: float  # divides the logits
    clips: int  # number of clips in the fit
    # class -> value; for several labels per clip
    thresholds: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        require_between("temperature", self.temperature, **TEMPERATURE)
        for name, threshold in (self.thresholds or {}).items():
            require_between(f"the threshold of {name}", threshold, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How networks are computed, by default in plain fp32 (see train/compute.py)."""

    device: str = "cpu"  # kind of place of the network: cpu, cuda or mps
    # number format of training, fp32, bf16 or fp16; predictions are computed in fp32
    precision: str = "fp32"
    channels_last: bool = False  # memory layout of the network's input
    threads: int = 1  # threads of one process

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else "contiguous"
        threads = counted(self.threads, "thread")
        return f"{self.precision}, {layout}, {threads} on {self.device}"


MadeBy = Literal["train", "choice"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """run.json of every run, whatever made its predictions."""

    format_version: RunFormat  # format of run.json
    made_by: MadeBy  # what made it
    dataset: str  # its name
    synthetic: bool = False  # clips of DATASET=synth
    features: str  # the feature set; of an answer, a label
    model: str  # MODEL=
    task: str  # TASK=
    seed: int = 0  # SEED=
    val: Validation | None = None  # None if it is unknown
    tag: str = ""  # TAG=
    note: str = ""  # NOTE=
    folds: tuple[int, ...]  # all folds of the protocol, trained or not
    folds_drawn: bool = False  # by SEED=
    classes: tuple[SoundClass, ...]  # in the order of the network's outputs
    sample_rate: int = 0  # Hz; 0 if unknown
    duration: float = 0.0  # s; 0 if unknown
    identity: str = ""  # of its dataset (features_cache/identity.py), in a line
    # fold -> DIGITS of the hash of each of its sounds, with those only trained on
    sounds: Mapping[str, str] = field(default_factory=dict)
    exact: bool  # there is one solution, whatever the seed
    protocol: str  # in words
    hash: str  # hash of options, clips and feature values
    family: str  # hash without the seed, which all seeds of a configuration share
    seconds: float = 0.0  # training time, all folds
    # number of the network's parameters; None if there is no network, or if it is
    # unknown
    parameters: int | None = None

    # ---- of `train`

    # the other options that can change predictions; `auto` is replaced if the data
    # decide it
    training: Training | None = None
    # files of the user's own that defined features or models when it was trained
    own_code: tuple[str, ...] = ()
    code: str = ""  # digest of the text of an own model
    input_grid: str = ""  # rows x frames of the network's input
    clip_seconds: float | None = None  # s, median, if many are padded
    channels: tuple[InputChannel, ...] = ()  # of the network's input, in order
    cache_megabytes: float | None = None  # of the features of all clips
    command: tuple[str, ...] = ()  # NAME=value words that train it again
    # stored feature -> digest of its clips' fingerprints
    cache: Mapping[str, str] = field(default_factory=dict)
    # digest of the clips: their table, with the folds of SEED=0, and their sounds
    clips: str = ""
    left_out: tuple[str, ...] = ()  # clips in it whose features could not be read
    machine: Machine | None = None  # the machine that began the run
    versions: Mapping[str, str] = field(default_factory=dict)  # library -> version
    # last or best epoch -> calibration for new audio
    calibration: Mapping[Epoch, Calibration] = field(default_factory=dict)
    computed: Compute | None = None  # how the trainer computes

    # ---- of an answer

    # names of the runs that were trained for it, the recommended one first
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needed = "members" if self.made_by == "choice" else "training"
        if not getattr(self, needed):
            raise ValueError(f"made_by is {self.made_by}, without {needed}")
        if self.training:
            shared = {name: getattr(self, name) for name in OF_EVERY_RUN}
            object.__setattr__(self, "training", replace(self.training, **shared))
        if not self.dataset:
            raise ValueError("dataset is empty")
        dataset_name("", self.dataset)  # refuses what is no folder's name
        require_between("sample_rate", self.sample_rate, 0, RATE_BOUNDS["most"])
        require_between("duration", self.duration, 0, DURATION["most"])
        if self.clip_seconds is not None:
            require_between("clip_seconds", self.clip_seconds, 0, self.duration)
        names = [each.name for each in self.classes]
        for key, values in (("classes", names), ("folds", self.folds)):
            if not values or len({*values}) < len(values):
                raise ValueError(f"{key} is {listed([*map(str, values)]) or 'empty'}")
        refuse_class_names(names)

    @cached_property
    def dataset_identity(self) -> Identity:
        """The identity of its dataset, with all sounds."""
        sounds = frozenset(pieces("".join(self.sounds.values())))
        return replace(Identity.parse(self.identity), sounds=sounds)

    @property
    def options(self) -> Training:
        assert self.training, "RunFolder.trained_config refuses the others"
        return self.training


def content_of(config: RunConfig) -> dict[str, Any]:
    content = asdict(config)
    for name in OF_EVERY_RUN if config.training else ():
        del content["training"][name]
    return content
