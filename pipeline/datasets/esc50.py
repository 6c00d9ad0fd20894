"""ESC-50 itself: where it is fetched from, what it must hold, and its subset ESC-10."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from commandline.registry import RequestError
from commandline.terminal import counted
from pipeline import audio
from pipeline.datasets.download import OTHER_WAYS, Refused, download_file, one_at_a_time, staged, unpack
from pipeline.datasets.readers import FoundClips, is_esc_layout, read_csv

URL = "https://github.com/karolpiczak/ESC-50/archive/master.zip"
PUBLISHED_MD5 = "7771e4b9d86d0945acce719c7a59305a"  # of the ESC-50-master.zip that has long been there
ARCHIVE = "download.zip"  # beside the dataset until it is unpacked
FILE_NAME = re.compile(r"(?P<fold>\d+)-(?P<src_file>\d+)-(?P<take>[A-Z])-(?P<target>\d+)\.wav")
COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
CREDIT = """\
ESC-50: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", Proceedings of the 23rd ACM
International Conference on Multimedia, 2015, pp. 1015-1018, doi:10.1145/2733373.2806390.
Licence: Creative Commons Attribution-NonCommercial 3.0; the clips of ESC-10 Attribution 3.0. The authors of
the recordings are named in the dataset's LICENSE file."""


@dataclass(frozen=True)
class Contents:
    """What an archive must hold to be accepted as the dataset."""

    clips: int
    classes: int
    folds: int
    sample_rate: int  # Hz
    samples: int  # of every clip


ESC50 = Contents(clips=2000, classes=50, folds=5, sample_rate=44_100, samples=220_500)


def obtain(
    data: Path,
    *,
    archive: str | Path | None = None,
    url: str | None = None,
    audio_dir: Path | None = None,
    contents: Contents = ESC50,
) -> Path:
    """The folder of ESC-50: the one that is there, else unpacked from `archive`, else downloaded.

    Nothing is unpacked of an archive that is damaged, unsafe, or does not hold `contents`. With the
    clips in `audio_dir` the folder needs hold nothing but the table, and nothing is fetched.
    """
    folder = data / "esc50"
    if is_esc_layout(folder, audio_dir):
        if archive or url:
            print(f"{folder} is there already and is used; remove it to unpack another")
        return folder
    if audio_dir:
        raise RequestError(
            f"AUDIO_DIR={audio_dir} needs a folder there and the table {folder / 'meta' / 'esc50.csv'}; "
            "or name the table, DATASET=….csv"
        )
    with one_at_a_time(folder):
        if is_esc_layout(folder):
            return folder
        if archive:
            _install(Path(archive).expanduser(), folder, contents)
        else:
            _download(url or URL, folder, contents)
    print(CREDIT)
    return folder


def faults(folder: Path, contents: Contents = ESC50) -> Iterator[str]:
    """What is wrong with a folder that should hold ESC-50; nothing where all is right."""
    meta = folder / "meta" / "esc50.csv"
    if not meta.is_file():
        yield "it has no meta/esc50.csv"
        return
    rows = read_csv(meta)
    if missing := [column for column in COLUMNS if column not in rows.columns]:
        yield f"meta/esc50.csv lacks the columns {', '.join(missing)}"
        return
    yield from _faults_of_table(rows, contents)
    yield from _faults_of_files(rows["filename"].tolist(), folder / "audio", contents)


def subset(found: FoundClips, name: str) -> FoundClips:
    """ESC-50 as it is, or the clips that it marks `esc10`."""
    if name == "esc50":
        return found
    assert found.columns is not None
    marked = (found.columns["esc10"].str.lower() == "true").to_numpy()
    return replace(
        found,
        table=found.table[marked].reset_index(drop=True),
        columns=found.columns[marked].reset_index(drop=True),
    )


def _download(url: str, folder: Path, contents: Contents) -> None:
    """Fetch, check, unpack; what was put together from pieces and is refused is fetched once more, whole."""
    archive = folder / ARCHIVE
    for last in (False, True):
        pieced = archive.exists() or download_file(url, archive, label="ESC-50")
        try:
            _install(archive, folder, contents)
            break
        except Refused as error:
            archive.unlink()
            if last or not pieced:
                raise RequestError(f"what {url} sends is not used. {error}. {OTHER_WAYS}") from None
    archive.unlink()


def _install(archive: Path, folder: Path, contents: Contents) -> None:
    """Unpack beside the place, check, and put in place."""
    if not archive.is_file():
        raise RequestError(f"ARCHIVE={archive}: there is no such file; expected the zip of ESC-50")
    published = _md5(archive) == PUBLISHED_MD5
    with staged(folder, ("audio", "LICENSE", "meta")) as stage:
        unpack(archive, stage / "unpacked")
        found = _dataset_root(stage / "unpacked")
        if wrong := list(faults(found, contents)):
            more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
            origin = (
                "has the published checksum, yet"
                if published
                else f"is not the one of MD5 {PUBLISHED_MD5} and"
            )
            raise Refused(f"{archive} {origin} does not hold ESC-50: {'; '.join(wrong[:3])}{more}")
        for part in ("audio", "meta"):
            (found / part).replace(stage / part)
        if (found / "LICENSE").is_file():
            (found / "LICENSE").replace(stage / "LICENSE")
        else:
            (stage / "LICENSE").write_text(CREDIT + "\n")


def _dataset_root(unpacked: Path) -> Path:
    """Where an archive has its meta/: at its top, or in its one folder (GitHub's ESC-50-master)."""
    inside = [path.parent for path in unpacked.glob("*/meta") if path.is_dir()]
    return inside[0] if len(inside) == 1 else unpacked


def _faults_of_table(rows: pd.DataFrame, contents: Contents) -> Iterator[str]:
    if len(rows) != contents.clips or rows["filename"].duplicated().any():
        yield f"its table has {rows['filename'].nunique()} clips, expected {contents.clips}"
    for column, number in (("category", contents.classes), ("fold", contents.folds)):
        sizes = rows[column].value_counts()
        each = contents.clips // number
        if len(sizes) != number or (sizes != each).any():
            shown = f"{len(sizes)} of {sizes.min()} to {sizes.max()} clips" if len(sizes) else "none"
            yield f"{column}: expected {number} of {each} clips, there are {shown}"
    for row in rows.itertuples():
        match = FILE_NAME.fullmatch(row.filename)
        if match is None:
            yield f"{row.filename!r} is not named fold-source-take-class.wav"
        elif wrong := [key for key, value in match.groupdict().items() if getattr(row, key) != value]:
            yield f"{row.filename} and its row in the table differ in {', '.join(wrong)}"


def _faults_of_files(names: list[str], folder: Path, contents: Contents) -> Iterator[str]:
    there = (
        {path.name for path in folder.glob("*") if not path.name.startswith(".")}
        if folder.is_dir()
        else set()
    )
    if absent := sorted(set(names) - there):
        yield f"missing: {counted(len(absent), 'clip')}, such as {absent[0]}"
    if extra := sorted(there - set(names)):
        yield f"not in the table: {counted(len(extra), 'file')} in audio/, such as {extra[0]}"
    for name in sorted(there & set(names)):
        try:
            header = audio.file_info(folder / name)
        except audio.AudioError as error:
            yield f"{name}: {error}"
            continue
        if (header.sample_rate, header.frames) != (contents.sample_rate, contents.samples):
            yield (
                f"{name} has {header.frames} samples at {header.sample_rate} Hz, "
                f"expected {contents.samples} at {contents.sample_rate}"
            )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
