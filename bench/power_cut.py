"""Power cuts in the middle of an extraction: `python -m bench.power_cut --cuts 200`.

No block device is cut off; what one would lose is computed. A run is killed at a random moment, and the cache
is put into a state in which a crash of the system may leave it: of each file any of the pages (4096 bytes)
that were written since its last fsync are kept, the others are as they were at that fsync; names that were
changed since the folder's last fsync are changed or not. Then the boot id is another, a second run goes on,
and everything in the cache is compared with what an undisturbed run makes.

It assumes what ext4, xfs and btrfs give: fsync of a file keeps its bytes and length, fsync of a folder its
names, a page is written whole, and a rename is seen whole or not at all.
"""

import os
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import kill
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import progress
from features_cache import claims
from pipeline import pool

PAGE = 4096


@dataclass(frozen=True, kw_only=True)
class PowerCutOptions(Options):
    """How many."""

    cuts: int = option(200, "power cuts")
    seed: int = option(0, "of everything that is random")


class Disk:
    """What has reached the disk: by inode the bytes of the last fsync, by folder its names at the last."""

    def __init__(self, shadow: Path, watched: Path) -> None:
        self.shadow, self.watched = shadow, watched
        shadow.mkdir()

    def start(self) -> None:
        """Everything that is there now is on the disk; from here on each fsync is recorded."""
        shutil.rmtree(self.shadow)
        self.shadow.mkdir()
        for folder in [self.watched, *(one for one in self.watched.rglob("*") if one.is_dir())]:
            self._names(folder)
            for file in folder.iterdir():
                if file.is_file():
                    self._bytes(file, file.stat().st_ino)
        real = getattr(os.fsync, "real", os.fsync)

        def recorded(descriptor: int) -> None:
            real(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").resolve()
            if path.is_relative_to(self.watched):
                self._names(path) if path.is_dir() else self._bytes(path, os.fstat(descriptor).st_ino)

        recorded.real = real  # type: ignore[attr-defined]
        os.fsync = recorded  # type: ignore[assignment]

    def cut(self, rng: random.Random) -> int:
        """Put the watched folder into a state that a power cut may leave; the number of pages lost."""
        lost = 0
        kept = self.watched.with_name("kept")
        shutil.copytree(self.watched, kept)
        inodes = {one.relative_to(self.watched): one.stat().st_ino for one in self.watched.rglob("*")}
        for listing in sorted(self.shadow.glob("*.names")):
            lines = [line.rsplit(" ", 1) for line in listing.read_text().splitlines()]
            folder = Path(lines[0][0])
            durable = {folder / name: int(inode) for name, inode in lines[1:]}
            current = {one: inode for one, inode in inodes.items() if one.parent == folder}
            for name in {*durable, *current}:
                if (kept / name).is_dir():
                    continue
                inode = rng.choice([durable.get(name), current.get(name)])
                (self.watched / name).unlink(missing_ok=True)
                if inode is not None:
                    newest = kept / name if current.get(name) == inode else None
                    content, pages = self._mixed(inode, newest, rng)
                    (self.watched / name).write_bytes(content)
                    lost += pages
        shutil.rmtree(kept)
        return lost

    def _mixed(self, inode: int, newest: Path | None, rng: random.Random) -> tuple[bytes, int]:
        """Each page as it was at the last fsync or as it is; how many are not as they are."""
        saved = self.shadow / str(inode)
        old = saved.read_bytes() if saved.exists() else b""
        new = newest.read_bytes() if newest is not None and newest.exists() else old
        length = rng.choice([len(old), len(new)])
        content, lost = bytearray(length), 0
        for start in range(0, length, PAGE):
            pages = [one[start : start + PAGE].ljust(PAGE, b"\0") for one in (old, new)]
            chosen = rng.choice(pages)
            lost += chosen != pages[1]
            content[start : start + PAGE] = chosen[: length - start]
        return bytes(content), lost

    def _bytes(self, path: Path, inode: int) -> None:
        draft = self.shadow / f"{inode}.{os.getpid()}"
        shutil.copyfile(path, draft)
        draft.replace(self.shadow / str(inode))

    def _names(self, folder: Path) -> None:
        relative = folder.relative_to(self.watched)
        lines = [f"{relative} 0", *(f"{one.name} {one.stat().st_ino}" for one in folder.iterdir())]
        draft = self.shadow / f"draft.{os.getpid()}"
        draft.write_text("\n".join(lines))
        draft.replace(self.shadow / f"{str(relative).replace('/', '!')}.names")


class PowerCuts(kill.Soak):
    """Kills of bench.kill, each of which also takes what was not synchronised."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.disk = Disk(folder / "disk", self.cache)
        self.lost = 0
        self.disk.start()

    def look(self, where: str, alone: bool) -> int | None:
        """The system comes up again, with another boot id and without some of the pages; nobody looks yet."""
        self.lost += self.disk.cut(self.rng)
        boot = f"boot {self.tally.kills}"
        claims.boot_id = lambda: boot
        self.disk.start()
        return None


def power_cut(options: PowerCutOptions) -> int:
    """Cut the power again and again and count what that breaks."""
    pool.START_METHOD = "fork"
    kill.PARENT_ALONE = 0  # workers go down with the system
    with tempfile.TemporaryDirectory(prefix="power-cut-") as folder:
        soak = PowerCuts(Path(folder), options.seed)
        for _ in progress(range(options.cuts), label="power cut", unit="cuts"):
            soak.round()
    print(f"{soak.tally}; {soak.lost} pages lost")
    for line in (*soak.tally.unopened, *soak.tally.wrong, *soak.tally.stuck)[:20]:
        print(f"  {line}")
    return 0 if soak.tally.clean and soak.lost else 1


if __name__ == "__main__":
    main([power_cut])
