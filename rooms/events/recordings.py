"""Recordings: their seconds, and the names that tables give them."""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from featurestack.commandline.errors import RequestError, closest, shortened
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.pipeline import audio


class Measured(NamedTuple):
    """The content of recordings' files."""

    seconds: dict[str, float]  # readable file -> its length
    problems: dict[str, str]  # why the others cannot
    lost: dict[str, float]  # truncated file -> missing seconds, NaN if not known
    rates: dict[str, int]  # samples a second in the file

    @property
    def promised(self) -> dict[str, float]:
        """Recording -> its seconds for tables, which may name a missing part."""
        unknown = dict.fromkeys(self.problems, math.nan)
        return self.seconds | unknown | dict.fromkeys(self.lost, math.inf)

    @property
    def lost_in_words(self) -> str:
        """`2 truncated recordings, 12.3 s lost`, of those whose loss is known."""
        known = np.nansum([*self.lost.values()])
        return f"{counted(len(self.lost), 'truncated recording')}, {known:.1f} s lost"


def measure_recordings(
    recordings: Mapping[str, Path],
    channel: int = 0,
) -> Measured:
    """The facts of recordings; tells whose channels are averaged."""
    measured = Measured({}, {}, {}, {})
    mixed = []
    infos = audio.file_infos(list(recordings.values()), truncated=True)
    for name, info in zip(recordings, infos):
        if isinstance(info, audio.AudioError):
            measured.problems[name] = str(info)
            continue
        measured.seconds[name] = info.frames / info.sample_rate
        measured.rates[name] = info.sample_rate
        if info.channels > 1 and not channel:
            mixed.append(name)
        if info.lost is None:
            measured.lost[name] = math.nan
        elif info.lost:
            measured.lost[name] = info.lost / info.sample_rate
    if mixed:
        tell(
            f"{counted(len(mixed), 'recording')} of several channels, first {mixed[0]}:"
            " they are averaged; in features and predict CHANNEL=1 takes the first"
            " alone"
        )
    return measured


class Recordings:
    """Finds recordings by the names that tables give them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self.by_name = defaultdict[str, list[str]](list)
        for path in self.paths:
            name = plain_path(path)
            for key in {name.name, name.stem}:
                self.by_name[key].append(path)

    def find(self, name: PurePosixPath, where: str) -> str:
        """The recording of this name whose folders agree best; '' without one."""
        fitting = self.by_name.get(name.name) or self.by_name.get(name.stem, [])
        best = fitting
        for depth in range(2, len(name.parts) + 1):  # folders from the innermost on
            folders = name.parts[-depth:-1]
            closer = [
                path for path in best if plain_path(path).parts[-depth:-1] == folders
            ]
            best = closer or best
        if len(best) > 1:
            raise RequestError(
                f"{where}: {name} may be {' or '.join(best[:3])}; expected one"
                " recording of this name: write its folder into the table, or rename"
                " the others"
            )
        return best[0] if best else ""

    def unknown(self, text: str, where: str) -> RequestError:
        """The error for a row whose cell, perhaps empty, names no recording."""
        if not text:
            return RequestError(
                f"{where}: neither the row nor the table's own name says which"
                " recording"
            )
        names = [PurePosixPath(path).name for path in self.paths]
        meant = closest(plain_path(text).name, names)
        hint = f" (did you mean {meant}?)" if meant else ""
        return RequestError(
            f"{where}: the recording {shortened(text)} is not in AUDIO={hint}; add it,"
            " or remove the line"
        )

    def of_table(self, path: Path, name: str, alone: bool) -> str:
        """The recording of a table's own name without its extensions, '' without one;
        a table that is `alone` may have any name for the only recording.
        """
        if alone and len(self.paths) == 1:
            return self.paths[0]
        words = plain_path(name)
        while words.suffix:
            words = words.with_suffix("")
            if recording := self.find(words, str(path)):
                return recording
        return ""


def plain_path(text: str) -> PurePosixPath:
    """A path with all accents and slashes in one form; disks and tables use two."""
    return PurePosixPath(unicodedata.normalize("NFC", text.replace("\\", "/")))
