"""Options of the commands on finished runs: predict, verify, bundle, list, remove."""

from pathlib import Path
from typing import Literal

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import (
    DataOptions,
    Options,
    ReportsOptions,
    RunsOptions,
    option,
)
from featurestack.features_cache.location import is_cache

FOLDERS = "importance folders"  # the capability that lists and finds them


class EpochOptions(RunsOptions):
    """A run, and the epoch of its weights."""

    run: str = option(
        "last", "a run's name, path or unique prefix, or last", positional=True
    )
    selection: Literal["auto", "last", "best"] = option(
        "auto",
        "weights of the last epoch, or of the best by validation; auto is the best if"
        " VAL chose one",
    )


class TrainedOptions(EpochOptions):
    """A trained model, and the device that computes."""

    run: str = option(
        "last",
        "a run's name, path or unique prefix, last, or a bundle's file",
        positional=True,
    )
    dataset: str = option(
        "", "dataset of the runs that RUN chooses from; all by default"
    )
    device: str = option("cpu", "cpu, cuda, mps, or auto for the best available")
    threads: str = option("auto", "threads of the network's arithmetic on a CPU")
    window: float = option(
        0.0,
        "seconds of audio in one prediction, padded like a short clip; 0 for the length"
        " of a training clip, the median if many were padded",
        least=0,
    )
    gate: float | None = option(
        None,
        "level in dB of full scale, such as -50; a window that is never louder gets no"
        " answer",
        least=-200,
        most=0,
    )
    reject: str = option(
        "",
        "probability below which there is no answer, such as 0.7; auto for the one"
        " fitted to the run's validation clips",
    )


class PredictOptions(TrainedOptions, DataOptions, ReportsOptions):
    """Classes of new audio or of the dataset's own test clips, or the score on another
    dataset: DATASET= without AUDIO.
    """

    example = "RUN=last AUDIO=recording.wav"

    leading = ("audio", "run", "hop", "threshold", "tables", "out", "dataset")
    audio: Path | None = option(
        None, "audio file, or a folder of them with its sub-folders"
    )
    test_clips: bool = option(
        False,
        "predict the dataset's clips instead of AUDIO, each by the model of the fold"
        " that tested it, and compare with predictions.csv",
    )
    top: int = option(5, "classes shown for each file", least=1)
    json: bool = option(False, "print every probability as JSON")
    csv: bool = option(False, "print every probability as CSV")
    hop: float = option(
        0.0,
        "seconds from one window to the next in a long recording; 0 predicts only its"
        " beginning",
        least=0,
    )
    threshold: str = option(
        "",
        "probability above which a class is predicted, for several labels and events:"
        " 0.5, or by class dog=0.3,rain=0.6; by default the run's own, or else 0.5",
    )
    out: Path | None = option(
        None,
        "folder of detections and scores; by default that of the dataset in REPORTS",
    )
    doubtful: int = option(
        0,
        "parts of recordings to annotate next: so many of the most doubtful ones, as a"
        " table for Raven and as cut sounds",
        least=0,
    )
    tables: Path | None = option(
        None,
        "annotation tables that detections are scored against: a folder, or one table"
        " of all recordings",
    )
    column: str = option(
        "", "column of labels in the tables; by default one of the usual names"
    )
    label: str = option("", "label of events in tables without labels")
    missing: Literal["refuse", "ignore"] = option(
        "refuse",
        "rows of the tables about recordings that are not in AUDIO: an error, or left"
        " out",
    )
    truncated: Literal["refuse", "keep"] = option(
        "refuse",
        "recordings that end before their header says, by a run of events: left out, or"
        " predicted as far as they go",
    )

    @property
    def elsewhere(self) -> bool:
        """Whether DATASET is another dataset that the run is scored on, and not the one
        of the runs that RUN chooses from.
        """
        return self.audio is None and not self.test_clips and bool(self.dataset)


class VerifyOptions(EpochOptions, DataOptions):
    """Predict a run's test clips again from its weights and the cache; exit status 1 if
    predictions.csv has other rows.
    """

    example = "RUN=runs/esc10/mel-linear DATASET=/srv/data/esc10/features"

    dataset: str = option(
        "", "cache folder, if it is not the one of the run's dataset in DATA"
    )
    device: str = option("cpu", "cpu, cuda, mps, or auto for the best available")
    threads: str = option("auto", "threads of the network's arithmetic on a CPU")


class BundleOptions(EpochOptions, DataOptions):
    """One file with the weights and configuration that prediction needs."""

    example = "last OUT=model.pt DTYPE=float16"

    refit: bool = option(
        False,
        "train one model on the clips of all folds instead of packing each fold's: a"
        " fifth of the work for five folds, and no score of its own",
    )

    dtype: Literal["float32", "float16"] = option(
        "float32", "type of the weights; float16 halves the file"
    )
    out: Path | None = option(None, "file to write; by default <run>.bundle.pt")


class RemoveOptions(RunsOptions):
    """Delete runs and importance folders, after printing the number and size of their
    files.
    """

    example = 'RUN="mel-cnn4 mfcc-cnn4"'

    run: str = option(
        "",
        "name, path or unique prefix of a run or importance folder; several remove"
        " each",
        positional=True,
    )
    dataset: str = option(
        "", "dataset of the runs that RUN chooses from; all by default"
    )
    yes: bool = option(False, "remove without asking")


class ListOptions(Options):
    """Models, augmentations, recipes, runs and importance folders, one model's stages,
    or the runs of several folders as CSV.
    """

    example = 'RUNS="anna ben clara"'

    runs: str = option(
        "runs",
        "folder of run folders; several folders, each a run or a folder of runs, list"
        " their runs as CSV",
    )

    name: str = option(
        "",
        "model whose stages are shown, with its options: aclnet@width=0.5",
        positional=True,
    )
    grid: str = option("64x216", "rows x frames of an image model's input")
    channels: int = option(3, "channels of an image model's input", least=1, most=1000)
    classes: int = option(50, "classes of the last layer", least=2, most=100000)
    samples: int = option(
        220500,
        "samples of a wave model's input: 5 s at 44,100 Hz",
        least=1,
        most=10000000,
    )


def refuse_inside(out: Path | None) -> None:
    """RequestError if OUT lies in a run folder or a cache, whose files it would
    replace.
    """
    if out is None:
        return
    place = out.resolve()
    for folder in (place, *place.parents):
        if (folder / "run.json").is_file() or is_cache(folder):
            raise RequestError(
                f"OUT={out}: {folder} is a run or a cache, whose files stay as they"
                " are: give another place"
            )
