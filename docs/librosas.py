"""How far the features lie from librosa 0.11 and from librosa 1.0, and these from each
other.

    python -m docs.librosas DATASET=../esc10 OTHER=python3.13

OTHER is a Python with another librosa and with what requirements.txt names; torch is
not needed. Both Pythons compute every feature of CLIPS evenly spaced clips, by this
project and by the definitions of pipeline/reference.py. docs/tables/librosas.csv gets
one row for each feature. Differences are in millionths of the largest value of their
row, as in `reference.agreement`, whose tolerance is 100 of them. "Outside" is the share
of values, in percent, that lie beyond the tolerance: rolloff and yin pick a bin, others
follow an estimated tuning or tempo.
"""

import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from docs import tables
from featurestack.commandline.commands import main
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import DatasetOptions, option
from featurestack.features_cache.names import Channel
from featurestack.pipeline import audio, reference
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.features import Clip, resolve_feature
from featurestack.pipeline.options import SourceOptions

MILLION = 1e6
# features without a definition by librosa
OWN = {"waveform", "modulation", "gammatone", "gfcc", "shape", "ifd", "lfcc"}
COMMAND = "python -m docs.librosas DATASET=esc10 OTHER=python3.13"
EVERY = "all features"  # row of the largest differences

Values = dict[str, NDArray[np.float64]]  # name -> (clips, rows, frames)


class LibrosasOptions(DatasetOptions):
    """The clips, and a Python with another librosa.

    python -m docs.librosas DATASET=../esc10 OTHER=python3.13
    """

    clips: int = option(5, "number of clips, evenly spaced", least=1)
    other: str = option("", "a Python with another librosa")
    out: str = option("", "file of the values alone, without a table")


def names() -> list[str]:
    """The features that librosa defines."""
    return [name for name in reference.DEFINITIONS if name not in OWN]


def compute(options: LibrosasOptions) -> Values:
    """Each feature by this project, `ours NAME`, and by its definition, `theirs
    NAME`; and the version of librosa.
    """
    dataset = load(
        SourceOptions(dataset=options.dataset, data=options.data, name=options.name)
    )
    rate = dataset.sample_rate
    samples = round(dataset.duration * rate)
    last = len(dataset.table) - 1
    chosen = np.linspace(0, last, options.clips).astype(int)
    sounds = []
    for path in dataset.table["path"].iloc[chosen]:
        sounds.append(audio.load_clip(path, rate, samples))
    values = {"version": np.array(version("librosa"))}
    for name in names():
        feature = resolve_feature(Channel(name))
        ours = [feature.compute(Clip(y, rate)) for y in sounds]
        theirs = [reference.compute(name, y, rate) for y in sounds]
        values[f"ours {name}"] = np.array(ours, float)
        values[f"theirs {name}"] = np.array(theirs, float)
    return values


def difference(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(clips, rows, frames) in millionths of the largest value of the row of
    `second`.
    """
    scale = reference.row_scale(list(second))
    tiny = np.maximum(scale, reference.TINY)
    return MILLION * np.abs(first - second) / tiny


def compared(old: Values, new: Values) -> pd.DataFrame:
    """A row for each feature, after that of the largest differences."""
    tolerance = MILLION * reference.RELATIVE_TOLERANCE
    rows = []
    for name in names():
        ours_old = difference(old[f"ours {name}"], old[f"theirs {name}"])
        ours_new = difference(new[f"ours {name}"], new[f"theirs {name}"])
        between = difference(new[f"theirs {name}"], old[f"theirs {name}"])
        row: dict[str, object] = {"feature": name}
        parts = {"old": ours_old, "new": ours_new, "between": between}
        for column, values in parts.items():
            row[column] = values.max()
            row[f"{column}_outside"] = 100 * (values > tolerance).mean()
        rows.append(row)
    table = pd.DataFrame(rows)
    largest = table.drop(columns="feature").max()
    first = pd.DataFrame([{"feature": EVERY, **largest}])
    return pd.concat([first, table], ignore_index=True)


def librosas(options: LibrosasOptions) -> None:
    """Compare two versions of librosa with this project and with each other."""
    if options.out:
        np.savez(options.out, **compute(options))  # type: ignore[arg-type]
        return
    if not options.other:
        raise RequestError("OTHER is empty: give a Python with another librosa")
    by_version = {}
    with tempfile.TemporaryDirectory() as scratch:
        for place, python in enumerate((sys.executable, options.other)):
            file = Path(scratch) / f"{place}.npz"
            words = [f"DATASET={options.dataset}", f"DATA={options.data}"]
            words += [f"CLIPS={options.clips}", f"OUT={file}"]
            command = [python, "-m", "docs.librosas", *words]
            subprocess.run(command, check=True, cwd=tables.ROOT)
            with np.load(file) as values:
                by_version[str(values["version"])] = dict(values)
    if len(by_version) < 2:
        (same,) = by_version
        raise RequestError(f"both Pythons have librosa {same}; OTHER needs another")
    old, new = (by_version[each] for each in sorted(by_version))
    rows = compared(old, new)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    tables.write("librosas", rows, COMMAND, seconds)


if __name__ == "__main__":
    main([librosas])
