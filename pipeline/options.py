"""Options of the pipeline's commands; their command lines are made from these."""

from pathlib import Path
from typing import Literal

from featurestack.base.options import (
    DURATION,
    RATE_BOUNDS,
    SEED_BOUNDS,
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)
from featurestack.features_cache.feature_names import LARGE


class SourceOptions(DatasetOptions, RunsOptions):
    """The origin of clips, labels, folds and groups."""

    archive: str = option("", "zip file that is already there, instead of a download")
    audio_dir: str = option(
        "",
        "folder of the audio files, if it is not the table's; by default the one that"
        " the cache remembers",
    )
    group: str | None = option(
        None,
        "source recording of a clip: a column of the table, or a pattern with one"
        " (group) that matches file names; by default as last given; GROUP= removes it",
        clears=True,
    )
    label: str | None = option(
        None,
        "class of a clip: a column of the table, or a pattern with one (class) that"
        " matches file names, if folders are sites or dates; by default as last given;"
        " LABEL= removes it",
        clears=True,
    )
    sample_rate: int | None = option(
        None,
        "sample rate in Hz; by default the cache's, else the most common",
        **RATE_BOUNDS,
    )
    duration: float | None = option(
        None,
        "length of a clip in seconds; by default the cache's, else 5 for ESC-50's"
        " layout, else the longest clip's (at most 30); if more than a tenth would"
        " then be padding, the shortest length that keeps 95 % of the clips whole",
        **DURATION,
    )
    seed: int = option(0, "seed of drawn folds and alterations", **SEED_BOUNDS)


class AlterOptions(SourceOptions):
    """The dataset to get ready and, with ALTER=, the altered copies of it to write."""

    alter: str = option(
        "",
        "write altered copies of the clips, with a table of them, to the folder NAME"
        " in DATA: some of pitch,stretch,noise,gain,shift,lowpass,room,mp3,"
        "overload,delay, taken in turn",
        extra=True,
    )
    copies: int = option(
        1, "number of altered copies of each clip", least=1, most=1000, extra=True
    )


class ComputeOptions(SourceOptions):
    """Features to compute, and how."""

    features: str = option(
        "all",
        "feature sets, separated by spaces; or all, cached variants included; or"
        f" small, all but {', '.join(LARGE)}",
    )
    frame: float | None = option(
        None,
        "length of a frame in milliseconds, as in mel@frame=64, for features whose"
        " names do not set it; by default librosa's 2048 samples",
        least=1,
        most=1000,
    )
    jobs: int | None = option(
        None, "number of processes; by default one per core", least=1, most=10000
    )
    yes: bool = option(
        False,
        "replace cached features if the sample rate or duration has changed",
    )


class FeaturesCommand(ComputeOptions):
    """Options of `features`."""

    part: str = option(
        "1/1", "part of the clips to extract: 3/16 is the third sixteenth"
    )
    dtype: Literal["float16", "float32"] | None = option(
        None,
        "type of the stored values, float16 or float32; by default that of a cached"
        " feature, else float16",
    )
    scheduler: str = option(
        "",
        "address of the Dask scheduler that runs the extraction, tcp://host:port",
        extra=True,
    )


class ShowOptions(DatasetOptions, ReportsOptions):
    """All features, a figure of the features of AUDIO, or the cache of DATASET."""

    example = 'AUDIO=dog.wav FEATURES="mel modulation"'

    dataset: str = option("", "describe the cache of this dataset")
    audio: Path | None = option(
        None, "audio file whose features are drawn, to show/<its name>.png in REPORTS"
    )
    features: str = option(
        "",
        "features, separated by spaces, to draw (with AUDIO; by default mel mfcc"
        " chroma) or to describe",
    )
    sample_rate: int | None = option(
        None,
        "Hz to which the file is resampled; by default its own rate",
        **RATE_BOUNDS,
    )
    duration: float = option(
        5.0, "seconds of a clip in the list of features", least=0.05, most=60
    )
