"""Claims: which clips of which features a run writes, and whether the run is alive.

A claim is a small JSON file that its run keeps locked until it ends. On a file system
with locks it has three purposes:

* Two runs never write the same clips of the same feature. A run whose claim overlaps a
  living one names that one and waits.
* Nobody writes for a run that has ended. A worker locks `.writing` (shared) while it
  writes a clip, and first checks that the claim is still locked. Whoever removes a dead
  claim locks `.writing` exclusively first: a worker that outlived its parent, on any
  machine, then finds the claim unlocked and ends.
* A power cut leaves the claim behind, with the id of an earlier boot. A state word may
  then have reached the disk without its data, so all clips of the claimed features that
  count as done are checked by CRC. After a kill only the fsync is missing.
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from featurestack.base import files
from featurestack.base.errors import DamagedFile, Failed
from featurestack.base.terminal import tell, tell_once
from featurestack.features_cache.hdf5 import LOCKS, intact, lock, now, read_header

POLL_SECONDS = 0.5


class RunIsGone(Failed):
    """The worker's run has ended, or its claim has been removed."""

    def __str__(self) -> str:
        return "the claim of this run is gone from the cache's locks"


@dataclass(frozen=True)
class Claim:
    """What a run has claimed, as its workers receive it: rows `first` to `last`
    (exclusive) of the clip table in these features.
    """

    marker: Path  # the claim's file
    features: Sequence[str]
    first: int
    last: int
    host: str
    process: int
    since: str
    boot: str
    locked: bool = True  # whether the file system has locks

    @property
    def writing(self) -> Path:
        """The file that a worker locks while it writes."""
        return self.marker.with_suffix(".writing")

    def overlaps(self, other: "Claim") -> bool:
        """Whether some clip of some feature is in both."""
        rows = max(self.first, other.first) < min(self.last, other.last)
        return rows and not set(self.features).isdisjoint(other.features)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


def claims(folder: Path) -> list[tuple[Claim, bool]]:
    """(claim, whether its run is alive) of each readable claim in a cache."""
    readable = []
    for marker in sorted((folder / LOCKS).glob("run-*.json")):
        # its run ended just now, or it is damaged
        with suppress(FileNotFoundError, ValueError, TypeError):
            claim = Claim(marker, **json.loads(marker.read_text()))
            readable.append((claim, files.is_held(marker, shared=True)))
    return readable


@contextmanager
def claimed(
    folder: Path, features: Sequence[str], rows: tuple[int, int]
) -> Iterator[Claim]:
    """Admit this run once no other writes its clips; sync its files at the end."""
    host, process = socket.gethostname(), os.getpid()
    # absolute, since workers on other machines have other working folders
    name = f"run-{host}-{process}-{secrets.token_hex(4)}.json"
    marker = folder.absolute() / LOCKS / name
    claim = Claim(marker, features, *rows, host, process, now(), files.boot_id())
    while True:
        with lock(folder, "runs"):
            others = claims(folder)
            rivals = [each for each, lives in others if lives and each.overlaps(claim)]
            if not rivals:
                for other, lives in others:
                    if not lives and (other.overlaps(claim) or other.host == host):
                        _clear(folder, other, claim.boot)
                admitted = marker.with_name("run")
                files.remove_drafts(admitted, locked=True)
                draft = files.draft_of(admitted)
                own_lock = files.Lock(draft)  # locked before it has its name
                own_lock.take()
                claim = replace(claim, locked=files.is_held(draft, shared=True))
                content = asdict(claim)
                del content["marker"]
                draft.write_text(json.dumps(content, indent=1))
                files.sync(draft)
                draft.replace(marker)
                files.sync(marker.parent)
                claim.writing.touch()
                break
        tell_once(f"waiting for another run, which writes these clips: {rivals[0]}")
        time.sleep(POLL_SECONDS)
    with own_lock:
        try:
            yield claim
        finally:
            _remove(folder, claim)


def _clear(folder: Path, claim: Claim, boot: str) -> None:
    """Remove a dead run's claim; check clips of another boot or machine."""
    with files.Lock(claim.writing):  # from here on none of its workers writes
        if claim.boot != boot:
            tell(
                "a run on another machine, or before a restart, is gone: checking what"
                f" it wrote ({claim})"
            )
            for name in claim.features:
                with suppress(FileNotFoundError, DamagedFile):
                    file = read_header(folder / f"{name}.h5")
                    states = file.map(state=True)
                    done = np.flatnonzero(states)
                    damaged = ~intact(file.map(), done, states[done])
                    file.forget(done[damaged])
        _remove(folder, claim)


def _remove(folder: Path, claim: Claim) -> None:
    """Flush to disk the files that a run wrote, then remove its claim."""
    for name in claim.features:
        with suppress(FileNotFoundError):
            files.sync(folder / f"{name}.h5")
    files.sync(folder)
    claim.marker.unlink(missing_ok=True)
    claim.writing.unlink(missing_ok=True)
