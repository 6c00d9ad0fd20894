"""Damage a cache at random and see whether it is found: `python -m bench.damage --damages 1000`.

A flipped bit, a zeroed page, a file cut short, a file of another cache; anywhere in any file, half the time
outside the values, where labels, ids, axes, attributes, links and HDF5's own structure lie. Each damage is
looked at in a process of its own, since a library that hangs or crashes would be a finding too. What changes
nothing that can be read (padding between objects, a page that was zero) is counted apart and is no damage.
"""

import os
import random
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commandline.commands import main
from commandline.options import Options, option
from commandline.registry import RequestError
from commandline.terminal import progress
from features_cache import Cache
from features_cache.index import read_index
from features_cache.inspect import verify_cache
from features_cache.layout import read_header
from pipeline.extract import extract, request
from pipeline.options import FeaturesCommand
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset

FEATURES = ("mel", "rms", "mfcc")
PAGE = 4096
PATIENCE = 120  # seconds before a look counts as hanging: many on a machine that is busy otherwise
UNCHANGED, FOUND, SILENT, MISREAD = range(4)  # exit status of a look
MEANING = {
    UNCHANGED: "unchanged",
    FOUND: "found",
    SILENT: "missed by verify",
    MISREAD: "misread by the reader",
}


@dataclass(frozen=True, kw_only=True)
class DamageOptions(Options):
    """How many damages."""

    damages: int = option(1000, "that change something")
    seed: int = option(0, "of where and what")


class Patient:
    """A cache, what it says, and another cache of the same clips with other audio."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        sounds = ChangingDataset(folder / "sounds", random.Random(0), clips=12)
        self.folder = _made(sounds, folder / "data")
        sounds.replace()
        self.stranger = _made(sounds, folder / "other")
        self.files = [*(f"{name}.h5" for name in FEATURES), "index.h5"]
        self.sound = {name: (self.folder / name).read_bytes() for name in self.files}
        self.expected = _contents(self.folder)

    def damage(self) -> str:
        """Do something to one file; what it was."""
        name = self.rng.choice(self.files)
        path, whole = self.folder / name, self.sound[name]
        kind = self.rng.choices(("bit", "page", "cut", "stranger"), (8, 4, 2, 1))[0]
        place = self._place(path, len(whole))
        changed = bytearray(whole)
        if kind == "bit":
            changed[place] ^= 1 << self.rng.randrange(8)
        elif kind == "page":
            start = place - place % PAGE
            changed[start : start + PAGE] = bytes(len(changed[start : start + PAGE]))
        elif kind == "cut":
            del changed[place:]
        else:
            changed[:] = (self.stranger / name).read_bytes()
        path.write_bytes(changed)
        return f"{kind} in {name}"

    def heal(self) -> None:
        """Everything as it was."""
        for name, whole in self.sound.items():
            (self.folder / name).write_bytes(whole)

    def _place(self, path: Path, length: int) -> int:
        """A byte of the file: of all, or of what is not values."""
        if path.name == "index.h5" or self.rng.random() < 0.5:
            return self.rng.randrange(length)
        file = read_header(path)
        values = range(file.values_offset, file.values_offset + file.shape[0] * file.clip_bytes)
        while (place := self.rng.randrange(length)) in values:
            pass
        return place


def look(folder: Path, expected: dict[str, Any]) -> int:
    """What verify and the reader make of a cache that should say `expected`."""
    verdicts = verify_cache(folder)
    found = any(not verdict.intact or verdict.missing for verdict in verdicts)
    found |= len(verdicts) != 1 + len(FEATURES)
    if _misread(folder, expected):
        return MISREAD
    if found:
        return FOUND
    return UNCHANGED if _contents(folder) == expected else SILENT


def _misread(folder: Path, expected: dict[str, Any]) -> bool:
    """Whether the reader gives anything that is not what was stored; what it refuses is no such thing."""
    try:
        cache = Cache(folder)
        ids = cache.clips["clip_id"].tolist()
    except RequestError:
        return False
    for name in FEATURES:
        for clip in ids:
            try:
                if cache.read(name, [clip]).tobytes() != expected[name]["values"].get(clip):
                    return True
            except RequestError:
                pass
    return False


def _contents(folder: Path) -> dict[str, Any]:
    """Everything that can be read in a cache."""
    clips, settings = read_index(folder)
    expected: dict[str, Any] = {"clips": clips.to_dict("list"), "settings": settings}
    cache = Cache(folder)
    for name in FEATURES:
        file = read_header(folder / f"{name}.h5")
        ids = [clip.decode() for clip in file.clip_ids]
        expected[name] = {
            "values": dict(zip(ids, (one.tobytes() for one in cache.read(name, ids)), strict=True)),
            "axes": (file.row_axis.tolist(), file.frame_axis.tolist()),
            "attributes": file.attributes,
        }
    return expected


def _made(sounds: ChangingDataset, data: Path) -> Path:
    options = FeaturesCommand(
        dataset=str(sounds.csv),
        data=data,
        features=" ".join(FEATURES),
        sample_rate=SAMPLE_RATE,
        duration=0.5,
        jobs=1,
    )
    extract(request(options), options)
    return data / "sounds" / "features"


def _looked(patient: Patient) -> str:
    """The meaning of a look, in a process that may crash or hang."""
    process = os.fork()
    if not process:
        status = 255
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            status = look(patient.folder, patient.expected)
        finally:
            os._exit(status)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return MEANING.get(os.waitstatus_to_exitcode(status), "crashed")
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "hung"


def damage(options: DamageOptions) -> int:
    """Damage a cache again and again and count what is not found."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        patient = Patient(Path(folder), random.Random(options.seed))
        bar = progress(total=options.damages, label="damage", unit="damages")
        while counts.total() - counts["unchanged"] < options.damages:
            what = patient.damage()
            meaning = _looked(patient)
            counts[meaning] += 1
            bar.update(meaning != "unchanged")
            if meaning not in ("found", "unchanged"):
                bar.write(f"{meaning}: {what}")
            patient.heal()
        bar.close()
    effective = counts.total() - counts["unchanged"]
    others = {meaning: count for meaning, count in counts.items() if meaning not in ("found", "unchanged")}
    print(f"{effective} damages, {counts['found']} found, {others or 'none otherwise'}")
    print(f"{counts['unchanged']} more changed nothing that can be read")
    return 0 if counts["found"] == effective else 1


if __name__ == "__main__":
    main([damage])
