"""ESC-50, which is downloaded, or unpacked, and checked."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from featurestack.base.download import download, part_of
from featurestack.base.errors import RequestError
from featurestack.base.files import making, staged
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted, size
from featurestack.base.table_files import read_table
from featurestack.base.terminal import progress, tell
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.readers import is_esc_layout
from featurestack.pipeline.options import SourceOptions

URL = "https://github.com/karolpiczak/ESC-50/archive/master.zip"
OTHER_WAYS = "ARCHIVE= takes a zip that is already there"
ARCHIVE_PARTS = ("audio", "LICENSE", "meta")  # put in place in this order
ARCHIVE = "esc50.zip"  # in the folder of datasets until it is unpacked
META_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
CLIP_COUNT = 2000
SAMPLE_RATE = 44_100  # Hz
SAMPLES = 220_500  # samples of every clip
CREDIT = """\
ESC-50: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification",
Proceedings of the 23rd ACM International Conference on Multimedia, 2015, pp. 1015-1018,
doi:10.1145/2733373.2806390.
Licence: Creative Commons Attribution-NonCommercial 3.0; the clips of ESC-10 Attribution
3.0. The authors of the recordings are named in the dataset's LICENSE file."""


# limits of an unpacked archive
MOST_ENTRIES, MOST_BYTES = 10_000, 2 << 30


class _Refused(RequestError):
    """An archive that is damaged, or holds unexpected files."""


def unpack(archive: Path, into: Path) -> None:
    """Unpack a zip into the new folder `into`; _Refused if it is damaged."""
    into.mkdir()
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            # no more than this is written: a larger entry fails its checksum
            total = sum(entry.file_size for entry in entries)
            if len(entries) > MOST_ENTRIES or total > MOST_BYTES:
                raise _Refused(
                    f"{archive} has {len(entries):,} entries of {size(total)};"
                    f" expected at most {MOST_ENTRIES:,} of {size(MOST_BYTES)}"
                )
            # extract writes every entry below the folder
            for entry in progress(entries, label="unpack", unit="files"):
                zipped.extract(entry, into)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _Refused(f"{archive} is not a whole zip archive: {error}") from None


def obtain(options: SourceOptions) -> Path:
    """The folder of ESC-50, unpacked from ARCHIVE= or downloaded if it is missing."""
    folder = options.data / "esc50"
    if is_esc_layout(folder):
        return folder
    with making(folder):
        if is_esc_layout(folder):
            return folder
        if options.archive:
            _install(Path(options.archive).expanduser(), folder)
        else:
            archive = options.data / ARCHIVE
            record = OwnFiles(options.data, ".download.json")
            names = archive.name, part_of(archive).name
            record.register(names, f"ARCHIVE={archive} takes it")
            if not archive.exists():
                tell(
                    "fetching ESC-50 from GitHub, 600 MB; DATASET= names your own"
                    " sounds"
                )
                download(URL, archive, other_ways=OTHER_WAYS)
            try:
                _install(archive, folder)
            except _Refused as error:
                record.remove()
                raise RequestError(
                    f"the archive from {URL} is not used: {error}. {OTHER_WAYS}"
                ) from None
            record.remove()
    print(CREDIT)
    return folder


def _install(archive: Path, folder: Path) -> None:
    """Unpack the archive within the folder, check it, and move its parts into place."""
    if not archive.is_file():
        raise RequestError(
            f"ARCHIVE={archive}: there is no such file; expected the zip of ESC-50"
        )
    with staged(folder, ARCHIVE_PARTS) as stage:
        unpacked = stage / "unpacked"
        unpack(archive, unpacked)
        inside = [path.parent for path in unpacked.glob("*/meta") if path.is_dir()]
        # GitHub's archive has one folder, ESC-50-master
        root = inside[0] if len(inside) == 1 else unpacked
        if wrong := list(faults(root)):
            faulty = f"{archive} does not hold ESC-50, {counted(len(wrong), 'fault')}"
            raise _Refused(f"{faulty}: {'; '.join(wrong[:3])}")
        if not (root / "LICENSE").is_file():
            (root / "LICENSE").write_text(CREDIT + "\n")
        for part in ARCHIVE_PARTS:
            (root / part).replace(stage / part)


def faults(folder: Path) -> Iterator[str]:
    """Yield each difference between a folder and ESC-50."""
    audio_dir = folder / "audio"
    try:
        rows = read_table(folder / "meta" / "esc50.csv", META_COLUMNS)
    except RequestError as error:
        yield str(error)
        return
    names = rows["filename"]
    if len(rows) != CLIP_COUNT or not names.is_unique:
        yield f"its table has {names.nunique()} clips, expected {CLIP_COUNT}"
    parts = rows["fold"].str.cat(rows[["src_file", "take", "target"]], sep="-")
    for name in names[names != parts + ".wav"]:
        yield f"{name!r} is not named fold-source-take-class.wav as its row says"
    for name in sorted({path.name for path in audio_dir.glob("[!.]*")} - set(names)):
        yield f"not in the table: audio/{name}"
    infos = audio.file_infos([audio_dir / name for name in names])
    for name, info in zip(names, infos):
        if isinstance(info, audio.AudioError):
            yield f"{name}: {info}"
        elif (info.sample_rate, info.frames) != (SAMPLE_RATE, SAMPLES):
            has = f"{info.frames} samples at {info.sample_rate} Hz"
            yield f"{name} has {has}, expected {SAMPLES} at {SAMPLE_RATE}"
