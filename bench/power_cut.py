"""Simulated power cuts during an extraction: `python -m bench.power_cut --cuts 200`.

No power is cut: the losses are computed. A run is killed at a random moment, and the
cache is put into a state in which a crash of the system may leave it: each page (4096
bytes) that was written since a file's last fsync is new or as it was at that fsync;
each name changed since the folder's last fsync is new or old. Then the boot id changes,
a second run continues, and the whole cache is compared with that of an undisturbed run.

The assumptions hold on ext4, xfs and btrfs: fsync of a file keeps its bytes and length,
fsync of a folder its names, a page is written whole, and a rename is seen whole or not
at all.
"""

import os
import random
import shutil
import tempfile
from pathlib import Path

from bench import kill
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.terminal import progress
from featurestack.features_cache import claims

PAGE = 4096


class PowerCutOptions(Options):
    """Number of cuts."""

    cuts: int = option(200, "power cuts")
    seed: int = option(0, "seed of everything random")


class Disk:
    """The content of the disk: each inode's bytes and each folder's names at the last
    fsync.
    """

    def __init__(self, shadow: Path, watched: Path) -> None:
        self.shadow, self.watched = shadow, watched

    def start(self) -> None:
        """Count the present files as written to the disk, and record each later
        fsync.
        """
        shutil.rmtree(self.shadow, ignore_errors=True)
        self.shadow.mkdir()
        for folder in [
            self.watched,
            *(one for one in self.watched.rglob("*") if one.is_dir()),
        ]:
            self._synced(folder)
            for file in filter(Path.is_file, folder.iterdir()):
                self._synced(file)
        real = getattr(os.fsync, "real", os.fsync)

        def recorded(descriptor: int) -> None:
            real(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").resolve()
            if path.is_relative_to(self.watched):
                self._synced(path)

        recorded.real = real  # type: ignore[attr-defined]
        os.fsync = recorded  # type: ignore[assignment]

    def _synced(self, path: Path) -> None:
        """Keep a file's bytes, or a folder's names with their inodes."""
        draft = self.shadow / f"draft.{os.getpid()}"
        if path.is_dir():
            relative = path.relative_to(self.watched)
            names = [f"{one.name} {one.stat().st_ino}" for one in path.iterdir()]
            draft.write_text("\n".join([f"{relative} 0", *names]))
            draft.replace(self.shadow / f"{str(relative).replace('/', '!')}.names")
        else:
            inode = path.stat().st_ino
            shutil.copyfile(path, draft)
            draft.replace(self.shadow / str(inode))

    def cut(self, rng: random.Random) -> int:
        """Put the watched folder into a state that a power cut may leave; the number of
        pages lost.
        """
        lost, kept = 0, self.watched.with_name("kept")
        shutil.copytree(self.watched, kept)
        inodes = {
            one.relative_to(self.watched): one.stat().st_ino
            for one in self.watched.rglob("*")
        }
        for listing in sorted(self.shadow.glob("*.names")):
            lines = [line.rsplit(" ", 1) for line in listing.read_text().splitlines()]
            folder = Path(lines[0][0])
            durable = {folder / name: int(inode) for name, inode in lines[1:]}
            current = {
                one: inode for one, inode in inodes.items() if one.parent == folder
            }
            for name in {*durable, *current}:
                if (kept / name).is_dir():
                    continue
                inode = rng.choice([durable.get(name), current.get(name)])
                (self.watched / name).unlink(missing_ok=True)
                if inode is not None:
                    saved = self.shadow / str(inode)
                    old = saved.read_bytes() if saved.exists() else b""
                    new = (
                        (kept / name).read_bytes()
                        if current.get(name) == inode
                        else old
                    )
                    content, pages = mixed(old, new, rng)
                    (self.watched / name).write_bytes(content)
                    lost += pages
        shutil.rmtree(kept)
        return lost


def mixed(old: bytes, new: bytes, rng: random.Random) -> tuple[bytes, int]:
    """A content whose pages are `old` or `new` at random, and the number of pages that
    are not new.
    """
    length = rng.choice([len(old), len(new)])
    content, lost = bytearray(length), 0
    for start in range(0, length, PAGE):
        pages = [one[start : start + PAGE].ljust(PAGE, b"\0") for one in (old, new)]
        chosen = rng.choice(pages)
        lost += chosen != pages[1]
        content[start : start + PAGE] = chosen[: length - start]
    return bytes(content), lost


class PowerCuts(kill.Extraction):
    """Kills of bench.kill that also lose what was not synchronised."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.disk, self.lost = Disk(folder / "disk", self.cache), 0
        self.disk.start()

    def look(self, where: str, alone: bool) -> int | None:
        """Lose pages and change the boot id, as a crash would; the comparison follows
        the second run.
        """
        self.lost += self.disk.cut(self.rng)
        boot = f"boot {self.kills}"
        claims.boot_id = lambda: boot
        self.disk.start()
        return None


def power_cut(options: PowerCutOptions) -> int:
    """Cut the power again and again and count the findings."""
    kill.fork_workers()
    kill.PARENT_ALONE = 0  # workers go down with the system
    with tempfile.TemporaryDirectory(prefix="power-cut-") as folder:
        soak = PowerCuts(Path(folder), options.seed)
        for _ in progress(range(options.cuts), label="power cut", unit="cuts"):
            soak.round()
    print(f"{soak}; {soak.lost} pages lost")
    return 1 if soak.findings else 0


if __name__ == "__main__":
    main([power_cut])
