"""The options of `make predict` and `make bundle`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.base.errors import RequestError, nearest
from featurestack.base.options import (
    THREAD_BOUNDS,
    Auto,
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
)
from featurestack.train.options import parse_number, require_device

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder


class ChosenRun(RunsOptions, DatasetOptions):
    """One run."""

    dataset: str = option(
        "", "dataset of the runs that RUN chooses from; all by default"
    )
    run: str = option("last", "a run's name, path or unique prefix, or last")


class ComputingOptions(ChosenRun):
    """One run, and the device that computes."""

    device: str = option("cpu", "cpu, cuda, mps, or auto for the best available")
    threads: int | Auto = option(
        "auto", "number of CPU threads for the network", **THREAD_BOUNDS
    )

    def __post_init__(self) -> None:
        """Refuse a device before torch is loaded."""
        super().__post_init__()
        require_device(self.device)


class TrainedOptions(ComputingOptions):
    """A trained model, and the device that computes."""

    run: str = option(
        "last",
        "a run (its name, path or unique prefix, or last), a bundle, or an ONNX file",
    )
    gate: float | None = option(
        None,
        "level in dB of full scale, such as -50; a window that never exceeds it gets"
        " no answer",
        least=-200,
        most=0,
    )
    reject: float = option(
        0.0, "probability below which there is no answer, such as 0.7", least=0, most=1
    )


class PredictOptions(TrainedOptions, ReportsOptions):
    """Classes of new audio, or the score on another dataset: DATASET= without AUDIO."""

    example = "RUN=last AUDIO=recording.wav"

    leading = ("audio", "run", "hop", "threshold", "out", "dataset")
    audio: Path | None = option(
        None, "audio file, or a folder of them with its sub-folders"
    )
    hop: float | None = option(
        None,
        "seconds from one window to the next in recordings that are longer than the"
        " run's clips; by default a quarter of a window",
        least=0.001,
    )
    threshold: str = option(
        "",
        "probability above which a class is predicted: 0.5, or by class"
        " dog=0.3,rain=0.6; consecutive windows of a recording become detections",
    )
    out: Path | None = option(
        None,
        "file for all probabilities, .csv or .json, on another dataset .csv; for"
        " detections, CHECK and NEXT a folder, by default in REPORTS with the dataset's"
        " and AUDIO's names",
    )
    check: int = option(
        0,
        "number of detections (with THRESHOLD) or windows to check by ear, drawn by"
        " score; a page plays them, a table takes the answers",
        least=0,
        extra=True,
    )
    checked: Path | None = option(
        None,
        "the answered table of CHECK, instead of AUDIO, for precision by score and the"
        " threshold that keeps PROMISE",
        extra=True,
    )
    promise: float = option(
        0.9,
        "precision for which CHECKED finds a threshold",
        least=0.5,
        most=0.99,
        extra=True,
    )
    next: int = option(
        0,
        "number of files, or windows of recordings, to list in next.csv because their"
        " labels would teach a model most",
        least=0,
        extra=True,
    )


def class_thresholds(
    text: str, classes: Sequence[str], fitted: Mapping[str, float]
) -> dict[str, float]:
    """THRESHOLD (`text`) by class; other classes keep the run's own, else 0.5. Empty if
    no class has one.

    >>> class_thresholds("0.5, rain=0.3", ["dog", "rain"], {})
    {'dog': 0.5, 'rain': 0.3}
    """
    thresholds = dict(fitted)
    expected = "a probability from 0 to 1, or some by class, such as dog=0.3,rain=0.6"
    for part in text.split(",") if text else ():
        name, _, number = part.strip().rpartition("=")
        if name and name not in classes:
            raise RequestError(nearest("class", name, classes))
        value = parse_number(number, f"THRESHOLD={text}: expected {expected}")
        thresholds |= dict.fromkeys([name] if name else classes, value)
    if not thresholds:
        return {}
    return {name: thresholds.get(name, 0.5) for name in classes}


def same_words(options: PredictOptions, run: "RunFolder | None") -> list[str]:
    """The NAME=value words of a command. They name the run, because another one may be
    the last by then.
    """
    path = str(run.path) if run else options.run
    return option_words(replace(options, run=path))


class BundleOptions(ChosenRun):
    """One file with the weights and configuration that prediction needs."""

    example = "RUN=last OUT=model.pt"

    out: Path | None = option(None, "file to write; by default <run>.bundle.pt")
