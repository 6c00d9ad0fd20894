"""Options of the pipeline's commands. The command line is made from these dataclasses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional

from commandline.options import Aliases, Bounds, DatasetOptions

RATE = Bounds(1, 1_000_000)  # Hz
SECONDS = Bounds(1e-6, 86_400)  # of a clip


@dataclass(frozen=True, kw_only=True)
class SourceOptions(DatasetOptions):
    """Where clips, labels, folds and groups come from."""

    archive: str | None = None
    """a zip that is already there, instead of a download"""
    url: str | None = None
    """another address to fetch the archive from"""
    audio_dir: str | None = None
    """folder of the audio files, where the table is elsewhere"""
    group: str | None = None
    """source recording of a clip: a column of the table, or a pattern with one (group) for file names"""
    folds_by: Literal["dataset", "group"] | None = None
    """group: a fold for each group, as for speakers or sites; dataset: its own folds, or drawn ones; as an
    earlier command said where it is not given"""
    sample_rate: Annotated[int | None, RATE] = None
    """Hz; 44100 for ESC-50 and its like, else the commonest of the files"""
    duration: Annotated[float | None, SECONDS] = None
    """seconds; 5 for ESC-50 and its like, else the longest clip, 30 at most"""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    """of drawn folds and altered copies"""


@dataclass(frozen=True, kw_only=True)
class ExtractOptions(SourceOptions):
    """What to extract."""

    features: str = "all"
    """feature sets separated by blanks; all, small"""
    copies: Annotated[int | None, Bounds(0, 1000)] = None
    """altered copies of each clip; 0 removes them, not given keeps those that are there"""
    alter: str = "pitch,stretch,noise,gain,shift"
    """alterations of the copies, each drawn in turn"""
    dtype: Literal["float16", "float32"] = "float16"
    """of the stored values"""
    jobs: Annotated[int | None, Bounds(1, 10_000)] = None
    """processes; all cores by default"""


@dataclass(frozen=True, kw_only=True)
class FeaturesCommand(ExtractOptions):
    """Options of `features`."""

    part: str | None = None
    """3/16: only the third sixteenth of the clips, beside other parts"""
    prepare: bool = False
    """only create the files, so that parts can fill them side by side"""
    skip_checksums: Annotated[bool, Aliases("trust")] = False
    """do not read what is done to look for damage; for caches that take long to read"""
    wait: bool = False
    """wait for another run over the same features instead of being refused"""
    backend: Annotated[Literal["processes", "dask"], Aliases("engine")] = "processes"
    """worker processes of this machine, or a Dask cluster"""
    scheduler: str | None = None
    """address of the Dask scheduler, tcp://host:port"""


@dataclass(frozen=True, kw_only=True)
class ListCommand:
    """Options of `list`."""

    feature: Positional[str | None] = None
    """show the card of this feature"""
    measure: bool = False
    """also measure the milliseconds of each feature, alone and in a run of all; takes half a minute"""
    sample_rate: Annotated[int, RATE] = 44100
    """Hz"""
    duration: Annotated[float, Bounds(0.001, 600)] = 5.0
    """seconds"""


@dataclass(frozen=True, kw_only=True)
class VerifyCommand(DatasetOptions):
    """Options of `verify`."""

    features: str = "all"
    """feature sets separated by blanks; all: those in the cache"""
    recompute: Annotated[int, Bounds(least=0)] = 0
    """also recompute this many random clips by plain librosa and compare"""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    """which clips are drawn"""
