"""Timelines: windows through recordings, and the files that keep them by recording.

`windows` and `resampled` work block by block, so that a long recording is never in
memory as a whole.
"""

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import soxr

from featurestack.commandline.errors import RequestError
from featurestack.commandline.tables import as_csv
from featurestack.results.windows import middles
from featurestack.storage.files import replace_file
from featurestack.train.rejection import Samples

FORMAT_VERSION = 1  # version of a timeline's files
# first columns of a timeline's .csv; the classes' follow
COLUMNS = ["start", "end", "predicted", "level"]
# largest number of classes in a figure: those that are most probable in most windows
DRAWN = 20

Span = tuple[float, float]  # start and end of a window, in seconds


def windows_of(
    blocks: Iterable[Samples],
    sample_rate: int,
    samples: int,
    hop: int,
) -> Iterator[tuple[Span, Samples]]:
    """Windows of `samples` samples, one every `hop` samples, from blocks of any length.

    The last window ends with the recording. A recording shorter than a window is one
    shorter window.
    """
    # `before`: the hop of samples before `rest`
    before = rest = np.zeros(0, np.float32)
    start = 0
    for block in blocks:
        rest = np.concatenate([rest, block])
        # more than one window: this one does not reach the end
        while len(rest) > samples:
            yield (start / sample_rate, (start + samples) / sample_rate), rest[:samples]
            before, rest = rest[:hop], rest[hop:]
            start += hop
    end = start + len(rest)
    last = np.concatenate([before, rest])[-samples:]
    yield ((end - len(last)) / sample_rate, end / sample_rate), last


def resampled(
    blocks: Iterable[Samples],
    rate: int,
    sample_rate: int,
) -> Iterator[Samples]:
    """Blocks at `rate` as blocks at `sample_rate`, without discontinuities between
    them.
    """
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


@dataclass(frozen=True)
class Timeline:
    """The windows of one recording and their probabilities, W windows, K classes.

    Another threshold, GATE or REJECT decides again about the same timeline.
    """

    windows: pd.DataFrame  # (W) file, start, end, `level` of the loudest part in dB
    probabilities: pd.DataFrame  # (W, K), a column a class


@dataclass(frozen=True)
class Source:
    """The source of a timeline: the content of its .json."""

    recording: str  # its name below AUDIO
    file: str  # absolute
    size: int  # bytes
    modified: int  # ns
    seconds: float
    made_by: str  # `AudioModel.fingerprint`, length and hop of the windows
    decided_by: str = ""  # thresholds of .csv and .txt
    format_version: int = FORMAT_VERSION

    def is_same_audio(self, other: "Source") -> bool:
        """Whether both are of the same file, or of a copy with the same time."""
        return (self.size, self.modified) == (other.size, other.modified)


class TimelineFolder:
    """The timelines in a folder: a .csv, .txt, .png and .json for each recording.

    The .json says that the others are complete: it is written last, and removed before
    they are replaced. A kill loses the recording that is being predicted, no other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, tuple[Source, Path]] = {}  # by name of the recording
        for path in sorted(folder.rglob("*.json")):
            with suppress(OSError, ValueError, TypeError):
                source = Source(**json.loads(path.read_text(encoding="utf-8")))
                if source.format_version == FORMAT_VERSION:
                    self.kept[source.recording] = source, path.with_suffix("")

    def places(self, recordings: Sequence[str]) -> dict[str, Path]:
        """Name of a recording -> the path of its files, without extension.

        The path is the name without its extension, or the whole name if another
        recording has the same path.
        """
        names = {*recordings, *self.kept}
        stems = Counter(str(PurePosixPath(name).with_suffix("")) for name in names)
        places = {}
        for name in recordings:
            stem = str(PurePosixPath(name).with_suffix(""))
            short = self.folder / stem
            taken = stems[stem] > 1
            places[name] = self.folder / name if taken else short
            if name in self.kept:
                places[name] = self.kept[name][1]
        return places

    def refuse_other_recordings(self, sources: Iterable[Source]) -> None:
        """RequestError if a name stands for another recording here."""
        for source in sources:
            if source.recording not in self.kept:
                continue
            kept, _ = self.kept[source.recording]
            if kept.file != source.file and not kept.is_same_audio(source):
                raise RequestError(
                    f"{source.file}: {self.folder.parent} holds the detections of"
                    f" {kept.file}, another recording of this name; give OUT=another"
                    " folder"
                )

    def read(self, source: Source, classes: list[str]) -> Timeline | None:
        """The recording's timeline if it was made from the same audio, model, length
        and hop; else None.
        """
        if source.recording not in self.kept:
            return None
        kept, place = self.kept[source.recording]
        if not kept.is_same_audio(source) or kept.made_by != source.made_by:
            return None
        try:
            table = pd.read_csv(with_ending(place, ".csv"))
        except (OSError, ValueError):
            return None
        windows = table[["start", "end", "level"]].assign(file=source.recording)
        probabilities = table.iloc[:, len(COLUMNS) :].astype(np.float32)
        if probabilities.shape[1] != len(classes):
            return None
        return Timeline(windows, probabilities.set_axis(classes, axis=1))

    def write(
        self,
        source: Source,
        place: Path,
        timeline: Timeline,
        predicted: pd.Series,
        detections: pd.DataFrame,
    ) -> None:
        """Write the files of a recording that were made from, or decided by, something
        else.

        predicted   (W,) class of each window, joined by `;` if there are several
        detections  of `join_windows`
        """
        kept = self.kept.get(source.recording, (None, place))[0]
        if kept == source:
            return
        self.begin(place, timeline, predicted)
        labels = detections[["start", "end", "label"]]
        replace_file(
            with_ending(place, ".txt"),
            labels.to_csv(sep="\t", header=False, index=False, float_format="%.3f"),
        )
        is_redrawn = kept is None or replace(kept, decided_by="") != replace(
            source, decided_by=""
        )
        figure = with_ending(place, ".png")
        if is_redrawn or not figure.is_file():
            title = PurePosixPath(source.recording).name
            image = draw(timeline.windows, timeline.probabilities, title)
            replace_file(figure, image)
        self.finish(source, place)

    def keep(self, source: Source, timeline: Timeline) -> None:
        """Write the probabilities alone."""
        place = self.places([source.recording])[source.recording]
        self.begin(place, timeline, pd.Series("", timeline.windows.index))
        self.finish(source, place)

    def begin(self, place: Path, timeline: Timeline, predicted: pd.Series) -> None:
        """Write .csv, after the removal of .json."""
        place.parent.mkdir(parents=True, exist_ok=True)
        with_ending(place, ".json").unlink(missing_ok=True)
        columns = timeline.windows.assign(predicted=predicted)[COLUMNS]
        table = pd.concat([columns, timeline.probabilities], axis=1)
        replace_file(with_ending(place, ".csv"), as_csv(table))

    def finish(self, source: Source, place: Path) -> None:
        """Write .json: the recording's other files are complete."""
        replace_file(with_ending(place, ".json"), json.dumps(asdict(source)))
        self.kept[source.recording] = source, place


def with_ending(place: Path, ending: str) -> Path:
    """The path with an ending after its name, which may hold a dot."""
    return place.with_name(place.name + ending)


def time_edges(windows: pd.DataFrame) -> list[float]:
    """The borders of the times that the windows of one recording stand for, as in its
    detections: each stands for the hop in its middle.
    """
    middle = middles(windows, hop=np.inf)
    return [*middle["start"], middle["end"].iloc[-1]]


def draw(windows: pd.DataFrame, probabilities: pd.DataFrame, title: str) -> bytes:
    """A figure of the probabilities of up to DRAWN classes over time, as PNG."""
    from matplotlib.figure import Figure

    drawn = probabilities.idxmax(axis=1).value_counts().index[:DRAWN]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(drawn)), layout="constrained")
    ax = figure.subplots()
    image = ax.pcolormesh(
        time_edges(windows),
        np.arange(len(drawn) + 1),
        probabilities[drawn].T,
        vmin=0,
        vmax=1,
        cmap="Greys",
    )
    ax.set_yticks(np.arange(len(drawn)) + 0.5, drawn)
    ax.set_ylabel(f"{len(drawn)} of {probabilities.shape[1]} classes")
    ax.invert_yaxis()
    ax.set_xlabel("seconds")
    ax.set_title(title, fontsize=9, parse_math=False)
    figure.colorbar(image, ax=ax, label="probability")
    content = io.BytesIO()
    figure.savefig(content, dpi=130, format="png")
    return content.getvalue()
