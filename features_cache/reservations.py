"""Reservations: which clips of which features an extraction writes, and whether the
extraction is alive.

A reservation is a small JSON file that its extraction keeps locked until it ends. On a
file system with locks it has three purposes:

* Two extractions never write the same clips of the same feature. An extraction whose
  reservation overlaps a living one names that one and waits.
* Nobody writes for an extraction that has ended. A worker locks `.writing` (shared)
  while it writes a clip, and first checks that the reservation is still locked. Whoever
  removes a dead reservation locks `.writing` exclusively first: a worker that outlived
  its parent, on any machine, then finds the reservation unlocked and ends.
* A power cut leaves the reservation behind, with the id of an earlier boot. A state
  word may then have reached the disk without its data, so all clips of the reserved
  features that count as done are checked by CRC. After a kill only the fsync is
  missing.
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


class ExtractionIsGone(Failed):
    """The worker's extraction has ended, or its reservation has been removed."""

    def __str__(self) -> str:
        return "the reservation of this extraction is gone from the cache's locks"


@dataclass(frozen=True)
class Reservation:
    """What an extraction has reserved, as its workers receive it: rows `first` to
    `last` (exclusive) of the clip table in these features.
    """

    marker: Path  # the reservation's file
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

    def overlaps(self, other: "Reservation") -> bool:
        """Whether some clip of some feature is in both."""
        rows = max(self.first, other.first) < min(self.last, other.last)
        return rows and not set(self.features).isdisjoint(other.features)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


def reservations(folder: Path) -> list[tuple[Reservation, bool]]:
    """(reservation, whether its extraction is alive) of each readable reservation in a
    cache.
    """
    readable = []
    for marker in sorted((folder / LOCKS).glob("run-*.json")):
        # its extraction ended just now, or it is damaged
        with suppress(FileNotFoundError, ValueError, TypeError):
            reservation = Reservation(marker, **json.loads(marker.read_text()))
            readable.append((reservation, files.is_held(marker, shared=True)))
    return readable


@contextmanager
def reserved(
    folder: Path, features: Sequence[str], rows: tuple[int, int]
) -> Iterator[Reservation]:
    """Admit an extraction once no other writes its clips; sync its files at the end."""
    host, process = socket.gethostname(), os.getpid()
    # absolute, since workers on other machines have other working folders
    name = f"run-{host}-{process}-{secrets.token_hex(4)}.json"
    marker = folder.absolute() / LOCKS / name
    ours = Reservation(marker, features, *rows, host, process, now(), files.boot_id())
    while True:
        with lock(folder, "runs"):
            others = reservations(folder)
            rivals = [each for each, lives in others if lives and each.overlaps(ours)]
            if not rivals:
                for other, lives in others:
                    if not lives and (other.overlaps(ours) or other.host == host):
                        _clear(folder, other, ours.boot)
                admitted = marker.with_name("run")
                files.remove_drafts(admitted, locked=True)
                draft = files.draft_of(admitted)
                own_lock = files.Lock(draft)  # locked before it has its name
                own_lock.take()
                ours = replace(ours, locked=files.is_held(draft, shared=True))
                content = asdict(ours)
                del content["marker"]
                draft.write_text(json.dumps(content, indent=1))
                files.sync(draft)
                draft.replace(marker)
                files.sync(marker.parent)
                ours.writing.touch()
                break
        tell_once(
            f"waiting for another extraction, which writes these clips: {rivals[0]}"
        )
        time.sleep(POLL_SECONDS)
    with own_lock:
        try:
            yield ours
        finally:
            _remove(folder, ours)


def _clear(folder: Path, reservation: Reservation, boot: str) -> None:
    """Remove a dead reservation; check clips of another boot or machine."""
    # from here on none of its workers writes
    with files.Lock(reservation.writing):
        if reservation.boot != boot:
            tell(
                "an extraction on another machine, or before a restart, is gone:"
                f" checking what it wrote ({reservation})"
            )
            for name in reservation.features:
                with suppress(FileNotFoundError, DamagedFile):
                    file = read_header(folder / f"{name}.h5")
                    states = file.map(state=True)
                    done = np.flatnonzero(states)
                    damaged = ~intact(file.map(), done, states[done])
                    file.forget(done[damaged])
        _remove(folder, reservation)


def _remove(folder: Path, reservation: Reservation) -> None:
    """Flush to disk the files that an extraction wrote, then remove its reservation."""
    for name in reservation.features:
        with suppress(FileNotFoundError):
            files.sync(folder / f"{name}.h5")
    files.sync(folder)
    reservation.marker.unlink(missing_ok=True)
    reservation.writing.unlink(missing_ok=True)
