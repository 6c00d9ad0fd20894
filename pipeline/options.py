"""Options of the pipeline's commands; their command lines are made from these."""

from pathlib import Path
from typing import Literal

from featurestack.base.options import (
    CHANNEL,
    SEED,
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)
from featurestack.features_cache.feature_names import LARGE

RATE = {"least": 100, "most": 1_000_000}  # Hz


class SourceOptions(DatasetOptions, RunsOptions):
    """The origin of clips, labels, folds and groups."""

    archive: str = option("", "zip file that is already there, instead of a download")
    audio_dir: str = option(
        "", "folder of the audio files, if not the table's; by default the cache's"
    )
    group: str | None = option(
        None,
        "source recording of a clip: a column of the table, or a pattern with one"
        " (group) for file names; by default as in an earlier command, empty for none",
        clears=True,
    )
    label: str | None = option(
        None,
        "class of a clip: a column of the table, or a pattern with one (class) for file"
        " names, if folders are sites or dates; by default as in an earlier command,"
        " empty for none",
        clears=True,
    )
    sample_rate: int | None = option(
        None, "sample rate in Hz; by default the cache's, else the commonest", **RATE
    )
    duration: float | None = option(
        None,
        "seconds of a clip; by default the cache's, else 5 in ESC-50's layout, else the"
        " longest clip's (at most 30), or the shortest that holds 95 % of the clips if"
        " more than a tenth would be padding",
        least=0.001,
        most=3600,
    )
    channel: int | None = option(
        None,
        "channel of files that have several: 1 for the first, 0 for the mean of all; by"
        " default the cache's, else the mean",
        **CHANNEL,
    )
    seed: int = option(0, "seed of drawn folds and alterations", **SEED)


class AlterOptions(SourceOptions):
    """The dataset to get ready and, with ALTER=, the altered copies of it to write."""

    alter: str = option(
        "",
        "write altered copies of the clips as audio files, with a table, into the"
        " folder NAME of DATA: some of pitch,stretch,noise,gain,shift,"
        "lowpass,room,mp3,overload,delay, taken in turn",
    )
    copies: int = option(1, "altered copies of each clip", least=1, most=1000)


class ComputeOptions(SourceOptions):
    """Features to compute, and how."""

    features: str = option(
        "all",
        "feature sets separated by spaces; all (cached variants too), or small, all but"
        f" {', '.join(LARGE)}",
    )
    frame: float | None = option(
        None,
        "milliseconds of a frame, as in mel@frame=64, for all features whose names do"
        " not state theirs; by default librosa's 2048 samples",
        least=1,
        most=1000,
    )
    jobs: int | None = option(
        None, "number of processes; by default one per core", least=1, most=10000
    )
    yes: bool = option(
        False,
        "replace cached features if the sample rate, duration or channel has changed",
    )


class FeaturesCommand(ComputeOptions):
    """Options of `features`."""

    part: str = option(
        "1/1", "part of the clips to extract: 3/16 is the third sixteenth"
    )
    dtype: Literal["float16", "float32"] = option(
        "float16", "type of the stored values, float16 or float32"
    )
    scheduler: str = option(
        "", "address of a Dask cluster that extracts, tcp://host:port"
    )


class ShowOptions(DatasetOptions, ReportsOptions):
    """All features, a figure of the features of AUDIO, or the cache of DATASET."""

    example = 'AUDIO=dog.wav FEATURES="mel modulation"'

    dataset: str = option("", "describe the cache of this dataset")
    audio: Path | None = option(
        None, "audio file, whose features are drawn to show/<its name>.png in REPORTS"
    )
    features: str = option(
        "",
        "features separated by spaces: with AUDIO those to draw, mel mfcc chroma by"
        " default, else those whose cards are printed",
    )
    sample_rate: int | None = option(
        None, "Hz to which the file is resampled; by default its own rate", **RATE
    )
    duration: float = option(
        5.0, "seconds of a clip in the list of features", least=0.05, most=60
    )
    channel: int = option(0, "channel of the file, 0 for the mean", **CHANNEL)
