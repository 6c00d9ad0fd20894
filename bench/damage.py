"""Damage a cache at random and check that the damage is found: `python -m bench.damage
--damages 1000`.

A damage is a flipped bit, a zeroed page, a file cut short, or a file replaced by that
of another cache. In half of the trials or more it lies outside the values: among
labels, ids, axes, attributes, links and HDF5's own structure. Each damage is examined
in its own process, because a library that hangs or crashes would be a finding too. A
change that no reader can see (padding between objects, a page that was zero) is counted
apart.
"""

import contextlib
import io
import random
import tempfile
from collections import Counter
from dataclasses import fields
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from bench.processes import HUNG, ended, forked, status_of
from featurestack.commandline.commands import main
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import Options, option
from featurestack.commandline.terminal import progress
from featurestack.features_cache import Cache
from featurestack.features_cache.feature_file import FeatureSpec
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset

FEATURES = ("mel", "rms", "mfcc")
PAGE = 4096
MEANING = {
    0: "unchanged",
    1: "found",
    2: "missed by verify",
    3: "misread by the reader",
    HUNG: "hung",
}


class DamageOptions(Options):
    """Number of damages."""

    damages: int = option(1000, "damages that change something readable")
    seed: int = option(0, "seed of the damages")


class Caches:
    """A cache, its content, and another cache of the same clips with other audio."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng, sounds = (
            rng,
            ChangingDataset(folder / "sounds", random.Random(0), clips=12),
        )
        words = [
            "pipeline",
            "features",
            f"DATASET={sounds.csv}",
            f"FEATURES={' '.join(FEATURES)}",
            "JOBS=1",
        ]
        words += [f"SAMPLE_RATE={SAMPLE_RATE}", "DURATION=0.5"]
        for data in ("data", "other"):
            extraction = [*words, f"DATA={folder / data}"]
            assert ended(forked(partial(status_of, extraction))) == 0
            sounds.replace()
        self.folder, self.stranger = (
            folder / data / "sounds" / "features" for data in ("data", "other")
        )
        self.files = [*(f"{name}.h5" for name in FEATURES), "index.h5"]
        self.sound = {name: (self.folder / name).read_bytes() for name in self.files}
        self.expected = contents(self.folder)

    def damage(self) -> tuple[str, str]:
        """Damage a file, examine the cache, repair the file; return the damage and its
        meaning.
        """
        name = self.rng.choice(self.files)
        whole, kind = (
            self.sound[name],
            self.rng.choices(("bit", "page", "cut", "stranger"), (8, 4, 2, 1))[0],
        )
        values, changed = range(0), bytearray(whole)
        if name != "index.h5" and self.rng.random() < 0.5:
            with h5py.File(self.folder / name) as file:
                start = file["values"].id.get_offset()
                values = range(start, start + file["values"].nbytes)
        while (place := self.rng.randrange(len(whole))) in values:
            pass
        if kind == "bit":
            changed[place] ^= 1 << self.rng.randrange(8)
        elif kind == "page":
            start = place - place % PAGE
            changed[start : start + PAGE] = bytes(len(changed[start : start + PAGE]))
        elif kind == "cut":
            del changed[place:]
        else:
            changed[:] = (self.stranger / name).read_bytes()
        (self.folder / name).write_bytes(changed)
        meaning = MEANING.get(ended(forked(self.look)), "crashed")
        (self.folder / name).write_bytes(whole)
        return f"{kind} in {name}", meaning

    def look(self) -> int:
        """The verdict of verify and the reader, as a key of MEANING.

        A clip whose state word became zero looks as if never written: verify counts it
        as not done.
        """
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = status_of(["features_cache", "verify", f"DATASET={self.folder}"])
        named = status != 0 or "not done" in said.getvalue()
        now = contents(self.folder)
        if any(
            now[key] not in (None, self.expected[key])
            for key in now
            if key[1] != "described"
        ):
            return 3
        return 1 if named else 2 * (now != self.expected)


def contents(folder: Path) -> dict[tuple[str, str], object]:
    """(feature, clip) -> everything that the reader returns; None if it refuses."""
    try:
        cache = Cache(folder)
        given: dict[tuple[str, str], object] = {
            ("index", "described"): (cache.clips.to_csv(), cache.settings)
        }
        ids = cache.clips["clip_id"].tolist()
    except RequestError:
        return {}
    for name in FEATURES:
        given[name, "described"] = None
        with contextlib.suppress(RequestError):
            stored = cache[name]
            described = {
                field.name: getattr(stored, field.name) for field in fields(FeatureSpec)
            }
            given[name, "described"] = {
                key: np.asarray(value).tolist() for key, value in described.items()
            }
        for clip in ids:
            given[name, clip] = None
            with contextlib.suppress(RequestError):
                given[name, clip] = cache.read(name, [clip]).tobytes()
    return given


def damage(options: DamageOptions) -> int:
    """Damage a cache again and again, and count the damages by what became of them."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        caches = Caches(Path(folder), random.Random(options.seed))
        bar = progress(total=options.damages, label="damage", unit="damages")
        while counts.total() - counts["unchanged"] < options.damages:
            what, meaning = caches.damage()
            counts[meaning] += 1
            bar.update(meaning != "unchanged")
            if meaning not in ("found", "unchanged"):
                bar.write(f"{meaning}: {what}")
        bar.close()
    print(", ".join(f"{count} {meaning}" for meaning, count in sorted(counts.items())))
    return 0 if counts["found"] == counts.total() - counts["unchanged"] else 1


if __name__ == "__main__":
    main([damage])
